{{ config(materialized="table") }}

with

prices as (

    select * from {{ ref('stg_model_prices') }}

),

final as (

    select
        {{ surrogate_key(['model', 'effective_from', 'prompt_tokens_over']) }} as model_price_key,
        *
    from prices

)

select * from final
