with

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

by_tool as (

    select
        tool_name,
        {{ tool_counts() }},
        {{ tool_durations() }},
        count(distinct session_id) as session_count
    from tool_calls
    group by tool_name

),

final as (

    select
        tool_name,
        call_count,
        success_count,
        error_count,
        rejected_count,
        interrupted_count,
        pending_count,
        {{ rate('success_count', 'finished_count') }} as success_rate,
        {{ rate('error_count', 'finished_count') }} as error_rate,
        {{ rate('rejected_count', 'finished_count') }} as rejection_rate,
        {{ rate('retried_count', 'call_count') }} as retry_rate,
        p50_duration_ms,
        p95_duration_ms,
        session_count,
        row_number() over (order by call_count desc, tool_name) as popularity_rank
    from by_tool

)

select * from final
