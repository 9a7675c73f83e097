{{ config(materialized='working_set') }}

with final as (

    select
        *,
        {{ uuid_of_entry('entry_key') }} as uuid
    from {{ ref('stg_entries') }}
    where
        session_id is not null
        {%- if not flags.FULL_REFRESH %}
        and {{ of_related_sessions(ref('stg_entries')) }}
        {%- endif %}

)

select * from final
