with

{{snippet: days}},

{{snippet: periods}},

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
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

)

select
    periods.period,
    {{snippet: cache_hit_rate}} as cache_hit_rate
from periods
left join usage
    on usage.date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
