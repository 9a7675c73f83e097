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
        session_id
    from dim_sessions
    where
        true
        [[and project_id in (select project_id from dim_projects where {{project}})]]

),

bounds as (

    select
        min(date_key) as first_day,
        max(date_key) as last_day
    from days

),

periods as (

    select
        first_day - 1 as period,
        first_day - (last_day - first_day)::integer - 1 as from_day,
        first_day - 1 as to_day
    from bounds
    union all
    select
        last_day,
        first_day,
        last_day
    from bounds

)

select
    periods.period,
    count(sessions.session_id) as session_count
from periods
left join sessions
    on sessions.started_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
