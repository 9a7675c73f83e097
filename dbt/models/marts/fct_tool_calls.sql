{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
        cluster_by='called_date_key',
    )
}}

with tool_calls as (

    {{ touched_rows(ref('int_tool_calls'), 'called_date_key') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

messages as (

    {{ touched_rows(ref('fct_messages'), 'created_date_key') }}

),

-- Of a sub-agent its own responses count; the total a result mentions is only the last context size.
subagents as (

    select
        session_id,
        agent_id,
        {{ response_measures() }}
    from messages
    where agent_id is not null
    group by
        session_id,
        agent_id

),

ordered as (

    select
        *,
        row_number() over (
            partition by session_id
            order by called_at nulls first, tool_use_id, tool_call_key
        ) as call_number
    from tool_calls

),

-- A retry: the same tool with the same input within the next three calls of the session.
retries as (

    select
        tool_call_key,
        coalesce(
            lead(call_number) over (
                partition by session_id, tool_name, input_hash
                order by call_number
            ) - call_number <= 3,
            false
        ) as is_retry_followed
    from ordered

),

final as (

    select
        ordered.tool_call_key,
        ordered.tool_use_id,
        ordered.session_id,
        sessions.project_id,
        ordered.response_key as message_key,
        ordered.tool_name,
        ordered.called_at,
        ordered.called_date_key,
        ordered.finished_at,
        ordered.duration_ms,
        ordered.status,
        ordered.is_error,
        ordered.error_class,
        ordered.error_text,
        ordered.input_hash,
        ordered.input_length,
        ordered.result_length,
        ordered.command_program,
        ordered.is_git_commit,
        ordered.is_pull_request,
        retries.is_retry_followed,
        ordered.is_sidechain,
        ordered.is_background,
        ordered.skill,
        ordered.agent_id,
        ordered.subagent_type,
        ordered.spawned_agent_id,
        case when ordered.spawned_agent_id is not null then coalesce(subagents.response_count, 0) end
            as subagent_response_count,
        {%- for tokens in token_columns() %}
        case when ordered.spawned_agent_id is not null then coalesce(subagents.{{ tokens }}, 0) end
            as subagent_{{ tokens }},
        {%- endfor %}
        subagents.cost_usd as subagent_cost_usd
    from ordered
    inner join sessions
        on ordered.session_id = sessions.session_id
    left join retries
        on ordered.tool_call_key = retries.tool_call_key
    left join subagents
        on ordered.session_id = subagents.session_id
        and ordered.spawned_agent_id = subagents.agent_id

)

select * from final
order by called_date_key
