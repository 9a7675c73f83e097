-- The same money everywhere: facts, days, usage, sessions, projects and blocks.
with

totals as (

    select
        'fct_messages' as mart,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_messages') }}
    where created_at is not null
    union all
    select
        'agg_daily_summary',
        sum(cost_usd)
    from {{ ref('agg_daily_summary') }}
    union all
    select
        'agg_daily_usage',
        sum(cost_usd)
    from {{ ref('agg_daily_usage') }}
    union all
    select
        'agg_billing_blocks',
        sum(cost_usd)
    from {{ ref('agg_billing_blocks') }}
    union all
    select
        'dim_sessions',
        sum(cost_usd)
    from {{ ref('dim_sessions') }}
    union all
    select
        'dim_projects',
        sum(cost_usd)
    from {{ ref('dim_projects') }}

)

select
    mart,
    cost_usd
from totals
where coalesce(cost_usd, 0) <> (select coalesce(cost_usd, 0) from totals where mart = 'fct_messages')
