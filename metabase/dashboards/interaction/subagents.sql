with

calls as (

    select
        called_date_key,
        project_id,
        coalesce(subagent_type, 'not named') as subagent_type,
        count(*) as call_count,
        sum(subagent_response_count) as response_count,
        sum(subagent_cost_usd) as cost_usd,
        count(subagent_cost_usd) as priced_count,
        count(*) filter (where is_error) as error_count
    from fct_tool_calls
    where
        true
        and spawned_agent_id is not null
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
    group by
        called_date_key,
        project_id,
        coalesce(subagent_type, 'not named')

)

select
    subagent_type,
    sum(call_count) as call_count,
    sum(response_count) as response_count,
    sum(cost_usd) as cost_usd,
    sum(cost_usd)::double / nullif(sum(priced_count), 0) as cost_per_call_usd,
    sum(error_count) as error_count
from calls
group by subagent_type
order by
    cost_usd desc,
    call_count desc,
    subagent_type
limit 12
