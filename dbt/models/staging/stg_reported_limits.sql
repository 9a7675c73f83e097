{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'reported_limits') }}

),

renamed as (

    select
        limit_window,
        reported_at,
        used_ratio,
        resets_at
    from source

)

select * from renamed
