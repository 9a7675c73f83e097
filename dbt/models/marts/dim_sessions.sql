{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with

sessions as (

    select * from {{ ref('int_sessions') }}
    where {{ touched_sessions_filter() }}

),

messages as (

    {{ touched_rows(ref('fct_messages'), 'created_date_key') }}

),

tool_calls as (

    {{ touched_rows(ref('fct_tool_calls'), 'called_date_key') }}

),

file_operations as (

    {{ touched_rows(ref('fct_file_operations'), 'operated_date_key') }}

),

session_messages as (

    select
        session_id,
        count(*) as message_count,
        count(*) filter (where {{ is_human_prompt() }}) as prompt_count,
        count(*) filter (where {{ is_queued_prompt() }}) as queued_prompt_count,
        count(*) filter (where message_kind = 'api_error') as api_error_count,
        count(*) filter (where message_kind = 'interrupt') as interrupts,
        max(context_tokens) filter (where message_kind in ('response', 'advisor')) as max_context_tokens,
        {{ response_measures() }}
    from messages
    group by session_id

),

-- the most used model; of equally used ones the first by name
session_models as (

    select
        session_id,
        arg_min(model, (-response_count, model)) as primary_model
    from (
        select
            session_id,
            model,
            count(*) as response_count
        from messages
        where
            message_kind in ('response', 'advisor')
            and model is not null
        group by
            session_id,
            model
    )
    group by session_id

),

-- the effort most of its responses were made with; of equals the first by name
session_efforts as (

    select
        session_id,
        arg_min(effort, (-response_count, effort)) as effort
    from (
        select
            session_id,
            effort,
            count(*) as response_count
        from messages
        where
            message_kind = 'response'
            and effort is not null
        group by
            session_id,
            effort
    )
    group by session_id

),

session_tool_calls as (

    select
        session_id,
        count(*) as tool_call_count,
        count(*) filter (where status = 'error') as tool_error_count,
        count(*) filter (where status = 'rejected') as rejected_tool_call_count,
        count(*) filter (where is_git_commit) as commits,
        count(*) filter (where is_pull_request) as pull_requests,
        count(distinct spawned_agent_id) as subagent_count
    from tool_calls
    group by session_id

),

session_tools as (

    select
        session_id,
        arg_min(tool_name, (-call_count, tool_name)) as primary_tool
    from (
        select
            session_id,
            tool_name,
            count(*) as call_count
        from tool_calls
        group by
            session_id,
            tool_name
    )
    group by session_id

),

session_file_operations as (

    select
        session_id,
        cast(sum(lines_added) as bigint) as lines_added,
        cast(sum(lines_removed) as bigint) as lines_removed
    from file_operations
    where status = 'success'
    group by session_id

),

joined as (

    select
        sessions.*,
        coalesce(session_messages.message_count, 0) as message_count,
        coalesce(session_messages.prompt_count, 0) as prompt_count,
        coalesce(session_messages.queued_prompt_count, 0) as queued_prompt_count,
        coalesce(session_messages.response_count, 0) as response_count,
        coalesce(session_tool_calls.tool_call_count, 0) as tool_call_count,
        coalesce(session_tool_calls.tool_error_count, 0) as tool_error_count,
        coalesce(session_tool_calls.rejected_tool_call_count, 0) as rejected_tool_call_count,
        coalesce(session_messages.api_error_count, 0) as api_error_count,
        {%- for tokens in token_columns() %}
        coalesce(session_messages.{{ tokens }}, 0) as {{ tokens }},
        {%- endfor %}
        -- null stays null: responses, but no price for any of them
        case when session_messages.session_id is null then 0 else session_messages.cost_usd end as cost_usd,
        coalesce(session_messages.unpriced_response_count, 0) as unpriced_response_count,
        coalesce(session_messages.lower_bound_response_count, 0) as lower_bound_response_count,
        session_models.primary_model,
        session_efforts.effort,
        session_tools.primary_tool,
        coalesce(session_tool_calls.commits, 0) as commits,
        coalesce(session_tool_calls.pull_requests, 0) as pull_requests,
        coalesce(session_file_operations.lines_added, 0) as lines_added,
        coalesce(session_file_operations.lines_removed, 0) as lines_removed,
        coalesce(session_tool_calls.subagent_count, 0) as subagent_count,
        coalesce(session_messages.interrupts, 0) as interrupts,
        session_messages.max_context_tokens
    from sessions
    left join session_messages
        on sessions.session_id = session_messages.session_id
    left join session_models
        on sessions.session_id = session_models.session_id
    left join session_efforts
        on sessions.session_id = session_efforts.session_id
    left join session_tool_calls
        on sessions.session_id = session_tool_calls.session_id
    left join session_tools
        on sessions.session_id = session_tools.session_id
    left join session_file_operations
        on sessions.session_id = session_file_operations.session_id

),

final as (

    select
        session_id,
        project_id,
        title,
        started_at,
        ended_at,
        {{ local_date('started_at') }} as started_date_key,
        {{ exact_seconds('epoch_ms(ended_at) - epoch_ms(started_at)') }} as duration_seconds,
        active_seconds,
        case
            when ended_at is null then null
            when epoch_ms(ended_at) - epoch_ms(started_at) < 300000 then 'under_5_min'
            when epoch_ms(ended_at) - epoch_ms(started_at) < 1800000 then '5_to_30_min'
            when epoch_ms(ended_at) - epoch_ms(started_at) < 7200000 then '30_to_120_min'
            else 'over_2_hours'
        end as duration_category,
        case
            when tool_call_count + prompt_count < 10 then 'low'
            when tool_call_count + prompt_count < 100 then 'medium'
            else 'high'
        end as activity_level,
        entry_count,
        user_entry_count,
        assistant_entry_count,
        message_count,
        prompt_count,
        queued_prompt_count,
        response_count,
        tool_call_count,
        tool_error_count,
        rejected_tool_call_count,
        tool_error_count + api_error_count as error_count,
        {%- for tokens in token_columns() %}
        {{ tokens }},
        {%- endfor %}
        cast(cost_usd as decimal(18, 9)) as cost_usd,
        unpriced_response_count,
        lower_bound_response_count,
        primary_model,
        primary_tool,
        claude_version,
        git_branch,
        machine,
        entrypoint,
        commits,
        pull_requests,
        lines_added,
        lines_removed,
        subagent_count,
        compactions,
        interrupts,
        max_context_tokens,
        is_resumed,
        is_forked,
        forked_from_session_id,
        is_automated,
        turn_seconds,
        hook_seconds,
        pull_request_links,
        effort,
        person
    from joined

)

select * from final
