with

hooks as (

    select
        date_key,
        project_id,
        hook_name,
        run_count,
        blocked_count,
        cancelled_count,
        error_count,
        total_duration_ms,
        p95_duration_ms
    from agg_hooks
    where
        true
        [[and date_key in (select date_key from dim_date where {{date}})]]
        [[and project_id in (select project_id from dim_projects where {{project}})]]

)

select
    hook_name,
    sum(run_count) as run_count,
    sum(blocked_count) as blocked_count,
    sum(error_count) as error_count,
    sum(total_duration_ms) / 1000.0 as total_seconds,
    max(p95_duration_ms) as worst_p95_duration_ms
from hooks
group by hook_name
order by
    total_seconds desc nulls last,
    run_count desc,
    hook_name
limit 15
