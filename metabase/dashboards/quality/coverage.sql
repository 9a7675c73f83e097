with

{{snippet: days}},

{{snippet: grain}},

summary as (

    select
        date_key,
        has_activity
    from agg_daily_summary
    where
        true
        [[and date_key in (select date_key from dim_date where {{date}})]]

),

dated as (

    select
        {{snippet: period_start summary.date_key}} as period_start,
        summary.has_activity
    from summary
    cross join grain

)

select
    period_start,
    count(*) filter (where has_activity) as active_day_count
from dated
group by period_start
order by period_start
