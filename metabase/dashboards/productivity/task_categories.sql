with

prompts as (

    select
        prompts.created_date_key,
        prompts.project_id,
        coalesce(prompts.task_category, 'other') as task_category,
        count(distinct prompts.message_key) as prompt_count,
        sum(responses.cost_usd) as cost_usd,
        sum(responses.tool_use_count) as tool_use_count
    from fct_messages as prompts
    left join fct_messages as responses
        on prompts.message_key = responses.prompt_key
        and responses.message_kind in ('response', 'advisor')
    where
        prompts.message_kind in ('prompt', 'slash_command')
        and not prompts.is_sidechain
        and not prompts.is_queued
        [[and prompts.created_date_key in (select date_key from dim_date where {{date}})]]
        [[and prompts.project_id in (select project_id from dim_projects where {{project}})]]
        [[and prompts.session_id in (select session_id from dim_sessions where {{machine}})]]
    group by
        prompts.created_date_key,
        prompts.project_id,
        coalesce(prompts.task_category, 'other')

)

select
    task_category,
    sum(prompt_count) as prompt_count,
    sum(cost_usd) as cost_usd,
    sum(cost_usd)::double / nullif(sum(prompt_count), 0) as cost_per_prompt_usd,
    sum(tool_use_count) / nullif(sum(prompt_count), 0)::double as tools_per_prompt
from prompts
group by task_category
order by
    prompt_count desc,
    task_category
