"""Usage by day, week, month, session, project and model.

All of them add up the same selected facts, so for one selection they have the same totals. Without filters they equal
the marts of their grain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import (
    IS_RESPONSE,
    RESPONSE_MEASURES,
    RESPONSES,
    TOKENS,
    Report,
    Row,
    counted,
    fetch,
    instant,
    response_notes,
    sums,
    undated_note,
)
from analytics.reports.selection import Selection
from analytics.reports.table import Column

if TYPE_CHECKING:
    import duckdb

ACTIVITY = (
    *("prompt_count", "queued_prompt_count", "tool_call_count", "tool_error_count"),
    *("commits", "pull_requests", "lines_added", "lines_removed"),
)
MEASURES = (*ACTIVITY, *RESPONSES)


def daily(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per day on which something happened, the newest last."""
    columns = [cells.text("date", "date")]
    return _by_time(connection, selection, "daily", "{day}", ("date",), {"date": "usage.key"}, columns)


def weekly(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per ISO week, Monday to Sunday."""
    first = "cast(date_trunc('week', {day}) as date)"
    labels = {"week": "strftime(usage.key, '%G-W%V')", "first_day": "usage.key"}
    columns = [cells.text("week of", "first_day"), cells.text("ISO week", "week", optional=3)]
    return _by_time(connection, selection, "weekly", first, ("week", "first_day"), labels, columns)


def monthly(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per calendar month."""
    columns = [cells.text("month", "month")]
    month = "strftime({day}, '%Y-%m')"
    return _by_time(connection, selection, "monthly", month, ("month",), {"month": "usage.key"}, columns)


def _by_time(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    name: str,
    period: str,
    labels: tuple[str, ...],
    expressions: dict[str, str],
    columns: list[Column],
) -> Report:
    listed = ", ".join(f"{expressions[label]} as {label}" for label in labels)
    rows = fetch(
        connection,
        f"""
        select
            {listed},
            coalesce(usage.session_count, 0) as session_count,
            {_VALUES}
        from ({_usage(period)}) as usage
        order by usage.key
        """,
    )
    (sessions,) = connection.sql(
        "select count(distinct session_id) from selected_messages where created_date_key is not null"
    ).fetchall()[0]
    notes = [*response_notes(connection), *undated_note(connection)]
    if sessions < sum(row["session_count"] for row in rows):
        notes.append("note: a session counts in each row in which it was active, in the total once")
    columns = [
        *columns,
        cells.count("sessions", "session_count", optional=2),
        cells.count("prompts", "prompt_count", optional=1),
        cells.count("responses", "response_count", optional=4),
        cells.count("tool calls", "tool_call_count", optional=5),
        *cells.tokens(),
        cells.cost(),
        cells.models(optional=6),
    ]
    fields = (*labels, "session_count", *MEASURES, "models")
    return Report(name, fields, rows, {"session_count": sessions, **sums(rows, MEASURES)}, columns, notes)


def session(
    connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo, *, limit: int | None = None
) -> Report:
    """One row per session, the newest last; with days chosen, what happened in it on them.

    Args:
        limit: only the newest so many; what is said of all of them is then said of these.
    """
    notes = []
    if limit is not None:
        found = connection.sql(
            "select session_id from selected_sessions order by started_at desc nulls last, session_id desc"
        ).fetchall()
        if len(found) > limit:
            left_out = counted(len(found) - limit, "earlier session")
            notes.append(f"note: {left_out} not shown and not in the total (--limit)")
            selection = replace(selection, sessions=tuple(row[0] for row in found[:limit]))
            selection.apply(connection)
    rows = fetch(
        connection,
        f"""
        select
            sessions.session_id,
            sessions.title,
            sessions.project_id,
            sessions.machine,
            epoch_ms(sessions.started_at) as started_at,
            epoch_ms(sessions.ended_at) as ended_at,
            sessions.duration_seconds,
            sessions.active_seconds,
            {_VALUES}
        from selected_sessions as sessions
        left join ({_usage("session_id")}) as usage
            on sessions.session_id = usage.key
        order by sessions.started_at nulls first, sessions.session_id
        """,
    )
    labels = _project_labels(connection)
    for row in rows:
        row["started_at"], row["ended_at"] = instant(row["started_at"]), instant(row["ended_at"])
        row["project"] = labels[row["project_id"]]
    about = ("session_id", "title", "project", "project_id", "machine", "started_at", "ended_at")
    columns = [
        cells.local_time("started", "started_at", zone),
        cells.text("session", "session_id", shrinks_to=8, is_key=True),
        cells.text("title", "title", shrinks_to=10),
        cells.text("project", "project", optional=3, shrinks_to=12),
        cells.count("prompts", "prompt_count", optional=1),
        cells.count("responses", "response_count", optional=4),
        cells.count("tool calls", "tool_call_count", optional=5),
        *cells.tokens(),
        cells.cost(),
        cells.models(optional=6),
    ]
    fields = (*about, "duration_seconds", "active_seconds", *MEASURES, "models")
    notes += [*response_notes(connection), *(undated_note(connection) if selection.has_days else [])]
    return Report("session", fields, rows, {"session_count": len(rows), **sums(rows, MEASURES)}, columns, notes)


def project(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per project, the most expensive first."""
    rows = fetch(
        connection,
        f"""
        with sessions as (
            select
                project_id,
                count(*) as session_count
            from selected_sessions
            group by project_id
        )

        select
            sessions.project_id,
            projects.project_path,
            projects.project_group,
            sessions.session_count,
            {_VALUES}
        from sessions
        left join dim_projects as projects
            on sessions.project_id = projects.project_id
        left join ({_usage("project_id")}) as usage
            on sessions.project_id = usage.key
        order by cost_usd desc nulls last, response_count desc, sessions.project_id
        """,
    )
    labels = _project_labels(connection)
    for row in rows:
        row["project"] = labels[row["project_id"]]
    columns = [
        cells.text("project", "project", shrinks_to=24),
        cells.count("sessions", "session_count", optional=1),
        cells.count("prompts", "prompt_count", optional=2),
        cells.count("responses", "response_count", optional=4),
        cells.count("tool calls", "tool_call_count", optional=5),
        *cells.tokens(),
        cells.cost(),
        cells.models(optional=6),
    ]
    fields = ("project", "project_id", "project_path", "project_group", "session_count", *MEASURES, "models")
    notes = [*response_notes(connection), *(undated_note(connection) if selection.has_days else [])]
    return Report("project", fields, rows, sums(rows, ("session_count", *MEASURES)), columns, notes)


def model(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per model, the most expensive first."""
    rows = fetch(
        connection,
        f"""
        with usage as (
            select
                model,
                count(distinct session_id) as session_count,
                {RESPONSE_MEASURES}
            from selected_messages
            where {IS_RESPONSE}
            group by model
        )

        select
            usage.*,
            dim_models.family,
            {_HIT_RATE} as cache_hit_rate
        from usage
        left join dim_models
            on usage.model = dim_models.model
        order by cost_usd desc nulls last, response_count desc, usage.model
        """,
    )
    (sessions,) = connection.sql(
        f"select count(distinct session_id) from selected_messages where {IS_RESPONSE}"
    ).fetchall()[0]
    totals = {"session_count": sessions, **sums(rows, RESPONSES)}
    totals["cache_hit_rate"] = _hit_rate(totals)
    notes = [*response_notes(connection), *(undated_note(connection) if selection.has_days else [])]
    if sessions < sum(row["session_count"] for row in rows):
        notes.append("note: a session counts with each model it used, in the total once")
    columns = [
        cells.text("model", "model", shrinks_to=26),
        cells.count("sessions", "session_count", optional=3),
        cells.count("responses", "response_count", optional=2),
        *cells.tokens(),
        cells.share("cache\nhits", "cache_hit_rate", optional=1),
        cells.cost(),
    ]
    fields = ("model", "family", "session_count", *RESPONSES, "cache_hit_rate")
    return Report("model", fields, rows, totals, columns, notes)


_HIT_RATE = """
    cast(cache_read_tokens as double)
    / nullif(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens, 0)
"""


def _hit_rate(row: Row) -> float | None:
    prompt = sum(row[name] for name in TOKENS if name != "output_tokens")
    return row["cache_read_tokens"] / prompt if prompt else None


def usage_by_session(key: str, name: str) -> str:
    """A query of all measures by a column of dim_sessions, the most expensive first.

    Args:
        key: SQL over dim_sessions, never null.
        name: what the column is called in the result.
    """
    return f"""
        with keys as (
            select session_id, {key} as group_key from selected_sessions
        ),

        by_session as (
            select * from ({_usage("session_id")})
        )

        select
            keys.group_key as {name},
            count(*) as session_count,
            {_SUMMED}
        from keys
        left join by_session as usage on keys.session_id = usage.key
        group by keys.group_key
        order by cost_usd desc nulls last, response_count desc, keys.group_key
    """


def _usage(key: str) -> str:
    """A query of all measures by `key`: SQL in which {day} stands for a fact's day. What has no key is left out."""
    return f"""
        with by_message as (
            select
                {key.format(day="created_date_key")} as key,
                count(distinct session_id) as session_count,
                count(*) filter (where {_IS_PROMPT} and not is_queued) as prompt_count,
                count(*) filter (where {_IS_PROMPT} and is_queued) as queued_prompt_count,
                {RESPONSE_MEASURES},
                list_sort(list(distinct model) filter (where {IS_RESPONSE} and model is not null)) as models
            from selected_messages
            group by 1
        ),

        by_tool_call as (
            select
                {key.format(day="called_date_key")} as key,
                count(*) as tool_call_count,
                count(*) filter (where status = 'error') as tool_error_count,
                count(*) filter (where is_git_commit) as commits,
                count(*) filter (where is_pull_request) as pull_requests
            from selected_tool_calls
            group by 1
        ),

        by_file_operation as (
            select
                {key.format(day="operated_date_key")} as key,
                cast(sum(lines_added) as bigint) as lines_added,
                cast(sum(lines_removed) as bigint) as lines_removed
            from selected_file_operations
            where status = 'success'
            group by 1
        )

        select *
        from by_message
        full join by_tool_call using (key)
        left join by_file_operation using (key)
        where key is not null
    """


_IS_PROMPT = "message_kind in ('prompt', 'slash_command') and not is_sidechain"
# Whatever did not happen happened zero times; only a cost can be unknown.
_VALUES = ", ".join(
    [
        *(f"coalesce(usage.{name}, 0) as {name}" for name in MEASURES if name != "cost_usd"),
        "case when coalesce(usage.response_count, 0) = 0 then cast(0 as decimal(18, 9)) else usage.cost_usd end"
        " as cost_usd",
        "coalesce(usage.models, []) as models",
    ]
)


_SUMMED = ", ".join(
    [
        *(f"cast(coalesce(sum(usage.{name}), 0) as bigint) as {name}" for name in MEASURES if name != "cost_usd"),
        "cast(case when coalesce(sum(usage.response_count), 0) = 0 then 0 else sum(usage.cost_usd) end"
        " as decimal(18, 9)) as cost_usd",
    ]
)


def _project_labels(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(connection.sql("select project_id, project_label from dim_projects").fetchall())
