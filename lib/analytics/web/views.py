"""A card as a page shows it: its rows with everything said in words, ready for the templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from analytics.cards.model import CHARTS, Card
from analytics.cards.query import bound
from analytics.common import formats
from analytics.common.text import clean
from analytics.web import charts, grids
from analytics.web.bounds import at_least
from analytics.web.choice import Choice
from analytics.web.links import Links
from analytics.web.published import Facts, Published
from analytics.web.tables import LIMIT, Cell, Head, Order, fill

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
_SCOPE = {"date": "days", "project": "projects", "model": "models", "machine": "machines"}
_SCOPE |= {"person": "people", "tool": "tools"}


@dataclass
class View:
    """A card with its rows, for the template of its `kind`: trend, strip, table, heat, bars, dots, chart or empty."""

    card: Card
    kind: str
    choice: Choice
    order: Order
    scope: str = ""
    heads: list[Head] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    total: int = 0
    chart: charts.Chart | None = None
    trend: dict[str, str] = field(default_factory=dict)
    heat: dict[str, Any] = field(default_factory=dict)
    dots: list[grids.Dot] = field(default_factory=list)


def is_drawn(card: Card) -> bool:
    """Whether a card is a picture of its rows: there is a table of them beside it, and a PNG."""
    return card.display in CHARTS or "heat" in card.view or "dots" in card.view


def result(published: Published, card: Card, choice: Choice, *, whole: bool = True) -> pa.Table:
    """The card's rows for a choice.

    Args:
        whole: also the rows beyond the `limit` that ends the card's SQL.
    """
    sql, parameters = bound(card.sql, choice.selection())
    return published.query(LIMIT.sub("", sql) if whole else sql, parameters)


def view(
    published: Published,
    facts: Facts,
    card: Card,
    choice: Choice,
    links: Links,
    *,
    order: Order | None = None,
    as_table: bool = False,
    timezone: str = "UTC",
) -> View:
    """Ask the card's question and put the answer into words.

    Args:
        as_table: show a chart's rows as a table.
        timezone: of instants.
    """
    order = order or Order()
    shows_table = as_table or (card.display == "table" and not is_drawn(card))
    table = result(published, card, choice, whole=shows_table)
    found = View(card, "empty", choice, order, scope=scope(card, choice, facts))
    if card.display in ("smartscalar", "scalar") and not as_table:
        found.kind, found.trend = "trend", _trend(card, table.to_pylist(), choice, facts)
        if found.trend["value"] != formats.MISSING:
            found.trend["value"] = at_least(published, card, choice) + found.trend["value"]
    elif card.view.get("strip"):
        found.kind, found.rows = "strip", _strip(table, timezone)
    elif "dots" in card.view and not as_table:
        found.dots = grids.dots(card, table.to_pylist(), links.cell)
        found.kind = "dots" if found.dots else "empty"
    elif card.view.get("heat") and not as_table:
        rows = table.to_pylist()
        found.heat = grids.heat(card, rows)
        found.kind = "heat" if found.heat else "empty"
    elif shows_table:
        made = fill(card, table, order, links, span_of(choice, facts), timezone)
        found.heads, found.rows, found.total = made.heads, made.rows, made.total
        found.kind = "table" if found.rows or order.search else "empty"
    elif card.display == "row":
        found.rows = _bars(card, table.to_pylist(), links)
        found.kind = "bars" if found.rows else "empty"
    else:
        found.chart = chart_of(card, table.to_pylist(), choice, facts, links)
        found.kind = "chart" if found.chart else "empty"
    return found


def chart_of(card: Card, rows: list[dict[str, Any]], choice: Choice, facts: Facts, links: Links) -> charts.Chart | None:
    """The chart of a card's rows; None when there is nothing to draw, or the card is a table."""
    if not rows:
        return None
    if "heat" in card.view:
        return grids.heat_chart(card, rows)
    if "dots" in card.view:
        return grids.dot_chart(card, rows)
    if card.display == "row":
        return grids.bar_chart(card, rows)
    if card.display not in CHARTS:
        return None
    span = span_of(choice, facts)
    return charts.time_chart(card, rows, span, links, _colors(facts)) if span else None


