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
        case when is_automated then 'automated (SDK, -p)' else 'interactive' end as session_kind
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
        sessions.session_kind
    from sessions
    cross join grain

)

select
    period_start,
    session_kind,
    count(*) as session_count
from dated
group by
    period_start,
    session_kind
order by
    period_start,
    session_kind
