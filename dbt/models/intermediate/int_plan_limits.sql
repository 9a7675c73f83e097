{{ config(materialized='view') }}

select * from {{ ref('stg_plan_limits') }}
