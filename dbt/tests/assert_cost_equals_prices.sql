-- Each response's cost, recomputed in whole picodollars from the price in force on its day, band and speed.
with

recomputed as (

    select
        messages.message_key,
        messages.cost_usd,
        round(
            (
                messages.input_tokens * cast(prices.input * 1000000 as hugeint)
                + messages.output_tokens * cast(prices.output * 1000000 as hugeint)
                + messages.cache_write_5m_tokens * cast(prices.cache_write_5m * 1000000 as hugeint)
                + messages.cache_write_1h_tokens * cast(prices.cache_write_1h * 1000000 as hugeint)
                + messages.cache_read_tokens * cast(prices.cache_read * 1000000 as hugeint)
            )
            * case when messages.is_fast then prices.fast_multiplier else 1 end
            * case when messages.inference_geo = 'us' then prices.us_multiplier else 1 end
            * case when messages.service_tier = 'batch' then prices.batch_multiplier else 1 end
            / 1000
        ) / 1000000000
        + messages.web_search_requests * prices.web_search / 1000 as expected_usd,
        row_number() over (
            partition by messages.message_key
            order by
                prices.effective_from desc,
                prices.prompt_tokens_over desc
        ) as choice
    from {{ ref('fct_messages') }} as messages
    inner join {{ ref('int_model_prices') }} as prices
        on messages.model = prices.model
        and prices.effective_from <= messages.created_date_key
        and prices.prompt_tokens_over < case when messages.is_fast then 0 else messages.context_tokens end
    where messages.message_kind in ('response', 'advisor')

)

select *
from recomputed
where
    choice = 1
    and (cost_usd is distinct from expected_usd and (cost_usd is null or expected_usd is null or abs(cost_usd - expected_usd) > 0.000000002))
