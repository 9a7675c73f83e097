select
    coalesce(task_category, 'other') as task_category,
    count(*) as prompt_count,
    sum(turn_cost_usd) as cost_usd,
    sum(turn_cost_usd)::double / nullif(count(*), 0) as cost_per_prompt_usd,
    sum(turn_tool_use_count) / nullif(count(*), 0)::double as tools_per_prompt
from fct_messages
where
    message_kind in ('prompt', 'slash_command')
    and not is_sidechain
    and not is_queued
    [[and created_date_key in (select date_key from dim_date where {{date}})]]
    {{snippet: sessions_chosen}}
group by coalesce(task_category, 'other')
order by
    prompt_count desc,
    task_category
