{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with entries as (

    select * from {{ ref('int_entries') }}
    where is_standing

),

final as (

    select
        {{ surrogate_key(['session_id', 'project_id', 'cwd']) }} as session_path_key,
        session_id,
        project_id,
        cwd,
        count(*) as entry_count,
        count(*) filter (where not is_sidechain) as main_chain_entry_count
    from entries
    group by
        session_id,
        project_id,
        cwd

)

select * from final
where {{ touched_sessions_filter() }}
