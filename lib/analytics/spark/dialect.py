"""dbt's compiled DuckDB SQL as Spark SQL: sqlglot's syntax trees, and rules for what it does not translate right.

sqlglot passes on what it does not know, and gets some constructs wrong without a word. So nothing gets through that is
not on a list here: node types that mean the same in both engines (`_SAME`), and those that a rule translates
(`analytics.spark.rules`, `analytics.spark.selects`). Anything else is refused with the model, the construct and the
line. sqlglot is pinned exactly: with another version these lists have to be looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, UnsupportedError

from analytics.errors import AnalyticsError
from analytics.spark import selects
from analytics.spark.regex import RegexError
from analytics.spark.rules import FUNCTIONS, RULES, Refused

# (schema, table) as DuckDB knows it -> Spark's name of it
Relation = Callable[[str, str], str]


class UntranslatableError(AnalyticsError):
    """A model holds something that is not known to mean the same on Spark."""


class _DuckDB(DuckDB):
    """DuckDB's dialect without the readings that lose which function was written."""

    class Parser(DuckDB.Parser):  # type: ignore[misc, valid-type]  # sqlglot makes it a class variable
        FUNCTIONS: ClassVar = {
            name: build
            for name, build in DuckDB.Parser.FUNCTIONS.items()
            if name not in ("LEN", "EPOCH_MS", "LIST_REDUCE", "REDUCE")
        }


# What both engines read the same way once sqlglot has written it.
_SAME: frozenset[type[exp.Expr]] = frozenset(
    {
        # queries
        *(exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Order, exp.Ordered),
        *(
            exp.With,
            exp.Subquery,
            exp.Union,
            exp.Except,
            exp.Distinct,
            exp.Table,
            exp.TableAlias,
            exp.Alias,
            exp.Star,
        ),
        *(exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Exists, exp.Limit),
        *(exp.Window, exp.WindowSpec, exp.Filter, exp.IgnoreNulls, exp.Lambda, exp.Dot),
        # operators
        *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Between),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg),
        *(exp.DPipe, exp.Case, exp.If, exp.Interval, exp.Var, exp.Tuple, exp.AtTimeZone),
        # types
        *(exp.DataType, exp.DataTypeParam, exp.ColumnDef),
        # functions
        *(exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs, exp.Round, exp.Floor, exp.Ceil),
        *(exp.Sum, exp.Count, exp.Max, exp.Min, exp.Avg, exp.AnyValue, exp.GroupConcat),
        *(exp.RowNumber, exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead),
        *(exp.Length, exp.Lower, exp.Upper, exp.Trim, exp.Left, exp.Substring, exp.Replace, exp.StartsWith),
        *(exp.EndsWith, exp.Contains, exp.MD5, exp.SplitPart, exp.ArrayToString),
        *(exp.ArrayFilter, exp.ArrayContains),
        *(exp.Struct, exp.PropertyEQ, exp.TimestampTrunc),
    }
)

_TYPES = {
    *(exp.DataType.Type.BIGINT, exp.DataType.Type.INT, exp.DataType.Type.DOUBLE, exp.DataType.Type.DECIMAL),
    exp.DataType.Type.INT128,  # sums of BIGINT: a rule makes it a decimal of 38 digits
    *(exp.DataType.Type.TEXT, exp.DataType.Type.BOOLEAN, exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMPTZ),
    *(exp.DataType.Type.VARCHAR, exp.DataType.Type.ARRAY, exp.DataType.Type.STRUCT),
}

_PARTS_OF_A_TIME = {"year", "quarter", "month", "week", "day", "hour", "minute", "dayofyear", "doy"}


