"""A card's SQL with the reader's filters, and the same SQL taken apart for the page.

Metabase fills `[[and date_key in (select date_key from dim_date where {{date}})]]` itself; `filtered_sql` does the
same for DuckDB. The HTML report has no database: `plan` splits a card into what is computed when the report is made
and what its page computes after every change of a filter. Both parts come from the same SQL, as DuckDB parses it:

- a *source* is a CTE that reads marts. It runs without filters, when the report is made, and has to put out the
  columns it is filtered by, so that the page can filter its rows instead. (It must therefore not aggregate over
  a filtered column; `plan` cannot see that, the tests compare.)
- everything else reads only other CTEs and is run in the page by `engine.js`, which understands the part of SQL that
  `plan` lets through.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import duckdb

from analytics.cards.model import FILTERS, Card
from analytics.errors import ConfigError

_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_TAG = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
# [[and <column> in (select <column> from <dimension> where {{tag}})]], or the tag alone on the dimension itself
_CLAUSE = re.compile(
    r"\s*and\s+(?:(?P<column>[\w.]+)\s+in\s*\(\s*select\s+(?P<key>\w+)\s+from\s+(?P<table>\w+)\s+where\s+"
    r"\{\{\s*(?P<inner>\w+)\s*\}\}\s*\)|\{\{\s*(?P<direct>\w+)\s*\}\})\s*"
)
_MARK = "page_filter"

AGGREGATES = {"sum", "count", "count_star", "min", "max", "avg", "median", "quantile_cont", "first", "any_value"}
FUNCTIONS = {
    "+", "-", "*", "/", "%", "||", "nullif", "round", "floor", "ceil", "abs", "greatest", "least", "date_trunc",
    "last_day", "day", "lower", "left", "concat",
}  # fmt: skip
WINDOWS = {"WINDOW_ROW_NUMBER", "WINDOW_RANK", "WINDOW_AGGREGATE"}
CASTS = {"DOUBLE", "BIGINT", "INTEGER", "DATE", "VARCHAR", "BOOLEAN"}


@dataclass(frozen=True)
class Source:
    """A CTE that reads marts: `sql` without filters, which output column each filter narrows, and the marts read,
    those of the filters included."""

    name: str
    sql: str
    filters: dict[str, str] = field(default_factory=dict)
    marts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """A card for the page: `steps` are (name, node), the last one is the card's result."""

    sources: tuple[Source, ...]
    steps: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Selection:
    """What a reader chose. Days are inclusive; None and () mean everything."""

    first_day: date | None = None
    last_day: date | None = None
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def conditions(self) -> dict[str, str]:
        """Filter name -> SQL condition on its column, only for what is narrowed."""
        found = {}
        table, column = FILTERS["date"].column
        days = []
        if self.first_day:
            days.append(f"{table}.{column} >= date '{self.first_day}'")
        if self.last_day:
            days.append(f"{table}.{column} <= date '{self.last_day}'")
        if days:
            found["date"] = f"({' and '.join(days)})"
        for name, values in (("project", self.projects), ("model", self.models)):
            if values:
                table, column = FILTERS[name].column
                quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
                found[name] = f"{table}.{column} in ({quoted})"
        return found


def filtered_sql(sql: str, selection: Selection | None = None) -> str:
    """`sql` for DuckDB: optional parts stay when all their filters are set, as Metabase does it."""
    conditions = (selection or Selection()).conditions()

    def optional(match: re.Match[str]) -> str:
        return match.group(1) if all(name in conditions for name in _TAG.findall(match.group(1))) else ""

    return _TAG.sub(lambda match: conditions.get(match.group(1), "true"), _OPTIONAL.sub(optional, sql))


def plan(card: Card) -> Plan:
    """Take the card's SQL apart for the page.

    Raises:
        ConfigError: the SQL cannot be parsed, or uses in the page's part what the page does not understand.
    """
    return _Compiler(card.source).compile(card.sql)


@lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"autoinstall_known_extensions": False})


