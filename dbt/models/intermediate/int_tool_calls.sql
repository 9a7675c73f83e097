{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
        cluster_by='called_date_key',
    )
}}

-- depends_on: {{ ref('int_touched_days') }}

with blocks as (

    select
        document_id,
        session_id,
        source_file,
        occurred_at,
        response_key,
        is_sidechain,
        agent_id,
        result_type,
        spawned_agent_id,
        spawned_agent_type,
        is_result_interrupted,
        tool_denial_kind,
        has_patch,
        patch_lines_added,
        patch_lines_removed,
        result_content_line_count,
        unnest(tool_blocks) as block,
        generate_subscripts(tool_blocks, 1) as block_position
    from {{ ref('int_entries') }}
    where
        is_standing
        and len(tool_blocks) > 0

),

-- An id stands once as a call and once as a result, as a rule: only the exceptions are ranked.
repeated as (

    select
        block.block_type as block_type,
        block.tool_use_id as tool_use_id
    from blocks
    group by
        block.block_type,
        block.tool_use_id
    having count(*) > 1

),

-- A call, or a result, that stands in several entries is the earliest one's.
later as (

    select
        document_id,
        block_position
    from blocks
    where (block.block_type, block.tool_use_id) in (select (block_type, tool_use_id) from repeated)
    qualify row_number() over (
        partition by block.block_type, block.tool_use_id
        order by occurred_at nulls last, session_id, source_file nulls last, document_id, block_position
    ) > 1

),

first_blocks as (

    select blocks.*
    from blocks
    anti join later
        on blocks.document_id = later.document_id
        and blocks.block_position = later.block_position

),

-- Paired by id alone: a result can stand before its call, in another file or in another session.
calls as (

    select * from first_blocks
    where block.block_type = 'tool_use'

),

results as (

    select * from first_blocks
    where block.block_type = 'tool_result'

),

paired as (

    select
        calls.block.tool_use_id as tool_use_id,
        calls.session_id,
        calls.response_key,
        coalesce(calls.block.tool_name, 'unknown') as tool_name,
        calls.occurred_at as called_at,
        results.occurred_at as finished_at,
        results.document_id is not null as has_result,
        coalesce(results.block.is_error, false) as is_error_result,
        results.block.error_head as error_head,
        results.block.result_length as result_length,
        results.is_result_interrupted,
        results.tool_denial_kind,
        calls.block.input_hash as input_hash,
        calls.block.input_length as input_length,
        calls.block.file_path as file_path,
        calls.block.command_program as command_program,
        calls.block.is_git_commit as runs_git_commit,
        calls.block.is_pull_request as runs_pull_request,
        calls.block.subagent_type as requested_subagent_type,
        calls.block.content_line_count as content_line_count,
        calls.is_sidechain,
        calls.agent_id,
        results.result_type,
        results.spawned_agent_id,
        results.spawned_agent_type,
        coalesce(results.has_patch, false) as has_patch,
        results.patch_lines_added,
        results.patch_lines_removed,
        results.result_content_line_count
    from calls
    left join results
        on calls.block.tool_use_id = results.block.tool_use_id
    where {{ touched_sessions_filter('calls.session_id') }}

),

statuses as (

    select
        *,
        case
            when not has_result then 'pending'
            -- Claude Code's own word (2.1.220 on) wins over the text
            when contains(tool_denial_kind, 'interrupt') then 'interrupted'
            when {{ is_denied_by_user('tool_denial_kind') }} then 'rejected'
            when {{ is_denied_by_rule('tool_denial_kind') }} then 'error'
            when is_error_result and {{ is_rejection('error_head') }} then 'rejected'
            when is_error_result and {{ is_interruption('error_head') }} then 'interrupted'
            when is_error_result then 'error'
            when is_result_interrupted then 'interrupted'
            else 'success'
        end as status
    from paired

),

final as (

    select
        * exclude (
            has_result, is_error_result, error_head, is_result_interrupted, runs_git_commit, runs_pull_request,
            requested_subagent_type, spawned_agent_type
        ),
        -- clocks step back: a negative duration says nothing
        case
            when finished_at >= called_at then epoch_ms(finished_at) - epoch_ms(called_at)
        end as duration_ms,
        {{ local_date('called_at') }} as called_date_key,
        status = 'error' as is_error,
        case when status in ('error', 'rejected') then {{ error_class('status', 'tool_name', 'error_head', 'tool_denial_kind') }} end as error_class,
        case when status in ('error', 'rejected', 'interrupted') then {{ error_text('error_head') }} end as error_text,
        status = 'success' and coalesce(runs_git_commit, false) as is_git_commit,
        status = 'success' and coalesce(runs_pull_request, false) as is_pull_request,
        coalesce(
            requested_subagent_type,
            case when spawned_agent_id is not null then spawned_agent_type end
        ) as subagent_type
    from statuses

)

select * from final
order by called_date_key
