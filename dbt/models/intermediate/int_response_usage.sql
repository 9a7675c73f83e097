{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook='{{ delete_touched_sessions() }}',
    )
}}

with lines as (

    select
        *,
        input_tokens
        + output_tokens
        + cache_write_5m_tokens
        + cache_write_1h_tokens
        + cache_read_tokens as total_tokens,
        -- the line a response's session and chain are taken from: the first one
        row(occurred_at is null, occurred_at, session_id, source_file, document_id) as line_order
    from {{ ref('int_entries') }}
    where
        entry_type = 'assistant'
        and has_message

),

-- One row per response over all copies of all lines: the usage that counts is the largest, because early lines can
-- carry partial counts.
usage as (

    select
        response_key,
        arg_min(session_id, line_order) as session_id,
        min(occurred_at) as created_at,
        arg_min(uuid, line_order) as entry_uuid,
        any_value(message_id) as message_id,
        arg_min(request_id, line_order) as request_id,
        arg_min(is_sidechain, line_order) as is_sidechain,
        arg_min(agent_id, line_order) as agent_id,
        arg_max(model, row(total_tokens, model)) as model,
        max(stop_reason) as stop_reason,
        bool_and(stop_reason is null) as output_is_lower_bound,
        bool_or(is_fast) as is_fast,
        bool_or(model is not distinct from '<synthetic>') as is_synthetic,
        arg_max(input_tokens, row(total_tokens, output_tokens, input_tokens)) as input_tokens,
        arg_max(output_tokens, row(total_tokens, output_tokens, input_tokens)) as output_tokens,
        arg_max(cache_write_5m_tokens, row(total_tokens, output_tokens, input_tokens)) as cache_write_5m_tokens,
        arg_max(cache_write_1h_tokens, row(total_tokens, output_tokens, input_tokens)) as cache_write_1h_tokens,
        arg_max(cache_read_tokens, row(total_tokens, output_tokens, input_tokens)) as cache_read_tokens
    from lines
    group by response_key

),

-- What a response says is counted on standing lines only: a copy says nothing twice.
text as (

    select
        response_key,
        cast(coalesce(sum(text_length), 0) as bigint) as content_length,
        bool_or(has_code_block) as has_code_block,
        bool_or(is_question) as is_question,
        -- a line holds one block as a rule, so its calls are nobody else's
        cast(sum(len([b.tool_use_id for b in tool_blocks if b.block_type = 'tool_use'])) as bigint) as tool_use_count
    from lines
    where is_standing
    group by response_key

),

final as (

    select
        usage.*,
        {{ local_date('usage.created_at') }} as created_date_key,
        usage.input_tokens
        + usage.cache_write_5m_tokens
        + usage.cache_write_1h_tokens
        + usage.cache_read_tokens as prompt_tokens,
        coalesce(text.content_length, 0) as content_length,
        coalesce(text.has_code_block, false) as has_code_block,
        coalesce(text.is_question, false) as is_question,
        coalesce(text.tool_use_count, 0) as tool_use_count
    from usage
    left join text
        on usage.response_key = text.response_key

)

select * from final
where {{ touched_sessions_filter() }}
