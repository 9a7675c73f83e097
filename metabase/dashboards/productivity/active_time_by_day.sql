with

{{snippet: days}},

{{snippet: grain}},

sessions as (

    select
        started_date_key,
        project_id,
        active_seconds
    from dim_sessions
    where
        true
        and started_date_key is not null
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

),

dated as (

    select
        {{snippet: period_start sessions.started_date_key}} as period_start,
        sessions.active_seconds
    from sessions
    cross join grain

)

select
    period_start,
    sum(active_seconds) / 3600.0 as active_hours
from dated
group by period_start
order by period_start
