{#
    Prices. `int_model_prices` holds what analytics.warehouse.prices found out about every model; `response_cost()` is
    the one place where tokens become USD.
#}

{% macro price_in_force(usage, price) -%}
    {#-
        Join condition: the row of int_model_prices that holds for a response. The price list of its day, the band its
        prompt falls into; fast mode has one price for all prompts.
    -#}
    {{ usage }}.model = {{ price }}.model
        and {{ usage }}.created_date_key >= {{ price }}.effective_from
        and {{ usage }}.created_date_key < {{ price }}.effective_to
        and case when {{ usage }}.is_fast then 0 else {{ usage }}.context_tokens end > {{ price }}.prompt_tokens_over
        and case when {{ usage }}.is_fast then 0 else {{ usage }}.context_tokens end <= {{ price }}.prompt_tokens_up_to
{%- endmacro %}

{% macro price_factors(usage, price) -%}
    {#- What multiplies the whole response; null when fast mode has no known price. -#}
    case when {{ usage }}.is_fast then {{ price }}.fast_multiplier else cast(1 as decimal(9, 3)) end
        * case when {{ usage }}.inference_geo = 'us' then {{ price }}.us_multiplier else cast(1 as decimal(9, 3)) end
        * case when {{ usage }}.service_tier = 'batch' then {{ price }}.batch_multiplier else cast(1 as decimal(9, 3)) end
{%- endmacro %}

{% macro tokens_cost(usage, price, kinds) -%}
    {#- USD of a response's tokens of these kinds, before it is rounded. -#}
    (
            {%- for kind in kinds %}
            {{ '+ ' if not loop.first }}cast({{ usage }}.{{ kind }}_tokens as decimal(38, 0)) * {{ price }}.{{ kind }}
            {%- endfor %}
        )
        * ({{ price_factors(usage, price) }})
        * cast(0.000001 as decimal(6, 6))
{%- endmacro %}

{% macro kind_cost(usage, price, kinds) -%}
    {#- USD of a response's tokens of these kinds alone, by the same arithmetic as response_cost(). -#}
    cast({{ tokens_cost(usage, price, kinds) }} as decimal(18, 9))
{%- endmacro %}

{% macro response_cost(usage, price) -%}
    {#-
        USD of one response as DECIMAL(18, 9); null when no price row joined. `usage` and `price` are the relation
        aliases of a response (the five token columns, is_fast, inference_geo, service_tier, web_search_requests) and of
        a row of int_model_prices.

        Exact: prices are USD per million tokens with at most six decimals, so tokens × price has six, the three
        factors add nine, the last one six: 21 decimals in 38 digits, rounded once to nine.
    -#}
    cast(
        {{ tokens_cost(usage, price, ['input', 'output', 'cache_write_5m', 'cache_write_1h', 'cache_read']) }}
        + cast(coalesce({{ usage }}.web_search_requests, 0) as decimal(38, 0)) * {{ price }}.web_search
        * cast(0.001 as decimal(3, 3))
        as decimal(18, 9)
    )
{%- endmacro %}

{% macro model_family(model) -%}
    {#- The family in a Claude model's name; for others what stands before the first hyphen. -#}
    coalesce(
        nullif(regexp_extract({{ model }}, '(opus|sonnet|haiku|fable|mythos)', 1), ''),
        nullif(regexp_extract({{ model }}, '^([^-]+)', 1), ''),
        {{ model }}
    )
{%- endmacro %}
