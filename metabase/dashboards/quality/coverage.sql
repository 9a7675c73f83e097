with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

summary as (

    select
        date_key,
        has_activity
    from agg_daily_summary
    where
        true
        [[and date_key in (select date_key from dim_date where {{date}})]]

),

grain as (

    select max(date_key) - min(date_key) + 1 as day_count
    from days

),

dated as (

    select
        case
            when grain.day_count > 400 then date_trunc('month', summary.date_key)::date
            when grain.day_count > 93 then date_trunc('week', summary.date_key)::date
            else summary.date_key
        end as period_start,
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
