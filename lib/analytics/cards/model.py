"""The dashboards as defined in `metabase/dashboards`: one YAML file per dashboard, the SQL of its cards beside it.

A card says what it shows in a few neutral words (`x`, `y`, `series`, a format per column). `metabase.visualization`
says them as Metabase does, `web.charts` draws them.

A filter is one column of a dimension (`FILTERS`), so a card applies it as
`[[and date_key in (select date_key from dim_date where {{date}})]]`, whatever its own table calls its day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from analytics.cards import snippets
from analytics.errors import ConfigError
from analytics.settings import PROJECT_ROOT

GRID_COLUMNS = 24
DISPLAYS = ("smartscalar", "scalar", "bar", "line", "area", "row", "table")
CHARTS = ("bar", "line", "area", "row")

# Format of a column -> Metabase's column settings. Metabase has no durations: seconds are shown as minutes there.
FORMATS: dict[str, dict[str, Any]] = {
    "text": {},
    "usd": {"number_style": "currency", "currency": "USD", "currency_in_header": False, "decimals": 2},
    "usd_fine": {"number_style": "currency", "currency": "USD", "currency_in_header": False, "decimals": 4},
    "count": {"number_style": "decimal", "decimals": 0},
    "tokens": {"number_style": "decimal", "decimals": 0},
    "number": {"number_style": "decimal", "decimals": 1},
    "percent": {"number_style": "percent", "decimals": 1},
    "duration": {"number_style": "decimal", "decimals": 1, "scale": 1 / 60, "suffix": " min"},
    "ms": {"number_style": "decimal", "decimals": 2, "scale": 0.001, "suffix": " s"},
    "date": {"date_style": "MMMM D, YYYY", "date_abbreviate": True},
    "datetime": {"date_style": "MMMM D, YYYY", "date_abbreviate": True, "time_enabled": "minutes"},
}

_KEY = re.compile(r"[a-z0-9_]+")
_TAG = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_DEFINITION = re.compile(r"docs/how-we-count\.md#[a-z0-9-—–]+|marts\.[a-z_0-9]+(\.[a-z_0-9]+)?")
_CARD_WORDS = {
    "key", "title", "description", "display", "place", "definition", "columns", "x", "y", "series", "stack",
    "scale", "zero", "value", "date", "good", "heat", "dots", "strip", "bars", "wrap",
}  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """What a reader can narrow a dashboard to. `column` is the physical column; `values` the card and column that
    fill its drop-down in Metabase (None: a date picker)."""

    name: str
    label: str
    type: str
    column: tuple[str, str]
    values: tuple[str, str] | None = None


FILTERS: dict[str, Filter] = {
    "date": Filter("date", "Date", "date/all-options", ("dim_date", "date_key")),
    "project": Filter(
        "project", "Project", "string/=", ("dim_projects", "project_path"), ("known_projects", "project_path")
    ),
    "model": Filter("model", "Model", "string/=", ("dim_models", "model"), ("known_models", "model")),
    "machine": Filter("machine", "Machine", "string/=", ("dim_sessions", "machine"), ("known_machines", "machine")),
    "person": Filter("person", "Person", "string/=", ("dim_sessions", "person"), ("known_people", "person")),
    "tool": Filter("tool", "Tool", "string/=", ("dim_tools", "tool_name"), ("known_tools", "tool_name")),
}


@dataclass(frozen=True)
class Place:
    """Where a card is: grid cells, 24 columns across."""

    row: int
    col: int
    width: int
    height: int


@dataclass(frozen=True)
class Column:
    """How an output column is shown. `format` is a key of FORMATS."""

    name: str
    title: str
    format: str = "text"


@dataclass(frozen=True)
class Card:
    """One number, chart or table. `view` holds the neutral words of its YAML; `place` is None for a card that only
    fills a drop-down."""

    key: str
    title: str
    description: str
    display: str
    sql: str
    place: Place | None
    definition: str
    columns: tuple[Column, ...]
    view: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def at(self) -> Place:
        """Its place; cards on a dashboard have one."""
        if self.place is None:
            raise ConfigError(f"{self.source}: card {self.key!r} needs a place")
        return self.place

    @property
    def shows_sessions(self) -> bool:
        """Whether its rows are of sessions: it puts out `session_id` too."""
        return self._puts_out("session_id")

    @property
    def shows_prompts(self) -> bool:
        """Whether its rows are of prompts: it puts out `prompt_key` too."""
        return self._puts_out("prompt_key")

    def _puts_out(self, column: str) -> bool:
        """Whether the last part of its SQL has the column, which no reader sees."""
        return bool(re.search(rf"^ +(?:.+ as |\w+\.)?{column},?$", self.sql.rpartition("\nselect")[2], re.MULTILINE))

    @property
    def tags(self) -> dict[str, tuple[str, str]]:
        """Filters that the SQL takes -> their physical (table, column)."""
        return {name: FILTERS[name].column for name in dict.fromkeys(_TAG.findall(self.sql))}


@dataclass(frozen=True)
class Dashboard:
    """A page of cards. `filters` are names in FILTERS."""

    key: str
    title: str
    description: str
    position: int
    filters: tuple[str, ...]
    cards: tuple[Card, ...]
    source: str


def default_folder() -> Path:
    """Where the definition stands in the repository."""
    return PROJECT_ROOT / "metabase" / "dashboards"


def load_dashboards(folder: Path | None = None) -> tuple[Dashboard, ...]:
    """All dashboards, in the order of their `position`. A card of one dashboard may be shown again on another.

    Raises:
        ConfigError: a file is missing or says something that is not allowed: which, what, and what is allowed.
    """
    folder = folder or default_folder()
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError(f"no dashboards in {folder}: expected one YAML file per dashboard")
    documents = {path: _read(path) for path in files if path.name != "filters.yaml"}
    cards: dict[str, Card] = {}
    for path, document in documents.items():
        for item in document.get("cards", []):
            if "use" not in item:
                card = _card(item, path, folder)
                if card.key in cards:
                    raise ConfigError(
                        f"{card.source}: the key {card.key!r} is also {cards[card.key].source}: rename one"
                    )
                cards[card.key] = card
    dashboards = [_dashboard(document, path, folder, cards) for path, document in documents.items()]
    return tuple(sorted(dashboards, key=lambda dashboard: (dashboard.position, dashboard.key)))


def load_value_cards(folder: Path | None = None) -> tuple[Card, ...]:
    """The cards that fill Metabase's drop-downs (`filters.yaml`); they stand on no dashboard."""
    folder = folder or default_folder()
    path = folder / "filters.yaml"
    return tuple(_card(item, path, folder) for item in _read(path).get("cards", []))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected a mapping with title, filters and cards")
    return document


