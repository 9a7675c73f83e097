-- Messages, prompts, responses, tokens and cost of every session, hour and model, recomputed from the facts.
with

in_aggregate as (

    select * exclude (session_hour_key)
    from {{ ref('agg_session_hours') }}

),

in_facts as (

    select
        session_id,
        project_id,
        date_trunc('hour', created_at) as hour_started_at,
        created_date_key as date_key,
        created_hour as hour_of_day,
        model,
        count(*) as message_count,
        count(*) filter (
            where message_kind in ('prompt', 'slash_command') and not is_sidechain and not is_queued
        ) as prompt_count,
        count(*) filter (
            where message_kind in ('prompt', 'slash_command') and not is_sidechain and is_queued
        ) as queued_prompt_count,
        count(*) filter (where message_kind in ('response', 'advisor')) as response_count,
        min(case when message_kind in ('response', 'advisor') then created_at end) as first_response_at,
        max(case when message_kind in ('response', 'advisor') then created_at end) as last_response_at,
        {%- for tokens in token_columns() %}
        coalesce(sum(case when message_kind in ('response', 'advisor') then {{ tokens }} end), 0) as {{ tokens }},
        {%- endfor %}
        coalesce(sum(case when message_kind in ('response', 'advisor') then context_tokens end), 0) as context_tokens,
        case
            when count(*) filter (where message_kind in ('response', 'advisor')) = 0 then 0
            else sum(case when message_kind in ('response', 'advisor') then cost_usd end)
        end as cost_usd,
        count(*) filter (where message_kind in ('response', 'advisor') and cost_usd is null) as unpriced_response_count,
        count(*) filter (where message_kind in ('response', 'advisor') and output_is_lower_bound) as lower_bound_response_count
    from {{ ref('fct_messages') }}
    group by all

)

{{ difference('in_aggregate', 'in_facts') }}
