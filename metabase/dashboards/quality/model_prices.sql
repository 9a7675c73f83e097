with

models as (

    select
        model,
        is_priced,
        provider,
        price_source,
        response_count,
        last_used_at,
        input_usd_per_mtok,
        output_usd_per_mtok,
        cache_write_5m_usd_per_mtok,
        cache_write_1h_usd_per_mtok,
        cache_read_usd_per_mtok
    from dim_models

)

select
    model,
    case when is_priced then 'priced' else 'no price' end as price,
    response_count,
    last_used_at,
    provider,
    price_source,
    input_usd_per_mtok,
    output_usd_per_mtok,
    cache_write_5m_usd_per_mtok,
    cache_write_1h_usd_per_mtok,
    cache_read_usd_per_mtok
from models
order by
    is_priced,
    response_count desc,
    model
