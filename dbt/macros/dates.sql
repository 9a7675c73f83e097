{#
    Days and hours are the user's: an instant is first shown in ANALYTICS_TZ (var `analytics_tz`), daylight saving
    included, then cut. Instants themselves stay TIMESTAMPTZ in UTC.
#}

{% macro local_timestamp(instant) -%}
    {#- Wall-clock TIMESTAMP in ANALYTICS_TZ of a TIMESTAMPTZ. -#}
    {{ return(adapter.dispatch('local_timestamp')(instant)) }}
{%- endmacro %}

{% macro default__local_timestamp(instant) -%}
    timezone('{{ var("analytics_tz") }}', {{ instant }})
{%- endmacro %}

{% macro local_date(instant) -%}
    {#- DATE in ANALYTICS_TZ of a TIMESTAMPTZ. -#}
    cast({{ local_timestamp(instant) }} as date)
{%- endmacro %}

{% macro local_hour(instant) -%}
    {#- Hour 0..23 in ANALYTICS_TZ of a TIMESTAMPTZ. -#}
    cast(extract('hour' from {{ local_timestamp(instant) }}) as integer)
{%- endmacro %}

{% macro as_of() -%}
    {#- The instant "today" and "current" refer to: var `as_of`, else the start of this run. Never now(). -#}
    cast('{{ var("as_of") or run_started_at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00") }}' as timestamptz)
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    {#- Exact seconds between two TIMESTAMPTZ as DECIMAL(18, 3). -#}
    {{ return(adapter.dispatch('seconds_between')(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    cast(epoch_ms({{ later }}) - epoch_ms({{ earlier }}) as decimal(18, 3)) / 1000
{%- endmacro %}

{% macro days_between(first_day, last_day, relation) -%}
    {#- A query of one column `date_key`: every day from first to last; no row when the relation's bounds are null. -#}
    {{ return(adapter.dispatch('days_between')(first_day, last_day, relation)) }}
{%- endmacro %}

{% macro default__days_between(first_day, last_day, relation) -%}
    select cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date) as date_key
    from {{ relation }}
{%- endmacro %}

{% macro utc_text(instant) -%}
    {#- An instant as people write it, in UTC. -#}
    strftime({{ instant }} at time zone 'UTC', '%Y-%m-%d %H:%M:%S UTC')
{%- endmacro %}

{% macro epoch_seconds(instant) -%}
    {#- Seconds since 1970 as DOUBLE, to the millisecond: epoch() rounds the last digit its own way. -#}
    cast(epoch_ms({{ instant }}) as double) / 1000
{%- endmacro %}
