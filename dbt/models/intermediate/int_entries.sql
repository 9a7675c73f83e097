{{ config(materialized='working_set') }}

with copies as (

    select * from {{ ref('int_related_entries') }}

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
