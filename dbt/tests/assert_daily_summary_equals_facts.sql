-- Every number of every day in agg_daily_summary, recomputed from the facts without the macros it is made with.
with

in_aggregate as (

    select * exclude (active_seconds)
    from {{ ref('agg_daily_summary') }}
    where has_activity

),

messages as (

    select
        created_date_key as date_key,
        count(distinct session_id) as session_count,
        coalesce(sum(
            (message_kind = 'prompt' or message_kind = 'slash_command') and not is_sidechain and not is_queued
        ), 0) as prompt_count,
        coalesce(sum(
            (message_kind = 'prompt' or message_kind = 'slash_command') and not is_sidechain and is_queued
        ), 0) as queued_prompt_count,
        coalesce(sum(message_kind in ('response', 'advisor')), 0) as response_count,
        coalesce(sum(input_tokens), 0) as input_tokens,
        coalesce(sum(output_tokens), 0) as output_tokens,
        coalesce(sum(cache_write_5m_tokens), 0) as cache_write_5m_tokens,
        coalesce(sum(cache_write_1h_tokens), 0) as cache_write_1h_tokens,
        coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
        coalesce(sum(context_tokens), 0) as context_tokens,
        sum(cost_usd) as cost_usd,
        coalesce(sum(message_kind in ('response', 'advisor') and cost_usd is null), 0) as unpriced_response_count,
        coalesce(sum(message_kind in ('response', 'advisor') and output_is_lower_bound), 0) as lower_bound_response_count
    from {{ ref('fct_messages') }}
    where
        created_date_key is not null
        and message_kind <> 'api_error'
    group by 1

),

tool_calls as (

    select
        called_date_key as date_key,
        count(*) as tool_call_count,
        sum(status = 'error') as tool_error_count,
        count(*) filter (where is_git_commit) as commits,
        count(*) filter (where is_pull_request) as pull_requests
    from {{ ref('fct_tool_calls') }}
    group by 1

),

file_operations as (

    select
        operated_date_key as date_key,
        sum(operation = 'read') as file_read_count,
        sum(operation = 'create' or operation = 'overwrite') as file_write_count,
        sum(operation = 'edit') as file_edit_count,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from {{ ref('fct_file_operations') }}
    where status = 'success'
    group by 1

),

-- a day may have API errors only: they are messages, and count in nothing but its activity and sessions
sessions as (

    select
        created_date_key as date_key,
        count(distinct session_id) as session_count
    from {{ ref('fct_messages') }}
    where created_date_key is not null
    group by 1

),

days as (

    select date_key from sessions
    union
    select date_key from tool_calls where date_key is not null

),

in_facts as (

    select
        date_key,
        coalesce(sessions.session_count, 0) as session_count,
        coalesce(prompt_count, 0) as prompt_count,
        coalesce(queued_prompt_count, 0) as queued_prompt_count,
        coalesce(response_count, 0) as response_count,
        coalesce(tool_call_count, 0) as tool_call_count,
        coalesce(tool_error_count, 0) as tool_error_count,
        coalesce(file_read_count, 0) as file_read_count,
        coalesce(file_write_count, 0) as file_write_count,
        coalesce(file_edit_count, 0) as file_edit_count,
        coalesce(lines_added, 0) as lines_added,
        coalesce(lines_removed, 0) as lines_removed,
        coalesce(input_tokens, 0) as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        coalesce(cache_write_5m_tokens, 0) as cache_write_5m_tokens,
        coalesce(cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        coalesce(cache_read_tokens, 0) as cache_read_tokens,
        coalesce(context_tokens, 0) as context_tokens,
        case when coalesce(response_count, 0) = 0 then 0 else cost_usd end as cost_usd,
        coalesce(unpriced_response_count, 0) as unpriced_response_count,
        coalesce(lower_bound_response_count, 0) as lower_bound_response_count,
        coalesce(commits, 0) as commits,
        coalesce(pull_requests, 0) as pull_requests,
        true as has_activity
    from days
    left join sessions using (date_key)
    left join messages using (date_key)
    left join tool_calls using (date_key)
    left join file_operations using (date_key)

)

{{ difference('in_aggregate', 'in_facts') }}
