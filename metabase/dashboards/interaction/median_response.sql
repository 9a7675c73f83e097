with

{{snippet: days}},

{{snippet: periods}},

responses as (

    select
        created_date_key,
        project_id,
        model,
        response_seconds::double as response_seconds
    from fct_messages
    where
        true
        and message_kind = 'response'
        and not is_sidechain
        and response_seconds is not null
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

)

select
    periods.period,
    median(responses.response_seconds) as response_seconds
from periods
left join responses
    on responses.created_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
