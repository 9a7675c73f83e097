{#
    Most aggregates are sums over this table instead of the facts: it is a small part of their size, and a run computes
    anew what the touched sessions did only.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with messages as (

    {{ touched_rows(ref('fct_messages'), 'created_date_key') }}

),

hourly as (

    select
        *,
        to_timestamp(floor(epoch_ms(created_at) / 3600000) * 3600) as hour_started_at
    from messages

),

by_session_hour_model as (

    select
        session_id,
        project_id,
        hour_started_at,
        created_date_key as date_key,
        created_hour as hour_of_day,
        model,
        count(*) as message_count,
        count(*) filter (where {{ is_human_prompt() }}) as prompt_count,
        count(*) filter (where {{ is_queued_prompt() }}) as queued_prompt_count,
        min(created_at) filter (where message_kind in ('response', 'advisor')) as first_response_at,
        max(created_at) filter (where message_kind in ('response', 'advisor')) as last_response_at,
        {{ response_measures() }}
    from hourly
    group by
        session_id,
        project_id,
        hour_started_at,
        created_date_key,
        created_hour,
        model

),

final as (

    select
        {{ surrogate_key(['session_id', 'epoch_ms(hour_started_at)', 'date_key', 'hour_of_day', 'model']) }}
            as session_hour_key,
        session_id,
        project_id,
        hour_started_at,
        date_key,
        hour_of_day,
        model,
        message_count,
        prompt_count,
        queued_prompt_count,
        response_count,
        first_response_at,
        last_response_at,
        {%- for tokens in token_columns() %}
        {{ tokens }},
        {%- endfor %}
        context_tokens,
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count
    from by_session_hour_model

)

select * from final
