{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with retried as (

    select * from {{ ref('int_entries') }}
    where
        is_standing
        and system_subtype = 'api_error'
        and {{ touched_sessions_filter() }}

),

given_up as (

    {{ touched_rows(ref('fct_messages'), 'created_date_key') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

-- Each failed attempt that was made again, and those after which Claude Code gave up.
failures as (

    select
        'entry:' || entry_key as api_error_key,
        session_id,
        occurred_at as failed_at,
        error_status,
        error_name,
        retry_attempt,
        max_retries,
        false as is_final,
        is_sidechain
    from retried
    union all
    select
        message_key,
        session_id,
        created_at,
        error_status,
        error_name,
        null,
        null,
        true,
        is_sidechain
    from given_up
    where message_kind = 'api_error'

),

final as (

    select
        failures.api_error_key,
        failures.session_id,
        sessions.project_id,
        failures.failed_at,
        {{ local_date('failures.failed_at') }} as failed_date_key,
        failures.error_status,
        failures.error_name,
        failures.retry_attempt,
        failures.max_retries,
        failures.is_final,
        failures.is_sidechain
    from failures
    inner join sessions
        on failures.session_id = sessions.session_id

)

select * from final
