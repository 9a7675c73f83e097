"""What a report consists of, before it is written as text, JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from analytics.reports.table import Column
from analytics.warehouse.measures import unpriced_models

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]


@dataclass
class Report:
    """Rows in the order they are shown.

    Attributes:
        fields: the names of every row's values, in the order JSON and CSV give them.
        totals: sums of the rows, and what can be said of all of them together; None when rows overlap.
        columns: what a table shows of a row.
        notes: what has to be known beside the numbers, a line each.
        more: further parts of the JSON, by name.
        as_of: the instant that the numbers are of.
        days: the first and the last day of everything that is published; None when nothing is.
    """

    name: str
    fields: tuple[str, ...]
    rows: list[Row]
    totals: Row | None
    columns: list[Column]
    notes: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    as_of: datetime | None = None
    days: tuple[date, date] | None = None


def fetch(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Rows of a query by column name."""
    result = connection.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def sums(rows: Sequence[Row], names: Iterable[str]) -> Row:
    """The sum of each of these values. A cost is null when there are responses and none of them has a price."""
    total: Row = {}
    for name in names:
        known = [row[name] for row in rows if row[name] is not None]
        total[name] = sum(known, Decimal(0)) if name == "cost_usd" else sum(known)
    if total.get("response_count") and total["response_count"] == total["unpriced_response_count"]:
        total["cost_usd"] = None
    return total


def response_notes(connection: duckdb.DuckDBPyConnection, relation: str = "selected_hours") -> list[str]:
    """What the tokens and costs of these hours or responses leave out."""
    (lower_bound,) = connection.sql(f"select sum(lower_bound_response_count) from {relation}").fetchall()[0]
    return missing_notes(unpriced_models(connection, relation), lower_bound)


def missing_notes(unpriced: Sequence[tuple[str, int]], lower_bound: int | None) -> list[str]:
    """What costs and output tokens leave out: responses without a price, by model, and those without a final count."""
    notes = []
    if unpriced:
        listed = ", ".join(f"{model} ({counted(count, 'response')})" for model, count in unpriced)
        notes.append(f"warning: no price for {listed}: not in any cost; add prices with PRICING_OVERRIDES")
    if lower_bound:
        notes.append(
            f"note: {counted(lower_bound, 'response')} never got a final output count in the transcript: "
            "output tokens and cost are at least these (≥)"
        )
    return notes


def undated_note(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """How many responses are missing from every day."""
    (count,) = connection.sql("select coalesce(sum(response_count), 0) from undated_hours").fetchall()[0]
    return [f"note: {counted(count, 'response')} without a time are in no day, so not here"] if count else []


def published_at(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """The instant that the published numbers are of."""
    row = connection.sql("select check_value from agg_data_quality where check_name = 'published_at'").fetchone()
    return None if row is None or row[0] is None else datetime.fromtimestamp(row[0], UTC)


def days_of_history(connection: duckdb.DuckDBPyConnection) -> tuple[date, date] | None:
    """The first and the last day with data."""
    first, last = connection.sql("select min(date_key), max(date_key) from agg_daily_summary").fetchall()[0]
    return None if first is None else (first, last)


def zone_note(connection: duckdb.DuckDBPyConnection, zone: ZoneInfo) -> list[str]:
    """Days are made with the marts: after a change of ANALYTICS_TZ they are the old ones until the next run."""
    (differs,) = connection.sql(
        f"select coalesce(bool_or(started_date_key <> cast(timezone('{zone.key}', started_at) as date)), false)"
        " from dim_sessions"
    ).fetchall()[0]
    if not differs:
        return []
    return [f"warning: days are not those of ANALYTICS_TZ={zone.key} before the next run of claude-analytics pipeline"]


def instant(milliseconds: int | None) -> datetime | None:
    """An instant of the marts; queries hand them over as epoch_ms, which needs no time zone to be set."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def counted(number: int, what: str) -> str:
    """`1 response`, `2 responses`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
