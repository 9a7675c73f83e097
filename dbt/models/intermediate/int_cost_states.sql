{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with entries as (

    select * from {{ ref('int_entries') }}
    where
        entry_type = 'cost-state'
        and claude_code_cost_usd is not null
        and is_standing
        and {{ touched_sessions_filter() }}

),

-- Claude Code's sums grow: the newest state is the whole session's.
final as (

    select
        session_id,
        occurred_at as stated_at,
        claude_code_cost_usd,
        claude_code_models
    from entries
    qualify row_number() over (
        partition by session_id
        order by occurred_at desc nulls last, claude_code_cost_usd desc, document_id
    ) = 1

)

select * from final
