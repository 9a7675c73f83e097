with

{{snippet: days}},

{{snippet: grain}},

responses as (

    select
        created_date_key,
        project_id,
        model,
        response_seconds::double as response_seconds
    from fct_messages
    where
        true
        and created_date_key is not null
        and message_kind = 'response'
        and not is_sidechain
        and response_seconds is not null
        [[and created_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

),

dated as (

    select
        {{snippet: period_start responses.created_date_key}} as period_start,
        responses.response_seconds
    from responses
    cross join grain

)

select
    period_start,
    median(response_seconds) as median_seconds,
    quantile_cont(response_seconds, 0.9) as p90_seconds
from dated
group by period_start
order by period_start
