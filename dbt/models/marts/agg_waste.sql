{#
    Heuristics, each local to a session: what they find was probably avoidable, not certainly. Only what is known is
    attributed: a call bears its share of the response that asked for it, never a guess at what its result cost later.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with

messages as (

    {{ touched_rows(ref('fct_messages'), 'created_date_key') }}

),

tool_calls as (

    {{ touched_rows(ref('fct_tool_calls'), 'called_date_key') }}

),

file_operations as (

    {{ touched_rows(ref('fct_file_operations'), 'operated_date_key') }}

),

prices as (

    select * from {{ ref('int_model_prices') }}

),

-- A carried-on session's call can belong to a response of the session before. Materialized: the keys of few calls,
-- handed down into the scan, would be looked for in all row groups before those of other days are skipped.
calling_responses as {% if is_incremental() %}materialized {% endif %}(

    {{ touched_rows(ref('fct_messages'), 'created_date_key', related=true) }}

),

-- how often each file had been changed in the session when an operation ran, by whichever agent
versioned_operations as (

    select
        *,
        count(*) filter (where operation <> 'read' and status = 'success') over (
            partition by session_id, file_path
            order by operated_at, tool_use_id, tool_call_key, file_operation_key
            rows between unbounded preceding and current row
        ) as file_version
    from file_operations

),

-- after a compaction the agent no longer has what it read before
compactions as (

    select
        session_id,
        coalesce(agent_id, '') as agent,
        created_at as compacted_at,
        row_number() over (
            partition by session_id, coalesce(agent_id, '')
            order by created_at, message_key
        ) as compaction_number
    from messages
    where message_kind = 'compact_summary'

),

reads as (

    select
        tool_calls.session_id,
        tool_calls.project_id,
        tool_calls.tool_call_key,
        tool_calls.tool_use_id,
        tool_calls.message_key,
        tool_calls.called_at,
        row_number() over (
            partition by
                tool_calls.session_id,
                tool_calls.agent_id,
                tool_calls.input_hash,
                versioned_operations.file_path,
                versioned_operations.file_version,
                compactions.compaction_number
            order by
                tool_calls.called_at,
                tool_calls.tool_use_id,
                tool_calls.tool_call_key
        ) as nth_read
    from versioned_operations
    inner join tool_calls
        on versioned_operations.tool_call_key = tool_calls.tool_call_key
    asof left join compactions
        on tool_calls.session_id = compactions.session_id
        and coalesce(tool_calls.agent_id, '') = compactions.agent
        and tool_calls.called_at >= compactions.compacted_at
    where
        versioned_operations.operation = 'read'
        and versioned_operations.status = 'success'
        and tool_calls.input_hash is not null

),

failures as (

    select
        session_id,
        project_id,
        tool_call_key,
        message_key,
        called_at,
        row_number() over (
            partition by session_id, tool_name, input_hash
            order by called_at, tool_use_id, tool_call_key
        ) as nth_failure
    from tool_calls
    where
        status = 'error'
        and input_hash is not null

),

wasted_calls as (

    select
        session_id,
        project_id,
        tool_call_key,
        message_key,
        called_at,
        'repeated_read' as finding
    from reads
    where nth_read > 1

    union all

    select
        session_id,
        project_id,
        tool_call_key,
        message_key,
        called_at,
        'repeated_failing_call' as finding
    from failures
    where nth_failure > 1

),

-- a call's share of its response: the response's tokens and cost over the calls it made
call_findings as (

    select
        wasted_calls.session_id,
        wasted_calls.project_id,
        wasted_calls.finding,
        wasted_calls.tool_call_key as evidence_key,
        wasted_calls.called_at as found_at,
        {%- for tokens in token_columns() %}
        calling_responses.{{ tokens }} // greatest(calling_responses.tool_use_count, 1) as {{ tokens }},
        {%- endfor %}
        {{ rounded('cast(calling_responses.cost_usd as double) / greatest(calling_responses.tool_use_count, 1)', 9) }} as cost_usd
    from wasted_calls
    left join calling_responses
        on wasted_calls.message_key = calling_responses.message_key

),

responses as (

    select *
    from messages
    where message_kind in ('response', 'advisor')

),

session_medians as (

    select
        session_id,
        quantile_cont(cast(cost_usd as double), 0.5) as median_cost_usd
    from responses
    group by session_id

),

outlier_findings as (

    select
        responses.session_id,
        responses.project_id,
        'cost_outlier' as finding,
        responses.message_key as evidence_key,
        responses.created_at as found_at,
        {%- for tokens in token_columns() %}
        responses.{{ tokens }},
        {%- endfor %}
        responses.cost_usd
    from responses
    inner join session_medians
        on responses.session_id = session_medians.session_id
    where responses.cost_usd > greatest(1, 10 * session_medians.median_cost_usd)

),

-- the pause before a response, on the chain that shares a cache: the main chain, or one agent's
paused as (

    select
        *,
        cache_write_5m_tokens + cache_write_1h_tokens as cache_write_tokens,
        epoch_ms(created_at) - lag(epoch_ms(created_at)) over (
            partition by session_id, is_sidechain, agent_id
            order by created_at, message_key
        ) as pause_ms
    from responses

),

rebuilds as (

    select *
    from paused
    where
        cache_write_tokens > 20000
        and cache_write_tokens > cache_read_tokens
        and pause_ms >= case when cache_write_1h_tokens >= cache_write_5m_tokens then 3600000 else 300000 end

),

-- only the writes are the rebuild's: the rest of the response was paid for anyway
rebuild_findings as (

    select
        rebuilds.session_id,
        rebuilds.project_id,
        'cache_rebuild' as finding,
        rebuilds.message_key as evidence_key,
        rebuilds.created_at as found_at,
        0 as input_tokens,
        0 as output_tokens,
        rebuilds.cache_write_5m_tokens,
        rebuilds.cache_write_1h_tokens,
        0 as cache_read_tokens,
        {{ kind_cost('rebuilds', 'prices', ['cache_write_5m', 'cache_write_1h']) }} as cost_usd
    from rebuilds
    left join prices
        on {{ price_in_force('rebuilds', 'prices') }}

),

findings as (

    select * from call_findings
    union all
    select * from outlier_findings
    union all
    select * from rebuild_findings

),

final as (

    select
        {{ surrogate_key(['session_id', 'finding']) }} as waste_key,
        session_id,
        min(project_id) as project_id,
        finding,
        count(*) as occurrence_count,
        {%- for tokens in token_columns() %}
        cast(coalesce(sum({{ tokens }}), 0) as bigint) as {{ tokens }},
        {%- endfor %}
        cast(sum(cost_usd) as decimal(18, 9)) as cost_usd,
        list(evidence_key order by found_at, evidence_key) as evidence_keys,
        min(found_at) as first_at,
        max(found_at) as last_at
    from findings
    group by
        session_id,
        finding

)

select * from final