def to_spark(sql: str | exp.Expr, relation: Relation, *, model: str) -> str:
    """The Spark SQL that gives the rows which DuckDB gives for `sql`.

    Args:
        sql: as text, or as `parsed` gives it, which this changes.
        relation: Spark's name of each table the query reads by schema and name.
        model: whose SQL it is, for messages.

    Raises:
        UntranslatableError: naming the model, the construct and its line in the compiled SQL.
    """
    tree = parsed(sql, model=model) if isinstance(sql, str) else sql
    try:
        selects.without_row_numbers(tree)
        _refuse_unknown(tree)
        tree = selects.rewrite(tree)
        tree = _apply_rules(tree)
        _name_tables(tree, relation)
        return tree.sql("spark", pretty=True, unsupported_level=ErrorLevel.RAISE)
    except Refused as refused:
        where = _line(refused.node)
        raise UntranslatableError(
            f"model {model}: {refused} is not known to mean the same on Spark"
            f"{f', line {where}' if where else ''} of its compiled SQL; analytics.spark.dialect has the list"
        ) from None
    except UnsupportedError as error:
        raise UntranslatableError(f"model {model}: cannot be written for Spark: {error}") from None


def parsed(sql: str, *, model: str) -> exp.Expr:
    """DuckDB's SQL as a tree.

    Raises:
        UntranslatableError: it cannot be read.
    """
    try:
        return parse_one(sql, read=_DuckDB)
    except ParseError as error:
        details = error.errors[0] if error.errors else {}
        raise UntranslatableError(
            f"model {model}: cannot be read for Spark: {details.get('description', error)}, line {details.get('line')}"
        ) from None


def _refuse_unknown(tree: exp.Expr) -> None:
    for node in tree.walk():
        kind = type(node)
        if kind is exp.Anonymous:
            if node.name.lower() not in FUNCTIONS:
                raise Refused(node, f"function {node.name.lower()}()")
        elif kind not in _SAME and kind not in RULES:
            raise Refused(node, _construct(node))
        if reason := _variant(node):
            raise Refused(node, reason)


def _variant(node: exp.Expr) -> str:
    """What is not plain about a node of a known type; empty when nothing."""
    found = ""
    if isinstance(node, exp.DataType) and node.this not in _TYPES:
        found = f"type {node.sql('duckdb')}"
    elif isinstance(node, exp.Extract) and node.name.lower() not in _PARTS_OF_A_TIME | {"isodow"}:
        found = f"extract({node.name.lower()})"
    elif isinstance(node, exp.Star) and (node.args.get("replace") or node.args.get("rename")):
        found = "* replace"
    elif isinstance(node, exp.Distinct) and node.args.get("on"):
        found = "distinct on"
    elif isinstance(node, exp.SetOperation) and node.args.get("by_name"):
        found = "union by name"
    elif isinstance(node, exp.Join) and (node.args.get("method") or "").upper() not in ("", "ASOF"):
        found = f"{node.args['method']} join".lower()
    elif isinstance(node, exp.Column) and node.name.lower() == "rowid":
        found = "rowid"
    elif isinstance(node, exp.AtTimeZone) and not isinstance(node.parent, exp.TimeToStr):
        found = "at time zone (timezone() is known)"
    elif isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        found = f"table function {node.this.sql('duckdb')}"
    elif isinstance(node, exp.Interval) and not isinstance(node.this, exp.Literal):
        found = "interval of an expression"
    return found


def _apply_rules(tree: exp.Expr) -> exp.Expr:
    """Every node's rule, from the leaves to the root."""
    for node in reversed(list(tree.bfs())):
        rule = FUNCTIONS.get(node.name.lower()) if type(node) is exp.Anonymous else RULES.get(type(node))
        if rule is None:
            continue
        try:
            new = rule(node)
        except RegexError as error:
            raise Refused(node, f"in a regular expression, {error}") from None
        if new is not node:
            if node is tree:
                tree = new
            else:
                node.replace(new)
    return tree


def _name_tables(tree: exp.Expr, relation: Relation) -> None:
    for table in list(tree.find_all(exp.Table)):
        if table.db:
            named = exp.to_table(relation(table.db, table.name), dialect="spark")
            table.replace(exp.alias_(named, table.alias or table.name, table=True))


def _construct(node: exp.Expr) -> str:
    """What the user wrote, short enough for a message."""
    text = " ".join(node.sql("duckdb").split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line(node: exp.Expr) -> int | None:
    """The line of the SQL a node stands in: its own, else that of the first part, or whole, that knows it."""
    known = (part.meta["line"] for part in node.walk() if "line" in part.meta)
    if (line := next(known, None)) is not None:
        return int(line)
    return _line(node.parent) if node.parent is not None else None
