with

sessions as (

    select
        started_date_key,
        project_id,
        active_seconds,
        prompt_count,
        commits,
        lines_added,
        lines_removed,
        cost_usd,
        unpriced_response_count
    from dim_sessions
    where
        true
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

),

projects as (

    select
        project_id,
        project_label,
        activity_status,
        last_active_at
    from dim_projects

)

select
    projects.project_label,
    projects.activity_status,
    projects.last_active_at,
    count(*) as session_count,
    sum(sessions.prompt_count) as prompt_count,
    sum(sessions.active_seconds) as active_seconds,
    sum(sessions.cost_usd) as cost_usd,
    sum(sessions.lines_added) as lines_added,
    sum(sessions.lines_removed) as lines_removed,
    sum(sessions.commits) as commits
from sessions
inner join projects
    on sessions.project_id = projects.project_id
group by
    sessions.project_id,
    projects.project_label,
    projects.activity_status,
    projects.last_active_at
order by
    active_seconds desc,
    project_label
limit 30
