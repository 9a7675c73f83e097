{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'plan_limits') }}

),

renamed as (

    select
        limit_window,
        limit_usd
    from source

)

select * from renamed
