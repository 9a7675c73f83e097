"""The dashboards of `metabase/dashboards` as provisioning takes them."""

from __future__ import annotations

from pathlib import Path

from analytics.cards import model
from analytics.metabase.bodies import CardSpec, DashboardSpec, Definition, Parameter, Tag, Tile
from analytics.metabase.visualization import visualization_settings

DEFAULTS = {"date": "past30days~"}  # the last 30 days and today


def load_definition(folder: Path | None = None, *, pages_url: str | None = None) -> Definition:
    """All cards and dashboards of `folder` (default: the repository's).

    Args:
        pages_url: the server of the pages: sessions in tables link to theirs; None: no links.

    Raises:
        ConfigError: a file is wrong, see `analytics.cards.model`.
    """
    dashboards = model.load_dashboards(folder)
    cards = [*model.load_value_cards(folder), *(card for board in dashboards for card in board.cards)]
    once = {card.key: card for card in cards}  # a card may stand on several dashboards
    return Definition(
        cards=tuple(_card(card, pages_url) for card in once.values()),
        dashboards=tuple(map(_dashboard, dashboards)),
    )


def _card(card: model.Card, pages_url: str | None) -> CardSpec:
    return CardSpec(
        key=card.key,
        name=card.title,
        description=f"{card.description}\n\nHow it is counted: {card.definition}",
        display=card.display,
        sql=card.sql,
        visualization_settings=visualization_settings(card, pages_url),
        tags=tuple(
            Tag(name, model.FILTERS[name].label, "dimension", model.FILTERS[name].type, column)
            for name, column in card.tags.items()
        ),
        source=card.source,
    )


def _dashboard(dashboard: model.Dashboard) -> DashboardSpec:
    headings = [
        Tile(item.row, item.col, item.width, item.height, text=item.text, text_display="heading")
        for item in dashboard.headings
    ]
    cards = [
        Tile(
            card.at.row,
            card.at.col,
            card.at.width,
            card.at.height,
            card=card.key,
            mappings=tuple((name, name) for name in dashboard.filters if name in card.tags),
        )
        for card in dashboard.cards
    ]
    return DashboardSpec(
        key=dashboard.key,
        name=dashboard.title,
        description=dashboard.description,
        parameters=tuple(map(_parameter, dashboard.filters)),
        tiles=(*headings, *cards),
        source=dashboard.source,
    )


def _parameter(name: str) -> Parameter:
    item = model.FILTERS[name]
    options = {"default": DEFAULTS[name]} if name in DEFAULTS else {}
    return Parameter(item.name, item.label, item.type, options, item.values)
