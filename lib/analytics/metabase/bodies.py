"""What a dashboard definition looks like in Metabase: request bodies and identities.

Identity. A card carries an `entity_id` derived from its key, so it keeps its address, links and history
when its title, SQL or dashboard changes. Dashboards and collections cannot be given one (Metabase's POST
schemas have no such key); a dashboard is known by the last line of its description, which also tells people
where it comes from.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from typing import Any

from analytics.cards.model import FILTERS, Card, Dashboard
from analytics.metabase.client import Json
from analytics.metabase.visualization import visualization_settings

DEFAULTS = {"date": "past30days~"}  # the last 30 days and today
_NAMESPACE = uuid.UUID("6f6d1a5e-3b0c-5d43-9a6e-2f3a0f5d8c11")
_MARK = re.compile(r"Managed by claude-analytics: (card|dashboard) ([a-z0-9_/-]+)\.")


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


def described(item: Card | Dashboard) -> str:
    """The stored description: the author's text, then where the item is defined and who keeps it."""
    kind, text = "dashboard", item.description.strip()
    if isinstance(item, Card):
        kind, text = "card", f"{text}\n\nHow it is counted: {item.definition}"
    origin = f" Defined in {item.source}; changes made here are overwritten, a copy is yours." if item.source else ""
    return f"{text}\n\nManaged by claude-analytics: {kind} {item.key}.{origin}"


def mark_of(kind: str, description: str | None) -> str | None:
    """The key in a description written by `described`, None when the item is not ours."""
    found = _MARK.search(description or "")
    return found.group(2) if found and found.group(1) == kind else None


def stored_sql(card: Card) -> str:
    """Its SQL as it is sent: Metabase wraps native queries, so there is no semicolon at the end."""
    return card.sql.strip().rstrip(";").rstrip()


# Request bodies


def card_body(
    card: Card,
    *,
    database_id: int,
    fields: dict[tuple[str, str], int],
    collection_id: int,
    pages_url: str | None = None,
) -> Json:
    """The body of POST and PUT /api/card (without `entity_id`).

    The query is in the legacy native form with a map of template tags: the one form that every version
    since 0.4x reads. `fields` maps (table, column) to Metabase's field id.

    Args:
        pages_url: see `analytics.metabase.visualization`.
    """
    native: Json = {"query": stored_sql(card)}
    if card.tags:
        native["template-tags"] = {
            name: {
                "id": tag_id(card.key, name),
                "name": name,
                "display-name": FILTERS[name].label,
                "type": "dimension",
                "dimension": ["field", fields[column], None],
                "widget-type": FILTERS[name].type,
            }
            for name, column in card.tags.items()
        }
    return {
        "name": card.title,
        "description": described(card),
        "type": "question",
        "display": card.display,
        "collection_id": collection_id,
        "visualization_settings": visualization_settings(card, pages_url),
        "dataset_query": {"type": "native", "database": database_id, "native": native},
        "parameters": [_card_parameter(card, name) for name in card.tags],
    }


def _card_parameter(card: Card, name: str) -> Json:
    """The card's own filter widget for a tag, as the query editor would save it."""
    return {
        "id": tag_id(card.key, name),
        "name": FILTERS[name].label,
        "slug": name,
        "type": FILTERS[name].type,
        "target": _target(name),
    }


def _target(name: str) -> list[Any]:
    return ["dimension", ["template-tag", name]]


def parameter_bodies(dashboard: Dashboard, card_ids: dict[str, int]) -> list[Json]:
    """The `parameters` of PUT /api/dashboard."""
    bodies = []
    for name in dashboard.filters:
        chosen = FILTERS[name]
        body: Json = {
            "id": parameter_id(dashboard.key, name),
            "name": chosen.label,
            "slug": name,
            "type": chosen.type,
            "sectionId": chosen.type.partition("/")[0],
        }
        if name in DEFAULTS:
            body["default"] = DEFAULTS[name]
        if chosen.values is not None:
            card, column = chosen.values
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


def dashcard_bodies(dashboard: Dashboard, card_ids: dict[str, int], stored: list[Json]) -> list[Json]:
    """The `dashcards` of PUT /api/dashboard: stored ones are updated in place, new ones get negative ids.

    A stored dashcard is reused for the same card, so that a run which changes nothing sends nothing, and one that
    moves a card keeps its links.
    """
    free = sorted(stored, key=lambda dashcard: dashcard["id"])
    bodies: list[Json] = []
    for position, card in enumerate(dashboard.cards, start=1):
        card_id = card_ids[card.key]
        reused = next((dashcard for dashcard in free if dashcard.get("card_id") == card_id), None)
        if reused is not None:
            free.remove(reused)
        bodies.append(
            {
                "id": reused["id"] if reused else -position,
                "card_id": card_id,
                "row": card.at.row,
                "col": card.at.col,
                "size_x": card.at.width,
                "size_y": card.at.height,
                "dashboard_tab_id": None,
                "series": [],
                "visualization_settings": {},
                "parameter_mappings": [
                    {"parameter_id": parameter_id(dashboard.key, name), "card_id": card_id, "target": _target(name)}
                    for name in dashboard.filters
                    if name in card.tags
                ],
            }
        )
    return bodies
