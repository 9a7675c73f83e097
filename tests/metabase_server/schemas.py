"""JSON Schemas of the request bodies a dashboards-as-code client may send to Metabase.

Transcribed from the `defendpoint` body schemas of metabase/metabase (src/metabase/*_rest/api*.clj,
setup_rest, session, warehouses_rest) and src/metabase/lib/schema/{parameter,template_tag}.cljc. Stricter
than the real server in one way on purpose: unknown keys are refused everywhere, because Metabase drops them
in silence.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "pattern": r"\S"}
BOOL: Schema = {"type": "boolean"}
ID: Schema = {"type": "integer", "minimum": 1}
INTEGER: Schema = {"type": "integer"}
NANO_ID: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_\-]{21}$"}
ANYTHING: Schema = {}
OPEN_OBJECT: Schema = {"type": "object"}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _tuple(*items: Schema, optional: Schema | None = None) -> Schema:
    """A fixed-length array, with at most one further element."""
    tail = [optional] if optional is not None else []
    return {
        "type": "array",
        "prefixItems": [*items, *tail],
        "minItems": len(items),
        "maxItems": len(items) + len(tail),
    }


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


# lib/schema/parameter.cljc, `types`: which template tags (by type or widget type) a parameter type may drive.
_LOCATIONS = ["location/city", "location/state", "location/zip_code", "location/country"]
ALLOWED_FOR: dict[str, list[str]] = {
    "number": ["number", "number/=", "id", "category", "location/zip_code"],
    "text": ["text", "string/=", "id", "category", *_LOCATIONS],
    "date": ["date", "date/single", "date/all-options", "id", "category"],
    "boolean": ["boolean", "id", "category", "boolean/="],
    "date/single": ["date", "date/single", "date/all-options", "id", "category"],
    "id": ["id"],
    "category": ["category", "number", "text", "date", "boolean"],
    **{location: [location] for location in _LOCATIONS},
    "date/range": ["date/range", "date/all-options"],
    "date/month-year": ["date/month-year", "date/all-options"],
    "date/quarter-year": ["date/quarter-year", "date/all-options"],
    "date/relative": ["date/relative", "date/all-options"],
    "date/all-options": ["date/all-options"],
    "temporal-unit": ["temporal-unit"],
    "number/!=": ["number/!="],
    "number/<=": ["number/<=", "number/between"],
    "number/=": ["number/=", "number", "id", "category", "location/zip_code"],
    "number/>=": ["number/>=", "number/between"],
    "number/between": ["number/between"],
    "string/!=": ["string/!="],
    "string/=": ["string/=", "text", "id", "category", *_LOCATIONS],
    "string/contains": ["string/contains"],
    "string/does-not-contain": ["string/does-not-contain"],
    "string/ends-with": ["string/ends-with"],
    "string/starts-with": ["string/starts-with"],
    "boolean/=": ["boolean/=", "boolean"],
}
PARAMETER_TYPES = list(ALLOWED_FOR)
DISPLAYS = [
    "table", "bar", "line", "area", "row", "pie", "scalar", "smartscalar", "combo", "pivot", "funnel", "map",
    "scatter", "waterfall", "progress", "gauge", "object", "sankey", "boxplot",
]  # fmt: skip
TEMPORAL_UNITS = [
    "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "second-of-minute",
    "minute-of-hour", "hour-of-day", "day-of-week", "day-of-month", "day-of-year", "week-of-year",
    "month-of-year", "quarter-of-year", "year-of-era", "default",
]  # fmt: skip

_LEGACY_FIELD = _tuple({"const": "field"}, {"anyOf": [ID, TEXT]}, _maybe(OPEN_OBJECT))
_TEMPLATE_TAG_REF = _tuple({"const": "template-tag"}, TEXT)
TARGET: Schema = {
    "anyOf": [
        _tuple(
            {"const": "dimension"},
            {"anyOf": [_TEMPLATE_TAG_REF, _LEGACY_FIELD]},
            optional=_maybe(_object({}, {"stage-number": INTEGER})),
        ),
        _tuple({"const": "variable"}, _TEMPLATE_TAG_REF),
        _tuple({"const": "text-tag"}, TEXT),
    ]
}
PARAMETER = _object(
    {"id": TEXT, "type": {"enum": PARAMETER_TYPES}, "name": TEXT, "slug": TEXT},
    {
        "default": ANYTHING,
        "required": BOOL,
        "sectionId": {"enum": ["string", "number", "date", "boolean", "temporal-unit", "id", "location"]},
        "isMultiSelect": BOOL,
        "filteringParameters": _maybe(_list(TEXT)),
        "target": TARGET,
        "temporal_units": _maybe(_list({"enum": TEMPORAL_UNITS})),
        "values_query_type": _maybe({"enum": ["none", "list", "search"]}),
        "values_source_type": _maybe({"enum": ["static-list", "card"]}),
        "values_source_config": _maybe(
            _object(
                {},
                {
                    "values": {"type": "array"},
                    "card_id": ID,
                    "value_field": _LEGACY_FIELD,
                    "label_field": _LEGACY_FIELD,
                },
            )
        ),
    },
)
PARAMETER_MAPPING = _object({"parameter_id": TEXT, "target": TARGET}, {"card_id": _maybe(ID)})


def _template_tag(field: Schema) -> Schema:
    base = {"name": TEXT, "display-name": TEXT, "id": TEXT}
    return {
        "anyOf": [
            _object(
                {**base, "type": {"enum": ["text", "number", "date", "boolean"]}},
                {"default": ANYTHING, "required": BOOL},
            ),
            _object(
                {
                    **base,
                    "type": {"const": "dimension"},
                    "dimension": field,
                    "widget-type": {"enum": [*PARAMETER_TYPES, "none"]},
                },
                {
                    "default": ANYTHING,
                    "required": BOOL,
                    "options": _maybe(OPEN_OBJECT),
                    "alias": _maybe({"type": "string"}),
                },
            ),
            _object({**base, "type": {"const": "snippet"}, "snippet-name": TEXT}, {"snippet-id": ID}),
            _object({**base, "type": {"const": "card"}, "card-id": ID}),
        ]
    }


def _template_tags(field: Schema) -> Schema:
    return {"type": "object", "propertyNames": TEXT, "additionalProperties": _template_tag(field)}


_MBQL5_FIELD = _tuple({"const": "field"}, OPEN_OBJECT, {"anyOf": [ID, TEXT]})
DATASET_QUERY: Schema = {
    "anyOf": [
        _object(
            {
                "type": {"const": "native"},
                "database": ID,
                "native": _object({"query": TEXT}, {"template-tags": _template_tags(_LEGACY_FIELD)}),
            }
        ),
        _object(
            {
                "lib/type": {"const": "mbql/query"},
                "database": ID,
                "stages": {
                    **_list(
                        _object(
                            {"lib/type": {"const": "mbql.stage/native"}, "native": TEXT},
                            {"template-tags": _template_tags(_MBQL5_FIELD)},
                        )
                    ),
                    "minItems": 1,
                    "maxItems": 1,
                },
            }
        ),
    ]
}

# The driver's resources/metabase-plugin.yaml, and `threads`, which it hands to DuckDB.
DETAILS = _object(
    {"database_file": TEXT, "read_only": {"const": True}},
    {
        "old_implicit_casting": BOOL,
        "allow_unsigned_extensions": BOOL,
        "memory_limit": {"type": "string", "pattern": r"^\d+(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"},
        "threads": {"type": "string", "pattern": r"^\d+$"},
        "init_sql": {"type": "string"},
        "additional-options": {"type": "string"},
    },
)

_CARD_OPTIONAL: dict[str, Schema] = {
    "type": _maybe({"enum": ["question", "model", "metric"]}),
    "parameters": _maybe(_list(PARAMETER)),
    "parameter_mappings": _maybe(_list(PARAMETER_MAPPING)),
    "description": _maybe(TEXT),
    "collection_position": _maybe(ID),
    "result_metadata": _maybe({"type": "array"}),
    "cache_ttl": _maybe(ID),
    "dashboard_id": _maybe(ID),
    "dashboard_tab_id": _maybe(ID),
}
_CARD_MAIN: dict[str, Schema] = {
    "name": TEXT,
    "dataset_query": DATASET_QUERY,
    "display": {"enum": DISPLAYS},
    "visualization_settings": OPEN_OBJECT,
}
_DASHBOARD_COMMON: dict[str, Schema] = {
    "description": _maybe({"type": "string"}),
    "parameters": _maybe(_list(PARAMETER)),
    "cache_ttl": _maybe(ID),
    "collection_id": _maybe(ID),
    "collection_position": _maybe(ID),
}
DASHCARD = _object(
    {
        "id": INTEGER,
        "size_x": {"type": "integer", "minimum": 1, "maximum": 24},
        "size_y": ID,
        "row": {"type": "integer", "minimum": 0},
        "col": {"type": "integer", "minimum": 0, "maximum": 23},
    },
    {
        "card_id": _maybe(ID),
        "action_id": _maybe(ID),
        "dashboard_tab_id": _maybe(INTEGER),
        "parameter_mappings": _maybe(_list(PARAMETER_MAPPING)),
        "visualization_settings": _maybe(OPEN_OBJECT),
        "inline_parameters": _maybe(_list(TEXT)),
        "series": _maybe(_list(_object({"id": ID}))),
    },
)
_QUERY_PARAMETER: Schema = {**OPEN_OBJECT, "properties": {"id": TEXT}, "required": ["id"]}

BODIES: dict[str, Schema] = {
    "POST /api/setup": _object(
        {
            "token": TEXT,
            "user": _object(
                {"email": {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"}, "password": TEXT},
                {"first_name": _maybe(TEXT), "last_name": _maybe(TEXT)},
            ),
            "prefs": _object({"site_name": TEXT}, {"site_locale": _maybe(TEXT)}),
        }
    ),
    "POST /api/session": _object({"username": TEXT, "password": TEXT}),
    "PUT /api/setting/:key": _object({"value": ANYTHING}),
    "POST /api/database": _object(
        {"name": TEXT, "engine": {"const": "duckdb"}, "details": DETAILS},
        {
            "is_full_sync": _maybe(BOOL),
            "is_on_demand": _maybe(BOOL),
            "auto_run_queries": _maybe(BOOL),
            "schedules": _maybe(OPEN_OBJECT),
            "connection_source": _maybe({"enum": ["admin", "setup"]}),
        },
    ),
    "PUT /api/database/:id": _object(
        {},
        {
            "name": _maybe(TEXT),
            "engine": _maybe({"const": "duckdb"}),
            "details": _maybe(DETAILS),
            "refingerprint": _maybe(BOOL),
            "schedules": _maybe(OPEN_OBJECT),
            "auto_run_queries": _maybe(BOOL),
            "description": _maybe({"type": "string"}),
            "caveats": _maybe({"type": "string"}),
            "points_of_interest": _maybe({"type": "string"}),
            "settings": _maybe(OPEN_OBJECT),
        },
    ),
    "POST /api/collection": _object(
        {"name": TEXT},
        {"description": _maybe(TEXT), "parent_id": _maybe(ID), "namespace": _maybe(TEXT)},
    ),
    "PUT /api/collection/:id": _object(
        {},
        {
            "name": _maybe(TEXT),
            "description": _maybe(TEXT),
            "archived": _maybe(BOOL),
            "parent_id": _maybe(ID),
        },
    ),
    "POST /api/card": _object(
        _CARD_MAIN,
        {**_CARD_OPTIONAL, "entity_id": _maybe(NANO_ID), "collection_id": _maybe({"anyOf": [ID, NANO_ID]})},
    ),
    "PUT /api/card/:id": _object(
        {},
        {
            **{key: _maybe(schema) for key, schema in _CARD_MAIN.items()},
            **_CARD_OPTIONAL,
            "archived": _maybe(BOOL),
            "collection_id": _maybe(ID),
            "collection_preview": _maybe(BOOL),
        },
    ),
    "POST /api/dashboard": _object({"name": TEXT}, _DASHBOARD_COMMON),
    "PUT /api/dashboard/:id": _object(
        {},
        {
            "name": _maybe(TEXT),
            **_DASHBOARD_COMMON,
            "caveats": _maybe({"type": "string"}),
            "points_of_interest": _maybe({"type": "string"}),
            "show_in_getting_started": _maybe(BOOL),
            "position": _maybe(ID),
            "width": {"enum": ["fixed", "full"]},
            "archived": _maybe(BOOL),
            "auto_apply_filters": _maybe(BOOL),
            "dashcards": _maybe(_list(DASHCARD)),
            "tabs": _maybe(
                _list(_object({"id": INTEGER, "name": TEXT}, {"position": {"type": "integer", "minimum": 0}}))
            ),
        },
    ),
    "POST /api/card/:id/query": _object(
        {},
        {
            "ignore_cache": BOOL,
            "dashboard_id": _maybe(ID),
            "collection_preview": _maybe(BOOL),
            "parameters": _maybe({"type": "array"}),
        },
    ),
    "POST /api/dashboard/:id/dashcard/:dashcard_id/card/:card_id/query": _object(
        {}, {"dashboard_load_id": _maybe(TEXT), "parameters": _maybe(_list(_QUERY_PARAMETER))}
    ),
    "POST /api/database/:id/sync_schema": _object({}),
    "POST /api/database/:id/rescan_values": _object({}),
}
