{{
    config(
        materialized='incremental',
    )
}}

with entries as (

    select * from {{ ref('stg_entries') }}
    where
        session_id is not null
        {%- if is_incremental() %}
        and load_id > (select coalesce(max(load_id), 0) from {{ this }})
        {%- endif %}

),

final as (

    select
        session_id,
        unnest({{ entry_links() }}) as link,
        load_id
    from entries

)

select distinct * from final
