"""Columns that several reports show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from analytics.common import formats
from analytics.common.text import one_line
from analytics.reports.table import Column

Number = Callable[[int], str]


def text(header: str, name: str, *, optional: int = 0, shrinks_to: int | None = None, is_key: bool = False) -> Column:
    """Somebody's text; nothing where there is none."""

    def cell(row: dict[str, Any], number: Number) -> str:
        return one_line(str(row[name])) if row.get(name) is not None else ""

    return Column(header, cell, optional, shrinks_to, is_text=True, is_key=is_key)


def count(header: str, name: str, *, optional: int = 0) -> Column:
    """A number of things."""
    return Column(header, lambda row, number: "" if row.get(name) is None else number(row[name]), optional)


def share(header: str, name: str, *, optional: int = 0) -> Column:
    """A rate as per cent; nothing where there is nothing to divide."""
    return Column(header, lambda row, number: "" if row.get(name) is None else f"{row[name]:.1%}", optional)


def duration(header: str, name: str) -> Column:
    """Milliseconds as people say them; nothing where there are none."""
    return Column(header, lambda row, number: "" if row.get(name) is None else formats.show("ms", row[name]))


def local_time(header: str, name: str, zone: ZoneInfo, *, optional: int = 0) -> Column:
    """An instant as clocks in `zone` show it, to the minute."""

    def cell(row: dict[str, Any], number: Number) -> str:
        at: datetime | None = row.get(name)
        return "" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"

    return Column(header, cell, optional, is_text=True)


def tokens() -> list[Column]:
    """The four kinds, each for itself; both lifetimes of cache writes are one kind."""

    def output(row: dict[str, Any], number: Number) -> str:
        return at_least(row, "lower_bound_response_count") + number(row["output_tokens"])

    def writes(row: dict[str, Any], number: Number) -> str:
        return number(row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"])

    return [
        count("input", "input_tokens"),
        Column("output", output),
        Column("cache\nwrites", writes),
        count("cache\nreads", "cache_read_tokens"),
    ]


def cost(header: str = "cost $", name: str = "cost_usd", *, unknown: str = "no price") -> Column:
    """Dollars and cents; unknown is not zero."""

    def cell(row: dict[str, Any], number: Number) -> str:
        bounds = ("lower_bound_response_count", "unpriced_response_count")
        return unknown if row.get(name) is None else dollars(row[name], at_least(row, *bounds))

    return Column(header, cell)


def models(*, optional: int) -> Column:
    """Names of models without what all of them begin with."""

    def cell(row: dict[str, Any], number: Number) -> str:
        return one_line(", ".join(name.removeprefix("claude-") for name in row["models"]))

    return Column("models", cell, optional, shrinks_to=20)


def at_least(row: dict[str, Any], *names: str) -> str:
    """The sign of a lower bound when one of these counts says that something is missing."""
    return "≥" if any(row.get(name) for name in names) else ""


def dollars(value: Decimal | float, sign: str = "") -> str:
    """Dollars and cents behind the sign; a cost below half a cent does not look like none."""
    return "<0.01" if 0 < value < 0.005 and not sign else f"{sign}{value:,.2f}"
