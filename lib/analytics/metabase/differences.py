"""Whether what Metabase holds is what we want: only what we own decides whether a request is needed."""

from __future__ import annotations

import json
from typing import Any

from analytics.metabase.client import Json


def card_differs(wanted: Json, stored: Json) -> list[str]:
    """Names of the parts of a card (read with `?legacy-mbql=true`) that are not as wanted; empty =
    unchanged."""
    differences = [
        name
        for name in ("name", "description", "display", "collection_id")
        if (stored.get(name) or None) != (wanted[name] or None)
    ]
    if (stored.get("type") or "question") != wanted["type"]:
        differences.append("type")
    if stored.get("archived"):
        differences.append("archived")
    if _settings(stored.get("visualization_settings")) != _settings(wanted["visualization_settings"]):
        differences.append("visualization")
    differences += _query_differs(wanted["dataset_query"], stored.get("dataset_query") or {})
    if not _covers_list(stored.get("parameters") or [], wanted["parameters"]):
        differences.append("parameters")
    return differences


def holds_sql(wanted: Json, stored: Json) -> bool:
    """Whether a card read back really holds our SQL: some versions answered 200 and stored an empty query."""
    return "SQL" not in _query_differs(wanted["dataset_query"], stored.get("dataset_query") or {})


def _query_differs(wanted: Json, stored: Json) -> list[str]:
    native = stored.get("native") or {}
    differences = []
    if native.get("query") != wanted["native"]["query"]:
        differences.append("SQL")
    if stored.get("database") != wanted["database"]:
        differences.append("database")
    ours, theirs = wanted["native"].get("template-tags") or {}, native.get("template-tags") or {}
    if isinstance(theirs, list):  # the form since 0.63 when a server ignores legacy-mbql
        theirs = {tag.get("name"): tag for tag in theirs}
    if ours.keys() != theirs.keys() or not all(_covers(_tag(theirs[name]), _tag(ours[name])) for name in ours):
        differences.append("filters")
    return differences


def _tag(tag: Json) -> Json:
    """A template tag whose field reference is reduced to the field id: options may be added by the server."""
    dimension = tag.get("dimension")
    if not isinstance(dimension, list):
        return tag
    field_id = next((part for part in dimension[1:] if isinstance(part, int)), None)
    return {**tag, "dimension": field_id}


def _settings(settings: Json | None) -> Json:
    """Settings in a form that compares: `column_settings` keys are JSON texts whose spacing may change."""
    settings = dict(settings or {})
    columns = settings.get("column_settings")
    if isinstance(columns, dict):
        settings["column_settings"] = {json.dumps(json.loads(key)): value for key, value in columns.items()}
    return settings


def _covers(stored: Any, wanted: Any) -> bool:
    """Whether `stored` has every key of `wanted` with its value; further keys are the server's."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        return all(key in stored and _covers(stored[key], value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(stored, list):
        return len(stored) == len(wanted) and all(map(_covers, stored, wanted))
    return stored == wanted


def _covers_list(stored: list[Json], wanted: list[Json]) -> bool:
    """The same items in the same order, each covering ours."""
    return len(stored) == len(wanted) and all(
        _covers(_parameter(theirs), _parameter(ours)) for theirs, ours in zip(stored, wanted, strict=True)
    )


def _parameter(parameter: Json) -> Json:
    """Field references and targets cut to their stable part: the server may append options such as
    stage-number."""
    target = parameter.get("target")
    return {**parameter, "target": target[:2]} if isinstance(target, list) else parameter


def dashboard_differs(wanted: Json, stored: Json) -> list[str]:
    """Names of the parts of a dashboard that are not as wanted; empty = unchanged."""
    differences = [
        name
        for name in ("name", "description", "collection_id", "width", "auto_apply_filters")
        if stored.get(name) != wanted[name]
    ]
    if stored.get("archived"):
        differences.append("archived")
    if not _covers_list(stored.get("parameters") or [], wanted["parameters"]):
        differences.append("filters")
    if [tab["name"] for tab in stored.get("tabs") or []] != [tab["name"] for tab in wanted["tabs"]]:
        differences.append("tabs")
    if not _same_dashcards(wanted["dashcards"], stored.get("dashcards") or []):
        differences.append("layout")
    return differences


def _same_dashcards(wanted: list[Json], stored: list[Json]) -> bool:
    by_id = {dashcard["id"]: dashcard for dashcard in stored}
    if by_id.keys() != {dashcard["id"] for dashcard in wanted}:
        return False
    placed = ("card_id", "row", "col", "size_x", "size_y", "dashboard_tab_id")
    for ours in wanted:
        theirs = by_id[ours["id"]]
        if any(theirs.get(name) != ours[name] for name in placed):
            return False
        if [item["id"] for item in theirs.get("series") or []] != [item["id"] for item in ours["series"]]:
            return False
        if _settings(theirs.get("visualization_settings")) != _settings(ours["visualization_settings"]):
            return False
        if _mapped(theirs) != _mapped(ours):
            return False
    return True


def _mapped(dashcard: Json) -> set[tuple[str, str]]:
    return {
        (mapping["parameter_id"], json.dumps(mapping["target"][:2]))
        for mapping in dashcard.get("parameter_mappings") or []
    }
