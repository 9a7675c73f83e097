"""A card as a page shows it: its rows with everything said in words, ready for the templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from analytics.cards.model import CHARTS, Card
from analytics.cards.query import bound
from analytics.common import formats
from analytics.common.text import clean
from analytics.web import charts, grids
from analytics.web.bounds import at_least
from analytics.web.choice import BadAddress, Choice
from analytics.web.published import Facts, Published

ROWS_SHOWN = 15
_LIMIT = re.compile(r"\blimit\s+(\d+)\s*$", re.IGNORECASE)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
_BADGES = ("status", "price", "activity_status")
_PROJECT_COLUMNS = ("project_label", "project_name", "project")
_SCOPE = {"date": "days", "project": "projects", "model": "models", "machine": "machines"}
_SCOPE |= {"person": "people", "tool": "tools"}


@dataclass(frozen=True)
class Cell:
    """One cell of a table. `share` (0 to 1) draws a bar behind it."""

    text: str
    title: str = ""
    href: str | None = None
    is_number: bool = False
    badge: str = ""
    share: float | None = None
    wraps: bool = False
    heading: str = ""

    def unlinked(self) -> Cell:
        """The same without a link."""
        return replace(self, href=None)


@dataclass(frozen=True)
class Head:
    """One column's head; `href` sorts by it."""

    title: str
    name: str
    is_number: bool
    sorted: str = ""
    href: str = ""


@dataclass(frozen=True)
class Order:
    """How a reader wants a table: sorted, searched, whole."""

    sort: str = ""
    descending: bool = False
    search: str = ""
    whole: bool = False

    def words(self, **changes: Any) -> dict[str, str]:
        """The same for an address."""
        order = replace(self, **changes)
        words = {"sort": order.sort, "down": "1" if order.descending else "", "q": order.search}
        return {name: value for name, value in {**words, "all": "1" if order.whole else ""}.items() if value}


def order_of(card: Card, arguments: Mapping[str, str]) -> Order:
    """How a reader wants a card's table, as the address says it.

    Raises:
        BadAddress: a column that the card does not have, or a switch that is neither 0 nor 1.
    """
    return Order(
        sort=one_of(arguments, "sort", [column.name for column in card.columns]),
        descending=one_of(arguments, "down", ("0", "1")) == "1",
        search=arguments.get("q", ""),
        whole=one_of(arguments, "all", ("0", "1")) == "1",
    )


