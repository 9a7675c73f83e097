"""A card's rows as a Vega-Lite specification. Data is inlined: a chart fetches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from analytics.cards.model import Card
from analytics.common import formats
from analytics.common.periods import beginning, following
from analytics.common.text import clean

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# More series than that cannot be told apart: the smallest are one.
MOST_SERIES = 9
REST = "all others"
COLORS = 10


@dataclass(frozen=True)
class Span:
    """The days that a chart's axis covers, both included."""

    first: date
    last: date

    @property
    def unit(self) -> str:
        """What one bar stands for: the same steps as in the cards' SQL."""
        days = (self.last - self.first).days + 1
        return "month" if days > 400 else "week" if days > 93 else "day"


def unit_label(day: date, unit: str) -> str:
    """`Nov 28, 2026`, `week of Nov 23, 2026`, `November 2026`."""
    if unit == "month":
        return formats.month(day)
    return f"week of {formats.day(day)}" if unit == "week" else formats.day(day)


@dataclass(frozen=True)
class Series:
    """One line or colour of a chart."""

    name: str
    color: str
    total: str
    href: str | None = None


@dataclass(frozen=True)
class Chart:
    """What a page needs to draw: the specification, and the legend, which is HTML."""

    spec: dict[str, Any]
    legend: tuple[Series, ...]

    def json(self) -> str:
        """The specification as JSON."""
        return json.dumps(self.spec, ensure_ascii=False, separators=(",", ":"))


Links = Callable[..., "str | None"]
# What Metabase needs two series for: it adds up rows of one. Here both signs have one colour.
_SIGNS = re.compile(r", (added|removed)$")


def _series_name(name: str) -> str:
    return _SIGNS.sub("", name)


def _total(style: str, values: Sequence[float]) -> str:
    """The sum, or the sums of both signs: their difference would say nothing."""
    signs = [sum(value for value in values if value > 0), sum(value for value in values if value < 0)]
    if all(signs):
        return f"+{formats.show(style, signs[0])} {formats.show(style, signs[1])}"
    return formats.show(style, sum(values))


