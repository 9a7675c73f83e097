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
        {{ context_tokens() }} as context_tokens
    from messages

),

-- Prices join last: the price list in force on the response's day, the band its prompt falls into.
priced as (

    select
        dated.*,
        case
            when dated.message_kind in ('response', 'advisor') then {{ response_cost('dated', 'prices') }}
        end as cost_usd,
        case
            when dated.message_kind in ('response', 'advisor') then {{ kind_cost('dated', 'prices', ['input']) }}
        end as input_cost_usd,
        case
            when dated.message_kind in ('response', 'advisor') then {{ kind_cost('dated', 'prices', ['output']) }}
        end as output_cost_usd,
        case
            when dated.message_kind in ('response', 'advisor')
                then {{ kind_cost('dated', 'prices', ['cache_write_5m', 'cache_write_1h']) }}
        end as cache_write_cost_usd,
        case
            when dated.message_kind in ('response', 'advisor') then {{ kind_cost('dated', 'prices', ['cache_read']) }}
        end as cache_read_cost_usd
    from dated
    left join prices
        on {{ price_in_force('dated', 'prices') }}

),

reasoned as (

    select
        *,
        {{ response_is_expensive_because() }} as response_reason
    from priced

),

-- What each prompt set off until the next one, on the main chain and in sub-agents.
turns as (

    select
        prompt_key,
        count(*) as response_count,
        count(*) filter (where cost_usd is null) as unpriced_response_count,
        cast(sum(tool_use_count) as bigint) as tool_use_count,
        cast(sum(cost_usd) as decimal(18, 9)) as cost_usd,
        coalesce(sum(cost_usd) filter (where is_sidechain), 0) as subagent_cost_usd,
        coalesce(sum(cost_usd) filter (where not is_sidechain and response_reason = 'cold cache'), 0)
            as cold_cache_cost_usd,
        coalesce(sum(cost_usd) filter (where not is_sidechain and response_reason = 'long context'), 0)
            as long_context_cost_usd,
        coalesce(sum(cost_usd) filter (where not is_sidechain and response_reason = 'long output'), 0)
            as long_output_cost_usd
    from reasoned
    where
        message_kind in ('response', 'advisor')
        and prompt_key is not null
    group by prompt_key

),

final as (

    select
        reasoned.message_key,
        reasoned.session_id,
        sessions.project_id,
        reasoned.entry_uuid,
        reasoned.message_id,
        reasoned.request_id,
        reasoned.role,
        reasoned.message_kind,
        reasoned.created_at,
        reasoned.created_date_key,
        reasoned.created_hour,
        cast(reasoned.content_length as bigint) as content_length,
        reasoned.has_code_block,
        reasoned.is_question,
        reasoned.task_category,
        case
            when reasoned.role = 'assistant' and reasoned.tool_use_count > 0 then 'tool_use'
            when reasoned.role = 'assistant' then 'answer'
            when reasoned.message_kind = 'tool_result' then 'tool_result'
            when reasoned.message_kind in ('prompt', 'slash_command') then 'human'
            else 'system'
        end as turn_type,
        reasoned.prompt_key,
        {{ exact_seconds('epoch_ms(reasoned.created_at) - epoch_ms(reasoned.previous_at)') }} as seconds_since_previous,
        case
            when reasoned.message_kind = 'response'
                then {{ exact_seconds('epoch_ms(reasoned.created_at) - epoch_ms(reasoned.asked_at)') }}
        end as response_seconds,
        reasoned.model,
        reasoned.input_tokens,
        reasoned.output_tokens,
        reasoned.cache_write_5m_tokens,
        reasoned.cache_write_1h_tokens,
        reasoned.cache_read_tokens,
        reasoned.context_tokens,
        reasoned.cost_usd,
        reasoned.input_cost_usd,
        reasoned.output_cost_usd,
        reasoned.cache_write_cost_usd,
        reasoned.cache_read_cost_usd,
        reasoned.cost_usd is not null as is_priced,
        reasoned.output_is_lower_bound,
        reasoned.is_fast,
        reasoned.service_tier,
        reasoned.inference_geo,
        reasoned.web_search_requests,
        reasoned.thinking_tokens,
        reasoned.effort,
        reasoned.attribution_skill,
        reasoned.attribution_plugin,
        reasoned.attribution_mcp_server,
        reasoned.error_status,
        reasoned.error_name,
        reasoned.stop_reason,
        reasoned.is_queued,
        reasoned.is_sidechain,
        reasoned.agent_id,
        reasoned.tool_use_count,
        turns.cost_usd as turn_cost_usd,
        case when reasoned.message_key = reasoned.prompt_key then coalesce(turns.response_count, 0) end
            as turn_response_count,
        case when reasoned.message_key = reasoned.prompt_key then coalesce(turns.unpriced_response_count, 0) end
            as turn_unpriced_response_count,
        case when reasoned.message_key = reasoned.prompt_key then coalesce(turns.tool_use_count, 0) end
            as turn_tool_use_count,
        case
            when reasoned.message_kind in ('response', 'advisor') then reasoned.response_reason
            else {{ turn_is_expensive_because('turns') }}
        end as expensive_because
    from reasoned
    inner join sessions
        on reasoned.session_id = sessions.session_id
    left join turns
        on reasoned.message_key = turns.prompt_key

)

select * from final
order by created_date_key
