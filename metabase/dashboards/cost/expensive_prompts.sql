select
    prompts.session_id,
    prompts.message_key as prompt_key,
    left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
    prompts.turn_cost_usd as cost_usd,
    prompts.expensive_because,
    prompts.created_at,
    prompts.turn_response_count as response_count,
    prompts.task_category
from fct_messages as prompts
left join dim_sessions
    on prompts.session_id = dim_sessions.session_id
where
    prompts.turn_cost_usd is not null
    [[and prompts.created_date_key in (select date_key from dim_date where {{date}})]]
    [[and prompts.project_id in (select project_id from dim_projects where {{project}})]]
    [[and prompts.session_id in (select session_id from dim_sessions where {{machine}})]]
    [[and prompts.session_id in (select session_id from dim_sessions where {{person}})]]
order by
    prompts.turn_cost_usd desc,
    prompts.message_key
limit 15
