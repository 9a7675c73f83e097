"""Tool calls by tool: how often, how long, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import Report, Row, counted, fetch, sums
from analytics.reports.selection import Selection
from analytics.warehouse.measures import macro, ratio

if TYPE_CHECKING:
    import duckdb

COUNTS = (
    *("call_count", "success_count", "error_count", "rejected_count", "interrupted_count", "pending_count"),
    *("retried_count", "finished_count"),
)
RATES = ("success_rate", "error_rate", "rejection_rate", "retry_rate")


def tool(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per tool, the most used first. Without filters it equals agg_tool_efficiency."""
    rows = fetch(
        connection,
        f"""
        with by_tool as (
            select
                tool_name,
                {macro("tool_counts")},
                {macro("tool_durations")},
                count(distinct session_id) as session_count
            from selected_tool_calls
            group by tool_name
        )

        select
            by_tool.*,
            dim_tools.tool_category
        from by_tool
        left join dim_tools
            on by_tool.tool_name = dim_tools.tool_name
        order by by_tool.call_count desc, by_tool.tool_name
        """,
    )
    for row in rows:
        row |= _rates(row)
    (sessions,) = connection.sql("select count(distinct session_id) from selected_tool_calls").fetchall()[0]
    totals = {"session_count": sessions, **sums(rows, COUNTS)}
    totals |= _rates(totals)
    notes = []
    if rows:
        notes.append("note: rates are of finished calls, retries of all; durations include waiting for your permission")
    if totals["pending_count"]:
        notes.append(f"note: {counted(totals['pending_count'], 'call')} never got a result")
    columns = [
        cells.text("tool", "tool_name", shrinks_to=16),
        cells.text("category", "tool_category", optional=5),
        cells.count("calls", "call_count"),
        cells.count("sessions", "session_count", optional=3),
        cells.count("errors", "error_count", optional=1),
        cells.share("error\nrate", "error_rate"),
        cells.count("rejected", "rejected_count", optional=2),
        cells.share("rejection\nrate", "rejection_rate", optional=4),
        cells.share("retried", "retry_rate"),
        cells.duration("median", "p50_duration_ms"),
        cells.duration("95th\npercentile", "p95_duration_ms"),
    ]
    durations = ("p50_duration_ms", "p95_duration_ms")
    fields = ("tool_name", "tool_category", "session_count", *COUNTS, *RATES, *durations)
    return Report("tool", fields, rows, totals, columns, notes)


def _rates(row: Row) -> dict[str, float | None]:
    """Of the finished calls; a retry can follow any call."""
    finished = row["finished_count"]
    return {
        "success_rate": ratio(row["success_count"], finished),
        "error_rate": ratio(row["error_count"], finished),
        "rejection_rate": ratio(row["rejected_count"], finished),
        "retry_rate": ratio(row["retried_count"], row["call_count"]),
    }
