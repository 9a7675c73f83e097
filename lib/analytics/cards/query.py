"""A card's SQL with what a reader chose.

Metabase fills `[[and date_key in (select date_key from dim_date where {{date}})]]` itself; `bound` does the same for
DuckDB, with parameters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from analytics.cards.model import FILTERS

_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_TAG = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


@dataclass(frozen=True)
class Selection:
    """What a reader chose. Days are inclusive; None and () mean everything."""

    first_day: date | None = None
    last_day: date | None = None
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


def bound(sql: str, selection: Selection | None = None) -> tuple[str, dict[str, Any]]:
    """`sql` for DuckDB with what the reader chose as parameters: nothing of an address is ever part of the SQL.

    Returns:
        The SQL with named parameters, and their values.
    """
    selection = selection or Selection()
    conditions: dict[str, str] = {}
    values: dict[str, Any] = {}
    days = [("first_day", ">=", selection.first_day), ("last_day", "<=", selection.last_day)]
    table, column = FILTERS["date"].column
    values |= {name: day for name, _, day in days if day}
    if values:
        conditions["date"] = " and ".join(f"{table}.{column} {sign} ${name}" for name, sign, day in days if day)
    chosen = {
        "project": selection.projects,
        "model": selection.models,
        "machine": selection.machines,
        "person": selection.people,
        "tool": selection.tools,
    }
    for name, wanted in chosen.items():
        if wanted:
            table, column = FILTERS[name].column
            conditions[name] = f"list_contains(${name}, {table}.{column})"
            values[name] = list(wanted)

    def optional(match: re.Match[str]) -> str:
        return match.group(1) if all(name in conditions for name in _TAG.findall(match.group(1))) else ""

    text = _OPTIONAL.sub(optional, sql)
    used = {name for name in _TAG.findall(text) if name in conditions}
    kept = {name for name in values if name in used or (name.endswith("_day") and "date" in used)}
    return _TAG.sub(lambda found: f"({conditions.get(found.group(1), 'true')})", text), {n: values[n] for n in kept}
