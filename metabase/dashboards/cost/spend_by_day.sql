with

{{snippet: days}},

{{snippet: grain}},

usage as (

    select
        date_key,
        project_id,
        model,
        cost_usd
    from agg_session_hours
    where
        response_count > 0
        [[and date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

),

dated as (

    select
        {{snippet: period_start usage.date_key}} as period_start,
        usage.model,
        usage.cost_usd
    from usage
    cross join grain

)

select
    period_start,
    coalesce(model, 'unknown') as model,
    sum(cost_usd) as cost_usd
from dated
where cost_usd is not null
group by
    period_start,
    coalesce(model, 'unknown')
order by
    period_start,
    model
