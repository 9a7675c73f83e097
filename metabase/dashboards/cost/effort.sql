with

responses as (

    select
        created_date_key,
        project_id,
        model,
        coalesce(effort, 'not said') as effort,
        cost_usd,
        output_tokens,
        thinking_tokens
    from fct_messages
    where
        message_kind = 'response'
        [[and created_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

)

select
    effort,
    count(*) as response_count,
    sum(cost_usd) as cost_usd,
    sum(cost_usd)::double / nullif(count(cost_usd), 0) as cost_per_response_usd,
    sum(output_tokens) as output_tokens,
    sum(thinking_tokens) as thinking_tokens
from responses
group by effort
order by
    cost_usd desc nulls last,
    effort
