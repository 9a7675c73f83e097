{{ config(materialized='incremental') }}

with final as (

    select
        leaf_uuid,
        title,
        title_rank,
        load_id
    from {{ ref('stg_entries') }}
    where
        leaf_uuid is not null
        and title is not null
        {%- if is_incremental() %}
        and {{ of_last_load() }}
        {%- endif %}

)

select * from final
