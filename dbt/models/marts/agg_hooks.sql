with

runs as (

    select * from {{ ref('int_hook_runs') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

final as (

    select
        {{ surrogate_key(['runs.ran_date_key', 'sessions.project_id', 'runs.hook_name']) }} as hook_key,
        runs.ran_date_key as date_key,
        sessions.project_id,
        runs.hook_name,
        count(*) filter (where runs.is_run) as run_count,
        count(*) filter (where runs.outcome = 'blocked') as blocked_count,
        count(*) filter (where runs.outcome = 'cancelled') as cancelled_count,
        count(*) filter (where runs.outcome = 'error') as error_count,
        cast(sum(runs.duration_ms) filter (where runs.is_run) as bigint) as total_duration_ms,
        quantile_cont(cast(runs.duration_ms as double), 0.95) filter (where runs.is_run) as p95_duration_ms
    from runs
    inner join sessions
        on runs.session_id = sessions.session_id
    group by
        runs.ran_date_key,
        sessions.project_id,
        runs.hook_name

)

select * from final
