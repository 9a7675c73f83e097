{{
    config(
        materialized='incremental',
    )
}}

{# Keys that a store adds to an entry; they are not part of its content. #}
{%- set store_keys = ['_id', 'projectId', 'sourceFile', 'ingestedAt', 'machine'] -%}
{%- set stated_usd = "try_cast(json_extract_string(model_usage, '$.\"' || replace(model_name, '\"', '') || '\".costUSD') as double)" -%}

with source as (

    select * from {{ source('raw', 'new_documents') }}
    {%- if is_incremental() %}
    -- a transform that is repeated on the same working copy adds nothing
    where load_id > (select coalesce(max(load_id), 0) from {{ this }})
    {%- endif %}

),

parsed as (

    select
        * exclude (entry),
        {{ parse_json('entry', entry_shape()) }} as e,
        case
            when uuid is null then {{ canonical_json('entry', without=store_keys) }}
        end as content_without_uuid
    from source

),

-- A progress entry of a sub-agent carries the sub-agent's own entry: that one is what happened, on a side chain.
unwrapped as (

    select
        *,
        e.data.type is not distinct from 'agent_progress'
        and type = 'progress'
        and e.data.message.type in ('user', 'assistant') as is_unwrapped
    from parsed

),

chosen as (

    select
        *,
        case when is_unwrapped then e.data.message.type else coalesce(type, e.type) end as entry_type,
        case when is_unwrapped then e.data.message.uuid else uuid end as entry_uuid,
        case
            when is_unwrapped then coalesce(try_cast(e.data.message.timestamp as timestamptz), timestamp)
            else timestamp
        end as occurred_at,
        case when is_unwrapped then e.data.message.message else e.message end as message,
        case when is_unwrapped then e.data.message.toolUseResult else e.toolUseResult end as tool_result,
        coalesce(case when is_unwrapped then e.data.message.isMeta else e.isMeta end, false) as is_meta,
        coalesce(
            case when is_unwrapped then e.data.message.isCompactSummary else e.isCompactSummary end, false
        ) as is_compact_summary,
        coalesce(
            case when is_unwrapped then e.data.message.isApiErrorMessage else e.isApiErrorMessage end, false
        ) as is_api_error_message,
        case
            when is_unwrapped then coalesce(e.data.message.toolDenialKind, e.toolDenialKind)
            else e.toolDenialKind
        end as tool_denial_kind,
        case when is_unwrapped then e.data.message.effort else e.effort end as effort,
        case when is_unwrapped then e.data.message.attributionSkill else e.attributionSkill end as attribution_skill,
        case when is_unwrapped then e.data.message.attributionPlugin else e.attributionPlugin end as attribution_plugin,
        case
            when is_unwrapped then e.data.message.attributionMcpServer
            else e.attributionMcpServer
        end as attribution_mcp_server,
        case when is_unwrapped then e.data.message.advisorModel else e.advisorModel end as advisor_model,
        -- a list's expression would be given all of `e` for it
        e.modelUsage as model_usage
    from unwrapped

),

-- Only conversation lines have content worth a second look.
content as (

    select
        *,
        nullif(trim(message.id), '') as response_id,
        case when not is_unwrapped then nullif(e.forkedFrom.messageUuid, '') end as forked_from_uuid,
        coalesce(not is_unwrapped and (e.forkedFrom.messageUuid is not null or e.forkedFrom.sessionId is not null), false)
            as is_forked,
        case
            when entry_type in ('user', 'assistant') then message.content
            when entry_type = 'attachment' and e.attachment.type = 'queued_command' then e.attachment.prompt
        end as content
    from chosen

),

blocks as (

    select
        * exclude (content),
        {{ json_text('content') }} as string_content,
        case
            when {{ json_starts_with('content', '[') }} then {{ parse_json('content', block_shape()) }}
            else []
        end as blocks
    from content

),

texts as (

    select
        *,
        coalesce(
            string_content,
            nullif(
                array_to_string(
                    [b.text for b in blocks if b.type = 'text' and b.text is not null],
                    chr(10)
                ),
                ''
            )
        ) as text_content
    from blocks

),

tool_blocks as (

    select
        *,
        [
            {
                'block_type': b.type,
                'tool_use_id': coalesce(b.id, b.tool_use_id),
                'tool_name': b.name,
                'input': case
                    when b.type = 'tool_use'
                        then {{ parse_json('b.input', '{"file_path":"VARCHAR","notebook_path":"VARCHAR","command":"VARCHAR","content":"VARCHAR","subagent_type":"VARCHAR","skill":"VARCHAR","run_in_background":"BOOLEAN","offset":"BIGINT","limit":"BIGINT"}') }}
                end,
                'input_hash': case when b.type = 'tool_use' then md5(cast(b.input as varchar)) end,
                'input_length': case when b.type = 'tool_use' then length(cast(b.input as varchar)) end,
                'is_error': case when b.type = 'tool_result' then coalesce(b.is_error, false) end,
                'result_text': case when b.type = 'tool_result' then {{ json_texts('b.content') }} end
            }
            for b in blocks
            if b.type in ('tool_use', 'tool_result') and coalesce(b.id, b.tool_use_id) is not null
        ] as tool_blocks
    from texts

),

-- What is kept of a block is what the marts need: no file content, no output beyond the head of an error.
compact_blocks as (

    select
        * exclude (tool_blocks),
        [
            {
                'block_type': b.block_type,
                'tool_use_id': b.tool_use_id,
                'tool_name': b.tool_name,
                'input_hash': b.input_hash,
                'input_length': b.input_length,
                'file_path': coalesce(b.input.file_path, b.input.notebook_path),
                'command_program': {{ command_program('b.input.command') }},
                'is_git_commit': b.tool_name in ('Bash', 'PowerShell')
                and coalesce({{ runs_git_commit('b.input.command') }}, false),
                'is_pull_request': b.tool_name in ('Bash', 'PowerShell')
                and coalesce({{ runs_pull_request('b.input.command') }}, false),
                'subagent_type': b.input.subagent_type,
                -- a Skill call names it in `skill`, in `command` before
                'skill': case
                    when b.tool_name = 'Skill' then coalesce(b.input.skill, ltrim(b.input.command, '/'))
                end,
                'is_background': b.input.run_in_background,
                'content_line_count': case
                    when b.tool_name = 'Write' then {{ line_count('b.input.content') }}
                end,
                'is_error': b.is_error,
                'result_length': length(b.result_text),
                'written': {{ written_by_text('b.result_text') }},
                'error_head': case when b.is_error then left(b.result_text, 1000) end
            }
            for b in tool_blocks
        ] as tool_blocks
    from tool_blocks

),

final as (

    select
        -- keys
        "_id" as document_id,
        load_id,
        -- a forked line is a copy of the line it was forked from, whatever its uuid
        coalesce(forked_from_uuid, entry_uuid, 'content:' || md5(content_without_uuid), 'document:' || "_id") as entry_key,
        coalesce(entry_uuid, 'content:' || md5(content_without_uuid), 'document:' || "_id") as line_key,
        is_forked,
        case when is_forked then e.forkedFrom.sessionId end as forked_from_session_id,
        case
            when session_id is not null then session_id
            -- a conversation line that does not say its session belongs to the file it stands in
            when entry_type in ('user', 'assistant')
                then coalesce(nullif(regexp_extract(source_file, '([^/\\]+)\.jsonl$', 1), ''), 'unknown')
        end as session_id,
        coalesce(project_id, regexp_replace(cwd, '[^A-Za-z0-9]', '-', 'g'), 'unknown') as project_id,
        case when is_unwrapped then e.data.agentId else agent_id end as agent_id,
        case
            when entry_type = 'assistant'
                then coalesce(
                    response_id, forked_from_uuid, entry_uuid, 'content:' || md5(content_without_uuid), 'document:' || "_id"
                )
        end as response_key,
        response_id as message_id,
        nullif(case when is_unwrapped then e.data.message.requestId else request_id end, '') as request_id,
        e.leafUuid as leaf_uuid,
        source_file,

        -- envelope
        entry_type,
        case when entry_type = 'system' then e.subtype end as system_subtype,
        occurred_at,
        version,
        cwd,
        git_branch,
        machine,
        e.entrypoint as entrypoint,
        e.promptSource as prompt_source,
        coalesce(e.origin.kind, e.attachment.origin.kind) as origin_kind,

        -- flags
        is_unwrapped or coalesce(is_sidechain, false) as is_sidechain,
        is_unwrapped,
        is_meta,
        is_compact_summary,
        is_api_error_message,
        coalesce(coalesce(e.attachment.hookName, e.data.hookName) = 'SessionStart:resume', false) as is_resume_hook,
        entry_type = 'attachment'
        and e.attachment.type is not distinct from 'queued_command'
        and e.attachment.commandMode is not distinct from 'prompt' as is_queued_command,

        coalesce(message.role is not null or message.content is not null, false) as has_message,
        coalesce(trim(text_content, e' \n\r\t') <> '', false)
        or list_has_any([b.type for b in blocks], ['image', 'document']) as has_content,

        -- text: what it takes to classify it, not the text
        length(text_content) as text_length,
        left(text_content, 300) as text_head,
        md5(trim(text_content)) as text_hash,
        coalesce(contains(text_content, '```'), false) as has_code_block,
        coalesce({{ is_question('text_content') }}, false) as is_question,
        case when entry_type <> 'assistant' then {{ task_category('text_content') }} end as task_category,
        coalesce(e.customTitle, e.aiTitle, e.summary) as title,
        case
            when e.customTitle is not null then 1
            when e.aiTitle is not null then 2
            when e.summary is not null then 3
        end as title_rank,

        -- response
        message.model as model,
        message.stop_reason as stop_reason,
        {{ token_count('message.usage.input_tokens') }} as input_tokens,
        {{ token_count('message.usage.output_tokens') }} as output_tokens,
        -- what is not said to be a 1-hour write is a 5-minute one
        greatest(
            {{ token_count('message.usage.cache_creation_input_tokens') }}
            - {{ token_count('message.usage.cache_creation.ephemeral_1h_input_tokens') }},
            {{ token_count('message.usage.cache_creation.ephemeral_5m_input_tokens') }}
        ) as cache_write_5m_tokens,
        {{ token_count('message.usage.cache_creation.ephemeral_1h_input_tokens') }} as cache_write_1h_tokens,
        {{ token_count('message.usage.cache_read_input_tokens') }} as cache_read_tokens,
        coalesce(message.usage.speed = 'fast', false) as is_fast,
        nullif(message.usage.service_tier, '') as service_tier,
        nullif(nullif(message.usage.inference_geo, ''), 'not_available') as inference_geo,
        {{ token_count('message.usage.server_tool_use.web_search_requests') }} as web_search_requests,
        {{ measured('message.usage.output_tokens_details.thinking_tokens') }} as thinking_tokens,
        -- an advisor's tokens stand here only: the totals above leave them out
        [
            {
                'model': coalesce(i.model, advisor_model),
                'input_tokens': {{ token_count('i.input_tokens') }},
                'output_tokens': {{ token_count('i.output_tokens') }},
                'cache_write_5m_tokens': greatest(
                    {{ token_count('i.cache_creation_input_tokens') }}
                    - {{ token_count('i.cache_creation.ephemeral_1h_input_tokens') }},
                    {{ token_count('i.cache_creation.ephemeral_5m_input_tokens') }}
                ),
                'cache_write_1h_tokens': {{ token_count('i.cache_creation.ephemeral_1h_input_tokens') }},
                'cache_read_tokens': {{ token_count('i.cache_read_input_tokens') }}
            }
            for i in message.usage.iterations
            if i.type = 'advisor_message'
        ] as advisor_iterations,
        nullif(effort, '') as effort,
        nullif(attribution_skill, '') as attribution_skill,
        nullif(attribution_plugin, '') as attribution_plugin,
        nullif(attribution_mcp_server, '') as attribution_mcp_server,

        -- what Claude Code says about its own work
        case
            when entry_type = 'system' and e.subtype = 'api_error' then coalesce(
                e.error ->> '$.status', e.cause.code, e.error ->> '$.cause.code', e.error ->> '$.code'
            )
            when is_api_error_message then coalesce(e.apiErrorStatus ->> '$', nullif(regexp_extract(text_content, '^API Error: (\d{3})\b', 1), ''))
        end as error_status,
        left(
            case
                when entry_type = 'system' and e.subtype = 'api_error' then coalesce(
                    e.error ->> '$.error.error.type', e.error ->> '$.error.type', e.error ->> '$.type', {{ json_text('e.error') }}
                )
                when is_api_error_message then coalesce({{ json_text('e.error') }}, e.error ->> '$.type')
            end,
            200
        ) as error_name,
        {{ measured('e.retryAttempt') }} as retry_attempt,
        {{ measured('e.maxRetries') }} as max_retries,
        {{ measured('e.durationMs') }} as duration_ms,
        case when entry_type = 'system' then e.compactMetadata end as compaction,
        case
            when entry_type = 'system' and e.subtype = 'stop_hook_summary' then [
                {'hook': 'Stop', 'command': left(h.command, 200), 'duration_ms': {{ measured('h.durationMs') }}, 'outcome': 'success', 'is_run': true}
                for h in e.hookInfos
            ] || case
                when e.preventedContinuation
                    then [{'hook': 'Stop', 'command': cast(null as varchar), 'duration_ms': cast(null as bigint), 'outcome': 'blocked', 'is_run': false}]
                else []
            end
            when entry_type = 'attachment' and e.attachment.type in ({{ "'" ~ hook_attachments() | join("', '") ~ "'" }}) then [
                {
                    'hook': coalesce(e.attachment.hookName, e.attachment.hookEvent, 'unknown'),
                    'command': left(e.attachment.command, 200),
                    'duration_ms': {{ measured('e.attachment.durationMs') }},
                    'outcome': case e.attachment.type
                        when 'hook_success' then 'success'
                        when 'hook_blocking_error' then 'blocked'
                        when 'hook_cancelled' then 'cancelled'
                        else 'error'
                    end,
                    -- what a summary of Stop hooks lists is not counted twice
                    'is_run': coalesce(e.attachment.hookEvent, '') not in ('Stop', 'SubagentStop')
                }
            ]
            -- before there were attachments
            when type = 'progress' and e.data.type = 'hook_progress' then [
                {
                    'hook': coalesce(e.data.hookName, e.data.hookEvent, 'unknown'),
                    'command': left(e.data.command, 200),
                    'duration_ms': cast(null as bigint),
                    'outcome': 'unknown',
                    'is_run': coalesce(e.data.hookEvent, '') not in ('Stop', 'SubagentStop')
                }
            ]
        end as hooks,
        case when entry_type = 'cost-state' then {{ measured_usd('e.totalCostUSD') }} end as claude_code_cost_usd,
        case
            when entry_type = 'cost-state' and json_type(model_usage) = 'OBJECT' then [
                {
                    'model': model_name,
                    'cost_usd': {{ measured_usd(stated_usd) }}
                }
                for model_name in json_keys(model_usage)
            ]
        end as claude_code_models,
        case when entry_type = 'pr-link' then e.prUrl end as pull_request_url,

        -- tool calls and results
        tool_blocks,
        list_contains([b.type for b in blocks], 'tool_result') as has_tool_result,
        tool_result.type as result_type,
        tool_result.agentId as spawned_agent_id,
        tool_result.agentType as spawned_agent_type,
        coalesce(tool_result.interrupted, false) as is_result_interrupted,
        tool_result is not null as has_result_object,
        coalesce(tool_result.isAsync, false) or tool_result.backgroundTaskId is not null as is_background_result,
        lower(coalesce(tool_denial_kind, tool_result.toolDenialKind)) as tool_denial_kind,
        coalesce(tool_result.structuredPatch is not null, false) as has_patch,
        {{ patch_line_count('tool_result.structuredPatch', '+') }} as patch_lines_added,
        {{ patch_line_count('tool_result.structuredPatch', '-') }} as patch_lines_removed,
        {{ line_count(json_text('tool_result.content')) }} as result_content_line_count
    from compact_blocks

)

select * from final
