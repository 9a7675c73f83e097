"""Which files were changed lately, and by which call of which session."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.sessions.reader import Reader, Row


def recent_edits(reader: Reader, *, projects: Sequence[str] = (), text: str = "", limit: int = 100) -> list[Row]:
    """Files by their last successful change, the newest first.

    Args:
        projects: ids; none means all.
        text: what a path must contain; case does not matter.

    Returns:
        Rows of file_path, operated_at, operation, lines_added, lines_removed (None where unknown), tool_use_id,
        session_id, title, project_id and change_count, how often the file was changed in all.
    """
    conditions = ["status = 'success'", "operation <> 'read'"]
    parameters: dict[str, object] = {"limit": limit}
    if projects:
        conditions.append("list_contains($projects, project_id)")
        parameters["projects"] = list(projects)
    if text:
        conditions.append("contains(lower(file_path), $text)")
        parameters["text"] = text.lower()
    return reader.rows(
        f"""
        with changes as (
            select
                *,
                count(*) over (partition by project_id, file_path) as change_count
            from fct_file_operations
            where {" and ".join(conditions)}
            qualify row_number() over (
                partition by project_id, file_path
                order by operated_at desc nulls last, tool_use_id
            ) = 1
        )

        select
            changes.file_path,
            changes.operated_at,
            changes.operation,
            changes.lines_added,
            changes.lines_removed,
            changes.tool_use_id,
            changes.session_id,
            sessions.title,
            changes.project_id,
            changes.change_count
        from changes
        left join dim_sessions as sessions on changes.session_id = sessions.session_id
        order by changes.operated_at desc nulls last, changes.file_path
        limit $limit
        """,
        parameters,
    )
