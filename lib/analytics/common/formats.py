"""Values as a reader sees them. A format is a key of `analytics.cards.model.FORMATS`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

MISSING = "–"
MINUS = "−"
# A number that stands alone: no part of a name, a date, a version or a path.
_COUNT = re.compile(r"(?<![\w.,:/+-])[1-9]\d{3,14}(?![\w:/-]|[.,]\w)")
# Axis labels, in d3's words.
AXIS = {
    "usd": "$~s",
    "usd_fine": "$~g",
    "count": "~s",
    "tokens": "~s",
    "number": ",.2~f",
    "percent": "~%",
    "duration": "~s",
    "ms": "~s",
}


def whole(value: float) -> str:
    """`12,345`."""
    return _sign(value, f"{abs(round(value)):,}")


def compact(value: float) -> str:
    """`1.2M`: three digits say how large a count of tokens is."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            text = f"{abs(value) / size:.1f}" if abs(value) < 100 * size else f"{abs(value) / size:.0f}"
            return _sign(value, text.removesuffix(".0") + unit)
    return whole(value)


def duration(seconds: float) -> str:
    """`1h 05m`, `3m 20s`, `4.2 s`, `350 ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds and seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    return f"{minutes // 60:,}h {minutes % 60:02}m"


def usd(value: float) -> str:
    """`$1,234.56`; what rounds to nothing is `<$0.01`."""
    return _money(value, 2)


def usd_fine(value: float) -> str:
    """`$0.0123`."""
    return _money(value, 4)


def percent(value: float) -> str:
    """`12.3%` of a ratio."""
    if value != 0 and abs(value) < 0.0005:
        return "<0.1%"
    return _sign(value, f"{abs(value) * 100:,.1f}%")


def number(value: float) -> str:
    """`3.4`, and `1,234`."""
    return whole(value) if abs(value) >= 1000 else _sign(value, f"{abs(value):.1f}")


def day(value: date) -> str:
    """`Nov 28, 2026`."""
    return f"{value:%b} {value.day}, {value.year}"


def instant(value: datetime, timezone: str = "UTC") -> str:
    """`Nov 28, 2026, 07:03`, in that time zone."""
    local = value.astimezone(ZoneInfo(timezone))
    return f"{day(local)}, {local:%H:%M}"


def month(value: date) -> str:
    """`November 2026`."""
    return f"{value:%B %Y}"


def label(value: str) -> str:
    """A name that code gave, as people write it: `cancelled_parallel_call` is `cancelled parallel call`.

    A tool of an MCP server stands behind its server: `mcp__github__list_issues` is `github: list_issues`. Only words of
    lower case letters and underscores are touched: others are somebody's own name.
    """
    server, _, tool = value.removeprefix("mcp__").partition("__")
    if value.startswith("mcp__") and server and tool:
        return f"{server}: {tool}"
    return value.replace("_", " ") if value.replace("_", "").isalpha() and value.islower() and "_" in value else value


def change(style: str, now: float, before: float) -> tuple[str, int]:
    """How far a value moved, `▲ 12%` or `▼ 0.3 points`, and which way: 1, -1, or 0 where it cannot be seen."""
    moved = now - before
    if style == "percent":
        size, unit = f"{abs(moved) * 100:,.1f}", " points"
    elif before:
        ratio = abs(moved / before) * 100
        size, unit = (f"{ratio:,.1f}" if ratio < 9.95 else f"{ratio:,.0f}"), "%"
    else:
        size, unit = "", ""
    if not moved or size == "0.0":
        return "= unchanged", 0
    return f"{'▲' if moved > 0 else '▼'} {size}{unit}".strip(), 1 if moved > 0 else -1


def grouped(text: str) -> str:
    """A sentence with its large counts as people write them: `12366 of 465606` is `12,366 of 465,606`."""
    return _COUNT.sub(lambda found: f"{int(found.group()):,}", text)


_SHOW: dict[str, Callable[[Any], str]] = {
    "text": str,
    "usd": usd,
    "usd_fine": usd_fine,
    "count": whole,
    "tokens": compact,
    "number": number,
    "percent": percent,
    "duration": duration,
    "ms": lambda value: duration(value / 1000),
    "date": day,
}


def show(style: str, value: Any, timezone: str = "UTC") -> str:
    """`value` in the format `style`; a dash when it is unknown."""
    if value is None:
        return MISSING
    if style == "datetime":
        return instant(value, timezone)
    if style in ("text", "date"):
        return _SHOW[style](value)
    return _SHOW[style](float(value))


def _money(value: float, decimals: int) -> str:
    smallest = 10**-decimals
    text = f"${abs(value):,.{decimals}f}"
    if value and abs(value) < smallest:
        text = f"<${smallest:.{decimals}f}"
    return _sign(value, text)


def _sign(value: float, text: str) -> str:
    return MINUS + text if value < 0 else text
