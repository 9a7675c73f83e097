with

sessions as (

    select
        dim_sessions.started_date_key,
        dim_sessions.project_id,
        dim_sessions.session_id,
        left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
        dim_sessions.started_at,
        dim_sessions.active_seconds,
        dim_sessions.prompt_count,
        dim_sessions.lines_added,
        dim_sessions.lines_removed,
        dim_sessions.commits,
        dim_sessions.cost_usd
    from dim_sessions
    where
        true
        [[and dim_sessions.started_date_key in (select date_key from dim_date where {{date}})]]
        [[and dim_sessions.project_id in (select project_id from dim_projects where {{project}})]]
        [[and dim_sessions.session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and dim_sessions.session_id in (select session_id from dim_sessions where {{person}})]]

),

names as (

    select
        project_id,
        project_label
    from dim_projects

)

select
    sessions.session_id,
    sessions.title,
    names.project_label,
    sessions.started_at,
    sessions.active_seconds,
    sessions.prompt_count,
    sessions.lines_added,
    sessions.lines_removed,
    sessions.commits,
    sessions.cost_usd
from sessions
left join names
    on sessions.project_id = names.project_id
order by
    sessions.started_at desc,
    sessions.session_id
limit 20
