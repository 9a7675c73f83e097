{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
        cluster_by='operated_date_key',
    )
}}

with tool_calls as (

    {{ touched_rows(ref('int_tool_calls'), 'called_date_key') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

lines as (

    select
        *,
        lower(nullif(regexp_extract(file_path, '[^/\\.]\.([A-Za-z0-9_]+)$', 1), '')) as file_extension,
        -- Where a result has no object (side chains, old versions) its text says what was done.
        tool_name = 'Write' and coalesce(result_type = 'update', written = 'overwrite', false) as is_overwrite,
        -- a new file has an empty patch: all of its lines are added
        status = 'success'
        and tool_name = 'Write'
        and case
            when has_result_object then
                coalesce(result_type, 'create') <> 'update'
                and coalesce(patch_lines_added, 0) = 0
                and coalesce(patch_lines_removed, 0) = 0
            else coalesce(written = 'create', false)
        end as is_new_file
    from tool_calls
    where
        tool_name in ('Read', 'Write', 'Edit', 'MultiEdit', 'NotebookEdit')
        -- a call with a malformed input names no file
        and file_path is not null

),

final as (

    select
        {{ surrogate_key(['lines.tool_call_key', 'lines.file_path']) }} as file_operation_key,
        lines.tool_call_key,
        lines.tool_use_id,
        lines.session_id,
        sessions.project_id,
        lines.called_at as operated_at,
        lines.called_date_key as operated_date_key,
        lines.tool_name,
        lines.file_path,
        lines.file_extension,
        {{ language('lines.file_path', 'lines.file_extension') }} as language,
        case
            when lines.tool_name = 'Read' then 'read'
            when lines.is_overwrite then 'overwrite'
            when lines.tool_name = 'Write' then 'create'
            else 'edit'
        end as operation,
        cast(
            case
                when lines.status <> 'success' or lines.tool_name = 'Read' then 0
                when lines.is_new_file
                    then coalesce(lines.result_content_line_count, lines.content_line_count)
                -- results on side chains carry no patch: how many lines changed is unknown, not zero
                when lines.has_patch then coalesce(lines.patch_lines_added, 0)
            end as bigint
        ) as lines_added,
        cast(
            case
                when lines.status <> 'success' or lines.tool_name = 'Read' or lines.is_new_file then 0
                when lines.has_patch then coalesce(lines.patch_lines_removed, 0)
            end as bigint
        ) as lines_removed,
        lines.status,
        lines.is_sidechain,
        lines.agent_id
    from lines
    inner join sessions
        on lines.session_id = sessions.session_id

)

select * from final
order by operated_date_key
