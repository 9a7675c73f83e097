with

sessions as (

    select
        started_date_key,
        project_id,
        turn_seconds,
        hook_seconds,
        active_seconds,
        pull_request_links
    from dim_sessions
    where
        true
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

)

select
    dim_projects.project_label,
    sum(sessions.active_seconds) as active_seconds,
    sum(sessions.turn_seconds) as turn_seconds,
    sum(sessions.hook_seconds) as hook_seconds,
    sum(sessions.pull_request_links) as pull_request_links
from sessions
inner join dim_projects
    on sessions.project_id = dim_projects.project_id
group by dim_projects.project_label
order by
    active_seconds desc,
    dim_projects.project_label
limit 15
