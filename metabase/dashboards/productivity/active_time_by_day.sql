with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

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
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]

),

grain as (

    select max(date_key) - min(date_key) + 1 as day_count
    from days

),

dated as (

    select
        case
            when grain.day_count > 400 then date_trunc('month', sessions.started_date_key)::date
            when grain.day_count > 93 then date_trunc('week', sessions.started_date_key)::date
            else sessions.started_date_key
        end as period_start,
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
