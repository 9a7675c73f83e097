{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'people') }}

),

renamed as (

    select
        place,
        person
    from source

)

select * from renamed
