with

messages as (

    select * from {{ ref('fct_messages') }}

),

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

file_operations as (

    select * from {{ ref('fct_file_operations') }}

),

session_days as (

    select * from {{ ref('int_session_days') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

api_errors as (

    select * from {{ ref('fct_api_errors') }}

),

compactions as (

    select * from {{ ref('fct_compactions') }}

),

hook_runs as (

    select * from {{ ref('int_hook_runs') }}

),

used as (

    select min(created_date_key) as first_day, max(created_date_key) as last_day from messages
    union all
    select min(called_date_key), max(called_date_key) from tool_calls
    union all
    select min(operated_date_key), max(operated_date_key) from file_operations
    union all
    select min(date_key), max(date_key) from session_days
    union all
    select min(failed_date_key), max(failed_date_key) from api_errors
    union all
    select min(compacted_date_key), max(compacted_date_key) from compactions
    union all
    select min(ran_date_key), max(ran_date_key) from hook_runs
    union all
    select {{ local_date('min(started_at)') }}, {{ local_date('max(started_at)') }} from sessions

),

bounds as (

    select
        min(first_day) as first_day,
        max(last_day) as last_day
    from used

),

days as (

    {{ days_between('first_day', 'last_day', 'bounds') }}

),

final as (

    select
        date_key,
        cast(extract('year' from date_key) as integer) as year,
        cast(extract('quarter' from date_key) as integer) as quarter,
        cast(extract('month' from date_key) as integer) as month,
        monthname(date_key) as month_name,
        cast(extract('week' from date_key) as integer) as iso_week,
        cast(isodow(date_key) as integer) as day_of_week,
        dayname(date_key) as day_name,
        isodow(date_key) >= 6 as is_weekend
    from days

)

select * from final
