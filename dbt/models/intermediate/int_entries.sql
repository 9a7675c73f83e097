{{ config(materialized='working_set') }}

with copies as (

    select
        *,
        {{ uuid_of_entry('entry_key') }} as uuid
    from {{ ref('stg_entries') }}
    where
        session_id is not null
        {%- if not flags.FULL_REFRESH %}
        and {{ of_related_sessions(ref('stg_entries')) }}
        {%- endif %}

),

later_copies as (

    select * from {{ ref('int_later_copies') }}

),

final as (

    select
        copies.*,
        later_copies.document_id is null as is_standing
    from copies
    left join later_copies
        on copies.document_id = later_copies.document_id

)

select * from final
