{{ config(materialized='view') }}

select * from {{ ref('stg_reported_limits') }}
