"""Whether the dashboards' definition fits the marts, without a server.

The marts are those that dbt describes (every mart has a contract: its columns and their types), or the published
database's where there is one. A card that names a column which is gone is found here, not by whoever opens it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.cards import model, query
from analytics.cards.definitions import definition
from analytics.errors import ConfigError, first_line
from analytics.warehouse.dictionary import mart_models

if TYPE_CHECKING:
    import duckdb

# Every filter set: optional parts of a card's SQL must be right too.
EVERYTHING = query.Selection(
    date(2026, 1, 1), date(2026, 1, 31), ("a project",), ("a model",), ("a machine",), ("a person",), ("a tool",)
)

# Formats by what a column may hold.
_NUMERIC = {"usd", "usd_fine", "count", "tokens", "number", "percent", "duration", "ms"}
_TYPES = {
    "date": re.compile(r"DATE"),
    "datetime": re.compile(r"TIMESTAMP.*"),
    "text": re.compile(r"VARCHAR"),
    **dict.fromkeys(_NUMERIC, re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")),
}


# Columns that a card may put out without showing them: what its rows link to.
KEYS = ("session_id", "project_id", "prompt_key")


@dataclass(frozen=True)
class CheckResult:
    """What was looked at, and what is wrong with it, one line each."""

    dashboards: int
    cards: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        found = f"{len(self.problems)} problems" if self.problems else "all of them fit the marts"
        return f"{self.dashboards} dashboards, {self.cards} cards: {found}"


def check(connection: duckdb.DuckDBPyConnection | None = None, *, folder: Path | None = None) -> CheckResult:
    """Check every card: its SQL binds with and without filters, puts out the columns its YAML names in that order
    and of a type that its format can show, can be computed by the page, and leads to a definition that exists.

    Args:
        connection: marts to check against, found by their bare names; default: empty ones as dbt describes them.
        folder: the definition; default: the repository's `metabase/dashboards`.

    Raises:
        ConfigError: a file of the definition cannot be read at all.
    """
    boards = model.load_dashboards(folder)
    cards = {card.key: card for board in boards for card in board.cards}
    cards |= {card.key: card for card in model.load_value_cards(folder)}
    marts = connection or described_marts()
    problems: list[str] = []
    for card in cards.values():
        problems += [f"{card.source}: {problem}" for problem in _problems(card, marts)]
    for name, item in model.FILTERS.items():
        if item.values is not None and item.values[0] not in cards:
            problems.append(
                f"filters.yaml: the filter {name} takes its values from {item.values[0]!r}, which is no card"
            )
    for board in boards:
        unused = [name for name in board.filters if not any(name in card.tags for card in board.cards)]
        problems += [f"{board.source}: no card listens to the filter {name}" for name in unused]
    problems += _same_titles(boards)
    return CheckResult(len(boards), len(cards), tuple(problems))


def described_marts() -> duckdb.DuckDBPyConnection:
    """An in-memory database with every mart that dbt describes, empty."""
    import duckdb

    connection = duckdb.connect()
    for name, mart in mart_models().items():
        columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in mart["columns"])
        connection.execute(f'create table "{name}" ({columns})')
    return connection


def _problems(card: model.Card, marts: duckdb.DuckDBPyConnection) -> list[str]:
    import duckdb

    problems = []
    try:
        definition(card.definition)
    except ConfigError as error:
        problems.append(f"its definition leads nowhere: {error}")
    names = [column.name for column in card.columns]
    for what in _named(card.view):
        if what not in names:
            problems.append(f"{what!r} is none of its columns ({', '.join(names)})")
    for selection, when in ((None, "without filters"), (EVERYTHING, "with every filter")):
        try:
            found = marts.execute(*query.bound(card.sql, selection)).description or []
        except duckdb.Error as error:
            problems.append(f"{when}: {first_line(error)}")
            continue
        shown = [(name, str(kind)) for name, kind, *_ in found if name not in KEYS or name in names]
        if [name for name, _ in shown] != names:
            problems.append(
                f"{when}: puts out {', '.join(name for name, _ in shown)}; its YAML says {', '.join(names)}"
            )
            continue
        for column, (_, kind) in zip(card.columns, shown, strict=True):
            if selection is None and not _TYPES[column.format].fullmatch(kind):
                problems.append(f"column {column.name} is {kind}, which cannot be shown as {column.format}")
    return problems


def _named(view: dict[str, Any]) -> list[str]:
    """The columns that a card's settings speak of."""
    names = [view[word] for word in ("x", "series", "value", "date") if word in view]
    names += [name for word in ("y", "bars") for name in view.get(word, ())]
    return names + [name for word in ("heat", "dots") for name in (view.get(word) or {}).values()]


def _same_titles(boards: tuple[model.Dashboard, ...]) -> list[str]:
    """Metabase shows cards by title: two of the same could not be told apart in search."""
    titles: dict[str, model.Card] = {}
    problems = []
    for card in (card for board in boards for card in board.cards):
        other = titles.setdefault(card.title, card)
        if other.key != card.key:
            problems.append(f"{card.source}: the title {card.title!r} is also that of {other.source}")
    return problems
