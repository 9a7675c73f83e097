{#
    What is counted, in one place: the aggregates and dimensions use these, the tests in dbt/tests hold them to the
    facts. All of them read columns of fct_messages or fct_tool_calls, optionally through a relation alias; those of
    agg_session_hours are sums already.

    Reports, pages and cards take the same macros (analytics.warehouse.measures.macro), so nothing here may need more than
    Jinja and token_columns().
#}

{% macro context_tokens() -%}
    {#- What a response was given to read: fresh input, cache writes and cache reads. -#}
    input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
{%- endmacro %}

{% macro is_human_prompt(alias='') -%}
    {#- A person's prompt or slash command on the main chain; queued ones are counted apart. -#}
    {%- set at = alias ~ '.' if alias else '' -%}
    {{ at }}message_kind in ('prompt', 'slash_command') and not {{ at }}is_sidechain and not {{ at }}is_queued
{%- endmacro %}

{% macro is_queued_prompt(alias='') -%}
    {%- set at = alias ~ '.' if alias else '' -%}
    {{ at }}message_kind in ('prompt', 'slash_command') and not {{ at }}is_sidechain and {{ at }}is_queued
{%- endmacro %}

{% macro response_measures() -%}
    {#-
        Columns response_count, the five token sums, context_tokens, cost_usd, unpriced_response_count and
        lower_bound_response_count of a group of messages. cost_usd is null when there are responses and none has a price: missing is not zero.
    -#}
    {%- set response = "message_kind in ('response', 'advisor')" -%}
    count(*) filter (where {{ response }}) as response_count,
        {%- for tokens in token_columns() %}
        cast(coalesce(sum({{ tokens }}) filter (where {{ response }}), 0) as bigint) as {{ tokens }},
        {%- endfor %}
        cast(coalesce(sum(context_tokens) filter (where {{ response }}), 0) as bigint) as context_tokens,
        cast(
            case
                when count(*) filter (where {{ response }}) = 0 then 0
                else sum(cost_usd) filter (where {{ response }})
            end as decimal(18, 9)
        ) as cost_usd,
        count(*) filter (where {{ response }} and not is_priced) as unpriced_response_count,
        count(*) filter (where {{ response }} and output_is_lower_bound) as lower_bound_response_count
{%- endmacro %}

{% macro summed_response_measures() -%}
    {#- The same columns of a group of rows of agg_session_hours. What did not happen happened zero times. -#}
    cast(coalesce(sum(response_count), 0) as bigint) as response_count,
        {%- for tokens in token_columns() %}
        cast(coalesce(sum({{ tokens }}), 0) as bigint) as {{ tokens }},
        {%- endfor %}
        cast(coalesce(sum(context_tokens), 0) as bigint) as context_tokens,
        cast(
            case
                when coalesce(sum(response_count), 0) = 0 then 0
                -- where nobody answered the cost is 0, not unknown
                else sum(cost_usd) filter (where response_count > 0)
            end as decimal(18, 9)
        ) as cost_usd,
        cast(coalesce(sum(unpriced_response_count), 0) as bigint) as unpriced_response_count,
        cast(coalesce(sum(lower_bound_response_count), 0) as bigint) as lower_bound_response_count
{%- endmacro %}

{% macro burn_rate() -%}
    {#- USD per hour of a group of responses, from the first to the last; below a minute there is no rate to speak of. -#}
    case
            when epoch_ms(last_response_at) - epoch_ms(first_response_at) >= 60000
                then cast(cost_usd as double) * 3600000 / (epoch_ms(last_response_at) - epoch_ms(first_response_at))
        end
{%- endmacro %}

{% macro tool_counts() -%}
    {#- Columns of a group of tool calls, by how they ended. Rates are of the finished ones, retries of all. -#}
    count(*) as call_count,
        count(*) filter (where status <> 'pending') as finished_count,
        count(*) filter (where status = 'success') as success_count,
        count(*) filter (where status = 'error') as error_count,
        count(*) filter (where status = 'rejected') as rejected_count,
        count(*) filter (where status = 'interrupted') as interrupted_count,
        count(*) filter (where status = 'pending') as pending_count,
        count(*) filter (where is_retry_followed) as retried_count
{%- endmacro %}

{% macro tool_durations() -%}
    {#- Columns of a group of tool calls: median and 95th percentile of the known durations, to the millisecond. -#}
    cast(round(quantile_cont(duration_ms, 0.5)) as bigint) as p50_duration_ms,
        cast(round(quantile_cont(duration_ms, 0.95)) as bigint) as p95_duration_ms
{%- endmacro %}

{% macro rate(part, whole) -%}
    {#- DOUBLE 0..1, null when there is nothing to divide. -#}
    cast({{ part }} as double) / nullif({{ whole }}, 0)
{%- endmacro %}

{% macro exact_seconds(milliseconds) -%}
    {#- DECIMAL(18, 3) seconds of a number of milliseconds, to the nearest. -#}
    cast(round(cast({{ milliseconds }} as double)) / 1000 as decimal(18, 3))
{%- endmacro %}

{% macro rounded(number, digits) -%}
    {#-
        DECIMAL(18, digits) of a DOUBLE, halves away from zero. Engines disagree about halves when they cast: one rounds
        the number times 10^digits, another the digits it would print. A number rounded before is the same everywhere.
    -#}
    cast(round(cast({{ number }} as double) * {{ 10 ** digits }}) / {{ 10 ** digits }} as decimal(18, {{ digits }}))
{%- endmacro %}