def _dashboard(document: dict[str, Any], path: Path, folder: Path, cards: dict[str, Card]) -> Dashboard:
    where = _relative(path)
    _only(document, {"title", "description", "position", "filters", "cards"}, where)
    filters = tuple(document.get("filters") or ())
    for name in filters:
        if name not in FILTERS:
            raise ConfigError(f"{where}: unknown filter {name!r}; one of {', '.join(FILTERS)}")
    placed = []
    for item in document.get("cards", []):
        if "use" in item:
            _only(item, {"use", "place"}, f"{where}: use {item['use']}")
            if item["use"] not in cards:
                raise ConfigError(f"{where}: no card {item['use']!r} to use")
            card = cards[item["use"]]
            placed.append(replace(card, place=_place(item.get("place"), f"{where}: {card.key}")))
        else:
            placed.append(cards[item["key"]])
    dashboard = Dashboard(
        key=path.stem,
        title=_text(document, "title", where),
        description=_text(document, "description", where),
        position=int(document.get("position", 99)),
        filters=filters,
        cards=tuple(sorted(placed, key=lambda card: (card.at.row, card.at.col))),
        source=where,
    )
    _check_layout(dashboard)
    return dashboard


def _card(item: dict[str, Any], path: Path, folder: Path) -> Card:
    where = f"{_relative(path)}: {item.get('key', 'a card without key')}"
    _only(item, _CARD_WORDS, where)
    key = _text(item, "key", where)
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{where}: a key has lower case letters, digits and _ only")
    display = _text(item, "display", where)
    if display not in DISPLAYS:
        raise ConfigError(f"{where}: unknown display {display!r}; one of {', '.join(DISPLAYS)}")
    definition = _text(item, "definition", where)
    if not _DEFINITION.fullmatch(definition):
        raise ConfigError(
            f"{where}: definition {definition!r} is neither docs/how-we-count.md#anchor nor marts.<model>.<column>"
        )
    sql_path = folder / path.stem / f"{key}.sql"
    try:
        sql = sql_path.read_text(encoding="utf-8")
    except OSError:
        raise ConfigError(f"{where}: its SQL is missing: {_relative(sql_path)}") from None
    sql = snippets.expand(sql, folder, _relative(sql_path))
    for name in _TAG.findall(sql):
        if name not in FILTERS:
            raise ConfigError(f"{_relative(sql_path)}: unknown filter {{{{{name}}}}}; one of {', '.join(FILTERS)}")
    said = {"key", "title", "description", "display", "place", "columns", "definition"}
    if display == "smartscalar":
        sql = _current_or_nothing(sql, _text(item, "value", where), _text(item, "date", where))
    return Card(
        key=key,
        title=_text(item, "title", where),
        description=" ".join(_text(item, "description", where).split()),
        display=display,
        sql=sql,
        place=_place(item["place"], where) if "place" in item else None,
        definition=definition,
        columns=_columns(item.get("columns") or {}, where),
        view={name: value for name, value in item.items() if name not in said},
        source=_relative(sql_path),
    )


