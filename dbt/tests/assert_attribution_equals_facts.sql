-- Calls, responses and cost of every kind, recomputed from the facts.
with

in_aggregate as (

    select
        kind,
        cast(sum(call_count) as bigint) as call_count,
        cast(sum(response_count) as bigint) as response_count,
        coalesce(sum(cost_usd), 0) as cost_usd
    from {{ ref('agg_attribution') }}
    group by kind

),

calls as (

    select
        'skill' as kind,
        count(*) as call_count
    from {{ ref('fct_tool_calls') }}
    where skill is not null
    union all
    select
        'mcp_server',
        count(*)
    from {{ ref('fct_tool_calls') }}
    where tool_name in (select tool_name from {{ ref('dim_tools') }} where is_mcp and mcp_server is not null)
    union all
    select
        'subagent_type',
        count(*)
    from {{ ref('fct_tool_calls') }}
    where tool_name in ('Task', 'Agent')

),

responses as (

    select
        'skill' as kind,
        count(*) as response_count,
        coalesce(sum(cost_usd), 0) as cost_usd
    from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and attribution_skill is not null
    union all
    select
        'mcp_server',
        count(*),
        coalesce(sum(cost_usd), 0)
    from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and attribution_mcp_server is not null
    union all
    select
        'subagent_type',
        count(*),
        coalesce(sum(cost_usd), 0)
    from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and agent_id is not null

)

select
    calls.kind,
    calls.call_count,
    in_aggregate.call_count as call_count_in_aggregate,
    responses.cost_usd,
    in_aggregate.cost_usd as cost_usd_in_aggregate
from calls
inner join responses
    on calls.kind = responses.kind
left join in_aggregate
    on calls.kind = in_aggregate.kind
where
    calls.call_count <> coalesce(in_aggregate.call_count, 0)
    or responses.response_count <> coalesce(in_aggregate.response_count, 0)
    or responses.cost_usd <> coalesce(in_aggregate.cost_usd, 0)
