"""Visualization settings: Metabase stores whatever it is given and renders nonsense blank, so a test server
looks.

Known keys: metabase/metabase frontend/src/metabase/visualizations, and the visualization guide of its CLI.
"""

from __future__ import annotations

import json
from typing import Any

GRAPH = {
    "graph.dimensions", "graph.metrics", "graph.show_values", "graph.label_value_frequency",
    "graph.label_value_formatting", "graph.x_axis.scale", "graph.x_axis.title_text",
    "graph.x_axis.labels_enabled", "graph.x_axis.axis_enabled", "graph.y_axis.title_text",
    "graph.y_axis.labels_enabled", "graph.y_axis.axis_enabled", "graph.y_axis.scale",
    "graph.y_axis.auto_range", "graph.y_axis.min", "graph.y_axis.max", "graph.y_axis.unpin_from_zero",
    "graph.y_axis.auto_split", "graph.show_goal", "graph.goal_value", "graph.goal_label",
    "graph.show_trendline", "graph.split_panels", "graph.series_order", "graph.max_categories",
    "graph.other_category_aggregation_fn", "graph.tooltip_columns", "stackable.stack_type",
    "series_settings", "legend.is_reversed",
}  # fmt: skip
TABLE = {
    "table.columns", "table.pivot", "table.pivot_column", "table.cell_column", "table.pagination",
    "table.row_index", "table.column_formatting", "table.column_widths", "table.freeze_columns",
    "table.freeze_columns_count",
}  # fmt: skip
KEYS: dict[str, set[str]] = {
    **dict.fromkeys(("line", "bar", "area", "combo", "row", "scatter", "waterfall", "boxplot"), GRAPH),
    "pie": {
        "pie.dimension", "pie.metric", "pie.rows", "pie.show_legend", "pie.show_total",
        "pie.show_labels", "pie.percent_visibility", "pie.decimal_places", "pie.slice_threshold",
        "pie.colors", "pie.sort_rows",
    },
    "scalar": {"scalar.field", "scalar.segments", "scalar.compact_primary_number"},
    "smartscalar": {
        "scalar.field", "scalar.comparisons", "scalar.switch_positive_negative",
        "scalar.compact_primary_number",
    },
    "table": TABLE,
    "funnel": {"funnel.dimension", "funnel.metric", "funnel.type", "funnel.rows", "funnel.order_dimension"},
    "progress": {"progress.goal", "progress.color", "progress.value"},
    "gauge": {"gauge.segments"},
    "sankey": {"sankey.source", "sankey.target", "sankey.value", "sankey.node_align"},
    "object": TABLE,
    "map": set(),
}  # fmt: skip
COMMON = {"column_settings", "click_behavior", "card.title", "card.description", "card.hide_empty"}
DASHCARD = {
    "virtual_card", "text", "text.align_vertical", "text.align_horizontal", "dashcard.background",
    "iframe", "link",
}  # fmt: skip
COLUMN_SETTINGS = {
    "column_title", "number_style", "currency", "currency_style", "currency_in_header", "decimals",
    "scale", "prefix", "suffix", "number_separators", "date_style", "date_separator", "date_abbreviate",
    "time_enabled", "time_style", "show_mini_bar", "view_as", "link_text", "link_url", "text_align",
    "text_wrapping", "click_behavior",
}  # fmt: skip
SERIES_SETTINGS = {
    "title", "color", "display", "axis", "show_series_values", "line.style", "line.interpolate",
    "line.missing", "line.marker_enabled", "line.size",
}  # fmt: skip
COMPARISONS = {
    "previousPeriod": set(),
    "previousValue": set(),
    "periodsAgo": {"value"},
    "staticNumber": {"value", "label"},
    "anotherColumn": {"column", "label"},
}
OPERATORS = {
    "=", "!=", "<", ">", "<=", ">=", "is-null", "not-null", "contains", "does-not-contain",
    "starts-with", "ends-with", "is-true", "is-false",
}  # fmt: skip
STACKED_UP = ("line", "bar", "area", "combo", "row")
NUMERIC = {"type/Integer", "type/BigInteger", "type/Decimal", "type/Float"}