def one_of(arguments: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """The word of that name in an address; "" when there is none.

    Raises:
        BadAddress: it is none of those that are allowed.
    """
    value = arguments.get(name, "")
    if value and value not in allowed:
        raise BadAddress(f"{name}={clean(value)!r} cannot be chosen: use one of {', '.join(allowed)}.")
    return value


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
    return published.query(_LIMIT.sub("", sql) if whole else sql, parameters)


def limit_of(card: Card) -> int:
    """How many rows a table shows first: the SQL's own limit, or ROWS_SHOWN."""
    found = _LIMIT.search(card.sql)
    return int(found.group(1)) if found else ROWS_SHOWN


class Links:
    """Where a click on a value leads: the same page narrowed to it, or the thing's own page."""

    def __init__(self, facts: Facts, choice: Choice, base: str, sessions: str | None = None) -> None:
        self._facts, self._choice, self._base, self._session = facts, choice, base, sessions

    def __call__(self, *, day: tuple[Any, Any] | None = None, series: str | None = None) -> str | None:
        if day is not None:
            return self._base + self._choice.address(days=day)
        return self.model(series) or self.project(series)

    def model(self, name: Any) -> str | None:
        """The page narrowed to a model."""
        return self._base + self._choice.address(model=name) if name in self._facts.models else None

    def tool(self, name: Any) -> str | None:
        """The page narrowed to a tool."""
        return self._base + self._choice.address(tool=name) if name in self._facts.tools else None

    def project(self, word: Any) -> str | None:
        """The page narrowed to a project, by its id, label or path."""
        project = self._facts.project_by_word.get(word) if word else None
        return self._base + self._choice.address(project=project) if project else None

    def cell(self, column: str, value: Any, row: dict[str, Any]) -> str | None:
        """Where a cell of a table leads."""
        if column == "title" and row.get("session_id") and self._session:
            return self._session + quote(row["session_id"], safe="")
        if column == "model":
            return self.model(value)
        if column == "tool_name":
            return self.tool(value)
        if column in _PROJECT_COLUMNS:
            return self.project(row.get("project_id") or value)
        return None


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
        _fill_table(found, table, links, timezone)
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
    first = max(filter(None, (choice.first, facts.first_day)), default=None)
    last = min(filter(None, (choice.last, facts.last_day)), default=None)
    if first is None or last is None or first > last:
        return None
    return charts.time_chart(card, rows, charts.Span(first, last), links, _colors(facts))


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
    change = float(now) - float(before)
    if not change:
        return shown | {"change": "= unchanged", "note": f"from {formats.show(column.format, before)}"}
    if column.format == "percent":
        size = f"{abs(change) * 100:,.1f} points"
    elif before:
        ratio = abs(change / float(before)) * 100
        size = f"{ratio:,.1f}%" if ratio < 10 else f"{ratio:,.0f}%"
    else:
        size = ""
    good = card.view.get("good")
    direction = "" if good is None else "better" if (good == "up") == (change > 0) else "worse"
    return shown | {
        "change": f"{'▲' if change > 0 else '▼'} {size}".strip(),
        "direction": direction,
        "note": f"from {formats.show(column.format, before)}",
    }


def _strip(table: pa.Table, timezone: str) -> list[list[Cell]]:
    found = []
    for row in table.to_pylist():
        what, now, status = list(row.values())[:3]
        said = clean(str(now))
        if _INSTANT.fullmatch(said):
            said = formats.instant(datetime.strptime(said, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC), timezone)
        found.append([Cell(clean(str(what))), Cell(said, badge="warn" if status == "warn" else "")])
    return found


def _fill_table(found: View, table: pa.Table, links: Links, timezone: str) -> None:
    card, order = found.card, found.order
    columns = [column for column in card.columns if column.name in table.column_names]
    if order.search:
        table = _search(table, [column.name for column in columns], order.search)
    found.total = table.num_rows
    names = [column.name for column in columns]
    if order.sort in names:
        table = table.take(
            pc.sort_indices(
                table,
                sort_keys=[(order.sort, "descending" if order.descending else "ascending")],
                null_placement="at_end",
            )
        )
    # bars compare with the largest of all rows, not only of those shown
    most = {
        name: float(pc.max(table[name]).as_py() or 0)
        for name in card.view.get("bars", ())
        if name in table.column_names
    }
    if not order.whole:
        table = table.slice(0, limit_of(card))
    found.heads = [
        Head(
            column.title,
            column.name,
            is_number=column.format != "text",
            sorted=("descending" if order.descending else "ascending") if order.sort == column.name else "",
        )
        for column in columns
    ]
    for row in table.to_pylist():
        cells = []
        for column in columns:
            value = row[column.name]
            text = clean(formats.show(column.format, value, timezone))
            is_badge = column.name in _BADGES
            cells.append(
                Cell(
                    formats.label(text) if column.format == "text" else text,
                    title=_exact(column.format, value),
                    href=links.cell(column.name, value, row),
                    is_number=column.format != "text",
                    badge=re.sub(r"\W", "-", str(value)) if is_badge and value is not None else "",
                    share=max(0.0, float(value) / most[column.name])
                    if value is not None and most.get(column.name)
                    else None,
                    wraps=bool(card.view.get("wrap")) and column.format == "text",
                    heading=column.title,
                )
            )
        found.rows.append(cells)
    found.kind = "table" if found.rows or order.search else "empty"


def _exact(style: str, value: Any) -> str:
    if value is None:
        return "unknown"
    return formats.whole(float(value)) if style == "tokens" else ""


def _search(table: pa.Table, names: list[str], text: str) -> pa.Table:
    found = None
    for name in names:
        if pa.types.is_string(table[name].type):
            hit = pc.fill_null(pc.match_substring(table[name], text, ignore_case=True), False)
            found = hit if found is None else pc.or_(found, hit)
    return table if found is None else table.filter(found)


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
