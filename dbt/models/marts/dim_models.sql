with

session_hours as (

    select * from {{ ref('agg_session_hours') }}

),

prices as (

    select * from {{ ref('int_model_prices') }}

),

used as (

    select
        model,
        min(first_response_at) as first_used_at,
        max(last_response_at) as last_used_at,
        cast(sum(response_count) as bigint) as response_count
    from session_hours
    where
        response_count > 0
        and model is not null
    group by model

),

-- what a small response costs today: the period that holds the day, its lowest band
in_force as (

    select
        model,
        min_by(canonical_model, prompt_tokens_over) as canonical_model,
        min_by(provider, prompt_tokens_over) as provider,
        min_by(price_source, prompt_tokens_over) as price_source,
        min(effective_from) as price_effective_from,
        min_by(input, prompt_tokens_over) as input,
        min_by(output, prompt_tokens_over) as output,
        min_by(cache_write_5m, prompt_tokens_over) as cache_write_5m,
        min_by(cache_write_1h, prompt_tokens_over) as cache_write_1h,
        min_by(cache_read, prompt_tokens_over) as cache_read,
        min_by(fast_multiplier, prompt_tokens_over) as fast_multiplier
    from prices
    where
        effective_from <= {{ local_date(as_of()) }}
        and effective_to > {{ local_date(as_of()) }}
    group by model

),

final as (

    select
        used.model,
        {{ model_family('used.model') }} as family,
        in_force.canonical_model,
        in_force.provider,
        in_force.price_source,
        in_force.price_effective_from,
        in_force.canonical_model is not null as is_priced,
        in_force.input as input_usd_per_mtok,
        in_force.output as output_usd_per_mtok,
        in_force.cache_write_5m as cache_write_5m_usd_per_mtok,
        in_force.cache_write_1h as cache_write_1h_usd_per_mtok,
        in_force.cache_read as cache_read_usd_per_mtok,
        in_force.fast_multiplier,
        used.first_used_at,
        used.last_used_at,
        used.response_count
    from used
    left join in_force
        on used.model = in_force.model

)

select * from final
