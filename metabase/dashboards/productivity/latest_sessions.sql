with

sessions as (

    select
        dim_sessions.started_date_key,
        dim_sessions.project_id,
        dim_sessions.session_id,
        left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
        dim_projects.project_name,
        dim_sessions.started_at,
        dim_sessions.active_seconds,
        dim_sessions.prompt_count,
        dim_sessions.lines_added,
        dim_sessions.lines_removed,
        dim_sessions.commits,
        dim_sessions.cost_usd
    from dim_sessions
    left join dim_projects
        on dim_sessions.project_id = dim_projects.project_id
    where
        true
        [[and dim_sessions.started_date_key in (select date_key from dim_date where {{date}})]]
        [[and dim_sessions.project_id in (select project_id from dim_projects where {{project}})]]
    -- no choice of filters shows more than 20 of one day and project
    qualify row_number() over (
        partition by
            dim_sessions.started_date_key,
            dim_sessions.project_id
        order by
            dim_sessions.started_at desc,
            dim_sessions.session_id
    ) <= 20

)

select
    title,
    project_name,
    started_at,
    active_seconds,
    prompt_count,
    lines_added,
    lines_removed,
    commits,
    cost_usd
from sessions
order by
    started_at desc,
    session_id
limit 20
