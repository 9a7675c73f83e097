"""A card's rows as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from analytics.common.text import for_csv
from analytics.web import pictures, views
from analytics.web.choice import BadAddress, parse
from analytics.web.published import require

if TYPE_CHECKING:
    from analytics.web.pages import Pages

TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "png": "image/png"}
TYPES |= {"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8"}


@dataclass(frozen=True)
class File:
    """What is sent."""

    content: bytes | str
    content_type: str
    name: str


def card_file(pages: Pages, key: str, kind: str, arguments: Mapping[str, str]) -> File:
    """All rows of a card for a choice, also those beyond the `limit` of its SQL; as `png` its chart.

    Raises:
        BadAddress: no such card, a filter that is none, or a picture of what is a table.
    """
    card, name = pages.card(key), f"{key}.{kind}"
    facts = require(pages.published)
    choice = parse(arguments, facts)
    if kind == "png":
        rows = views.result(pages.published, card, choice, whole=False).to_pylist()
        chart = views.chart_of(card, rows, choice, facts, pages.links(facts, choice, ""))
        if chart is None:
            raise BadAddress(f"The card {key!r} has nothing to draw for this choice.", 404)
        return File(pictures.png(chart), TYPES[kind], name)
    table = views.result(pages.published, card, choice)
    names, rows = table.column_names, table.to_pylist()
    if kind == "csv":
        return File(_csv(names, rows), TYPES[kind], name)
    body = {"card": key, "title": card.title, "selection": choice.address()[1:], "columns": names, "rows": rows}
    return File(json.dumps(body, default=_plain, ensure_ascii=True), TYPES[kind], name)


def _csv(names: list[str], rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_field(row[name]) for name in names])
    return stream.getvalue()


def _field(value: Any) -> str:
    if isinstance(value, str):
        return for_csv(value)
    return "" if value is None else value.isoformat() if isinstance(value, date | datetime) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
