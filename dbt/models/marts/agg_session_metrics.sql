{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

{%- set is_answer = "message_kind = 'response' and not is_sidechain" %}

with

sessions as (

    select * from {{ ref('dim_sessions') }}
    where {{ touched_sessions_filter() }}

),

messages as (

    {{ touched_rows(ref('fct_messages'), 'created_date_key') }}

),

tool_calls as (

    {{ touched_rows(ref('fct_tool_calls'), 'called_date_key') }}

),

-- a turn: from a prompt to the last response or tool result before the next prompt, on the main chain
turns as (

    select
        session_id,
        prompt_key,
        max(epoch_ms(created_at)) filter (where message_kind in ('response', 'tool_result'))
        - min(epoch_ms(created_at)) filter (where message_key = prompt_key) as turn_ms
    from messages
    where
        prompt_key is not null
        and not is_sidechain
    group by
        session_id,
        prompt_key

),

session_turns as (

    select
        session_id,
        {{ exact_seconds('quantile_cont(turn_ms, 0.5)') }} as median_turn_seconds,
        {{ exact_seconds('quantile_cont(turn_ms, 0.9)') }} as p90_turn_seconds,
        {{ exact_seconds('max(turn_ms)') }} as max_turn_seconds
    from turns
    where turn_ms >= 0
    group by session_id

),

session_messages as (

    select
        session_id,
        {{ rounded('quantile_cont(cast(response_seconds as double), 0.5) filter (where ' ~ is_answer ~ ')', 3) }} as median_response_seconds,
        {{ rounded('quantile_cont(cast(response_seconds as double), 0.9) filter (where ' ~ is_answer ~ ')', 3) }} as p90_response_seconds,
        quantile_cont(content_length, 0.5) filter (where {{ is_human_prompt() }}) as median_prompt_length,
        sum(cost_usd) filter (where message_kind in ('response', 'advisor') and is_sidechain) as subagent_cost_usd
    from messages
    group by session_id

),

session_tool_calls as (

    select
        session_id,
        count(*) filter (where status = 'error') as error_count,
        count(*) filter (where status <> 'pending') as finished_count
    from tool_calls
    group by session_id

),

final as (

    select
        sessions.session_id,
        sessions.prompt_count,
        sessions.response_count,
        sessions.tool_call_count,
        coalesce(session_tool_calls.error_count, 0) as tool_error_count,
        coalesce(session_tool_calls.finished_count, 0) as finished_tool_call_count,
        sessions.cache_read_tokens,
        {{ context_tokens() }} as context_tokens,
        sessions.cost_usd,
        cast(coalesce(session_messages.subagent_cost_usd, 0) as decimal(18, 9)) as subagent_cost_usd,
        session_messages.median_response_seconds,
        session_messages.p90_response_seconds,
        session_turns.median_turn_seconds,
        session_turns.p90_turn_seconds,
        session_turns.max_turn_seconds,
        session_messages.median_prompt_length,
        {{ rate('sessions.tool_call_count', 'sessions.prompt_count') }} as tools_per_prompt,
        {{ rate('session_tool_calls.error_count', 'session_tool_calls.finished_count') }} as tool_error_rate,
        {{ rounded(rate('sessions.cost_usd', 'sessions.prompt_count'), 9) }} as cost_per_prompt_usd,
        {{ rate('sessions.cache_read_tokens', context_tokens()) }} as cache_hit_rate,
        case
            when sessions.cost_usd > 0
                then cast(coalesce(session_messages.subagent_cost_usd, 0) as double) / cast(sessions.cost_usd as double)
        end as subagent_cost_share
    from sessions
    left join session_messages
        on sessions.session_id = session_messages.session_id
    left join session_turns
        on sessions.session_id = session_turns.session_id
    left join session_tool_calls
        on sessions.session_id = session_tool_calls.session_id

)

select * from final
