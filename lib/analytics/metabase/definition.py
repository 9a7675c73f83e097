"""The dashboards of `metabase/dashboards` as provisioning takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analytics.cards.model import Card, Dashboard, load_dashboards, load_value_cards


@dataclass(frozen=True)
class Definition:
    """Everything to provision, in order."""

    cards: tuple[Card, ...]
    dashboards: tuple[Dashboard, ...]
    pages_url: str | None = None  # the server of the pages: sessions in tables link to theirs; None: no links


def load_definition(folder: Path | None = None, *, pages_url: str | None = None) -> Definition:
    """All cards and dashboards of `folder` (default: the repository's).

    Args:
        pages_url: see `Definition`.

    Raises:
        ConfigError: a file is wrong, see `analytics.cards.model`.
    """
    dashboards = load_dashboards(folder)
    cards = [*load_value_cards(folder), *(card for board in dashboards for card in board.cards)]
    once = {card.key: card for card in cards}  # a card may stand on several dashboards
    return Definition(tuple(once.values()), dashboards, pages_url)
