{{ config(materialized="table") }}

with

published as (

    select * from {{ ref('model_pricing') }}

),

models as (

    select distinct model
    from {{ ref('int_response_usage') }}
    where model is not null

),

{%- if var('pricing_overrides') %}

overrides as (
    {{ override_prices() }}
),
{%- endif %}

price_list as (

    select
        model_prefix,
        effective_from,
        prompt_tokens_over,
        input,
        output,
        cache_write_5m,
        cache_write_1h,
        cache_read,
        fast_multiplier,
        false as is_override
    from published
    {%- if var('pricing_overrides') %}
    where model_prefix not in (select model_prefix from overrides)
    union all
    select
        model_prefix,
        effective_from,
        prompt_tokens_over,
        input,
        output,
        cache_write_5m,
        cache_write_1h,
        cache_read,
        fast_multiplier,
        true as is_override
    from overrides
    {%- endif %}

),

-- a prefix's price list of one date is in force until the prefix's next date
dated as (

    select
        model_prefix,
        effective_from,
        lead(effective_from, 1, date '9999-12-31') over (
            partition by model_prefix
            order by effective_from
        ) as effective_to
    from (
        select distinct
            model_prefix,
            effective_from
        from price_list
    )

),

-- a band of one price list ends where the next one begins
banded as (

    select
        price_list.*,
        dated.effective_to,
        lead(price_list.prompt_tokens_over, 1, 9223372036854775807) over (
            partition by price_list.model_prefix, price_list.effective_from
            order by price_list.prompt_tokens_over
        ) as prompt_tokens_up_to
    from price_list
    inner join dated
        on price_list.model_prefix = dated.model_prefix
        and price_list.effective_from = dated.effective_from

),

-- prefixes of one model that are equally long are the same prefix: the longest is unique
matched as (

    select
        models.model,
        max_by(prefixes.model_prefix, length(prefixes.model_prefix)) as model_prefix
    from models
    inner join (select distinct model_prefix from price_list) as prefixes
        on starts_with(models.model, prefixes.model_prefix)
    group by models.model

),

final as (

    select
        {{ surrogate_key(['matched.model', 'banded.effective_from', 'banded.prompt_tokens_over']) }} as model_price_key,
        matched.model,
        matched.model_prefix,
        banded.effective_from,
        banded.effective_to,
        banded.prompt_tokens_over,
        banded.prompt_tokens_up_to,
        banded.input,
        banded.output,
        banded.cache_write_5m,
        banded.cache_write_1h,
        banded.cache_read,
        banded.fast_multiplier,
        banded.is_override
    from matched
    inner join banded
        on matched.model_prefix = banded.model_prefix

)

select * from final
