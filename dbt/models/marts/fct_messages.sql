{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
        cluster_by='created_date_key',
    )
}}

-- depends_on: {{ ref('int_touched_sessions') }} {{ ref('int_touched_days') }}

with messages as (

    select * from {{ ref('int_messages') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

prices as (

    select * from {{ ref('int_model_prices') }}

),

dated as (

    select
        *,
        {{ local_date('created_at') }} as created_date_key,
        {{ local_hour('created_at') }} as created_hour,
        input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as context_tokens
    from messages

),

-- Prices join last: the price list in force on the response's day, the band its prompt falls into.
priced as (

    select
        dated.*,
        case
            when dated.message_kind in ('response', 'advisor') then {{ response_cost('dated', 'prices') }}
        end as cost_usd
    from dated
    left join prices
        on {{ price_in_force('dated', 'prices') }}

),

final as (

    select
        priced.message_key,
        priced.session_id,
        sessions.project_id,
        priced.entry_uuid,
        priced.message_id,
        priced.request_id,
        priced.role,
        priced.message_kind,
        priced.created_at,
        priced.created_date_key,
        priced.created_hour,
        cast(priced.content_length as bigint) as content_length,
        priced.has_code_block,
        priced.is_question,
        priced.task_category,
        case
            when priced.role = 'assistant' and priced.tool_use_count > 0 then 'tool_use'
            when priced.role = 'assistant' then 'answer'
            when priced.message_kind = 'tool_result' then 'tool_result'
            when priced.message_kind in ('prompt', 'slash_command') then 'human'
            else 'system'
        end as turn_type,
        priced.prompt_key,
        {{ exact_seconds('epoch_ms(priced.created_at) - epoch_ms(priced.previous_at)') }} as seconds_since_previous,
        case
            when priced.message_kind = 'response'
                then {{ exact_seconds('epoch_ms(priced.created_at) - epoch_ms(priced.asked_at)') }}
        end as response_seconds,
        priced.model,
        priced.input_tokens,
        priced.output_tokens,
        priced.cache_write_5m_tokens,
        priced.cache_write_1h_tokens,
        priced.cache_read_tokens,
        priced.context_tokens,
        priced.cost_usd,
        priced.cost_usd is not null as is_priced,
        priced.output_is_lower_bound,
        priced.is_fast,
        priced.service_tier,
        priced.inference_geo,
        priced.web_search_requests,
        priced.thinking_tokens,
        priced.effort,
        priced.attribution_skill,
        priced.attribution_plugin,
        priced.attribution_mcp_server,
        priced.error_status,
        priced.error_name,
        priced.stop_reason,
        priced.is_queued,
        priced.is_sidechain,
        priced.agent_id,
        priced.tool_use_count
    from priced
    inner join sessions
        on priced.session_id = sessions.session_id

)

select * from final
order by created_date_key
