{{ config(materialized='view') }}

with entries as (

    select
        *,
        {{ author_of_text('text_head') }} as author
    from {{ ref('int_entries') }}
    where is_standing

),

user_entries as (

    select
        -- a line's uuid may equal the id of some response
        'entry:' || entry_key as message_key,
        session_id,
        uuid as entry_uuid,
        cast(null as varchar) as message_id,
        request_id,
        'user' as role,
        case
            when has_tool_result then 'tool_result'
            when is_compact_summary then 'compact_summary'
            when is_meta or not has_content then 'meta'
            when is_sidechain then 'subagent_prompt'
            -- what Claude Code says about the author settles it, whatever the text looks like
            when author in ('interrupt', 'slash_command', 'shell_command') then author
            when origin_kind in ('peer', 'teammate') then 'teammate_message'
            when origin_kind = 'channel' then 'channel'
            when regexp_matches(origin_kind, 'schedul|cron') then 'scheduled'
            when author in ('teammate_message', 'scheduled', 'channel') then author
            when origin_kind <> 'human' then 'command_output'
            when prompt_source = 'system' then 'meta'
            when origin_kind = 'human' or prompt_source in ('typed', 'queued') then 'prompt'
            else coalesce(author, 'prompt')
        end as message_kind,
        occurred_at,
        coalesce(text_length, 0) as content_length,
        has_code_block,
        is_question,
        task_category,
        text_hash,
        false as is_queued,
        is_sidechain,
        agent_id
    from entries
    where entry_type = 'user'

),

-- What was typed while Claude worked: a prompt, unless it stands again as a line of its own.
queued_commands as (

    select
        -- a line's uuid may equal the id of some response
        'entry:' || entry_key as message_key,
        session_id,
        uuid as entry_uuid,
        cast(null as varchar) as message_id,
        request_id,
        'user' as role,
        case
            when author = 'interrupt' then 'prompt'
            when origin_kind in ('peer', 'teammate') then 'teammate_message'
            when author is not null then author
            when origin_kind <> 'human' then 'command_output'
            else 'prompt'
        end as message_kind,
        occurred_at,
        coalesce(text_length, 0) as content_length,
        has_code_block,
        is_question,
        task_category,
        text_hash,
        true as is_queued,
        is_sidechain,
        agent_id
    from entries
    where
        is_queued_command
        and not is_meta
        and (session_id, text_hash) not in (
            select (session_id, text_hash)
            from entries
            where entry_type = 'user' and text_hash is not null
        )
    -- the same text queued once is attached once, whatever the number of lines that repeat it
    qualify row_number() over (
        partition by session_id, text_hash, occurred_at
        order by entry_key
    ) = 1

),

user_messages as (

    select * from user_entries
    union all
    select * from queued_commands

),

responses as (

    {{ touched_rows(ref('int_response_usage'), 'created_date_key', incremental=not flags.FULL_REFRESH) }}

),

messages as (

    select
        message_key,
        session_id,
        entry_uuid,
        message_id,
        request_id,
        role,
        message_kind,
        occurred_at,
        content_length,
        has_code_block,
        is_question,
        case when message_kind = 'prompt' then task_category end as task_category,
        is_queued,
        is_sidechain,
        agent_id,
        cast(null as varchar) as model,
        cast(null as varchar) as stop_reason,
        false as output_is_lower_bound,
        false as is_fast,
        cast(null as varchar) as service_tier,
        cast(null as varchar) as inference_geo,
        cast(null as bigint) as web_search_requests,
        cast(null as bigint) as thinking_tokens,
        cast(null as varchar) as effort,
        cast(null as varchar) as attribution_skill,
        cast(null as varchar) as attribution_plugin,
        cast(null as varchar) as attribution_mcp_server,
        cast(null as varchar) as error_status,
        cast(null as varchar) as error_name,
        cast(null as bigint) as input_tokens,
        cast(null as bigint) as output_tokens,
        cast(null as bigint) as cache_write_5m_tokens,
        cast(null as bigint) as cache_write_1h_tokens,
        cast(null as bigint) as cache_read_tokens,
        0 as tool_use_count
    from user_messages
    where session_id in (select session_id from {{ ref('int_touched_sessions') }} where is_touched)
    union all
    select
        response_key,
        session_id,
        entry_uuid,
        message_id,
        request_id,
        'assistant',
        case
            when is_api_error then 'api_error'
            when is_synthetic then 'placeholder'
            when is_advisor then 'advisor'
            else 'response'
        end,
        created_at,
        content_length,
        has_code_block,
        is_question,
        null,
        false,
        is_sidechain,
        agent_id,
        model,
        stop_reason,
        output_is_lower_bound and not is_synthetic and not coalesce(is_advisor, false),
        is_fast,
        service_tier,
        inference_geo,
        case when not is_synthetic then web_search_requests end,
        case when not is_synthetic then thinking_tokens end,
        effort,
        attribution_skill,
        attribution_plugin,
        attribution_mcp_server,
        case when is_api_error then error_status end,
        case when is_api_error then error_name end,
        -- a placeholder for an API error used nothing
        case when not is_synthetic then input_tokens end,
        case when not is_synthetic then output_tokens end,
        case when not is_synthetic then cache_write_5m_tokens end,
        case when not is_synthetic then cache_write_1h_tokens end,
        case when not is_synthetic then cache_read_tokens end,
        tool_use_count
    from responses

),

-- The few lines without a time are put at their session's beginning.
dated as (

    select
        * exclude (occurred_at),
        coalesce(occurred_at, min(occurred_at) over (partition by session_id)) as created_at
    from messages

),

turns as (

    select
        *,
        last_value(
            case
                when message_kind in ('prompt', 'slash_command') and not is_sidechain then message_key
            end ignore nulls
        ) over session_order as prompt_key,
        lag(created_at) over chain_order as previous_at,
        last_value(case when message_kind in ('response', 'advisor') then created_at end ignore nulls) over (
            partition by session_id, is_sidechain, agent_id
            order by created_at, role desc, message_key
            rows between unbounded preceding and 1 preceding
        ) as previous_response_at,
        last_value(case when role = 'user' then created_at end ignore nulls) over chain_order as asked_at
    from dated
    window
        -- at one instant what the user said comes before the answer
        session_order as (
            partition by session_id
            order by created_at, role desc, message_key
            rows between unbounded preceding and current row
        ),
        chain_order as (
            partition by session_id, is_sidechain, agent_id
            order by created_at, role desc, message_key
            rows between unbounded preceding and current row
        )

)

select * from turns
