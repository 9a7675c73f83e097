-- Counts, tokens, cost and lines of every session equal its facts; no fact is without its session.
with

in_dimension as (

    select
        session_id,
        message_count,
        prompt_count,
        queued_prompt_count,
        response_count,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count,
        interrupts,
        tool_call_count,
        tool_error_count,
        rejected_tool_call_count,
        error_count,
        commits,
        pull_requests,
        lines_added,
        lines_removed
    from {{ ref('dim_sessions') }}
    where message_count + tool_call_count > 0

),

messages as (

    select
        session_id,
        count(*) as message_count,
        sum(message_kind in ('prompt', 'slash_command') and not is_sidechain and not is_queued) as prompt_count,
        sum(message_kind in ('prompt', 'slash_command') and not is_sidechain and is_queued) as queued_prompt_count,
        sum(message_kind in ('response', 'advisor')) as response_count,
        sum(input_tokens) filter (where message_kind in ('response', 'advisor')) as input_tokens,
        sum(output_tokens) filter (where message_kind in ('response', 'advisor')) as output_tokens,
        sum(cache_write_5m_tokens) filter (where message_kind in ('response', 'advisor')) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) filter (where message_kind in ('response', 'advisor')) as cache_write_1h_tokens,
        sum(cache_read_tokens) filter (where message_kind in ('response', 'advisor')) as cache_read_tokens,
        sum(cost_usd) as cost_usd,
        sum(message_kind in ('response', 'advisor') and cost_usd is null) as unpriced_response_count,
        sum(message_kind in ('response', 'advisor') and output_is_lower_bound) as lower_bound_response_count,
        sum(message_kind = 'interrupt') as interrupts,
        sum(message_kind = 'api_error') as api_errors
    from {{ ref('fct_messages') }}
    group by session_id

),

tool_calls as (

    select
        session_id,
        count(*) as tool_call_count,
        sum(status = 'error') as tool_error_count,
        sum(status = 'rejected') as rejected_tool_call_count,
        count(*) filter (where is_git_commit) as commits,
        count(*) filter (where is_pull_request) as pull_requests
    from {{ ref('fct_tool_calls') }}
    group by session_id

),

file_operations as (

    select
        session_id,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from {{ ref('fct_file_operations') }}
    where status = 'success'
    group by session_id

),

in_facts as (

    select
        session_id,
        coalesce(message_count, 0) as message_count,
        coalesce(prompt_count, 0) as prompt_count,
        coalesce(queued_prompt_count, 0) as queued_prompt_count,
        coalesce(response_count, 0) as response_count,
        coalesce(input_tokens, 0) as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        coalesce(cache_write_5m_tokens, 0) as cache_write_5m_tokens,
        coalesce(cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        coalesce(cache_read_tokens, 0) as cache_read_tokens,
        case when coalesce(response_count, 0) = 0 then 0 else cost_usd end as cost_usd,
        coalesce(unpriced_response_count, 0) as unpriced_response_count,
        coalesce(lower_bound_response_count, 0) as lower_bound_response_count,
        coalesce(interrupts, 0) as interrupts,
        coalesce(tool_call_count, 0) as tool_call_count,
        coalesce(tool_error_count, 0) as tool_error_count,
        coalesce(rejected_tool_call_count, 0) as rejected_tool_call_count,
        coalesce(tool_error_count, 0) + coalesce(api_errors, 0) as error_count,
        coalesce(commits, 0) as commits,
        coalesce(pull_requests, 0) as pull_requests,
        coalesce(lines_added, 0) as lines_added,
        coalesce(lines_removed, 0) as lines_removed
    from messages
    full join tool_calls using (session_id)
    left join file_operations using (session_id)

)

{{ difference('in_dimension', 'in_facts') }}
