{{ config(materialized='table') }}

with source as (

    select * from {{ source('raw', 'redactions') }}

),

renamed as (

    select
        kind as redaction_kind,
        replacements as replacement_count
    from source

)

select * from renamed
