"""A card's rows as a table: sorted, searched, cut, with everything said in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.cards.model import Card
from analytics.common import formats
from analytics.common.text import clean
from analytics.web.charts import Span
from analytics.web.choice import BadAddress
from analytics.web.links import Links

ROWS_SHOWN = 15
PROMPTS_TOLD = 200
# The limit that ends a card's SQL.
LIMIT = re.compile(r"\blimit\s+(\d+)\s*$", re.IGNORECASE)
_BADGES = ("status", "price", "activity_status")
# What checks found, in words: `12366 of 465606`.
_SENTENCES = ("found", "cause")


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


@dataclass(frozen=True)
class Table:
    """What a table shows; `total` counts the rows that were found, also those beyond."""

    heads: list[Head]
    rows: list[list[Cell]]
    total: int


def limit_of(card: Card) -> int:
    """How many rows a table shows first: the SQL's own limit, or ROWS_SHOWN."""
    found = LIMIT.search(card.sql)
    return int(found.group(1)) if found else ROWS_SHOWN


def fill(card: Card, table: pa.Table, order: Order, links: Links, span: Span | None, timezone: str) -> Table:
    """A card's rows as a reader wants them.

    Args:
        table: the card's rows, all of them.
        span: the days that are shown: how many of them one row of a chart over time stands for.
        timezone: of instants.
    """
    days = card.view.get("x") if span and card.display in ("bar", "line", "area") else None
    columns = [column for column in card.columns if column.name in table.column_names]
    if order.search:
        table = _search(table, [column.name for column in columns], order.search)
    total = table.num_rows
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
    heads = [
        Head(
            column.title,
            column.name,
            is_number=column.format != "text",
            sorted=("descending" if order.descending else "ascending") if order.sort == column.name else "",
        )
        for column in columns
    ]
    found, rows, begins = table.to_pylist(), [], None
    if card.shows_prompts and links.prompts is not None:
        # the marts have no text: it comes from the raw layer, as much of it as anybody looks through
        begins = links.prompts([row["prompt_key"] for row in found[:PROMPTS_TOLD]])
        heads.insert(0, Head("Prompt", "", is_number=False))
    for row in found:
        cells = []
        if begins is not None:
            said = begins.get(row["prompt_key"]) or "(open)"
            cells.append(Cell(said, href=links.prompt(row), wraps=True, heading="Prompt"))
        for column in columns:
            value = row[column.name]
            text = clean(formats.show(column.format, value, timezone))
            if column.name in _SENTENCES:
                text = formats.grouped(text)
            is_badge = column.name in _BADGES
            cells.append(
                Cell(
                    formats.label(text) if column.format == "text" else text,
                    title=_exact(column.format, value),
                    href=links.unit(value, span.unit)
                    if span and column.name == days
                    else links.cell(column.name, value, row),
                    is_number=column.format != "text",
                    badge=re.sub(r"\W", "-", str(value)) if is_badge and value is not None else "",
                    share=max(0.0, float(value) / most[column.name])
                    if value is not None and most.get(column.name)
                    else None,
                    wraps=bool(card.view.get("wrap")) and column.format == "text",
                    heading=column.title,
                )
            )
        rows.append(cells)
    return Table(heads, rows, total)


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
