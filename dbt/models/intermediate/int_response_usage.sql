{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
        cluster_by='created_date_key',
    )
}}

-- depends_on: {{ ref('int_touched_days') }}

{#- What an advisor's response has of the response it was asked in. -#}
{%- set shared = [
    'session_id', 'created_at', 'entry_uuid', 'message_id', 'request_id', 'is_sidechain', 'agent_id', 'stop_reason',
    'output_is_lower_bound', 'service_tier', 'inference_geo', 'effort', 'attribution_skill', 'attribution_plugin',
    'attribution_mcp_server', 'is_synthetic', 'is_api_error', 'error_status', 'error_name',
] %}

with lines as (

    select
        *,
        {{ context_tokens() }} + output_tokens as total_tokens,
        -- a line holds one block as a rule, so its calls are nobody else's
        len([b.tool_use_id for b in tool_blocks if b.block_type = 'tool_use']) as line_tool_use_count
    from {{ ref('int_entries') }}
    where
        entry_type = 'assistant'
        and has_message
        and (is_standing or not coalesce(has_shared_message_id, false))

),

-- What a response is stands in its lines and in copies of them. Windows and not one aggregate per response: they sort
-- on disk when there are many, and an aggregate that keeps texts holds all of them in memory.
described as (

    select
        response_key,
        -- its session and chain are those of its first line
        session_id,
        uuid as entry_uuid,
        request_id,
        is_sidechain,
        agent_id,
        row_number() over first_line as line_number,
        min(occurred_at) over all_lines as created_at,
        first_value(message_id) over first_line as message_id,
        max(stop_reason) over all_lines as stop_reason,
        bool_and(stop_reason is null) over all_lines as output_is_lower_bound,
        bool_or(is_fast) over all_lines as is_fast,
        max(service_tier) over all_lines as service_tier,
        max(inference_geo) over all_lines as inference_geo,
        max(web_search_requests) over all_lines as web_search_requests,
        max(effort) over all_lines as effort,
        max(attribution_skill) over all_lines as attribution_skill,
        max(attribution_plugin) over all_lines as attribution_plugin,
        max(attribution_mcp_server) over all_lines as attribution_mcp_server,
        bool_or(is_api_error_message) over all_lines as is_api_error,
        max(error_status) over all_lines as error_status,
        max(error_name) over all_lines as error_name,
        bool_or(model is not distinct from '<synthetic>') over all_lines as is_synthetic,
        -- the usage that counts is the largest: early lines can carry partial counts
        first_value(model) over largest_usage as model,
        first_value(input_tokens) over largest_usage as input_tokens,
        first_value(output_tokens) over largest_usage as output_tokens,
        first_value(cache_write_5m_tokens) over largest_usage as cache_write_5m_tokens,
        first_value(cache_write_1h_tokens) over largest_usage as cache_write_1h_tokens,
        first_value(cache_read_tokens) over largest_usage as cache_read_tokens,
        first_value(thinking_tokens) over largest_usage as thinking_tokens,
        first_value(advisor_iterations) over largest_usage as advisor_iterations,
        -- what it says is counted on standing lines only: a copy says nothing twice
        sum(text_length) filter (where is_standing) over all_lines as content_length,
        bool_or(has_code_block) filter (where is_standing) over all_lines as has_code_block,
        bool_or(is_question) filter (where is_standing) over all_lines as is_question,
        sum(line_tool_use_count) filter (where is_standing) over all_lines as tool_use_count
    from lines
    window
        all_lines as (partition by response_key),
        first_line as (
            partition by response_key
            -- a fork's copies come after what they were copied from
            order by not is_standing, occurred_at nulls last, session_id, source_file, uuid, document_id
        ),
        largest_usage as (
            partition by response_key
            order by
                total_tokens desc,
                output_tokens desc,
                input_tokens desc,
                cache_read_tokens desc,
                cache_write_1h_tokens desc,
                len(advisor_iterations) desc,
                thinking_tokens desc nulls last,
                model desc nulls first
        )

),

responses as (

    select * from described
    where line_number = 1

),

-- What an advisor said is a response of its own, of the same moment.
advisors as (

    select
        {{ shared | join(',\n        ') }},
        response_key || '#' || position as response_key,
        advisor.model as model,
        true as is_advisor,
        false as is_fast,
        0 as web_search_requests,
        cast(null as bigint) as thinking_tokens,
        advisor.input_tokens as input_tokens,
        advisor.output_tokens as output_tokens,
        advisor.cache_write_5m_tokens as cache_write_5m_tokens,
        advisor.cache_write_1h_tokens as cache_write_1h_tokens,
        advisor.cache_read_tokens as cache_read_tokens,
        0 as content_length,
        false as has_code_block,
        false as is_question,
        0 as tool_use_count
    from (
        select
            *,
            unnest(advisor_iterations) as advisor,
            generate_subscripts(advisor_iterations, 1) as position
        from responses
        where
            len(advisor_iterations) > 0
            and not is_synthetic
    )

),

all_responses as (

    select
        {{ shared | join(',\n        ') }},
        response_key,
        model,
        false as is_advisor,
        is_fast,
        web_search_requests,
        thinking_tokens,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        content_length,
        has_code_block,
        is_question,
        tool_use_count
    from responses
    union all
    select * from advisors

),

final as (

    select
        response_key,
        session_id,
        created_at,
        entry_uuid,
        message_id,
        request_id,
        is_sidechain,
        agent_id,
        model,
        stop_reason,
        output_is_lower_bound,
        is_advisor,
        is_fast,
        service_tier,
        inference_geo,
        cast(web_search_requests as bigint) as web_search_requests,
        thinking_tokens,
        effort,
        attribution_skill,
        attribution_plugin,
        attribution_mcp_server,
        is_synthetic,
        is_synthetic and is_api_error as is_api_error,
        error_status,
        error_name,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        {{ local_date('created_at') }} as created_date_key,
        {{ context_tokens() }} as prompt_tokens,
        cast(coalesce(content_length, 0) as bigint) as content_length,
        coalesce(has_code_block, false) as has_code_block,
        coalesce(is_question, false) as is_question,
        cast(coalesce(tool_use_count, 0) as bigint) as tool_use_count
    from all_responses

)

select * from final
where {{ touched_sessions_filter() }}
order by created_date_key
