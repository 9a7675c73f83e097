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
        has_result_object,
        is_background_result,
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

calls_of_lines as (

    select * from blocks
    where block.block_type = 'tool_use'

),

results_of_lines as (

    select * from blocks
    where block.block_type = 'tool_result'

),

-- A call is its response's; one that stands in several entries is the earliest one's. Few do: only those are ranked.
repeated_calls as (

    select
        response_key,
        block.tool_use_id as tool_use_id
    from calls_of_lines
    group by all
    having count(*) > 1

),

later_calls as (

    select
        document_id,
        block_position
    from calls_of_lines
    where (response_key, block.tool_use_id) in (select (response_key, tool_use_id) from repeated_calls)
    qualify row_number() over (
        partition by response_key, block.tool_use_id
        order by occurred_at nulls last, session_id, source_file nulls last, document_id, block_position
    ) > 1

),

calls as (

    select
        calls_of_lines.*,
        {{ surrogate_key(['response_key', 'block.tool_use_id']) }} as tool_call_key
    from calls_of_lines
    anti join later_calls
        on calls_of_lines.document_id = later_calls.document_id
        and calls_of_lines.block_position = later_calls.block_position

),

-- An id stands once as a call and once as a result, as a rule; some vendors count anew in every turn.
recurring as (

    select block.tool_use_id as tool_use_id
    from calls
    group by all
    having count(*) > 1

),

repeated_results as (

    select block.tool_use_id as tool_use_id
    from results_of_lines
    group by all
    having count(*) > 1

),

later_results as (

    select
        document_id,
        block_position
    from results_of_lines
    where
        block.tool_use_id in (select tool_use_id from repeated_results)
        and block.tool_use_id not in (select tool_use_id from recurring)
    qualify row_number() over (
        partition by block.tool_use_id
        order by occurred_at nulls last, session_id, source_file nulls last, document_id, block_position
    ) > 1

),

-- An id used once is paired by itself: a result can stand before its call, in another file or in another session.
results_of_one_call as (

    select
        calls.tool_call_key,
        results_of_lines.document_id,
        results_of_lines.block_position
    from results_of_lines
    anti join later_results
        on results_of_lines.document_id = later_results.document_id
        and results_of_lines.block_position = later_results.block_position
    inner join calls
        on results_of_lines.block.tool_use_id = calls.block.tool_use_id
    where results_of_lines.block.tool_use_id not in (select tool_use_id from recurring)

),

-- An id that recurs: a result belongs to the nearest earlier call of its session and chain, a call has one result.
results_of_nearest_call as (

    select
        tool_call_key,
        document_id,
        block_position
    from (
        select
            last_value(tool_call_key ignore nulls) over (
                partition by session_id, is_sidechain, agent_id, tool_use_id
                -- at one instant the call comes before its result
                order by occurred_at nulls last, is_result, source_file nulls last, document_id, block_position
                rows between unbounded preceding and current row
            ) as tool_call_key,
            document_id,
            block_position,
            is_result,
            occurred_at,
            source_file
        from (
            select
                tool_call_key,
                document_id,
                block_position,
                session_id,
                is_sidechain,
                agent_id,
                block.tool_use_id as tool_use_id,
                occurred_at,
                source_file,
                false as is_result
            from calls
            where block.tool_use_id in (select tool_use_id from recurring)
            union all
            select
                null,
                document_id,
                block_position,
                session_id,
                is_sidechain,
                agent_id,
                block.tool_use_id,
                occurred_at,
                source_file,
                true
            from results_of_lines
            where block.tool_use_id in (select tool_use_id from recurring)
        )
    )
    where
        is_result
        and tool_call_key is not null
    qualify row_number() over (
        partition by tool_call_key
        order by occurred_at nulls last, source_file nulls last, document_id, block_position
    ) = 1

),

pairs as (

    select * from results_of_one_call
    union all
    select * from results_of_nearest_call

),

results as (

    select
        results_of_lines.*,
        pairs.tool_call_key
    from results_of_lines
    inner join pairs
        on results_of_lines.document_id = pairs.document_id
        and results_of_lines.block_position = pairs.block_position

),

paired as (

    select
        calls.tool_call_key,
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
        results.block.written as written,
        results.is_result_interrupted,
        coalesce(results.has_result_object, false) as has_result_object,
        results.tool_denial_kind,
        calls.block.input_hash as input_hash,
        calls.block.input_length as input_length,
        calls.block.file_path as file_path,
        calls.block.command_program as command_program,
        calls.block.is_git_commit as runs_git_commit,
        calls.block.is_pull_request as runs_pull_request,
        calls.block.subagent_type as requested_subagent_type,
        calls.block.skill as skill,
        coalesce(calls.block.is_background, false) or coalesce(results.is_background_result, false) as is_background,
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
        on calls.tool_call_key = results.tool_call_key
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
