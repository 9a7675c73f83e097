"""Usage by day, week, month, session, project, model, machine and person.

All of them add up the same selected activity, so for one selection they have the same totals. Without filters they
equal the marts of their grain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import Report, counted, fetch, instant, response_notes, sums, undated_note
from analytics.reports.selection import Selection
from analytics.reports.table import Column
from analytics.warehouse.measures import RESPONSE_SUMS, RESPONSES, ratio

if TYPE_CHECKING:
    import duckdb

ACTIVITY = (
    *("prompt_count", "queued_prompt_count", "tool_call_count", "tool_error_count"),
    *("commits", "pull_requests", "lines_added", "lines_removed"),
)
MEASURES = (*ACTIVITY, *RESPONSES)

# Of rows of `selected_activity`.
_SUMS = f"""
    {", ".join(f"cast(coalesce(sum({name}), 0) as bigint) as {name}" for name in ACTIVITY)},
    {RESPONSE_SUMS},
    coalesce(list_sort(list(distinct model) filter (where response_count > 0 and model is not null)), []) as models
"""


def _columns(*first: Column) -> list[Column]:
    """What stands behind a row's name in all reports of usage."""
    return [
        *first,
        cells.count("prompts", "prompt_count", optional=1),
        cells.count("responses", "response_count", optional=4),
        cells.count("tool calls", "tool_call_count", optional=5),
        *cells.tokens(),
        cells.cost(),
    ]


def _notes(connection: duckdb.DuckDBPyConnection, selection: Selection) -> list[str]:
    return [*response_notes(connection), *(undated_note(connection) if selection.has_days else [])]


def daily(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per day on which something happened, the newest last."""
    return _by_time(connection, "daily", {"date": "date_key"}, [cells.text("date", "date")])


def weekly(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per ISO week, Monday to Sunday."""
    labels = {"week": "strftime(date_key, '%G-W%V')", "first_day": "cast(date_trunc('week', date_key) as date)"}
    columns = [cells.text("week of", "first_day"), cells.text("ISO week", "week", optional=3)]
    return _by_time(connection, "weekly", labels, columns)


def monthly(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per calendar month."""
    labels = {"month": "strftime(date_key, '%Y-%m')"}
    return _by_time(connection, "monthly", labels, [cells.text("month", "month")])


def _by_time(connection: duckdb.DuckDBPyConnection, name: str, labels: dict[str, str], columns: list[Column]) -> Report:
    """`labels`: what a row is called, each as SQL over `date_key`; the first is in order."""
    rows = fetch(
        connection,
        f"""
        select
            {", ".join(f"{sql} as {label}" for label, sql in labels.items())},
            count(distinct session_id) filter (where message_count > 0) as session_count,
            {_SUMS}
        from selected_activity
        where date_key is not null
        group by {", ".join(labels)}
        order by 1
        """,
    )
    (sessions,) = connection.sql(
        "select count(distinct session_id) from selected_hours where date_key is not null"
    ).fetchall()[0]
    notes = [*response_notes(connection), *undated_note(connection)]
    if sessions < sum(row["session_count"] for row in rows):
        notes.append("note: a session counts in each row in which it was active, in the total once")
    columns = [*_columns(*columns, cells.count("sessions", "session_count", optional=2)), cells.models(optional=6)]
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
            sessions.*,
            {_SUMS}
        from (
            select
                session_id,
                title,
                projects.project_label as project,
                project_id,
                machine,
                epoch_ms(started_at) as started_at,
                epoch_ms(ended_at) as ended_at,
                duration_seconds,
                active_seconds
            from selected_sessions
            left join dim_projects as projects using (project_id)
        ) as sessions
        left join selected_activity as activity
            on sessions.session_id = activity.session_id
        group by all
        order by sessions.started_at nulls first, sessions.session_id
        """,
    )
    for row in rows:
        row["started_at"], row["ended_at"] = instant(row["started_at"]), instant(row["ended_at"])
    about = ("session_id", "title", "project", "project_id", "machine", "started_at", "ended_at")
    columns = _columns(
        cells.local_time("started", "started_at", zone),
        cells.text("session", "session_id", shrinks_to=8, is_key=True),
        cells.text("title", "title", shrinks_to=10),
        cells.text("project", "project", optional=3, shrinks_to=12),
    )
    fields = (*about, "duration_seconds", "active_seconds", *MEASURES, "models")
    notes += _notes(connection, selection)
    totals = {"session_count": len(rows), **sums(rows, MEASURES)}
    return Report("session", fields, rows, totals, [*columns, cells.models(optional=6)], notes)


def _grouped(key: str, name: str) -> str:
    """A query of all measures by a column of dim_sessions, the most expensive first.

    Args:
        key: SQL over dim_sessions, never null.
        name: what the column is called in the result.
    """
    return f"""
        select
            sessions.{name},
            count(distinct sessions.session_id) as session_count,
            {_SUMS}
        from (select session_id, {key} as {name} from selected_sessions) as sessions
        left join selected_activity as activity
            on sessions.session_id = activity.session_id
        group by 1
        order by cost_usd desc nulls last, response_count desc, 1
    """


def project(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per project, the most expensive first."""
    rows = fetch(
        connection,
        f"""
        select
            usage.*,
            projects.project_label as project,
            projects.project_path,
            projects.project_group
        from ({_grouped("project_id", "project_id")}) as usage
        left join dim_projects as projects using (project_id)
        order by usage.cost_usd desc nulls last, usage.response_count desc, usage.project_id
        """,
    )
    columns = _columns(
        cells.text("project", "project", shrinks_to=24), cells.count("sessions", "session_count", optional=1)
    )
    fields = ("project", "project_id", "project_path", "project_group", "session_count", *MEASURES, "models")
    totals = sums(rows, ("session_count", *MEASURES))
    notes = _notes(connection, selection)
    return Report("project", fields, rows, totals, [*columns, cells.models(optional=6)], notes)


def machine(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per machine, the most expensive first."""
    return _by_session_column(connection, "machine", "(not said)")


def person(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per person, the most expensive first."""
    return _by_session_column(connection, "person", "(not known)")


def _by_session_column(connection: duckdb.DuckDBPyConnection, name: str, missing: str) -> Report:
    rows = fetch(connection, _grouped(f"coalesce({name}, '{missing}')", name))
    columns = _columns(cells.text(name, name, shrinks_to=20), cells.count("sessions", "session_count", optional=1))
    totals = sums(rows, ("session_count", *MEASURES))
    return Report(name, (name, "session_count", *MEASURES), rows, totals, columns, response_notes(connection))


def model(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per model, the most expensive first."""
    rows = fetch(
        connection,
        f"""
        with usage as (
            select
                model,
                count(distinct session_id) as session_count,
                {RESPONSE_SUMS}
            from selected_hours
            where response_count > 0
            group by model
        )

        select
            usage.*,
            dim_models.family
        from usage
        left join dim_models
            on usage.model = dim_models.model
        order by cost_usd desc nulls last, response_count desc, usage.model
        """,
    )
    (sessions,) = connection.sql(
        "select count(distinct session_id) from selected_hours where response_count > 0"
    ).fetchall()[0]
    totals = {"session_count": sessions, **sums(rows, (*RESPONSES, "context_tokens"))}
    for row in (*rows, totals):
        row["cache_hit_rate"] = ratio(row["cache_read_tokens"], row.pop("context_tokens"))
    notes = _notes(connection, selection)
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
