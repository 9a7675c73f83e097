"""What dbt's descriptions say of the marts, for the expectations that hold for every one of them.

A key, a column that is never null, a category's values, a reference: they stand once, as data tests of the models; what
a number or a time may be in the column's type and `meta`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from analytics.warehouse.dictionary import mart_models
from analytics.warehouse.marts import SCHEMA

_NUMBER = re.compile(r"(big|small|tiny|huge|)int(eger)?|double|float|decimal\b.*", re.IGNORECASE)
_REFERENCE = re.compile(r"ref\('(\w+)'\)")
# Numbers below zero mean something only where the column's `meta` says so.
_MAY_BE_NEGATIVE = "may_be_negative"
# A time's `meta` names the one that it is never before.
_NOT_BEFORE = "not_before"


@dataclass
class Table:
    """A mart; columns in their order."""

    name: str  # schema.name
    key: str  # the first column that is unique
    present: list[str] = field(default_factory=list)  # never null
    known: dict[str, list[str]] = field(default_factory=dict)  # column -> its values
    references: dict[str, str] = field(default_factory=dict)  # column -> schema.table.column
    not_negative: list[str] = field(default_factory=list)
    rates: list[str] = field(default_factory=list)  # between 0 and 1
    not_before: dict[str, str] = field(default_factory=dict)  # column of a time -> that of an earlier one


@cache
def tables() -> tuple[Table, ...]:
    """The marts as described, by name.

    A reference that holds for some rows only (`config.where`) is dbt's to test.
    """
    return tuple(_table(name, model) for name, model in sorted(mart_models().items()))


def _table(name: str, model: dict[str, Any]) -> Table:
    unique = [column["name"] for column in model["columns"] if "unique" in column.get("data_tests", [])]
    table = Table(f"{SCHEMA}.{name}", unique[0])
    for test in model.get("data_tests", []):
        table.present += _arguments(test, "no_nulls").get("columns", [])
    for column in model["columns"]:
        name = column["name"]
        for test in column.get("data_tests", []):
            if values := _arguments(test, "accepted_values").get("values"):
                table.known[name] = values
            if (reference := _arguments(test, "relationships")) and "config" not in test["relationships"]:
                parent = _REFERENCE.fullmatch(reference["to"])
                assert parent, f"{table.name}.{name}: a reference to {reference['to']}"
                table.references[name] = f"{SCHEMA}.{parent[1]}.{reference['field']}"
        if earlier := _meta(column).get(_NOT_BEFORE):
            table.not_before[name] = earlier
        if name.endswith(("_rate", "_share")):
            table.rates.append(name)
        elif _NUMBER.fullmatch(column.get("data_type", "")) and not _meta(column).get(_MAY_BE_NEGATIVE):
            table.not_negative.append(name)
    return table


def _arguments(test: Any, name: str) -> dict[str, Any]:
    """The arguments of a data test of that name; empty for every other test."""
    return dict(test[name].get("arguments", {})) if isinstance(test, dict) and name in test else {}


def _meta(column: dict[str, Any]) -> dict[str, Any]:
    return dict(column.get("config", {}).get("meta", {}))
