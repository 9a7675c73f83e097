-- Responses, tokens and cost of every day, project and model, recomputed from the facts.
with

in_aggregate as (

    select * exclude (usage_key, cache_hit_rate)
    from {{ ref('agg_daily_usage') }}

),

in_facts as (

    select
        created_date_key as date_key,
        project_id,
        model,
        count(*) as response_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens) as context_tokens,
        sum(cost_usd) as cost_usd,
        sum(cost_usd is null) as unpriced_response_count,
        count(*) filter (where output_is_lower_bound) as lower_bound_response_count
    from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and created_date_key is not null
    group by all

)

{{ difference('in_aggregate', 'in_facts') }}
