"""Cards in Metabase's words."""

from __future__ import annotations

import json
from typing import Any

from analytics.cards.model import CHARTS, FORMATS, Card


def visualization_settings(card: Card, pages_url: str | None = None) -> dict[str, Any]:
    """`visualization_settings` of the card: https://www.metabase.com/docs/latest/questions/visualizations

    Args:
        pages_url: the server of the pages, to which a session's title leads; None: it leads nowhere.
    """
    view, settings = card.view, {}
    if card.display == "smartscalar":
        settings["scalar.field"] = view["value"]
        settings["scalar.comparisons"] = [{"id": "previous", "type": "previousValue"}]
        settings["scalar.switch_positive_negative"] = view.get("good") == "down"
    elif card.display == "scalar":
        settings["scalar.field"] = view["value"]
    elif card.display in CHARTS:
        settings |= _graph_settings(card)
    else:
        settings |= _table_settings(card)
    columns = {}
    for column in card.columns:
        style = {"column_title": column.title, **FORMATS[column.format]}
        if column.name in view.get("bars", ()) or column.name == view.get("dots", {}).get("share"):
            style["show_mini_bar"] = True
        if view.get("wrap") and column.format == "text":
            style["text_wrapping"] = True
        if pages_url and column.name == "title" and card.shows_sessions:
            style |= {
                "view_as": "link",
                "link_text": "{{title}}",
                "link_url": f"{pages_url}/analytics/sessions/{{{{session_id}}}}",
            }
        columns[json.dumps(["name", column.name], separators=(",", ":"))] = style
    return {**settings, "column_settings": columns}


def _graph_settings(card: Card) -> dict[str, Any]:
    view = card.view
    titles = {column.name: column.title for column in card.columns}
    settings: dict[str, Any] = {
        "graph.dimensions": [view["x"], *([view["series"]] if "series" in view else [])],
        "graph.metrics": list(view["y"]),
        "graph.x_axis.title_text": titles[view["x"]],
        # several measures share one axis: none gets an axis of its own, and the title of none stands at it
        "graph.y_axis.auto_split": False,
    }
    if len(view["y"]) == 1:
        settings["graph.y_axis.title_text"] = titles[view["y"][0]]
    else:
        settings["graph.y_axis.labels_enabled"] = False
    if "stack" in view:
        settings["stackable.stack_type"] = view["stack"]
    if view.get("zero") is False:
        settings["graph.y_axis.unpin_from_zero"] = True
    if "scale" in view:
        settings["graph.y_axis.scale"] = view["scale"]
    if card.display != "row":
        date = {column.name: column.format for column in card.columns}[view["x"]] == "date"
        settings["graph.x_axis.scale"] = "timeseries" if date else "ordinal"
    if "series" not in view:
        settings["series_settings"] = {name: {"title": titles[name]} for name in view["y"]}
    return settings


def _table_settings(card: Card) -> dict[str, Any]:
    view = card.view
    settings: dict[str, Any] = {
        "table.columns": [{"name": column.name, "enabled": True} for column in card.columns],
    }
    for name, is_there in (("session_id", card.shows_sessions), ("prompt_key", card.shows_prompts)):
        if is_there:
            settings["table.columns"].append({"name": name, "enabled": False})
    if view.get("strip"):
        # As tall as two rows instead of one for each: what is well, and what is a warning.
        what, now, _ = (column.name for column in card.columns)
        settings |= {"table.pivot": True, "table.pivot_column": what, "table.cell_column": now}
    marked = [column.name for column in card.columns if column.name == "status"]
    if marked:
        settings["table.column_formatting"] = [
            {"columns": marked, "type": "single", "operator": "=", "value": "warn", "color": "#f0c264"}
        ]
    if "heat" in view:
        settings["table.pivot"] = True
        settings["table.pivot_column"] = view["heat"]["across"]
        settings["table.cell_column"] = view["heat"]["value"]
        # Pivoted, the columns are called by their values.
        settings["table.column_formatting"] = [
            {
                "columns": [view["heat"]["value"]],
                "type": "range",
                "colors": ["#ffffff", "#9cc3e6", "#1f5f99"],
                "min_type": "custom",
                "min_value": 0,
                "max_type": "all",
            }
        ]
    return settings
