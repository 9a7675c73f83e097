"""Days, weeks and months against each other, and by model; rows in another order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.common.clock import utc_now
from analytics.common.periods import beginning, preceding, same_days_before
from analytics.errors import ConfigError
from analytics.reports import cells
from analytics.reports.report import (
    Report,
    Row,
    fetch,
    response_notes,
    sums,
    undated_note,
)
from analytics.reports.selection import Selection
from analytics.reports.table import Column
from analytics.warehouse.measures import RESPONSE_SUMS, RESPONSES

if TYPE_CHECKING:
    import duckdb

Build = Callable[["duckdb.DuckDBPyConnection", Selection, ZoneInfo], Report]

# The unit of each report by time, the column that names it, and how it is written.
PERIODS = {
    "daily": ("day", "date", "%Y-%m-%d"),
    "weekly": ("week", "week", "%G-W%V"),
    "monthly": ("month", "month", "%Y-%m"),
}


def breakdown(name: str) -> Build:
    """A report of one row per period and model, the newest last.

    Args:
        name: daily, weekly or monthly.
    """
    _, label, written = PERIODS[name]

    def build(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
        rows = fetch(
            connection,
            f"""
            select
                strftime(date_key, '{written}') as {label},
                model,
                count(distinct session_id) as session_count,
                {RESPONSE_SUMS}
            from selected_hours
            where response_count > 0 and date_key is not null
            group by 1, 2
            order by 1, cost_usd desc nulls last, 2
            """,
        )
        columns = [
            cells.text(label, label),
            cells.text("model", "model", shrinks_to=26),
            cells.count("sessions", "session_count", optional=2),
            cells.count("responses", "response_count", optional=1),
            *cells.tokens(),
            cells.cost(),
        ]
        notes = [*response_notes(connection), *undated_note(connection)]
        return Report(name, (label, "model", "session_count", *RESPONSES), rows, sums(rows, RESPONSES), columns, notes)

    return build


def compared(name: str, build: Build) -> Build:
    """The report `build` makes, with each row's change in cost against the period before it.

    Args:
        name: daily, weekly or monthly.
    """

    def built(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
        report = build(connection, selection, zone)
        label = "first_day" if name == "weekly" else PERIODS[name][1]
        by_period = {_first_day(row[label]): row["cost_usd"] for row in report.rows}
        for row in report.rows:
            day = _first_day(row[label])
            before = by_period.get(
                preceding(day, PERIODS[name][0]), Decimal(0) if by_period and day > min(by_period) else None
            )
            row["cost_change_usd"] = None if None in (before, row["cost_usd"]) else row["cost_usd"] - before
            row["cost_change_ratio"] = (
                float(row["cost_change_usd"] / before) if before and row["cost_change_usd"] is not None else None
            )
        report.fields = (*report.fields, "cost_change_usd", "cost_change_ratio")
        report.columns = [*report.columns, Column("change $", _change), Column("change", _ratio, optional=1)]
        report.notes = [*report.notes, *_so_far(connection, name, zone, selection)]
        return report

    return built


def _first_day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value if len(value) == 10 else f"{value}-01")


def _so_far(connection: duckdb.DuckDBPyConnection, name: str, zone: ZoneInfo, selection: Selection) -> list[str]:
    """The period in progress against the same days of the one before: the only fair comparison until it ends."""
    today = utc_now().astimezone(zone).date()
    if name == "daily" or (selection.until is not None and selection.until < today):
        return []
    what = PERIODS[name][0]
    first = beginning(today, what)
    start, end = same_days_before(first, today, what)
    # the days before need not be among those selected
    whole = replace(selection, since=start, until=today)
    whole.apply(connection)
    now, before = connection.sql(
        f"""
        select
            coalesce(sum(cost_usd) filter (where date_key between date '{first}' and date '{today}'), 0),
            coalesce(sum(cost_usd) filter (where date_key between date '{start}' and date '{end}'), 0)
        from selected_hours
        """
    ).fetchall()[0]
    selection.apply(connection)
    change = f", {float((now - before) / before):+.0%}" if before else ""
    return [f"note: this {what} so far ${now:,.2f}, the same days of the {what} before ${before:,.2f}{change}"]


def _change(row: Row, number: cells.Number) -> str:
    value = row.get("cost_change_usd")
    return "" if value is None else f"{value:+,.2f}"


def _ratio(row: Row, number: cells.Number) -> str:
    value = row.get("cost_change_ratio")
    return "" if value is None else f"{value:+.0%}"


def sort(report: Report, field: str) -> None:
    """Put a report's rows into the order of one of its fields: numbers and instants the largest first, texts from A.

    Raises:
        ConfigError: the report has no such field.
    """
    if field not in report.fields:
        raise ConfigError(f"--sort {field!r}: this report has {', '.join(report.fields)}")
    known = [row for row in report.rows if row[field] is not None]
    is_text = all(isinstance(row[field], str) for row in known)
    known.sort(key=lambda row: row[field], reverse=not is_text)
    report.rows = known + [row for row in report.rows if row[field] is None]
