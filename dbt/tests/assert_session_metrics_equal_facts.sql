-- Every session has its metrics, with the counts of its facts, and rates that are rates.
with

in_aggregate as (

    select
        session_id,
        prompt_count,
        response_count,
        tool_call_count,
        tool_error_count,
        cache_read_tokens,
        cost_usd,
        coalesce(subagent_cost_usd <= cost_usd, true)
        and finished_tool_call_count <= tool_call_count
        and cache_read_tokens <= context_tokens
        and coalesce(tool_error_rate between 0 and 1, true)
        and coalesce(cache_hit_rate between 0 and 1, true)
        and coalesce(subagent_cost_share between 0 and 1, true)
        and coalesce(median_turn_seconds <= p90_turn_seconds and p90_turn_seconds <= max_turn_seconds, true)
        and coalesce(median_response_seconds <= p90_response_seconds, true) as is_plausible
    from {{ ref('agg_session_metrics') }}

),

in_facts as (

    select
        session_id,
        prompt_count,
        response_count,
        tool_call_count,
        tool_error_count,
        cache_read_tokens,
        cost_usd,
        true as is_plausible
    from {{ ref('dim_sessions') }}

)

{{ difference('in_aggregate', 'in_facts') }}
