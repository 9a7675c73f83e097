with

blocks as (

    select
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
    blocks.started_at,
    blocks.cost_usd,
    blocks.burn_rate_usd_per_hour,
    agg_limits.used_ratio,
    agg_limits.basis,
    blocks.response_count,
    blocks.output_tokens,
    blocks.unpriced_response_count
from blocks
left join agg_limits
    on blocks.started_at = agg_limits.started_at
    and agg_limits.limit_window = 'five_hour'
order by blocks.started_at desc
limit 15
