with

{{snippet: days}},

{{snippet: grain}},

usage as (

    select
        date_key,
        project_id,
        model,
        response_count,
        unpriced_response_count,
        lower_bound_response_count
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
        usage.response_count,
        usage.unpriced_response_count,
        usage.lower_bound_response_count
    from usage
    cross join grain

)

select
    period_start,
    sum(lower_bound_response_count) / nullif(sum(response_count), 0)::double as lower_bound_share,
    sum(unpriced_response_count) / nullif(sum(response_count), 0)::double as unpriced_share
from dated
group by period_start
order by period_start
