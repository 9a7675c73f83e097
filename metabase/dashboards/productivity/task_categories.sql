with

costs as (

    select
        prompt_key,
        sum(cost_usd) as cost_usd,
        sum(tool_use_count) as tool_use_count
    from fct_messages
    where
        message_kind in ('response', 'advisor')
        and prompt_key is not null
    group by prompt_key

),

prompts as (

    select
        message_key,
        coalesce(task_category, 'other') as task_category
    from fct_messages
    where
        message_kind in ('prompt', 'slash_command')
        and not is_sidechain
        and not is_queued
        [[and created_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

)

select
    prompts.task_category,
    count(*) as prompt_count,
    sum(costs.cost_usd) as cost_usd,
    sum(costs.cost_usd)::double / nullif(count(*), 0) as cost_per_prompt_usd,
    sum(costs.tool_use_count) / nullif(count(*), 0)::double as tools_per_prompt
from prompts
left join costs
    on prompts.message_key = costs.prompt_key
group by prompts.task_category
order by
    prompt_count desc,
    task_category
