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
        prompt_count
    from dim_sessions
    where
        true
        and not is_automated
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]

),

bounds as (

    select
        min(date_key) as first_day,
        max(date_key) as last_day
    from days

),

history as (

    select min(date_key) as first_day
    from dim_date

),

periods as (

    select
        bounds.first_day - 1 as period,
        -- a period that began before the history did cannot be compared with a whole one
        case
            when bounds.first_day - (bounds.last_day - bounds.first_day)::integer - 1 >= history.first_day
                then bounds.first_day - (bounds.last_day - bounds.first_day)::integer - 1
        end as from_day,
        bounds.first_day - 1 as to_day
    from bounds
    cross join history
    union all
    select
        last_day,
        first_day,
        last_day
    from bounds

)

select
    periods.period,
    avg(sessions.prompt_count) as prompts_per_session
from periods
left join sessions
    on sessions.started_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
