with

costs as (

    select
        prompt_key,
        count(*) as response_count,
        sum(cost_usd) as cost_usd
    from fct_messages
    where
        message_kind in ('response', 'advisor')
        and cost_usd is not null
        and prompt_key is not null
    group by prompt_key

),

prompts as (

    select
        fct_messages.message_key,
        fct_messages.session_id,
        fct_messages.created_at,
        fct_messages.task_category,
        costs.response_count,
        costs.cost_usd
    from fct_messages
    inner join costs
        on fct_messages.message_key = costs.prompt_key
    where
        fct_messages.message_kind in ('prompt', 'slash_command')
        [[and fct_messages.created_date_key in (select date_key from dim_date where {{date}})]]
        [[and fct_messages.project_id in (select project_id from dim_projects where {{project}})]]
        [[and fct_messages.session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and fct_messages.session_id in (select session_id from dim_sessions where {{person}})]]

)

select
    prompts.session_id,
    left(coalesce(dim_sessions.title, dim_sessions.session_id), 100) as title,
    prompts.cost_usd,
    prompts.created_at,
    prompts.response_count,
    prompts.task_category
from prompts
left join dim_sessions
    on prompts.session_id = dim_sessions.session_id
order by
    prompts.cost_usd desc,
    prompts.message_key
limit 15
