{{ config(materialized='incremental') }}

with final as (

    select
        entry_key,
        load_id
    from {{ ref('stg_entries') }}
    where
        session_id is null
        {%- if is_incremental() %}
        and {{ of_last_load() }}
        {%- endif %}

)

select * from final
