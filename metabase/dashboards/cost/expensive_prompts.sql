with

prompts as (

    select
        prompts.created_date_key,
        prompts.project_id,
        prompts.message_key,
        prompts.session_id,
        prompts.created_at,
        prompts.task_category,
        left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
        count(*) as response_count,
        sum(responses.cost_usd) as cost_usd
    from fct_messages as responses
    inner join fct_messages as prompts
        on responses.prompt_key = prompts.message_key
    left join dim_sessions
        on prompts.session_id = dim_sessions.session_id
    where
        responses.message_kind in ('response', 'advisor')
        and responses.cost_usd is not null
        [[and prompts.created_date_key in (select date_key from dim_date where {{date}})]]
        [[and prompts.project_id in (select project_id from dim_projects where {{project}})]]
        [[and prompts.session_id in (select session_id from dim_sessions where {{machine}})]]
    group by
        prompts.created_date_key,
        prompts.project_id,
        prompts.message_key,
        prompts.session_id,
        prompts.created_at,
        prompts.task_category,
        dim_sessions.title,
        dim_sessions.session_id

)

select
    session_id,
    title,
    cost_usd,
    created_at,
    response_count,
    task_category
from prompts
order by
    cost_usd desc,
    message_key
limit 15
