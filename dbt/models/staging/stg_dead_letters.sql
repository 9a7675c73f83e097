{{ config(materialized='table') }}

with source as (

    select * from {{ source('raw', 'dead_letters') }}

),

renamed as (

    select
        dead_letter_id,
        reason,
        source_file,
        byte_length,
        first_seen_at
    from source

)

select * from renamed
