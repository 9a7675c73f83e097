"""Charts that pages show as HTML, and their pictures: bars by name, dots with what they rest on, hours of a week."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.cards.model import Card
from analytics.common import formats
from analytics.common.text import clean
from analytics.web.charts import Chart, specification


def bar_chart(card: Card, rows: Sequence[dict[str, Any]]) -> Chart:
    """A list of bars as a picture; pages show it as HTML."""
    columns = {column.name: column for column in card.columns}
    x, y = card.view["x"], card.view["y"][0]
    values = [
        {"name": clean(str(row[x] if row[x] is not None else "unknown"))[:60], "y": float(row[y] or 0), "place": place}
        for place, row in enumerate(rows)
    ]
    encoding = {
        "y": {
            "field": "name",
            "type": "nominal",
            "sort": {"field": "place"},
            "axis": {"title": None, "labelLimit": 260},
        },
        "x": {"field": "y", "type": "quantitative", "axis": {"format": formats.AXIS[columns[y].format], "title": None}},
        "color": {"value": "var(--c0)"},
    }
    return Chart(specification(card, values, {"type": "bar"}, encoding), ())


@dataclass(frozen=True)
class Dot:
    """A share with what it rests on: where it lies on the axis, and the range in which the true share lies (0 to 1)."""

    name: str
    href: str | None
    text: str
    at: float
    low: float
    high: float
    top: str


def dots(card: Card, rows: Sequence[dict[str, Any]], link: Callable[..., str | None]) -> list[Dot]:
    """Rows as points on one axis, which ends at the next of 5, 10, 25, 50 and 100 percent above the largest share."""
    words = card.view["dots"]
    most = max((float(row[words["share"]] or 0) for row in rows), default=0.0)
    end = next((mark for mark in (0.05, 0.1, 0.25, 0.5) if most <= mark * 0.9), 1.0)
    found = []
    for row in rows:
        share, count = float(row[words["share"]] or 0), int(row[words["of"]])
        low, high = share_range(share, count)
        name = row[words["name"]]
        found.append(
            Dot(
                name=formats.label(clean(str(name if name is not None else "unknown"))),
                href=link(words["name"], name, row),
                text=f"{formats.percent(share)} · {formats.whole(row[words['failed']])} of {formats.whole(count)}",
                at=share / end,
                low=low / end,
                high=min(1.0, high / end),
                top=f"{end:.0%}",
            )
        )
    return found


def share_range(share: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a share seen in `count` cases, at 95 %."""
    if not count:
        return 0.0, 1.0
    z = 1.96
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def dot_chart(card: Card, rows: Sequence[dict[str, Any]]) -> Chart:
    """The dots as a picture; pages show them as HTML."""
    words = card.view["dots"]
    values = []
    for row in rows:
        share, count = float(row[words["share"]] or 0), int(row[words["of"]])
        low, high = share_range(share, count)
        name = clean(str(row[words["name"]]))[:60]
        values.append({"name": f"{name} (n={count})", "y": share, "low": low, "high": high})
    y = {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 300}}
    x = {"type": "quantitative", "axis": {"format": formats.AXIS["percent"], "title": None}}
    spec = specification(card, values, {"type": "point", "filled": True, "size": 90}, {})
    mark = spec.pop("mark")
    spec.pop("encoding")
    color = {"value": "var(--c0)"}
    spec["layer"] = [
        {"mark": "rule", "encoding": {"y": y, "x": {"field": "low", **x}, "x2": {"field": "high"}, "color": color}},
        {"mark": mark, "encoding": {"y": y, "x": {"field": "y", **x}, "color": color}},
    ]
    return Chart(spec, ())


def heat_chart(card: Card, rows: Sequence[dict[str, Any]]) -> Chart:
    """A grid of strengths as a picture; pages show it as HTML."""
    down, across, value = (card.view["heat"][name] for name in ("down", "across", "value"))
    values = [
        {"down": str(row[down]), "across": str(row[across]).zfill(2), "y": float(row[value] or 0)} for row in rows
    ]
    encoding = {
        "y": {"field": "down", "type": "nominal", "sort": None, "axis": {"title": None}},
        "x": {"field": "across", "type": "ordinal", "axis": {"title": None, "labelAngle": 0}},
        "color": {
            "field": "y",
            "type": "quantitative",
            "scale": {"type": "sqrt", "range": ["var(--line)", "var(--accent)"]},
            "legend": None,
        },
    }
    return Chart(specification(card, values, {"type": "rect"}, encoding), ())


def heat(card: Card, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A grid: columns, and rows of (name, cells of share and title). Square roots keep quiet hours visible."""
    down, across, value = (card.view["heat"][name] for name in ("down", "across", "value"))
    most = max((float(row[value] or 0) for row in rows), default=0)
    if not most:
        return {}
    what = {column.name: column.title for column in card.columns}[value].lower()
    tops, lefts = (list(dict.fromkeys(row[name] for row in rows)) for name in (across, down))
    cells = {(row[down], row[across]): float(row[value] or 0) for row in rows}
    return {
        "tops": [str(top) for top in tops],
        "rows": [
            (
                str(left),
                [
                    {
                        "share": 0.1 + 0.9 * math.sqrt(count / most) if count else 0,
                        "count": formats.whole(count),
                        "title": f"{left} {str(top).zfill(2)}:00 – {formats.whole(count)} {what}",
                    }
                    for top in tops
                    for count in [cells.get((left, top), 0.0)]
                ],
            )
            for left in lefts
        ],
        "most": formats.whole(most),
    }
