with

calls as (

    select
        called_date_key,
        project_id,
        session_id,
        tool_name,
        status,
        is_retry_followed,
        duration_ms
    from fct_tool_calls
    where
        true
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]

)

select
    tool_name,
    count(*) as call_count,
    count(*) filter (where status = 'success') / nullif(count(*) filter (where status <> 'pending'), 0)::double as success_rate,
    count(*) filter (where status = 'rejected') / nullif(count(*) filter (where status <> 'pending'), 0)::double as rejection_rate,
    count(*) filter (where is_retry_followed) / count(*)::double as retry_rate,
    median(duration_ms) as median_duration_ms,
    quantile_cont(duration_ms, 0.95) as p95_duration_ms,
    sum(duration_ms) / 1000.0 as total_seconds,
    count(distinct session_id) as session_count
from calls
group by tool_name
order by
    call_count desc,
    tool_name
limit 25
