{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with entries as (

    select * from {{ ref('int_entries') }}
    where
        is_standing
        and len(hooks) > 0
        and {{ touched_sessions_filter() }}

),

runs as (

    select
        entry_key,
        session_id,
        occurred_at,
        is_sidechain,
        unnest(hooks) as hook,
        generate_subscripts(hooks, 1) as position
    from entries

),

final as (

    select
        {{ surrogate_key(['entry_key', 'position']) }} as hook_run_key,
        session_id,
        occurred_at as ran_at,
        {{ local_date('occurred_at') }} as ran_date_key,
        hook.hook as hook_name,
        hook.command as hook_command,
        hook.duration_ms as duration_ms,
        hook.outcome as outcome,
        hook.is_run as is_run,
        is_sidechain
    from runs

)

select * from final
