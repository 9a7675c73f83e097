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
        and (system_subtype = 'compact_boundary' or is_compact_summary)
        and {{ touched_sessions_filter() }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

-- Claude Code marks where it compacted; where there are more summaries than marks, they tell of the others.
numbered as (

    select
        *,
        row_number() over (
            partition by session_id, is_compact_summary
            order by occurred_at nulls last, entry_key
        ) as number,
        count(*) filter (where not is_compact_summary) over (partition by session_id) as boundary_count
    from entries

),

final as (

    select
        numbered.entry_key as compaction_key,
        numbered.session_id,
        sessions.project_id,
        numbered.occurred_at as compacted_at,
        {{ local_date('numbered.occurred_at') }} as compacted_date_key,
        numbered.compaction.trigger as trigger,
        {{ measured('numbered.compaction.preTokens') }} as pre_tokens,
        {{ measured('numbered.compaction.postTokens') }} as post_tokens,
        {{ measured('numbered.compaction.durationMs') }} as duration_ms
    from numbered
    inner join sessions
        on numbered.session_id = sessions.session_id
    where
        not numbered.is_compact_summary
        or numbered.number > numbered.boundary_count

)

select * from final
