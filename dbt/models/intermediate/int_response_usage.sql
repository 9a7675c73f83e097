{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with lines as (

    select
        *,
        input_tokens
        + output_tokens
        + cache_write_5m_tokens
        + cache_write_1h_tokens
        + cache_read_tokens as total_tokens
    from {{ ref('int_entries') }}
    where
        entry_type = 'assistant'
        and has_message

),

-- One row per response over all copies of all lines: the usage that counts is the largest, because early lines can
-- carry partial counts. Its session and chain are those of its first line.
responses as (

    select
        response_key,
        min(occurred_at) as created_at,
        any_value(message_id) as message_id,
        max(stop_reason) as stop_reason,
        bool_and(stop_reason is null) as output_is_lower_bound,
        bool_or(is_fast) as is_fast,
        bool_or(model is not distinct from '<synthetic>') as is_synthetic,
        arg_min(
            {
                'session_id': session_id,
                'uuid': uuid,
                'request_id': request_id,
                'is_sidechain': is_sidechain,
                'agent_id': agent_id
            },
            row(occurred_at is null, occurred_at, session_id, source_file, uuid, document_id)
        ) as first_line,
        arg_max(
            {
                'model': model,
                'input_tokens': input_tokens,
                'output_tokens': output_tokens,
                'cache_write_5m_tokens': cache_write_5m_tokens,
                'cache_write_1h_tokens': cache_write_1h_tokens,
                'cache_read_tokens': cache_read_tokens
            },
            row(total_tokens, output_tokens, input_tokens, cache_read_tokens, cache_write_1h_tokens, model)
        ) as largest_usage
    from lines
    group by response_key

),

usage as (

    select
        response_key,
        first_line.session_id as session_id,
        created_at,
        first_line.uuid as entry_uuid,
        message_id,
        first_line.request_id as request_id,
        first_line.is_sidechain as is_sidechain,
        first_line.agent_id as agent_id,
        largest_usage.model as model,
        stop_reason,
        output_is_lower_bound,
        is_fast,
        is_synthetic,
        largest_usage.input_tokens as input_tokens,
        largest_usage.output_tokens as output_tokens,
        largest_usage.cache_write_5m_tokens as cache_write_5m_tokens,
        largest_usage.cache_write_1h_tokens as cache_write_1h_tokens,
        largest_usage.cache_read_tokens as cache_read_tokens
    from responses

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
