with

messages as (

    select * from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and (
            agent_id is not null
            or attribution_skill is not null
            or attribution_plugin is not null
            or attribution_mcp_server is not null
        )

),

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

tools as (

    select * from {{ ref('dim_tools') }}

),

-- an agent is of the type that the call which started it says
agents as (

    select
        session_id,
        spawned_agent_id as agent_id,
        min(subagent_type) as subagent_type
    from tool_calls
    where spawned_agent_id is not null
    group by
        session_id,
        spawned_agent_id

),

calls as (

    select
        'skill' as kind,
        skill as name,
        called_date_key as date_key,
        project_id,
        status,
        result_length
    from tool_calls
    where skill is not null
    union all
    select
        'plugin' as kind,
        split_part(skill, ':', 1) as name,
        called_date_key as date_key,
        project_id,
        status,
        result_length
    from tool_calls
    where contains(skill, ':')
    union all
    select
        'mcp_server' as kind,
        tools.mcp_server as name,
        tool_calls.called_date_key as date_key,
        tool_calls.project_id,
        tool_calls.status,
        tool_calls.result_length
    from tool_calls
    inner join tools
        on tool_calls.tool_name = tools.tool_name
    where tools.mcp_server is not null
    union all
    select
        'subagent_type' as kind,
        coalesce(subagent_type, 'unknown') as name,
        called_date_key as date_key,
        project_id,
        status,
        result_length
    from tool_calls
    where tool_name in ('Task', 'Agent')

),

call_measures as (

    select
        date_key,
        project_id,
        kind,
        name,
        count(*) as call_count,
        count(*) filter (where status in ('error', 'rejected')) as failure_count,
        cast(coalesce(sum(result_length), 0) as bigint) as result_characters
    from calls
    group by all

),

responses as (

    select
        'skill' as kind,
        attribution_skill as name,
        *
    from messages
    where attribution_skill is not null
    union all
    select
        'plugin' as kind,
        attribution_plugin as name,
        *
    from messages
    where attribution_plugin is not null
    union all
    select
        'mcp_server' as kind,
        attribution_mcp_server as name,
        *
    from messages
    where attribution_mcp_server is not null
    union all
    select
        'subagent_type' as kind,
        coalesce(agents.subagent_type, 'unknown') as name,
        messages.*
    from messages
    left join agents
        on messages.session_id = agents.session_id
        and messages.agent_id = agents.agent_id
    where messages.agent_id is not null

),

response_sums as (

    select
        created_date_key as date_key,
        project_id,
        kind,
        name,
        {{ response_measures() }}
    from responses
    group by all

),

joined as (

    select
        coalesce(call_measures.date_key, response_sums.date_key) as date_key,
        coalesce(call_measures.project_id, response_sums.project_id) as project_id,
        coalesce(call_measures.kind, response_sums.kind) as kind,
        coalesce(call_measures.name, response_sums.name) as name,
        coalesce(call_measures.call_count, 0) as call_count,
        coalesce(call_measures.failure_count, 0) as failure_count,
        coalesce(call_measures.result_characters, 0) as result_characters,
        coalesce(response_sums.response_count, 0) as response_count,
        {%- for tokens in token_columns() %}
        coalesce(response_sums.{{ tokens }}, 0) as {{ tokens }},
        {%- endfor %}
        -- where no response says what it was for, nobody knows what that cost
        response_sums.cost_usd,
        coalesce(response_sums.unpriced_response_count, 0) as unpriced_response_count,
        coalesce(response_sums.lower_bound_response_count, 0) as lower_bound_response_count
    from call_measures
    full outer join response_sums
        on call_measures.date_key is not distinct from response_sums.date_key
        and call_measures.project_id = response_sums.project_id
        and call_measures.kind = response_sums.kind
        and call_measures.name = response_sums.name

),

final as (

    select
        {{ surrogate_key(['date_key', 'project_id', 'kind', 'name']) }} as attribution_key,
        *
    from joined

)

select * from final
