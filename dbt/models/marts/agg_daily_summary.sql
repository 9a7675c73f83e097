with

days as (

    select * from {{ ref('dim_date') }}

),

session_hours as (

    select * from {{ ref('agg_session_hours') }}

),

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

file_operations as (

    select * from {{ ref('fct_file_operations') }}

),

session_days as (

    select * from {{ ref('int_session_days') }}

),

daily_messages as (

    select
        date_key,
        count(distinct session_id) as session_count,
        cast(sum(prompt_count) as bigint) as prompt_count,
        cast(sum(queued_prompt_count) as bigint) as queued_prompt_count,
        {{ summed_response_measures() }}
    from session_hours
    group by date_key

),

daily_tool_calls as (

    select
        called_date_key as date_key,
        count(*) as tool_call_count,
        count(*) filter (where status = 'error') as tool_error_count,
        count(*) filter (where is_git_commit) as commits,
        count(*) filter (where is_pull_request) as pull_requests
    from tool_calls
    group by called_date_key

),

daily_file_operations as (

    select
        operated_date_key as date_key,
        count(*) filter (where operation = 'read') as file_read_count,
        count(*) filter (where operation in ('create', 'overwrite')) as file_write_count,
        count(*) filter (where operation = 'edit') as file_edit_count,
        cast(sum(lines_added) as bigint) as lines_added,
        cast(sum(lines_removed) as bigint) as lines_removed
    from file_operations
    where status = 'success'
    group by operated_date_key

),

daily_active as (

    select
        date_key,
        cast(sum(active_seconds) as decimal(18, 3)) as active_seconds
    from session_days
    group by date_key

),

final as (

    select
        days.date_key,
        coalesce(daily_messages.session_count, 0) as session_count,
        coalesce(daily_messages.prompt_count, 0) as prompt_count,
        coalesce(daily_messages.queued_prompt_count, 0) as queued_prompt_count,
        coalesce(daily_messages.response_count, 0) as response_count,
        coalesce(daily_tool_calls.tool_call_count, 0) as tool_call_count,
        coalesce(daily_tool_calls.tool_error_count, 0) as tool_error_count,
        coalesce(daily_file_operations.file_read_count, 0) as file_read_count,
        coalesce(daily_file_operations.file_write_count, 0) as file_write_count,
        coalesce(daily_file_operations.file_edit_count, 0) as file_edit_count,
        coalesce(daily_file_operations.lines_added, 0) as lines_added,
        coalesce(daily_file_operations.lines_removed, 0) as lines_removed,
        {%- for tokens in token_columns() %}
        coalesce(daily_messages.{{ tokens }}, 0) as {{ tokens }},
        {%- endfor %}
        coalesce(daily_messages.context_tokens, 0) as context_tokens,
        -- null stays null: responses, but no price for any of them
        cast(
            case when daily_messages.date_key is null then 0 else daily_messages.cost_usd end as decimal(18, 9)
        ) as cost_usd,
        coalesce(daily_messages.unpriced_response_count, 0) as unpriced_response_count,
        coalesce(daily_messages.lower_bound_response_count, 0) as lower_bound_response_count,
        cast(coalesce(daily_active.active_seconds, 0) as decimal(18, 3)) as active_seconds,
        coalesce(daily_tool_calls.commits, 0) as commits,
        coalesce(daily_tool_calls.pull_requests, 0) as pull_requests,
        daily_messages.date_key is not null or daily_tool_calls.date_key is not null as has_activity
    from days
    left join daily_messages
        on days.date_key = daily_messages.date_key
    left join daily_tool_calls
        on days.date_key = daily_tool_calls.date_key
    left join daily_file_operations
        on days.date_key = daily_file_operations.date_key
    left join daily_active
        on days.date_key = daily_active.date_key

)

select * from final
