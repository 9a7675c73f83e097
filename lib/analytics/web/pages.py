"""What stands on each page: asked from the published marts, put into words for the templates."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from analytics.cards.definitions import definition
from analytics.cards.model import Card, Dashboard, load_dashboards
from analytics.common import formats
from analytics.common.clock import utc_now
from analytics.common.text import clean
from analytics.errors import AnalyticsError, ConfigError
from analytics.sessions.documents import Documents
from analytics.sessions.prompts import beginnings
from analytics.sessions.reader import Reader
from analytics.settings import Settings
from analytics.warehouse.dictionary import mart_models
from analytics.web import views
from analytics.web.choice import NAMED, PRESETS, BadAddress, Choice, parse
from analytics.web.links import Links
from analytics.web.published import Facts, Published, require
from analytics.web.tables import Cell, one_of, order_of

STALE_AFTER = timedelta(days=2)
BEGINNINGS_KEPT = 2_000


class Pages:
    """Everything the pages show.

    Args:
        settings: where the published database, the runs and the time zone are.
        base: the address that all pages lie under, with a slash at its end.
        lab: JupyterLab's address where the pages are part of it.
    """

    def __init__(self, settings: Settings, base: str, *, lab: str | None = None) -> None:
        self.settings, self.base, self.lab = settings, base, lab
        self.published = Published(settings)
        self.reader = Reader(settings, self.published.rows, Documents(settings))
        # how prompts begin, by key, of the version that is published: another one may have lost some
        self._begins: tuple[Path, dict[str, str]] = (Path(), {})
        self.boards = load_dashboards()
        self.cards: dict[str, Card] = {card.key: card for board in self.boards for card in board.cards}

    def warm_up(self) -> None:
        """Do what the first session would wait for: import PyIceberg, list the raw layer's files."""
        with contextlib.suppress(AnalyticsError, duckdb.Error, OSError):
            self.reader.documents.list_files()
            self.reader.days()

    # What every page has

    def frame(
        self, current: str | None, title: str, facts: Facts | None = None, choice: Choice | None = None
    ) -> dict[str, Any]:
        """What stands above and below every page.

        Args:
            current: the address of the page in the list of pages; None when it is not one of them.
            choice: what was chosen here stays chosen on the pages that hear it.
        """
        tabs = [("", "Home")]
        for board in self.boards:
            kept = choice and (choice if "tool" in board.filters else replace(choice, tool=None)).address()
            tabs.append((f"dashboards/{board.key}{kept or ''}", board.title))
        kept = choice and replace(choice, model=None, tool=None).address()
        tabs += [(f"sessions{kept or ''}", "Sessions")]
        tabs += [("edits", "Edits"), ("compare", "Compare"), ("runs", "Runs")]
        return {
            "title": title,
            "base": self.base,
            "demo": self.settings.is_demo,
            "fresh": self._fresh(facts),
            "navigation": [
                {"href": self.base + path, "title": name, "current": path.split("?")[0] == current}
                for path, name in tabs
            ],
        }

    def _fresh(self, facts: Facts | None) -> dict[str, Any]:
        if facts is None or facts.newest_entry_at is None:
            return {"text": "", "stale": False}
        age = utc_now() - facts.newest_entry_at
        hours = max(0, int(age.total_seconds() // 3600))
        said = "within the last hour" if hours < 1 else "an hour ago" if hours == 1 else f"{hours} hours ago"
        if age >= STALE_AFTER:
            said = f"{age.days:,} days ago"
        at = formats.instant(facts.newest_entry_at, self.settings.analytics_tz)
        return {"text": f"Newest entry {at} ({said}) · {self.settings.analytics_tz}", "stale": age >= STALE_AFTER}

    def filters(self, choice: Choice, facts: Facts, heard: Collection[str] = ()) -> dict[str, Any]:
        """What the filters above a page need; those in `heard` beside the ones that every page has."""
        return {
            "choice": choice,
            "facts": facts,
            "presets": PRESETS,
            "projects": [(project.project_id, clean(project.label)) for project in facts.projects],
            **{listed: [(name, clean(name)) for name in getattr(facts, listed)] for listed in NAMED.values()},
            "said": self.said(choice, facts),
            "address": choice.address(),
            "heard": heard,
        }

    def said(self, choice: Choice, facts: Facts) -> str:
        """The days that a choice comes to, in words."""
        if facts.first_day is None or facts.last_day is None:
            return "no data yet"
        first = max(choice.first or facts.first_day, facts.first_day)
        last = min(choice.last or facts.last_day, facts.last_day)
        if first > last:
            return (
                f"no data in these days: there are from {formats.day(facts.first_day)} to {formats.day(facts.last_day)}"
            )
        return f"{formats.day(first)} – {formats.day(last)}"

    # Dashboards and cards

    def dashboard(self, key: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """A dashboard's frame; its cards ask for their own bodies.

        Raises:
            BadAddress: no such dashboard, or a filter that is none.
            AnalyticsError: nothing is published.
        """
        board = self.board(key)
        facts = require(self.published)
        choice = parse(arguments, facts)
        return {
            **self.frame(f"dashboards/{key}", board.title, facts, choice),
            **self.filters(choice, facts, board.filters),
            "board": board,
            "bands": card_slots(board, choice, facts),
            "still": False,
        }

    def board(self, key: str) -> Dashboard:
        """The dashboard of that key.

        Raises:
            BadAddress: there is none.
        """
        for board in self.boards:
            if board.key == key:
                return board
        raise BadAddress(f"There is no dashboard {key!r}: {', '.join(board.key for board in self.boards)}.", 404)

    def card(self, key: str) -> Card:
        """The card of that key.

        Raises:
            BadAddress: there is none.
        """
        if key not in self.cards:
            raise BadAddress(f"There is no card {key!r}.", 404)
        return self.cards[key]

    def card_page(self, key: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """One card with how it is counted, its SQL and its tests."""
        card = self.card(key)
        facts = require(self.published)
        choice = parse(arguments, facts)
        return {
            **self.frame(self._board_of(card), card.title, facts, choice),
            **self.filters(choice, facts, card.tags),
            "card": card,
            "is_chart": views.is_drawn(card),
            "scope": views.scope(card, choice, facts),
            "definition": _markdown(definition(card.definition)),
            "tests": tests_of(card.definition),
            "on": [board for board in self.boards if any(item.key == key for item in board.cards)],
        }

    def card_body(self, key: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """A card's rows as its template wants them."""
        card = self.card(key)
        facts = require(self.published)
        choice = parse(arguments, facts)
        order = order_of(card, arguments)
        as_table = one_of(arguments, "view", ("table",)) == "table"
        view = views.view(
            self.published,
            facts,
            card,
            choice,
            self.links(facts, choice, self._board_of(card), prompts=self._beginnings),
            order=order,
            as_table=as_table,
            timezone=self.settings.analytics_tz,
        )

        def body_address(**changes: Any) -> str:
            words = order.words(**changes)
            words |= {"view": "table"} if as_table else {}
            return f"{self.base}cards/{key}/body{choice.address()}" + "".join(
                f"&{name}={quoted(value)}" for name, value in words.items()
            )

        return {"view": view, "body_address": body_address, "still": False}

    def links(
        self, facts: Facts, choice: Choice, path: str, prompts: Callable[[list[str]], dict[str, str]] | None = None
    ) -> Links:
        """Where values of a page lead; `prompts` says how prompts begin, where that is to be shown."""
        return Links(facts, choice, self.base + path, f"{self.base}sessions/", prompts)

    def _beginnings(self, keys: list[str]) -> dict[str, str]:
        """How prompts begin. Looking for them in the raw layer takes longer than everything else on their card."""
        version = self.published.version
        if self._begins[0] != version or len(self._begins[1]) > BEGINNINGS_KEPT:
            self._begins = (version, {})
        known = self._begins[1]
        if missing := [key for key in keys if key not in known]:
            found = beginnings(self.reader, missing)
            known |= {key: found.get(key, "") for key in missing}
        return {key: known[key] for key in keys if known[key]}

    def _board_of(self, card: Card) -> str:
        for board in self.boards:
            if any(item.key == card.key for item in board.cards) and card.source.startswith(
                f"metabase/dashboards/{board.key}/"
            ):
                return f"dashboards/{board.key}"
        return f"cards/{card.key}"

    def nothing(self) -> dict[str, Any]:
        """An address that leads nowhere.

        Raises:
            BadAddress: always.
        """
        raise BadAddress("There is no such page.", 404)

    def facts_if_any(self) -> Facts | None:
        """The facts of the published version; None when nothing is published."""
        return self.published.facts() if self.settings.published_path.exists() else None

    # Columns

    def columns(self) -> dict[str, Any]:
        """Every mart and its columns, as dbt describes them."""
        sections = [
            {
                "key": name,
                "title": name,
                "about": " ".join(model["description"].split()),
                "heads": ["Column", "Type", "What it is"],
                "rows": [
                    [
                        Cell(column["name"]),
                        Cell(str(column.get("data_type", ""))),
                        Cell(" ".join((column.get("description") or "").split()), wraps=True),
                    ]
                    for column in model["columns"]
                ],
            }
            for name, model in sorted(mart_models().items())
        ]
        return {
            **self.frame("columns", "Tables and columns", self.facts_if_any()),
            "intro": "What notebooks, Metabase and these pages read; `make docs` shows where it comes from.",
            "sections": sections,
        }


def card_slots(board: Dashboard, choice: Choice, facts: Facts) -> list[list[dict[str, Any]]]:
    """The cards of a dashboard, band by band, as the templates place them."""
    bands: dict[int, list[dict[str, Any]]] = {}
    for card in board.cards:
        slot = {
            "card": card,
            "kind": _kind(card),
            "is_chart": views.is_drawn(card),
            "scope": views.scope(card, choice, facts),
        }
        bands.setdefault(card.place.row if card.place else 0, []).append(slot)
    return [band for _, band in sorted(bands.items())]


def _kind(card: Card) -> str:
    return "strip" if card.view.get("strip") else "scalar" if card.display in ("smartscalar", "scalar") else "plain"


def quoted(text: str) -> str:
    """`text` as part of an address."""
    from urllib.parse import quote

    return quote(text, safe="")


def _markdown(text: str) -> str:
    import mistune

    return str(mistune.create_markdown(escape=True)(text))


@lru_cache(maxsize=256)
def tests_of(name: str) -> tuple[str, ...]:
    """Names of the tests that hold a number: those its definition names, and dbt's on its column."""
    try:
        text = definition(name)
    except ConfigError:
        return ()
    found = [
        test
        for line in re.findall(r"^\*Tests?:\*(.*(?:\n`.*)*)", text, re.MULTILINE)
        for test in re.findall(r"`(\w+)`", line)
    ]
    if name.startswith("marts."):
        _, mart, *column = name.split(".")
        for item in mart_models().get(mart, {}).get("columns", []):
            if column and item["name"] == column[0]:
                for test in item.get("data_tests") or []:
                    found.append(f"{mart}.{column[0]}: {test if isinstance(test, str) else next(iter(test))}")
    return tuple(dict.fromkeys(found))
