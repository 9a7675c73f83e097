{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'project_aliases') }}

),

renamed as (

    select
        path,
        project,
        is_name
    from source

)

select * from renamed
