"""Charts as files: a PNG on white with its title and legend, and an SVG for the place of a card."""

from __future__ import annotations

import json
import re
from typing import Any

from analytics.cards.model import Place
from analytics.web.charts import Chart

_PAGE_WIDTH = 1400
_OWN_NAME = re.compile(r'( id="|url\(#)')

# Colours of the light theme; pages take theirs from the style sheet's variables of the same names.
PAPER = {
    "--card": "#ffffff",
    "--ink": "#1c2025",
    "--ink-2": "#575f6a",
    "--line": "#e6e6e1",
    "--line-2": "#cfcfc8",
    "--accent": "#a8492a",
    "--c0": "#2f6db5",
    "--c1": "#d9722e",
    "--c2": "#2f8f6b",
    "--c3": "#a8468f",
    "--c4": "#c49a1a",
    "--c5": "#6f58c2",
    "--c6": "#3d9fb5",
    "--c7": "#c2475a",
    "--c8": "#7d8a2e",
    "--c9": "#8f6546",
    "--c-other": "#a7adb5",
}


def png(chart: Chart) -> bytes:
    """A picture to paste elsewhere."""
    import vl_convert

    spec = _of_size(chart, 900, 320) | {"background": "#ffffff", "padding": 12, "title": chart.spec["usermeta"]}
    if len(chart.legend) > 1:
        spec["encoding"]["color"]["legend"] = {"title": None, "orient": "bottom", "columns": 4, "labelLimit": 220}
    return vl_convert.vegalite_to_png(_on_paper(spec), scale=2)


def svg(chart: Chart, key: str, place: Place | None) -> str:
    """A drawing for a page that has the title, the legend and the colours of both themes itself.

    Args:
        key: the chart's own, for the names within it: a page holds several.
        place: the card's, whose proportions it gets.
    """
    import vl_convert

    width = _PAGE_WIDTH * (place.width if place else 24) // 24 - 44
    height = max(3, (place.height if place else 8) - 2) * 44
    drawn: str = vl_convert.vegalite_to_svg(_without_links(_of_size(chart, width, height)))
    return _OWN_NAME.sub(lambda found: f"{found.group(1)}{key}-", drawn)


def _of_size(chart: Chart, width: int, height: int) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(chart.json())
    spec.pop("usermeta")
    return spec | {"width": width, "height": height}


def _on_paper(value: Any) -> Any:
    """Variables of the style sheet as colours."""
    if isinstance(value, dict):
        return {key: _on_paper(item) for key, item in value.items() if key != "href"}
    if isinstance(value, list):
        return [_on_paper(item) for item in value]
    if isinstance(value, str) and value.startswith("var(--"):
        return PAPER[value[4:-1]]
    return value


def _without_links(spec: dict[str, Any]) -> dict[str, Any]:
    for value in spec["data"]["values"]:
        value.pop("href", None)
    return spec
