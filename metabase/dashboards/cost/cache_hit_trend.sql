with

{{snippet: days}},

{{snippet: grain}},

usage as (

    select
        date_key,
        project_id,
        model,
        cache_read_tokens,
        context_tokens
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
        usage.cache_read_tokens,
        usage.context_tokens
    from usage
    cross join grain

)

select
    period_start,
    {{snippet: cache_hit_rate}} as cache_hit_rate
from dated
group by period_start
order by period_start