def time_chart(
    card: Card, rows: Sequence[dict[str, Any]], span: Span, links: Links, colors: Callable[[str, int], str]
) -> Chart | None:
    """A bar, line or area chart over days.

    Args:
        rows: the card's rows.
        span: the days chosen; the axis covers them also where nothing happened.
        links: `links(day=…, series=…)` is where a click leads.
        colors: a series' colour by its name and place.

    Returns:
        None when there is nothing to draw.
    """
    columns = {column.name: column for column in card.columns}
    x, by = card.view["x"], card.view.get("series")
    points = [
        {
            "day": row[x],
            "series": _series_name(clean(formats.label(str(row[by])))) if by else columns[name].title,
            "word": str(row[by]) if by else None,
            "y": float(row[name]),
        }
        for row in rows
        for name in card.view["y"]
        if row[x] is not None and row[name] is not None
    ]
    if not points:
        return None
    style = columns[card.view["y"][0]].format
    bars = card.display in ("bar", "area")
    stacked = bars and card.view.get("stack") == "stacked"
    points, names = _grouped(points, by is not None, can_add=stacked)
    unit = span.unit
    words = {point["series"]: point["word"] for point in points}
    shades = _told_apart(
        [colors(words[name] or name, place) if name != REST else "" for place, name in enumerate(names)]
    )
    legend = tuple(
        Series(
            name,
            shades[place] or "var(--c-other)",
            _total(style, [point["y"] for point in points if point["series"] == name]) if stacked else "",
            links(series=words[name]) if by and words[name] else None,
        )
        for place, name in enumerate(names)
    )
    values = _placed(points, names, unit, stacked=stacked, bars=bars)
    day_totals: dict[date, float] = {}
    for point in points:
        day_totals[point["day"]] = day_totals.get(point["day"], 0) + point["y"]
    for value in values:
        day = value.pop("day")
        value["when"] = unit_label(day, unit)
        value["text"] = formats.show(style, value["y"])
        if stacked and len(names) > 1:
            value["sum"] = formats.show(style, day_totals[day])
        value["href"] = links(day=(day, following(day, unit) - timedelta(days=1)))
    titles = {
        "when": columns[x].title,
        "series": columns[by].title if by else "Measure",
        "text": columns[card.view["y"][0]].title if by or len(names) == 1 else "Value",
        "sum": "All together",
    }
    shown = ["when", *(["series"] if len(names) > 1 or by else []), "text", *(["sum"] if "sum" in values[0] else [])]
    encoding: dict[str, Any] = {
        "x": _time_axis(points, span, unit),
        "color": {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": names, "range": [series.color for series in legend]},
            "legend": None,
        },
        "tooltip": [{"field": field, "type": "nominal", "title": titles[field]} for field in shown],
    }
    y = _value_axis(card, style, values)
    mark: dict[str, Any]
    if bars:
        mark = {
            "type": "rect",
            "stroke": "var(--card)",
            "strokeWidth": 0 if len(values) > 250 else 0.5,
            "cursor": "pointer",
        }
        encoding |= {
            "x2": {"field": "x2"},
            "y": {"field": "y0", "type": "quantitative", **y},
            "y2": {"field": "y1"},
        }
    else:
        mark = {
            "type": "line",
            "strokeWidth": 2,
            # the zeros of a logarithmic scale lie below it; a point at 100 % is not to be cut in half
            "clip": card.view.get("scale") == "log",
            "point": {"size": 12 if len(values) > 120 else 40, "filled": True, "cursor": "pointer"},
        }
        if _is_sparse(values):
            mark = {"type": "point", "filled": True, "size": 60, "cursor": "pointer"}
        encoding |= {"detail": {"field": "run", "type": "nominal"}, "y": {"field": "y", "type": "quantitative", **y}}
    return Chart(specification(card, values, mark, encoding), legend)


def _told_apart(colors: Sequence[str]) -> list[str]:
    """The same colours, with a free one where another series of the chart has it already."""
    free = [color for color in (f"var(--c{place})" for place in range(COLORS)) if color not in colors]
    found: list[str] = []
    for color in colors:
        taken = color in found and color.startswith("var(--c") and color != "var(--c-other)"
        found.append(free.pop(0) if taken and free else color)
    return found


def _is_sparse(values: Sequence[dict[str, Any]]) -> bool:
    """Whether lines would be broken more often than not: dots say the same without pretending a course."""
    return len({value["run"] for value in values}) * 2 > len(values)


