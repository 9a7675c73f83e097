with

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

by_tool as (

    select
        tool_name,
        count(*) as call_count,
        count(*) filter (where status = 'success') as success_count,
        count(*) filter (where status = 'error') as error_count,
        count(*) filter (where status = 'rejected') as rejected_count,
        count(*) filter (where status = 'interrupted') as interrupted_count,
        count(*) filter (where status = 'pending') as pending_count,
        count(*) filter (where is_retry_followed) as retried_count,
        quantile_cont(duration_ms, [0.5, 0.95]) as quantiles,
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
        {{ rate('success_count', 'call_count - pending_count') }} as success_rate,
        {{ rate('error_count', 'call_count - pending_count') }} as error_rate,
        {{ rate('rejected_count', 'call_count - pending_count') }} as rejection_rate,
        {{ rate('retried_count', 'call_count') }} as retry_rate,
        cast(round(quantiles[1]) as bigint) as p50_duration_ms,
        cast(round(quantiles[2]) as bigint) as p95_duration_ms,
        session_count,
        row_number() over (order by call_count desc, tool_name) as popularity_rank
    from by_tool

)

select * from final
