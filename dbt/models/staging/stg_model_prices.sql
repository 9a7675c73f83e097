{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'model_prices') }}

),

renamed as (

    select
        model,
        canonical_model,
        provider,
        effective_from,
        effective_to,
        prompt_tokens_over,
        prompt_tokens_up_to,
        input,
        output,
        cache_write_5m,
        cache_write_1h,
        cache_read,
        fast_multiplier,
        us_multiplier,
        batch_multiplier,
        web_search,
        source as price_source,
        is_override
    from source

)

select * from renamed
