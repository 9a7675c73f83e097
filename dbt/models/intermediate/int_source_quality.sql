{{ config(materialized='table') }}

with load_contents as (

    select * from {{ ref('int_load_contents') }}

),

sessionless_entries as (

    select * from {{ ref('int_sessionless_entries') }}

),

session_paths as (

    select * from {{ ref('int_session_paths') }}

),

dead_letters as (

    select * from {{ ref('stg_dead_letters') }}

),

redactions as (

    select * from {{ ref('stg_redactions') }}

),

document_measures as (

    select
        coalesce(sum(document_count), 0) as documents,
        coalesce(sum(untimed_count), 0) as untimed,
        min(oldest_entry_at) as oldest_entry_at,
        max(newest_entry_at) as newest_entry_at
    from load_contents

),

-- of entries with a session the standing ones are counted already: counting keys again would take seconds
entry_measures as (

    select
        document_measures.*,
        without_session.entries + coalesce(standing.entries, 0) as entries
    from document_measures
    cross join (select count(distinct entry_key) as entries from sessionless_entries) as without_session
    cross join (select sum(entry_count) as entries from session_paths) as standing

),

unknown_types as (

    select
        coalesce(entry_type, '(none)') as entry_type,
        version_of_unknown_type as version,
        cast(sum(document_count) as bigint) as entries
    from load_contents
    where version_of_unknown_type is not null
    group by all

),

dead_letter_reasons as (

    select
        coalesce(reason, 'unknown') as reason,
        count(*) as dead_letters
    from dead_letters
    group by all

),

final as (

    select
        'documents_stored' as check_name,
        cast(documents as double) as check_value,
        cast(documents as varchar) as check_text
    from entry_measures

    union all

    select
        'entries_stored',
        entries,
        cast(entries as varchar)
    from entry_measures

    union all

    select
        'duplicate_documents',
        documents - entries,
        cast(documents - entries as varchar)
    from entry_measures

    union all

    select
        'entries_without_time',
        untimed,
        cast(untimed as varchar)
    from entry_measures

    union all

    select
        'oldest_entry_at',
        {{ epoch_seconds('oldest_entry_at') }},
        {{ utc_text('oldest_entry_at') }}
    from entry_measures

    union all

    select
        'newest_entry_at',
        {{ epoch_seconds('newest_entry_at') }},
        {{ utc_text('newest_entry_at') }}
    from entry_measures

    union all

    select
        'unknown_entry_types',
        count(distinct entry_type),
        string_agg(
            entry_type || ' (' || version || '): ' || entries,
            ', ' order by entry_type, version
        )
    from unknown_types

    union all

    select
        'dead_letters',
        coalesce(sum(dead_letters), 0),
        string_agg(reason || ': ' || dead_letters, ', ' order by dead_letters desc, reason)
    from dead_letter_reasons

    union all

    select
        'redacted_' || redaction_kind,
        replacement_count,
        cast(replacement_count as varchar)
    from redactions

)

select * from final
