with

tools as (

    select
        tool_name,
        {{macro: tool_counts}},
        {{macro: tool_durations}},
        sum(duration_ms) / 1000.0 as total_seconds,
        count(distinct session_id) as session_count
    from fct_tool_calls
    where
        true
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]
    group by tool_name

)

select
    tool_name,
    call_count,
    success_count / nullif(finished_count, 0)::double as success_rate,
    rejected_count / nullif(finished_count, 0)::double as rejection_rate,
    retried_count / call_count::double as retry_rate,
    p50_duration_ms as median_duration_ms,
    p95_duration_ms,
    total_seconds,
    session_count
from tools
order by
    call_count desc,
    tool_name
limit 25
