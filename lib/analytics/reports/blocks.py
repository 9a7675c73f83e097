"""Five-hour billing blocks: what each cost, how fast, and where the one in progress is heading.

The windows are those of all usage, as agg_billing_blocks has them; filters decide which responses count in them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.common.clock import utc_now
from analytics.reports import cells
from analytics.reports.report import (
    Report,
    Row,
    fetch,
    instant,
    published_at,
    response_notes,
    sums,
    undated_note,
)
from analytics.reports.selection import Selection
from analytics.reports.table import Column
from analytics.warehouse.measures import RESPONSE_SUMS, RESPONSES, macro

if TYPE_CHECKING:
    import duckdb

TIMES = ("started_at", "ended_at", "first_response_at", "last_response_at")


def blocks(
    connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo, *, now: datetime | None = None
) -> Report:
    """One row per block that started on a selected day, whole, the newest last."""
    # A block belongs to the day it starts on, also with what was answered after midnight.
    selection.whole_sessions().apply(connection)
    connection.execute(f"""
        create or replace temp view hours_in_blocks as
        with blocks as (
            select started_at as block_started_at, ended_at as block_ended_at, is_current as is_current_block
            from agg_billing_blocks
            where {selection.days("started_date_key")}
        )

        select *
        from (select * from selected_hours where response_count > 0 and hour_started_at is not null) as hours
        asof inner join blocks
            on hours.hour_started_at >= blocks.block_started_at
        where hours.hour_started_at < blocks.block_ended_at
    """)
    rows = fetch(
        connection,
        f"""
        with blocks as (
            select
                block_started_at as started_at,
                block_ended_at as ended_at,
                min(first_response_at) as first_response_at,
                max(last_response_at) as last_response_at,
                bool_or(is_current_block) as is_current,
                count(distinct session_id) as session_count,
                {RESPONSE_SUMS}
            from hours_in_blocks
            group by block_started_at, block_ended_at
        )

        select
            * replace ({", ".join(f"epoch_ms({name}) as {name}" for name in TIMES)}),
            {macro("burn_rate")} as burn_rate_usd_per_hour
        from blocks
        order by started_at
        """,
    )
    built_at = published_at(connection)
    now = now or utc_now()
    for row in rows:
        for name in TIMES:
            row[name] = instant(row[name])
        row["is_current"] = row["is_current"] and now < row["ended_at"]
        row["projected_cost_usd"] = _projection(row, built_at)
    (sessions,) = connection.sql("select count(distinct session_id) from hours_in_blocks").fetchall()[0]
    fields = (
        *(*TIMES, "is_current", "session_count"),
        *RESPONSES,
        *("burn_rate_usd_per_hour", "projected_cost_usd"),
    )
    columns = [
        cells.local_time("started", "started_at", zone),
        cells.local_time("ended", "ended_at", zone, optional=3),
        cells.count("sessions", "session_count", optional=2),
        cells.count("responses", "response_count", optional=1),
        *cells.tokens(),
        cells.cost(),
        Column("$ per\nhour", _burn_rate),
    ]
    notes = [*_in_progress(rows, built_at, zone), *response_notes(connection, "hours_in_blocks")]
    notes += undated_note(connection)
    if rows:
        notes.append("note: $ per hour is the cost over the time from a block's first to its last response")
    return Report("blocks", fields, rows, {"session_count": sessions, **sums(rows, RESPONSES)}, columns, notes)


def _projection(row: Row, built_at: datetime | None) -> Decimal | None:
    """Cost at the block's end if it goes on as it did so far; only for the block in progress."""
    rate = row["burn_rate_usd_per_hour"]
    if not row["is_current"] or rate is None or built_at is None:
        return None
    hours_left = max(0.0, (row["ended_at"] - built_at).total_seconds() / 3600)
    return (row["cost_usd"] + Decimal(rate * hours_left)).quantize(Decimal("0.01"))


def _in_progress(rows: list[Row], built_at: datetime | None, zone: ZoneInfo) -> list[str]:
    """The block in progress in words."""
    lines = []
    for row in rows:
        if row["is_current"] and built_at is not None:
            text = f"in progress: the block until {row['ended_at'].astimezone(zone):%H:%M}"
            if row["projected_cost_usd"] is None:
                text += ", too little in it yet to tell where it goes"
            else:
                text += (
                    f" cost ${row['cost_usd']:,.2f} by {built_at.astimezone(zone):%H:%M}; at "
                    f"${row['burn_rate_usd_per_hour']:,.2f} per hour it ends at ${row['projected_cost_usd']:,.2f}"
                )
            lines.append(text)
    return lines


def _burn_rate(row: Row, number: cells.Number) -> str:
    rate = row.get("burn_rate_usd_per_hour")
    if rate is None:
        return ""
    return cells.dollars(rate, cells.at_least(row, "unpriced_response_count", "lower_bound_response_count"))
