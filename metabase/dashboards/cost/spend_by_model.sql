with

usage as (

    select
        date_key,
        project_id,
        model,
        response_count,
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count,
        cache_read_tokens,
        context_tokens,
        output_tokens
    from agg_session_hours
    where
        response_count > 0
        [[and date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

),

models as (

    select
        coalesce(model, 'unknown') as model,
        sum(cost_usd) as cost_usd,
        sum(response_count) as response_count,
        sum(unpriced_response_count) as unpriced_response_count,
        sum(lower_bound_response_count) as lower_bound_response_count,
        sum(output_tokens) as output_tokens,
        {{snippet: cache_hit_rate}} as cache_hit_rate
    from usage
    group by coalesce(model, 'unknown')

)

select
    model,
    cost_usd,
    cost_usd::double / sum(cost_usd) over () as cost_share,
    response_count,
    cost_usd::double / nullif(response_count - unpriced_response_count, 0) as cost_per_response_usd,
    output_tokens,
    cache_hit_rate,
    lower_bound_response_count / nullif(response_count, 0)::double as lower_bound_share,
    unpriced_response_count
from models
order by
    cost_usd desc,
    model
