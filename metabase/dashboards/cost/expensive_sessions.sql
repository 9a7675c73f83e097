with

sessions as (

    select
        dim_sessions.started_date_key,
        dim_sessions.project_id,
        dim_sessions.primary_model,
        dim_sessions.session_id,
        left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
        dim_projects.project_name,
        dim_sessions.started_at,
        dim_sessions.active_seconds,
        dim_sessions.prompt_count,
        dim_sessions.response_count,
        dim_sessions.max_context_tokens,
        dim_sessions.cost_usd
    from dim_sessions
    left join dim_projects
        on dim_sessions.project_id = dim_projects.project_id
    where
        dim_sessions.cost_usd is not null
        [[and dim_sessions.started_date_key in (select date_key from dim_date where {{date}})]]
        [[and dim_sessions.project_id in (select project_id from dim_projects where {{project}})]]
        [[and dim_sessions.primary_model in (select model from dim_models where {{model}})]]
    -- no choice of filters shows more than 15 of one day, project and model
    qualify row_number() over (
        partition by
            dim_sessions.started_date_key,
            dim_sessions.project_id,
            dim_sessions.primary_model
        order by
            dim_sessions.cost_usd desc,
            dim_sessions.session_id
    ) <= 15

)

select
    title,
    project_name,
    started_at,
    cost_usd,
    cost_usd::double / nullif(prompt_count, 0) as cost_per_prompt_usd,
    prompt_count,
    response_count,
    active_seconds,
    max_context_tokens
from sessions
order by
    cost_usd desc,
    session_id
limit 15
