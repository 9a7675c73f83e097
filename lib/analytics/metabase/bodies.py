"""What a dashboard definition looks like in Metabase: request bodies, identities, and their comparison with
what is stored.

Identity. A card carries an `entity_id` derived from its key, so it keeps its address, links and history
when its title, SQL or dashboard changes. Dashboards and collections cannot be given one (Metabase's POST
schemas have no such key); a dashboard is known by the last line of its description, which also tells people
where it comes from.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

GRID_COLUMNS = 24
RAW_TAG_TYPES = ("text", "number", "date", "boolean")
_NAMESPACE = uuid.UUID("6f6d1a5e-3b0c-5d43-9a6e-2f3a0f5d8c11")
_MARK = re.compile(r"Managed by claude-analytics: (card|dashboard) ([a-z0-9_/-]+)\.")
_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_TAG = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


@dataclass(frozen=True)
class Tag:
    """A `{{name}}` in a card's SQL. `column` = (table, column) for a field filter, None for a plain value."""

    name: str
    label: str
    type: str  # dimension, or one of RAW_TAG_TYPES
    widget_type: str | None = None
    column: tuple[str, str] | None = None
    alias: str | None = None
    default: Any = None


@dataclass(frozen=True)
class CardSpec:
    """One saved question. `key` is its permanent name; `source` the file that defines it."""

    key: str
    name: str
    description: str
    display: str
    sql: str
    visualization_settings: Json = field(default_factory=dict)
    tags: tuple[Tag, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Tile:
    """One place on a dashboard: a card, or a heading/text when `card` is None. Sizes in grid cells of 24
    columns."""

    row: int
    col: int
    width: int
    height: int
    card: str | None = None
    text: str = ""
    text_display: str = "text"
    tab: str | None = None
    mappings: tuple[tuple[str, str], ...] = ()  # (parameter slug, tag name)
    visualization_settings: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """A dashboard filter. `options` are further keys of Metabase's parameter (default, sectionId, values_…);
    `values_card` names the card whose first column fills the drop-down."""

    slug: str
    name: str
    type: str
    options: Json = field(default_factory=dict)
    values_card: tuple[str, str] | None = None  # (card key, column)


@dataclass(frozen=True)
class DashboardSpec:
    """One dashboard. `tabs` is empty for a single page."""

    key: str
    name: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    tiles: tuple[Tile, ...] = ()
    tabs: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Definition:
    """Everything to provision, in order."""

    cards: tuple[CardSpec, ...]
    dashboards: tuple[DashboardSpec, ...]


# Identity


def entity_id(key: str) -> str:
    """The 21-character NanoID of the card `key`, always the same."""
    digest = hashlib.sha256(f"claude-analytics/card/{key}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:21]


def parameter_id(dashboard: str, slug: str) -> str:
    """The id of a dashboard's filter; it appears in links, so it never changes."""
    return uuid.uuid5(_NAMESPACE, f"parameter/{dashboard}/{slug}").hex[:8]


def tag_id(card: str, tag: str) -> str:
    """The uuid of a card's template tag."""
    return str(uuid.uuid5(_NAMESPACE, f"tag/{card}/{tag}"))


def described(kind: str, spec: CardSpec | DashboardSpec) -> str:
    """The stored description: the author's text, then where the item is defined and who keeps it."""
    origin = f" Defined in {spec.source}; changes made here are overwritten, a copy is yours." if spec.source else ""
    return f"{spec.description.strip()}\n\nManaged by claude-analytics: {kind} {spec.key}.{origin}".strip()


def mark_of(kind: str, description: str | None) -> str | None:
    """The key in a description written by `described`, None when the item is not ours."""
    found = _MARK.search(description or "")
    return found.group(2) if found and found.group(1) == kind else None


# SQL


def tag_names(sql: str) -> list[str]:
    """Names of the `{{tags}}` in `sql`, each once, in order."""
    return list(dict.fromkeys(_TAG.findall(sql)))


def stored_sql(sql: str) -> str:
    """`sql` as it is sent: Metabase wraps native queries, so there is no semicolon at the end."""
    return sql.strip().rstrip(";").rstrip()


_SAMPLE = {"text": "'sample'", "number": "1", "date": "date '2026-01-01'", "boolean": "true"}


def bound_sql(card: CardSpec, *, filtered: bool) -> str:
    """`card.sql` as DuckDB would see it, to bind it against a schema.

    Args:
        filtered: with every filter set (optional parts kept) instead of none (they are dropped).
    """
    tags = {tag.name: tag for tag in card.tags}

    def value(match: re.Match[str]) -> str:
        tag = tags[match.group(1)]
        if tag.column is None:
            return _SAMPLE[tag.type]
        if not filtered:
            return "1 = 1"
        table, column = tag.column
        return f"({tag.alias or f'{table}.{column}'} is not null)"

    sql = _OPTIONAL.sub(lambda match: match.group(1) if filtered else "", stored_sql(card.sql))
    return _TAG.sub(value, sql)


# Request bodies


def card_body(card: CardSpec, *, database_id: int, fields: dict[tuple[str, str], int], collection_id: int) -> Json:
    """The body of POST and PUT /api/card (without `entity_id`).

    The query is in the legacy native form with a map of template tags: the one form that every version
    since 0.4x reads. `fields` maps (table, column) to Metabase's field id.
    """
    tags: Json = {}
    for tag in card.tags:
        body: Json = {
            "id": tag_id(card.key, tag.name),
            "name": tag.name,
            "display-name": tag.label,
            "type": tag.type,
        }
        if tag.column is not None:
            body["dimension"] = ["field", fields[tag.column], None]
            body["widget-type"] = tag.widget_type
        if tag.alias is not None:
            body["alias"] = tag.alias
        if tag.default is not None:
            body["default"] = tag.default
        tags[tag.name] = body
    native: Json = {"query": stored_sql(card.sql)}
    if tags:
        native["template-tags"] = tags
    return {
        "name": card.name,
        "description": described("card", card),
        "type": "question",
        "display": card.display,
        "collection_id": collection_id,
        "visualization_settings": card.visualization_settings,
        "dataset_query": {"type": "native", "database": database_id, "native": native},
        "parameters": [_card_parameter(card, tag) for tag in card.tags],
    }


def _card_parameter(card: CardSpec, tag: Tag) -> Json:
    """The card's own filter widget for a tag, as the query editor would save it."""
    raw_types = {"text": "category", "number": "number/=", "date": "date/single", "boolean": "boolean/="}
    wrapper = "dimension" if tag.column is not None else "variable"
    parameter: Json = {
        "id": tag_id(card.key, tag.name),
        "name": tag.label,
        "slug": tag.name,
        "type": tag.widget_type if tag.column is not None else raw_types[tag.type],
        "target": [wrapper, ["template-tag", tag.name]],
    }
    if tag.default is not None:
        parameter["default"] = tag.default
    return parameter


def parameter_bodies(dashboard: DashboardSpec, card_ids: dict[str, int]) -> list[Json]:
    """The `parameters` of PUT /api/dashboard."""
    bodies = []
    for parameter in dashboard.parameters:
        body = {
            "id": parameter_id(dashboard.key, parameter.slug),
            "name": parameter.name,
            "slug": parameter.slug,
            "type": parameter.type,
            "sectionId": parameter.type.partition("/")[0],
            **parameter.options,
        }
        if parameter.values_card is not None:
            card, column = parameter.values_card
            body |= {
                "values_query_type": "list",
                "values_source_type": "card",
                "values_source_config": {
                    "card_id": card_ids[card],
                    "value_field": ["field", column, {"base-type": "type/Text"}],
                },
            }
        bodies.append(body)
    return bodies


def dashcard_bodies(
    dashboard: DashboardSpec,
    cards: dict[str, CardSpec],
    card_ids: dict[str, int],
    stored: list[Json],
    tab_ids: dict[str, int],
) -> list[Json]:
    """The `dashcards` of PUT /api/dashboard: stored ones are updated in place, new ones get negative ids.

    A stored dashcard is reused for the same card (or for the same text), so that a run which changes
    nothing sends nothing, and one that moves a card keeps its links.
    """
    free = sorted(stored, key=lambda dashcard: dashcard["id"])
    bodies = []
    for position, tile in enumerate(dashboard.tiles, start=1):
        reused = next((item for item in free if _same_tile(tile, item, card_ids)), None)
        if reused is not None:
            free.remove(reused)
        card_id = card_ids[tile.card] if tile.card else None
        bodies.append(
            {
                "id": reused["id"] if reused else -position,
                "card_id": card_id,
                "row": tile.row,
                "col": tile.col,
                "size_x": tile.width,
                "size_y": tile.height,
                "dashboard_tab_id": tab_ids[tile.tab] if tile.tab else None,
                "series": [],
                "visualization_settings": _tile_settings(tile),
                "parameter_mappings": [
                    {
                        "parameter_id": parameter_id(dashboard.key, slug),
                        "card_id": card_id,
                        "target": _target(cards[tile.card], tag),
                    }
                    for slug, tag in tile.mappings
                    if tile.card
                ],
            }
        )
    return bodies


def _same_tile(tile: Tile, stored: Json, card_ids: dict[str, int]) -> bool:
    if tile.card:
        return stored.get("card_id") == card_ids[tile.card]
    if stored.get("card_id") is not None:
        return False
    return (stored.get("visualization_settings") or {}).get("text") == tile.text


def _tile_settings(tile: Tile) -> Json:
    if tile.card:
        return tile.visualization_settings
    return {
        **tile.visualization_settings,
        "virtual_card": {
            "name": None,
            "display": tile.text_display,
            "visualization_settings": {},
            "dataset_query": {},
            "archived": False,
        },
        "text": tile.text,
    }


def _target(card: CardSpec, name: str) -> list[Any]:
    tag = next(tag for tag in card.tags if tag.name == name)
    return ["dimension" if tag.column is not None else "variable", ["template-tag", name]]


# Comparison: only what we own decides whether a request is needed


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
    """Settings in a form that compares: `column_settings` keys are JSON texts whose spacing may change, and of a
    heading's virtual card only the kind is ours, the server may fill in the rest."""
    settings = dict(settings or {})
    columns = settings.get("column_settings")
    if isinstance(columns, dict):
        settings["column_settings"] = {json.dumps(json.loads(key)): value for key, value in columns.items()}
    if isinstance(settings.get("virtual_card"), dict):
        settings["virtual_card"] = settings["virtual_card"].get("display")
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