def _current_or_nothing(sql: str, value: str, date: str) -> str:
    """The SQL of a trend, without rows when the newest period has no value.

    Metabase takes the last row that has a number for the current period, whatever its date, and shows an error when no
    row has one; no rows at all are a plain "No results".
    """
    return f"""select *
from (
{sql.rstrip()}
) as periods_of_the_card
qualify last_value({value}) over (
    order by {date} rows between unbounded preceding and unbounded following
) is not null
order by {date}
"""


def _columns(columns: dict[str, Any], where: str) -> tuple[Column, ...]:
    found = []
    for name, value in columns.items():
        title, _, style = str(value).rpartition("|")
        title, style = (title.strip(), style.strip()) if title else (style.strip(), "text")
        if style not in FORMATS:
            raise ConfigError(f"{where}: column {name} has the unknown format {style!r}; one of {', '.join(FORMATS)}")
        found.append(Column(name, title, style))
    if not found:
        raise ConfigError(f"{where}: columns are missing: what each output column is called and how it is shown")
    return tuple(found)


def _place(value: Any, where: str) -> Place:
    if not (isinstance(value, list) and len(value) == 4 and all(isinstance(item, int) for item in value)):
        raise ConfigError(f"{where}: place {value!r} is not [row, column, width, height]")
    place = Place(*value)
    if place.col < 0 or place.row < 0 or place.width < 1 or place.height < 1 or place.col + place.width > GRID_COLUMNS:
        raise ConfigError(f"{where}: place {value!r} leaves the grid of {GRID_COLUMNS} columns")
    return place


def _check_layout(dashboard: Dashboard) -> None:
    taken: dict[tuple[int, int], str] = {}
    for card in dashboard.cards:
        for row in range(card.at.row, card.at.row + card.at.height):
            for col in range(card.at.col, card.at.col + card.at.width):
                if (row, col) in taken:
                    raise ConfigError(
                        f"{dashboard.source}: {card.key} lies over {taken[row, col]} at row {row}, column {col}"
                    )
                taken[row, col] = card.key


def _text(item: dict[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: {name} is missing")
    return value.strip()


def _only(item: dict[str, Any], allowed: Iterable[str], where: str) -> None:
    unknown = sorted(item.keys() - set(allowed))
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(allowed))}")


def _relative(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)
