-- 168 hours, and in them every dated prompt, response and tool call once.
with

in_aggregate as (

    select
        count(*) as hours,
        sum(prompt_count) as prompt_count,
        sum(response_count) as response_count,
        sum(tool_call_count) as tool_call_count,
        sum(total_activity) as total_activity
    from {{ ref('agg_hourly_activity') }}

),

messages as (

    select
        coalesce(sum(
            message_kind in ('prompt', 'slash_command') and not is_sidechain and not is_queued
        ), 0) as prompt_count,
        coalesce(sum(message_kind in ('response', 'advisor')), 0) as response_count
    from {{ ref('fct_messages') }}
    where created_at is not null

),

tool_calls as (

    select count(called_at) as tool_call_count
    from {{ ref('fct_tool_calls') }}

),

in_facts as (

    select
        168 as hours,
        prompt_count,
        response_count,
        tool_call_count,
        prompt_count + response_count + tool_call_count as total_activity
    from messages
    cross join tool_calls

)

{{ difference('in_aggregate', 'in_facts') }}