def _grouped(points: list[dict[str, Any]], by_series: bool, *, can_add: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """Points with the smallest series put together, where they may be added; and the series, largest first."""
    sums: dict[str, float] = {}
    for point in points:
        sums[point["series"]] = sums.get(point["series"], 0) + abs(point["y"])
    if not by_series:
        return points, list(sums)
    names = sorted(sums, key=lambda name: (name == REST, -sums[name]))
    if not can_add or len(names) <= MOST_SERIES + 1:
        return points, names
    kept = [name for name in names if name != REST][:MOST_SERIES]
    grouped: dict[tuple[date, str], dict[str, Any]] = {}
    for point in points:
        name = point["series"] if point["series"] in kept else REST
        key = (point["day"], name)
        if key in grouped:
            grouped[key]["y"] += point["y"]
        else:
            grouped[key] = {**point, "series": name, "word": point["word"] if name != REST else None}
    return list(grouped.values()), [*kept, REST]


def _placed(
    points: list[dict[str, Any]], names: list[str], unit: str, *, stacked: bool, bars: bool
) -> list[dict[str, Any]]:
    """Where each point is drawn: x in milliseconds, y from y0 to y1, and the unbroken runs of lines."""
    order = {name: place for place, name in enumerate(names)}
    tops: dict[tuple[date, bool], float] = {}
    last: dict[str, tuple[date, int]] = {}
    found = []
    for point in sorted(points, key=lambda point: (point["day"], order[point["series"]])):
        day, end = point["day"], following(point["day"], unit)
        start_ms, span_ms = _ms(day), _ms(end) - _ms(day)
        value: dict[str, Any] = {"day": day, "series": point["series"], "y": point["y"]}
        if bars:
            base = tops.get((day, point["y"] < 0), 0.0) if stacked else 0.0
            tops[day, point["y"] < 0] = base + point["y"]
            gap, width = span_ms * 0.08, span_ms * 0.84
            slot = width if stacked else width / len(names)
            begin = start_ms + gap + (0 if stacked else order[point["series"]] * slot)
            value |= {"x": begin, "x2": begin + slot, "y0": base, "y1": base + point["y"]}
        else:
            before, run = last.get(point["series"], (None, 0))
            # a line ends where nothing was measured; days may skip a weekend
            reach = before and (before + timedelta(days=3) if unit == "day" else following(before, unit))
            run += 1 if reach and day > reach else 0
            last[point["series"]] = (day, run)
            value |= {"x": start_ms + span_ms / 2, "run": f"{point['series']}/{run}"}
        found.append(value)
    return found


def _time_axis(points: list[dict[str, Any]], span: Span, unit: str) -> dict[str, Any]:
    first = min(span.first, *(point["day"] for point in points)) if points else span.first
    last = max([span.last + timedelta(days=1), *(following(point["day"], unit) for point in points)])
    days = (last - first).days
    if days <= 120:
        step = max(1, -(-(days + 1) // 8))
        ticks = [_ms(first + timedelta(days=place * step)) for place in range(days // step + 1)]
        form = "%b %-d"
    else:
        months = [day for day in _months(first, last) if day >= first]
        step = max(1, -(-len(months) // 8))
        ticks, form = [_ms(day) for day in months[::step]], "%b %Y"
    return {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [_ms(first), _ms(last)], "nice": False, "zero": False},
        "axis": {
            "values": ticks,
            "labelOverlap": "greedy",
            "labelSeparation": 8,
            "labelFlush": True,
            "grid": False,
            "title": None,
            "tickSize": 4,
            "labelExpr": f"utcFormat(datum.value, '{form}')",
        },
    }


def _value_axis(card: Card, style: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    ticks = 4
    if style == "count":  # nothing is half a session
        highest = max(max(abs(value.get("y0", 0)), abs(value.get("y1", value["y"]))) for value in values)
        ticks = max(1, min(4, int(highest)))
    axis: dict[str, Any] = {
        "axis": {
            "format": formats.AXIS[style],
            "tickCount": ticks,
            "title": None,
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
        }
    }
    if card.view.get("scale") == "log":
        axis["scale"] = {"type": "log", "nice": True}
    elif card.view.get("zero") is False:
        axis["scale"] = {"zero": False, "nice": True}
    return axis


def specification(
    card: Card, values: list[dict[str, Any]], mark: dict[str, Any], encoding: dict[str, Any]
) -> dict[str, Any]:
    """A chart in Vega-Lite's words."""
    return {
        "$schema": SCHEMA,
        "usermeta": clean(card.title),
        "description": clean(f"{card.title}: {card.description}"),
        "width": "container",
        "height": "container",
        "autosize": {"type": "fit", "contains": "padding"},
        "background": None,
        "padding": 2,
        "data": {"values": values},
        "mark": mark,
        "encoding": encoding,
        "config": {
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "axis": {
                "labelColor": "var(--ink-2)",
                "labelFontSize": 11,
                "gridColor": "var(--line)",
                "domainColor": "var(--line-2)",
                "tickColor": "var(--line-2)",
            },
        },
    }


def _months(first: date, last: date) -> list[date]:
    found, day = [], beginning(first, "month")
    while day <= last:
        found.append(day)
        day = following(day, "month")
    return found


def _ms(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000