def problems(display: str, settings: dict[str, Any], columns: dict[str, str], *, dashcard: bool = False) -> list[str]:
    """What is wrong with `settings` of a `display` over `columns` (output column -> base type)."""
    found: list[str] = []
    if display == "pivot":
        return ["pivot tables work on query-builder cards only; use a table with table.pivot"]
    known = KEYS[display] | COMMON | (DASHCARD if dashcard else set())
    found += [f"unknown key {key}" for key in settings if key not in known]

    def column(name: object, where: str) -> None:
        if name not in columns:
            found.append(f"{where} names {name!r}, the query returns {list(columns)}")

    for name in _names(settings.get("graph.dimensions")):
        column(name, "graph.dimensions")
    for name in _names(settings.get("graph.metrics")):
        column(name, "graph.metrics")
        if columns.get(name) not in {*NUMERIC, None}:
            found.append(f"graph.metrics {name!r} is not a number ({columns[name]})")
    for key in ("pie.dimension", "pie.metric", "scalar.field", "table.pivot_column", "table.cell_column"):
        for name in _names(settings.get(key)):
            column(name, key)
    for item in settings.get("table.columns") or []:
        column(item.get("name"), "table.columns")
        found += [f"unknown table.columns key {key}" for key in item.keys() - {"name", "enabled"}]
    for rule in settings.get("table.column_formatting") or []:
        for name in rule.get("columns", []):
            column(name, "table.column_formatting")
        found += _formatting_problems(rule)
    for key, value in (settings.get("column_settings") or {}).items():
        found += _column_setting_problems(key, value, column)
    for name, value in (settings.get("series_settings") or {}).items():
        found += [f"unknown series setting {key} of {name}" for key in value.keys() - SERIES_SETTINGS]
        if value.get("axis", "left") not in ("left", "right"):
            found.append(f"series_settings axis {value['axis']!r}")
    if settings.get("stackable.stack_type") not in (None, "stacked", "normalized"):
        found.append(f"stackable.stack_type {settings['stackable.stack_type']!r}")
    if display in ("line", "bar", "area", "combo", "row", "scatter") and not dashcard:
        found += [f"{key} is missing" for key in ("graph.dimensions", "graph.metrics") if not settings.get(key)]
    if display == "scalar" and len(columns) > 1 and "scalar.field" not in settings and not dashcard:
        found.append("scalar.field is needed: the query returns more than one column")
    if display == "smartscalar" and not dashcard:
        found += _trend_problems(settings, columns)
    if len(_names(settings.get("graph.metrics"))) > 1 and display in STACKED_UP and not dashcard:
        found += _shared_axis_problems(settings)
    return found


def drawing_problems(display: str, settings: dict[str, Any], columns: list[str], rows: list[Any]) -> list[str]:
    """What the browser would draw wrongly of the `rows` that a query returned: right SQL is not yet a right picture.

    Metabase's frontend, read 2026-11-28: a trend takes the last row that has a number for the current period and fails
    when there are rows and none has one; charts add up the rows of one x and series.
    """
    found = []
    if display == "smartscalar" and rows:
        dated = next(place for place, name in enumerate(columns) if name != settings["scalar.field"])
        value = columns.index(settings["scalar.field"])
        newest = max(rows, key=lambda row: row[dated])
        if all(row[value] is None for row in rows):
            found.append("No rows contain a valid value.")
        elif newest[value] is None:
            found.append(f"shows the number of an older period as that of {newest[dated]}")
        if [row[dated] for row in rows] != sorted(row[dated] for row in rows):
            found.append("its periods are not in order: the last row is not the current one")
    if display in STACKED_UP:
        at = [columns.index(name) for name in settings["graph.dimensions"]]
        points = [tuple(row[place] for place in at) for row in rows]
        found += [f"adds up the rows of {point}" for point in sorted({str(p) for p in points if points.count(p) > 1})]
    return found


def _shared_axis_problems(settings: dict[str, Any]) -> list[str]:
    """Of several metrics: Metabase gives one an axis of its own when its range is small, and both the same title."""
    found = []
    if settings.get("graph.y_axis.auto_split") is not False:
        found.append("graph.y_axis.auto_split is on: a metric of small numbers gets an axis of its own")
    if settings.get("graph.y_axis.title_text") and settings.get("graph.y_axis.labels_enabled") is not False:
        found.append(f"one title for several metrics: {settings['graph.y_axis.title_text']!r}")
    return found


def _names(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _formatting_problems(rule: dict[str, Any]) -> list[str]:
    if rule.get("type") == "range":
        found = [] if len(rule.get("colors", [])) >= 2 else ["range rule without two colors"]
        for side in ("min", "max"):
            kind = rule.get(f"{side}_type")
            if kind not in (None, "all", "custom") or (kind == "custom" and f"{side}_value" not in rule):
                found.append(f"range rule {side}_type {kind!r}")
        return found
    if rule.get("type") == "single":
        return [
            f"single rule without {key}"
            for key in ("operator", "color")
            if key not in rule or (key == "operator" and rule[key] not in OPERATORS)
        ]
    return [f"formatting rule type {rule.get('type')!r}"]


def _column_setting_problems(key: str, value: dict[str, Any], column: Any) -> list[str]:
    try:
        parsed = json.loads(key)
    except ValueError:
        return [f"column_settings key {key!r} is not JSON"]
    if not (isinstance(parsed, list) and len(parsed) == 2 and parsed[0] == "name"):
        return [f'column_settings key {key!r} is not ["name", column]']
    if key != json.dumps(parsed, separators=(",", ":")):
        return [f"column_settings key {key!r} would be rewritten by the server: no spaces"]
    column(parsed[1], "column_settings")
    return [f"unknown column setting {name} of {parsed[1]}" for name in value.keys() - COLUMN_SETTINGS]


def _trend_problems(settings: dict[str, Any], columns: dict[str, str]) -> list[str]:
    found = []
    if not any(base.startswith("type/Date") for base in columns.values()):
        found.append("smartscalar needs a date column")
    comparisons = settings.get("scalar.comparisons") or []
    if len(comparisons) > 3 or len({item.get("id") for item in comparisons}) != len(comparisons):
        found.append("scalar.comparisons: at most three, ids unique")
    for item in comparisons:
        wanted = COMPARISONS.get(item.get("type"))
        if wanted is None or not wanted <= item.keys():
            found.append(f"scalar.comparisons entry {item}")
    return found
