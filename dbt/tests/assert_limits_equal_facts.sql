-- Each window has the tokens and the cost of the responses that lie in it.
with

facts as (

    select
        epoch_ms(created_at) // 3600000 as epoch_hour,
        count(*) as response_count,
        sum(output_tokens) as output_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and created_at is not null
    group by 1

),

counted as (

    select
        limits.limit_key,
        limits.response_count,
        limits.output_tokens,
        coalesce(limits.cost_usd, 0) as cost_usd,
        sum(facts.response_count) as fact_response_count,
        sum(facts.output_tokens) as fact_output_tokens,
        coalesce(sum(facts.cost_usd), 0) as fact_cost_usd
    from {{ ref('agg_limits') }} as limits
    inner join facts
        on facts.epoch_hour >= epoch_ms(limits.started_at) // 3600000
        and facts.epoch_hour < epoch_ms(limits.ended_at) // 3600000
    group by
        limits.limit_key,
        limits.response_count,
        limits.output_tokens,
        limits.cost_usd

)

select *
from counted
where
    response_count <> fact_response_count
    or output_tokens <> fact_output_tokens
    or cost_usd <> fact_cost_usd