def span_of(choice: Choice, facts: Facts) -> charts.Span | None:
    """The days chosen of those that there are; None without any."""
    first = max(filter(None, (choice.first, facts.first_day)), default=None)
    last = min(filter(None, (choice.last, facts.last_day)), default=None)
    return None if first is None or last is None or first > last else charts.Span(first, last)


def _colors(facts: Facts) -> Callable[[str, int], str]:
    """A model keeps its colour over cards and filters."""
    places = {model: place for place, model in enumerate(facts.models)}

    def color(name: str, place: int) -> str:
        return (
            "var(--c-other)"
            if name in (charts.REST, "unknown")
            else f"var(--c{places.get(name, place) % charts.COLORS})"
        )

    return color


def scope(card: Card, choice: Choice, facts: Facts) -> str:
    """What a card shows although something else is chosen; a measure of its own month names the month."""
    if card.view.get("strip"):
        return ""
    own_month = card.display == "smartscalar" and "date" not in card.tags and facts.last_day
    ignored = [name for name in choice.narrowed if name not in card.tags and not (own_month and name == "date")]
    parts = [f"{facts.last_day:%b %Y}"] if own_month else []
    if ignored:
        parts.append("all " + ", ".join(_SCOPE[name] for name in ignored))
    return ", ".join(parts)


def _trend(card: Card, rows: list[dict[str, Any]], choice: Choice, facts: Facts) -> dict[str, str]:
    """A number and how it moved: value, change, direction (better, worse or ""), before."""
    column = {column.name: column for column in card.columns}[card.view["value"]]
    rows = [row for row in rows if row.get(card.view.get("date", ""), True) is not None]
    if not rows or rows[-1][column.name] is None:
        return {"value": formats.MISSING, "note": "nothing for this choice"}
    now = rows[-1][column.name]
    shown = {"value": formats.show(column.format, now)}
    if card.display == "scalar":
        return shown
    before = rows[-2][column.name] if len(rows) > 1 else None
    if before is None:
        return shown | {"note": "nothing to compare with"}
    said, direction = change_of(column.format, card.view.get("good"), now, before)
    return shown | {"change": said, "direction": direction, "note": f"from {formats.show(column.format, before)}"}


def change_of(style: str, good: str | None, now: Any, before: Any) -> tuple[str, str]:
    """How a measure moved, in words, and whether that is better or worse; both "" where one side is unknown.

    Args:
        good: the way that is better, up or down; None where neither is.
    """
    if now is None or before is None:
        return "", ""
    said, way = formats.change(style, float(now), float(before))
    return said, "" if good is None or not way else "better" if (good == "up") == (way > 0) else "worse"


def _strip(table: pa.Table, timezone: str) -> list[list[Cell]]:
    found = []
    for row in table.to_pylist():
        what, now, status = list(row.values())[:3]
        said = formats.grouped(clean(str(now)))
        if _INSTANT.fullmatch(said):
            said = formats.instant(datetime.strptime(said, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC), timezone)
        found.append([Cell(clean(str(what))), Cell(said, badge="warn" if status == "warn" else "")])
    return found


def _bars(card: Card, rows: list[dict[str, Any]], links: Links) -> list[list[Cell]]:
    x, y = card.view["x"], card.view["y"][0]
    style = {column.name: column.format for column in card.columns}[y]
    most = max((float(row[y] or 0) for row in rows), default=0)
    found = []
    for row in rows:
        name = formats.label(clean(str(row[x] if row[x] is not None else "unknown")))
        share = max(0.0, float(row[y] or 0)) / most if most else 0.0
        found.append([Cell(name, href=links.cell(x, row[x], row)), Cell(formats.show(style, row[y]), share=share)])
    return found
