{{ config(materialized='incremental') }}

with final as (

    select distinct
        session_id,
        load_id
    from {{ ref('stg_entries') }}
    where
        session_id is not null
        {%- if is_incremental() %}
        and load_id > (select coalesce(max(load_id), 0) from {{ this }})
        {%- endif %}

)

select * from final
