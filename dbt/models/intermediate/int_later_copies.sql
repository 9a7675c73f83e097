{{ config(materialized='table') }}

with copies as (

    select
        document_id,
        entry_key,
        line_key,
        is_forked,
        session_id,
        source_file,
        occurred_at
    from {{ ref('int_related_entries') }}

),

-- few entries have copies: only those are ranked
copied_keys as (

    select entry_key
    from copies
    group by entry_key
    having count(*) > 1

),

-- Resumed and forked sessions copy lines: which copy stands must not depend on the order of arrival.
ranked as (

    select
        document_id,
        row_number() over (
            partition by entry_key
            order by
                is_forked,
                occurred_at nulls last,
                session_id,
                source_file nulls last,
                document_id
        ) as position
    from copies
    where entry_key in (select entry_key from copied_keys)

),

-- The line a fork was made from may be a fork's itself, under a uuid of its own: that one stands, or what it copies.
forked_from_forks as (

    select document_id
    from copies
    where
        is_forked
        and entry_key in (select line_key from copies where line_key <> entry_key)

),

final as (

    select document_id
    from ranked
    where position > 1
    union
    select document_id
    from forked_from_forks

)

select * from final
