{{ config(materialized='table') }}

with copies as (

    select * from {{ ref('stg_entries') }}
    where session_id in (select session_id from {{ ref('int_touched_sessions') }})

),

-- Resumed and forked sessions copy lines: which copy stands must not depend on the order of arrival.
ranked as (

    select
        *,
        row_number() over (
            partition by entry_key
            order by
                occurred_at nulls last,
                session_id,
                source_file nulls last,
                document_id
        ) = 1 as is_standing
    from copies

)

select * from ranked
