with

sessions as (

    select
        dim_sessions.started_date_key,
        dim_sessions.project_id,
        dim_sessions.primary_model,
        dim_sessions.session_id,
        left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
        dim_sessions.started_at,
        dim_sessions.active_seconds,
        dim_sessions.prompt_count,
        dim_sessions.response_count,
        dim_sessions.max_context_tokens,
        dim_sessions.cost_usd
    from dim_sessions
    where
        dim_sessions.cost_usd is not null
        [[and dim_sessions.started_date_key in (select date_key from dim_date where {{date}})]]
        [[and dim_sessions.project_id in (select project_id from dim_projects where {{project}})]]
        [[and dim_sessions.session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and dim_sessions.session_id in (select session_id from dim_sessions where {{person}})]]
        [[and dim_sessions.primary_model in (select model from dim_models where {{model}})]]

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
    sessions.cost_usd,
    names.project_label,
    sessions.started_at,
    sessions.cost_usd::double / nullif(sessions.prompt_count, 0) as cost_per_prompt_usd,
    sessions.prompt_count,
    sessions.response_count,
    sessions.active_seconds,
    sessions.max_context_tokens
from sessions
left join names
    on sessions.project_id = names.project_id
order by
    sessions.cost_usd desc,
    sessions.session_id
limit 15
