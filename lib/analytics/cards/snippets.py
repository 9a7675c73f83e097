"""SQL that several cards share: `{{snippet: periods}}` stands for `metabase/dashboards/snippets/periods.sql`, and
`{{macro: tool_counts}}` for the macro that the marts are built with.

Metabase has snippets too, but keeps them in a database of its own: it gets the cards with the text in its place.
"""

from __future__ import annotations

import re
from pathlib import Path

from analytics.errors import ConfigError
from analytics.warehouse.measures import macro

FOLDER = "snippets"

_SNIPPET = re.compile(
    r"^(?P<indent>[ \t]*)(?P<before>.*?)"
    r"\{\{\s*(?P<kind>snippet|macro):\s*(?P<name>\w+)(?:\s+(?P<column>[\w.]+))?\s*\}\}",
    re.MULTILINE,
)
_COLUMN = "{{column}}"


def expand(sql: str, folder: Path, where: str) -> str:
    """`sql` with each `{{snippet: name}}` and `{{macro: name}}` replaced, at its indentation.

    A word after a snippet's name stands for `{{column}}`.

    Args:
        folder: the one that holds the dashboards and `snippets/`.
        where: the card's file, for messages.

    Raises:
        ConfigError: there is no such snippet or macro, or it wants a column and got none, or the other way round.
    """

    def text(match: re.Match[str]) -> str:
        name, column = match["name"], match["column"]
        snippet = _macro(name, where) if match["kind"] == "macro" else _snippet(name, folder, where)
        if (_COLUMN in snippet) != (column is not None):
            wants = "a column after its name" if column is None else "no column"
            raise ConfigError(f"{where}: {match['kind']} {name!r} wants {wants}")
        lines = snippet.replace(_COLUMN, column or "").split("\n")
        indented = [lines[0], *(match["indent"] + line if line else "" for line in lines[1:])]
        return match["indent"] + match["before"] + "\n".join(indented)

    return _SNIPPET.sub(text, sql)


def _snippet(name: str, folder: Path, where: str) -> str:
    path = folder / FOLDER / f"{name}.sql"
    try:
        return path.read_text(encoding="utf-8").rstrip()
    except OSError:
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.sql")))
        raise ConfigError(f"{where}: unknown snippet {name!r}; one of {known or 'none'}") from None


def _macro(name: str, where: str) -> str:
    try:
        return macro(name)
    except KeyError:
        raise ConfigError(f"{where}: unknown macro {name!r} of dbt/macros/counting.sql") from None
