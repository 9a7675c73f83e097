with

blocks as (

    select
        started_date_key,
        started_at,
        cost_usd,
        burn_rate_usd_per_hour,
        response_count,
        output_tokens,
        unpriced_response_count
    from agg_billing_blocks
    where
        true
        [[and started_date_key in (select date_key from dim_date where {{date}})]]

)

select
    started_at,
    cost_usd,
    burn_rate_usd_per_hour,
    response_count,
    output_tokens,
    unpriced_response_count
from blocks
order by started_at desc
limit 15
