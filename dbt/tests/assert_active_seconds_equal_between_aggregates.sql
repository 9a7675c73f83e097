-- The days' active seconds are the sessions' active seconds, cut at midnight: the same total.
with

in_days as (

    select coalesce(sum(active_seconds), 0) as active_seconds
    from {{ ref('agg_daily_summary') }}

),

in_sessions as (

    select coalesce(sum(active_seconds), 0) as active_seconds
    from {{ ref('dim_sessions') }}

)

{{ difference('in_days', 'in_sessions') }}
