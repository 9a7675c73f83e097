{#
    Prices. `model_prices()` is the price list in force: the published seed, with all rows of a prefix replaced when
    PRICING_OVERRIDES names that prefix. `response_cost()` is the one place where tokens become USD.
#}

{% macro override_prices() -%}
    {#- The rows of var `pricing_overrides` (validated by analytics.pricing, values in the seed's column order). -#}
    {%- for row in var("pricing_overrides") %}
    select
        '{{ row[0] }}' as model_prefix,
        cast('{{ row[1] }}' as date) as effective_from,
        cast('{{ row[2] }}' as bigint) as prompt_tokens_over,
        cast('{{ row[3] }}' as decimal(18, 6)) as input,
        cast('{{ row[4] }}' as decimal(18, 6)) as output,
        cast('{{ row[5] }}' as decimal(18, 6)) as cache_write_5m,
        cast('{{ row[6] }}' as decimal(18, 6)) as cache_write_1h,
        cast('{{ row[7] }}' as decimal(18, 6)) as cache_read,
        cast('{{ row[8] }}' as decimal(9, 3)) as fast_multiplier
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}

{% macro response_cost(usage, price) -%}
    {#-
        USD of one response as DECIMAL(18, 9); null when no price row joined. `usage` and `price` are the relation
        aliases of a response (the five token columns, is_fast) and of a row of int_model_prices.

        Exact: prices are USD per million tokens with at most six decimals, so tokens × price has six, the fast
        multiplier adds three, the last factor six: fifteen decimals in 38 digits, rounded once to nine.
    -#}
    cast(
        (
            cast({{ usage }}.input_tokens as decimal(38, 0)) * {{ price }}.input
            + cast({{ usage }}.output_tokens as decimal(38, 0)) * {{ price }}.output
            + cast({{ usage }}.cache_write_5m_tokens as decimal(38, 0)) * {{ price }}.cache_write_5m
            + cast({{ usage }}.cache_write_1h_tokens as decimal(38, 0)) * {{ price }}.cache_write_1h
            + cast({{ usage }}.cache_read_tokens as decimal(38, 0)) * {{ price }}.cache_read
        )
        * case when {{ usage }}.is_fast then {{ price }}.fast_multiplier else cast(1 as decimal(9, 3)) end
        * cast(0.000001 as decimal(6, 6))
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

{% macro write_cost(usage, price) -%}
    {#- USD of a response's cache writes alone, by the same arithmetic as response_cost(). -#}
    cast(
        (
            cast({{ usage }}.cache_write_5m_tokens as decimal(38, 0)) * {{ price }}.cache_write_5m
            + cast({{ usage }}.cache_write_1h_tokens as decimal(38, 0)) * {{ price }}.cache_write_1h
        )
        * case when {{ usage }}.is_fast then {{ price }}.fast_multiplier else cast(1 as decimal(9, 3)) end
        * cast(0.000001 as decimal(6, 6))
        as decimal(18, 9)
    )
{%- endmacro %}
