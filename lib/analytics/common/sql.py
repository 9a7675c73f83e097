"""How names and texts are written in SQL."""

from __future__ import annotations


def identifier(name: str) -> str:
    """A name in double quotes, so that it means itself whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value's text in single quotes.

    Use a parameter where there can be one: this is for what cannot have any (`attach`, `copy`, views, settings).
    """
    return "'" + str(value).replace("'", "''") + "'"
