-- Calls by tool and status equal the facts, and the statuses add up to the calls.
with

in_aggregate as (

    select
        tool_name,
        success_count + error_count + rejected_count + interrupted_count + pending_count as statuses,
        call_count,
        success_count,
        error_count,
        rejected_count,
        pending_count,
        session_count,
        round(coalesce(retry_rate, 0) * call_count) as retried_count
    from {{ ref('agg_tool_efficiency') }}

),

in_facts as (

    select
        tool_name,
        count(*) as statuses,
        count(*) as call_count,
        sum(status = 'success') as success_count,
        count(*) filter (where is_error) as error_count,
        sum(status = 'rejected') as rejected_count,
        sum(finished_at is null and status = 'pending') as pending_count,
        count(distinct session_id) as session_count,
        count(*) filter (where is_retry_followed) as retried_count
    from {{ ref('fct_tool_calls') }}
    group by tool_name

)

{{ difference('in_aggregate', 'in_facts') }}
