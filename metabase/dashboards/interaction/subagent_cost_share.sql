with

{{snippet: days}},

{{snippet: periods}},

responses as (

    select
        created_date_key,
        project_id,
        model,
        sum(cost_usd) filter (where is_sidechain) as subagent_cost_usd,
        sum(cost_usd) as cost_usd
    from fct_messages
    where
        true
        and message_kind in ('response', 'advisor')
        and cost_usd is not null
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]
    group by
        created_date_key,
        project_id,
        model

)

select
    periods.period,
    coalesce(sum(responses.subagent_cost_usd), 0)::double / nullif(sum(responses.cost_usd), 0) as subagent_cost_share
from periods
left join responses
    on responses.created_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