class _Compiler:
    def __init__(self, where: str) -> None:
        self.where = where

    def _fail(self, what: str) -> ConfigError:
        return ConfigError(f"{self.where}: {what}")

    def compile(self, sql: str) -> Plan:
        marked = _OPTIONAL.sub(self._mark, sql)
        if "{{" in marked:
            raise self._fail("a filter stands outside of [[ ]]")
        parsed = json.loads(
            _parser().execute("select json_serialize_sql(?)", [marked.strip().rstrip(";")]).fetchone()[0]
        )
        if parsed["error"]:
            raise self._fail(f"not SQL: {parsed['error_message']}")
        if len(parsed["statements"]) != 1:
            raise self._fail("one statement is expected")
        node = parsed["statements"][0]["node"]
        ctes = {item["key"]: item["value"]["query"]["node"] for item in node.pop("cte_map")["map"]}
        sources, steps = [], []
        for name, body in ctes.items():
            tables = _tables(body)
            if tables <= ctes.keys():
                steps.append((name, self._node(body)))
            elif tables & ctes.keys():
                raise self._fail(f"{name} reads a mart and {', '.join(sorted(tables & ctes.keys()))}: read marts apart")
            else:
                sources.append(self._source(name, body))
        if not _tables(node) <= ctes.keys():
            raise self._fail("the last select reads a mart: read marts in a CTE of their own")
        steps.append(("result", self._node(node)))
        return Plan(tuple(sources), tuple(steps))

    def _mark(self, match: re.Match[str]) -> str:
        clause = _CLAUSE.fullmatch(match.group(1))
        if clause is None:
            raise self._fail(
                f"[[{match.group(1).strip()}]] is not [[and <column> in (select <column> from <dimension> "
                "where {{filter}})]]"
            )
        if clause["direct"]:
            name = clause["direct"]
            return f" and {_MARK}('{name}', '{FILTERS[name].column[1]}')"
        if clause["inner"] not in FILTERS or clause["table"] != FILTERS[clause["inner"]].column[0]:
            raise self._fail(f"{{{{{clause['inner']}}}}} is a column of {FILTERS[clause['inner']].column[0]}")
        return f" and {_MARK}('{clause['inner']}', '{clause['column'].rpartition('.')[2]}')"

    def _source(self, name: str, body: dict[str, Any]) -> Source:
        filters: dict[str, str] = {}

        def unmark(value: Any) -> Any:
            if isinstance(value, list):
                return [unmark(item) for item in value]
            if not isinstance(value, dict):
                return value
            if value.get("function_name") == _MARK:
                tag, column = (child["value"]["value"] for child in value["children"])
                filters[tag] = column
                return _TRUE
            return {key: unmark(item) for key, item in value.items()}

        statement = {"error": False, "statements": [{"node": unmark(body)}]}
        sql = _parser().execute("select json_deserialize_sql(?::json)", [json.dumps(statement)]).fetchone()[0]
        return Source(name, sql, filters, frozenset(_tables(body) | {FILTERS[tag].column[0] for tag in filters}))

    # Queries

    def _node(self, node: dict[str, Any]) -> dict[str, Any]:
        if node["type"] == "SET_OPERATION_NODE":
            if node.get("setop_type") != "UNION" or not node.get("setop_all"):
                raise self._fail("the page combines queries by union all only")
            children = node.get("children") or [node["left"], node["right"]]
            found: dict[str, Any] = {"union": [self._node(part) for part in children]}
        elif node["type"] == "SELECT_NODE":
            found = {
                "select": [[self._name(item), self._expression(item)] for item in node["select_list"]],
                "from": self._from(node.get("from_table") or {"type": "EMPTY"}),
            }
            if node.get("aggregate_handling") == "FORCE_AGGREGATES":
                found["group"] = "all"
            elif node.get("group_expressions"):
                found["group"] = [self._expression(item) for item in node["group_expressions"]]
            for key, name in (("where_clause", "where"), ("having", "having"), ("qualify", "qualify")):
                if node.get(key):
                    found[name] = self._expression(node[key])
        else:
            raise self._fail(f"the page does not run {node['type']}")
        for modifier in node.get("modifiers", []):
            if modifier["type"] == "ORDER_MODIFIER":
                found["order"] = [
                    [self._expression(item["expression"]), item["type"] == "DESCENDING"] for item in modifier["orders"]
                ]
            elif modifier["type"] == "LIMIT_MODIFIER" and not modifier.get("offset"):
                found["limit"] = modifier["limit"]["value"]["value"]
            else:
                raise self._fail(f"the page does not run {modifier['type']}")
        return found

    def _from(self, table: dict[str, Any]) -> Any:
        if table["type"] == "EMPTY":
            return None
        if table["type"] == "BASE_TABLE":
            return {"table": table["table_name"], "alias": table.get("alias") or table["table_name"]}
        if table["type"] == "JOIN":
            kind = table.get("join_type", "INNER")
            if kind not in ("INNER", "LEFT") or table.get("using_columns"):
                raise self._fail("the page joins by inner, left and cross joins with a condition")
            return {
                "join": kind.lower(),
                "left": self._from(table["left"]),
                "right": self._from(table["right"]),
                "on": self._expression(table["condition"]) if table.get("condition") else None,
            }
        raise self._fail(f"the page does not read {table['type']}")

    @staticmethod
    def _name(item: dict[str, Any]) -> str:
        if item.get("alias"):
            return item["alias"]
        return item["column_names"][-1] if item["class"] == "COLUMN_REF" else ""

    # Expressions, as nested lists: [what, …]

    def _expression(self, item: dict[str, Any]) -> list[Any]:
        method = getattr(self, f"_{item['class'].lower()}", None)
        if method is None:
            raise self._fail(f"the page does not compute {item['class'].lower()} expressions")
        return method(item)

    def _column_ref(self, item: dict[str, Any]) -> list[Any]:
        names = item["column_names"]
        return ["col", names[-1], names[-2] if len(names) > 1 else None]

    def _constant(self, item: dict[str, Any]) -> list[Any]:
        value, kind = item["value"], item["value"]["type"]["id"]
        if value.get("is_null"):
            return ["lit", None]
        if kind == "DECIMAL":
            return ["lit", value["value"] / 10 ** value["type"]["type_info"]["scale"]]
        return ["lit", value["value"]]

    def _function(self, item: dict[str, Any]) -> list[Any]:
        name = item["function_name"]
        arguments = [self._expression(child) for child in item.get("children", [])]
        if name in AGGREGATES:
            condition = self._expression(item["filter"]) if item.get("filter") else None
            return ["agg", name, arguments, condition, bool(item.get("distinct"))]
        if name not in FUNCTIONS:
            raise self._fail(f"the page does not know the function {name}; it knows {', '.join(sorted(FUNCTIONS))}")
        return ["fn", name, *arguments]

    def _window(self, item: dict[str, Any]) -> list[Any]:
        if item["type"] not in WINDOWS or item.get("end") not in (None, "CURRENT_ROW_RANGE", "CURRENT_ROW_ROWS"):
            raise self._fail("the page computes row_number, rank and running aggregates only")
        return [
            "win",
            item["function_name"],
            [self._expression(child) for child in item.get("children", [])],
            [self._expression(child) for child in item.get("partitions", [])],
            [
                [self._expression(order["expression"]), order["type"] == "DESCENDING"]
                for order in item.get("orders", [])
            ],
        ]

    def _cast(self, item: dict[str, Any]) -> list[Any]:
        kind = item["cast_type"]["id"]
        if kind not in CASTS:
            raise self._fail(f"the page does not cast to {kind}")
        return ["cast", kind, self._expression(item["child"])]

    def _case(self, item: dict[str, Any]) -> list[Any]:
        checks = [[self._expression(c["when_expr"]), self._expression(c["then_expr"])] for c in item["case_checks"]]
        return ["case", checks, self._expression(item["else_expr"])]

    def _between(self, item: dict[str, Any]) -> list[Any]:
        return ["between", *(self._expression(item[part]) for part in ("input", "lower", "upper"))]

    def _comparison(self, item: dict[str, Any]) -> list[Any]:
        return ["cmp", item["type"], self._expression(item["left"]), self._expression(item["right"])]

    def _conjunction(self, item: dict[str, Any]) -> list[Any]:
        kind = "and" if item["type"] == "CONJUNCTION_AND" else "or"
        return [kind, *map(self._expression, item["children"])]

    def _operator(self, item: dict[str, Any]) -> list[Any]:
        kinds = {
            "OPERATOR_NOT": "not", "OPERATOR_IS_NULL": "isnull", "OPERATOR_IS_NOT_NULL": "notnull",
            "OPERATOR_COALESCE": "coalesce", "COMPARE_IN": "in",
        }  # fmt: skip
        if item["type"] not in kinds:
            raise self._fail(f"the page does not compute {item['type']}")
        return [kinds[item["type"]], *map(self._expression, item["children"])]


_TRUE = {
    "class": "CONSTANT",
    "type": "VALUE_CONSTANT",
    "value": {"type": {"id": "BOOLEAN"}, "is_null": False, "value": True},
}


def _tables(node: Any) -> set[str]:
    """Names of the tables that a parsed query reads."""
    if isinstance(node, list):
        return set().union(*map(_tables, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = {node["table_name"]} if node.get("type") == "BASE_TABLE" else set()
    return found.union(*map(_tables, node.values())) if node else found
