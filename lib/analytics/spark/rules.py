"""What one node of DuckDB's syntax tree is on Spark. A rule gets a node whose parts are translated already."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp, parse_one

from analytics.spark.regex import to_java

Rule = Callable[[Any], exp.Expr]


class Refused(Exception):  # never seen by a user: dialect makes an error of it
    """A node that is not known to mean the same on Spark."""

    def __init__(self, node: exp.Expr, what: str) -> None:
        super().__init__(what)
        self.node = node


def call(name: str, *arguments: Any) -> exp.Anonymous:
    """A call of a Spark function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def lambda_(body: exp.Expr, *names: str) -> exp.Lambda:
    """`names -> body`."""
    return exp.Lambda(this=body, expressions=[exp.to_identifier(name) for name in names])


def spark(sql: str, **parts: exp.Expr) -> exp.Expr:
    """Spark SQL as a tree, with trees in the place of the columns named like `parts`."""

    def put(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and not node.table and node.name in parts:
            return parts[node.name].copy()
        return node

    return parse_one(sql, read="spark").transform(put)


def fields_of(node: exp.Expr) -> list[exp.Expr] | None:
    """The parts of a row: `row(a, b)` or `(a, b)`; None for anything else."""
    if isinstance(node, exp.Paren):
        return fields_of(node.this)
    if isinstance(node, exp.Tuple) or (isinstance(node, exp.Anonymous) and node.name.lower() in ("row", "struct")):
        return list(node.expressions)
    return None


# Lists


def _comprehension(node: exp.Comprehension) -> exp.Expr:
    name, found = node.expression.name, node.args["iterator"]
    if (condition := node.args.get("condition")) is not None:
        found = call("filter", found, lambda_(condition, name))
    return call("transform", found, lambda_(node.this, name))


def _array(node: exp.Array) -> exp.Expr:
    # a comprehension stands in brackets of its own
    if len(node.expressions) == 1 and node.expressions[0].meta.get("is_list"):
        return node.expressions[0]
    return node


def _list_of(node: exp.Comprehension) -> exp.Expr:
    found = _comprehension(node)
    found.meta["is_list"] = True
    return found


def _list_sum(node: exp.Anonymous) -> exp.Expr:
    # null for no elements, as for null
    return spark(
        "case when size(filter(x, v -> v is not null)) > 0"
        " then aggregate(x, cast(0 as bigint), (total, v) -> total + coalesce(cast(v as bigint), 0)) end",
        x=node.expressions[0],
    )


def _list_reduce(node: exp.Anonymous) -> exp.Expr:
    values, step = node.expressions
    return call("aggregate", spark("slice(x, 2, size(x))", x=values), spark("element_at(x, 1)", x=values), step)


def _index(node: exp.Bracket) -> exp.Expr:
    index = node.expressions[0]
    if isinstance(index, exp.Slice):
        return _slice(node, index)
    if len(node.expressions) != 1 or not (isinstance(index, exp.Neg) or (index.is_int and not index.is_string)):
        raise Refused(node, f"index {node.sql('duckdb')}")
    # sqlglot keeps indexes from 0, the negative ones too
    number = (-int(index.this.name) if isinstance(index, exp.Neg) else int(index.name)) + 1
    return call("try_element_at", node.this, spark(str(number)))


def _slice(node: exp.Bracket, index: exp.Slice) -> exp.Expr:
    if index.this is None or index.expression is not None:
        raise Refused(node, f"slice {node.sql('duckdb')}")
    return spark("slice(x, y, size(x))", x=node.this, y=exp.paren(index.this))


def _list_slice(node: exp.Anonymous) -> exp.Expr:
    if len(node.expressions) != 3:
        raise Refused(node, "list_slice() with steps")
    values, first, last = node.expressions
    return spark("slice(x, y, z - y + 1)", x=values, y=exp.paren(first), z=exp.paren(last))


def _series(node: exp.GenerateSeries) -> exp.Expr:
    start, end, step = node.args["start"], node.args["end"], node.args.get("step")
    if node.args.get("is_end_exclusive"):
        end = spark("x - 1", x=exp.paren(end))
    steps = [step] if step is not None else []
    # Spark counts down when the end comes first
    return exp.Case(
        ifs=[exp.If(this=exp.LTE(this=start.copy(), expression=end.copy()), true=call("sequence", start, end, *steps))]
    )


def _collected(node: exp.ArrayAgg) -> exp.Expr:
    order = node.this
    if not isinstance(order, exp.Order):
        raise Refused(node, "list() without an order")
    if any(key.args.get("desc") for key in order.expressions):
        raise Refused(node, "list() in descending order")
    keys = [exp.PropertyEQ(this=exp.to_identifier(f"k{n}"), expression=k.this) for n, k in enumerate(order.expressions)]
    value = exp.PropertyEQ(this=exp.to_identifier("v"), expression=order.this)
    ordered = call("array_sort", call("collect_list", exp.Struct(expressions=[*keys, value])))
    return call("transform", ordered, lambda_(parse_one("s.v", read="spark"), "s"))


# Times


def _from_epoch(node: exp.UnixToTime) -> exp.Expr:
    if node.args.get("scale") is not None:
        raise Refused(node, "a time of other units than seconds")
    return call("timestamp_seconds", node.this)


def _timezone(node: exp.Anonymous) -> exp.Expr:
    zone, instant = node.expressions
    local = exp.cast(instant, "timestamp_ntz", dialect="spark")  # in UTC: the session's time zone
    return call("convert_timezone", exp.Literal.string("UTC"), zone, local)


def _time_text(node: exp.TimeToStr) -> exp.Expr:
    if node.args["format"].name != "%Y-%m-%d %H:%M:%S UTC":
        raise Refused(node, f"time format {node.args['format'].name}")
    instant = node.this.this if isinstance(node.this, exp.AtTimeZone) else node.this
    return call("date_format", instant, exp.Literal.string("yyyy-MM-dd HH:mm:ss 'UTC'"))


def _extract(node: exp.Extract) -> exp.Expr:
    return spark("(weekday(x) + 1)", x=node.expression) if node.name.lower() == "isodow" else node


def _days_between(node: exp.DateDiff) -> exp.Expr:
    if (node.text("unit") or "").upper() != "DAY":
        raise Refused(node, "date_diff() of other units than days")
    days = call("datediff", exp.cast(node.this, "date"), exp.cast(node.expression, "date"))
    return exp.cast(days, "bigint")


# Regular expressions


def _pattern(node: exp.Expr, pattern: exp.Expr | None) -> exp.Expr:
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise Refused(node, "a regular expression that is not written out")
    return exp.Literal.string(to_java(pattern.this))


def _regexp_like(node: exp.RegexpLike) -> exp.Expr:
    if node.args.get("flag") is not None:
        raise Refused(node, "options of regexp_matches()")
    return call("regexp_like", node.this, _pattern(node, node.expression))


def _regexp_extract(node: exp.RegexpExtract) -> exp.Expr:
    group = node.args.get("group") or exp.Literal.number(0)
    return call("regexp_extract", node.this, _pattern(node, node.expression), group)


def _matches_once(pattern: str) -> bool:
    """Whether a text holds one match at most: Spark replaces all of them, DuckDB the first."""
    depth, choices = 0, 0
    for part in re.sub(r"\\.|\[\^?.[^]]*\]", "", pattern):
        depth += {"(": 1, ")": -1}.get(part, 0)
        choices += part == "|" and depth == 0
    anchored = pattern.startswith("^") or (pattern.endswith("$") and re.search(pattern, "") is None)
    return anchored and not choices


def _regexp_replace(node: exp.RegexpReplace) -> exp.Expr:
    options = node.args.get("modifiers")
    replacement = node.args.get("replacement") or exp.Literal.string("")
    if not isinstance(replacement, exp.Literal) or "$" in replacement.this:
        raise Refused(node, "regexp_replace() by something that is not plain text")
    if options is not None and options.name != "g":
        raise Refused(node, f"option {options.name} of regexp_replace()")
    if options is None and not _matches_once(node.expression.name):
        raise Refused(node, "regexp_replace() of the first match only")
    by = replacement.this
    for group in "123456789":
        by = by.replace(f"\\{group}", f"${group}")
    if "\\" in by:
        raise Refused(node, f"regexp_replace() by {replacement.this}")
    return call("regexp_replace", node.this, _pattern(node, node.expression), exp.Literal.string(by))


# Aggregates


def _ordering(node: exp.Expr, key: exp.Expr) -> exp.Expr:
    """What min_by and max_by order by. DuckDB leaves out rows without a value, and nulls in a row are greatest."""
    parts = fields_of(key)
    if parts is not None:
        key = call("struct", *(part for one in parts for part in (exp.Is(this=one.copy(), expression=exp.null()), one)))
    return exp.Case(
        ifs=[exp.If(this=exp.not_(exp.Is(this=exp.paren(node.this.copy()), expression=exp.null())), true=key)]
    )


def _arg_min(node: exp.ArgMin) -> exp.Expr:
    return call("min_by", node.this, _ordering(node, node.expression))


def _arg_max(node: exp.ArgMax) -> exp.Expr:
    return call("max_by", node.this, _ordering(node, node.expression))


def _percentile(node: exp.PercentileCont) -> exp.Expr:
    values, shares = node.this, node.expression
    if isinstance(shares, exp.Array):
        shares = call("array", *(exp.cast(share, "double") for share in shares.expressions))
    return call("percentile", exp.cast(values, "double"), shares)


def _sum(node: exp.Sum) -> exp.Expr:
    if isinstance(node.this.unnest(), (exp.Predicate, exp.Connector, exp.Not)):  # DuckDB counts what is true
        node.set("this", exp.cast(node.this, "bigint"))
    return node


def _filtered_window(node: exp.Window) -> exp.Expr:
    """Spark has no FILTER beside OVER: what is not counted is null instead."""
    if not isinstance(node.this, exp.Filter):
        return node
    aggregate, condition = node.this.this, node.this.expression.this
    if isinstance(aggregate, exp.Anonymous):
        if len(aggregate.expressions) != 1:
            raise Refused(node, f"{aggregate.name}() with filter over a window")
        inner = exp.Case(ifs=[exp.If(this=condition, true=aggregate.expressions[0])])
        aggregate.set("expressions", [inner])
    elif isinstance(aggregate, (exp.Count, exp.Sum, exp.Max, exp.Min, exp.Avg)):
        if isinstance(aggregate.this, exp.Distinct):
            raise Refused(node, "distinct with filter over a window")
        value = exp.Literal.number(1) if isinstance(aggregate.this, exp.Star) else aggregate.this
        aggregate.set("this", exp.Case(ifs=[exp.If(this=condition, true=value)]))
    else:
        raise Refused(node, f"{aggregate.sql('duckdb')} with filter over a window")
    node.set("this", aggregate)
    return node


def _cast(node: exp.Cast) -> exp.Expr:
    if isinstance(node.this, exp.Explode):  # a generator must stand alone
        each = lambda_(exp.Cast(this=exp.column("v"), to=node.to), "v")
        return exp.Explode(this=call("transform", node.this.this, each))
    if isinstance(node.this, exp.Literal) and node.this.is_string and node.to.is_type("array", "struct"):
        return _written_out(node)
    if node.to.this == exp.DataType.Type.DECIMAL and _is_unrounded(node.this.unnest()):
        raise Refused(node, "a quotient or percentile as a decimal without the macro rounded()")
    return node


def _is_unrounded(value: exp.Expr) -> bool:
    """Whether halves of the number are rounded in a way of the engine's own when it becomes a decimal."""
    if isinstance(value, exp.Div):  # of a rounded number by a power of ten, as the macro writes it
        return not (isinstance(value.this.unnest(), exp.Round) and value.expression.is_int)
    if isinstance(value, exp.Filter):
        value = value.this
    return isinstance(value, exp.Anonymous) and value.name == "percentile"


def _written_out(node: exp.Cast) -> exp.Expr:
    """A list or struct in DuckDB's notation, which DuckDB itself reads: unit tests give and expect some."""
    import duckdb

    row = duckdb.execute(f"select to_json({node.sql('duckdb')})").fetchone()
    assert row is not None
    return call("from_json", exp.Literal.string(row[0]), exp.Literal.string(node.to.sql("spark")))


def _type(node: exp.DataType) -> exp.Expr:
    if node.this == exp.DataType.Type.INT128:
        return exp.DataType.build("decimal(38, 0)")
    if node.this == exp.DataType.Type.VARCHAR:
        return exp.DataType.build("text")  # DuckDB takes a length and does not mind it
    return node


def _in(node: exp.In) -> exp.Expr:
    """`(a, b) in (select (c, d) ...)`: Spark wants two columns there."""
    query = node.args.get("query")
    if node.args.get("unnest") is not None or node.args.get("field") is not None:
        raise Refused(node, "in (a list)")
    select = query.this if isinstance(query, exp.Subquery) else query
    if isinstance(node.this, exp.Tuple) and isinstance(select, exp.Select) and len(select.expressions) == 1:
        parts = fields_of(select.expressions[0])
        if parts is None:
            raise Refused(node, "rows in a query of one column")
        select.set("expressions", parts)
    return node


def _cte(node: exp.CTE) -> exp.Expr:
    node.set("materialized", None)  # a hint for DuckDB
    return node


def _same(node: exp.Expr) -> exp.Expr:
    return node


def _plain(name: str) -> Rule:
    return lambda node: call(name, *[node.this, *([node.expression] if node.expression else [])])


def _function(name: str) -> Rule:
    return lambda node: call(name, *node.expressions)


RULES: dict[type[exp.Expr], Rule] = {
    exp.Comprehension: _list_of,
    exp.Array: _array,
    exp.ArrayOverlaps: _plain("arrays_overlap"),
    exp.ArrayDistinct: _plain("array_distinct"),
    exp.ArrayAppend: _plain("array_append"),
    exp.ArrayAgg: _collected,
    exp.Bracket: _index,
    exp.Slice: _same,  # within a bracket
    exp.Explode: _same,
    exp.GenerateSeries: _series,
    exp.UnixToTime: _from_epoch,
    exp.TimeToUnix: lambda node: spark("(cast(unix_micros(x) as double) / 1000000)", x=node.this),
    exp.TimeToStr: _time_text,
    exp.Extract: _extract,
    exp.DayOfWeekIso: lambda node: spark("(weekday(x) + 1)", x=node.this),
    exp.Dayname: lambda node: call("date_format", node.this, exp.Literal.string("EEEE")),
    exp.Monthname: lambda node: call("date_format", node.this, exp.Literal.string("MMMM")),
    exp.DateDiff: _days_between,
    exp.RegexpLike: _regexp_like,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpReplace: _regexp_replace,
    exp.Split: lambda node: spark("split(x, concat('\\\\Q', y, '\\\\E'))", x=node.this, y=node.expression),
    exp.ArgMin: _arg_min,
    exp.ArgMax: _arg_max,
    exp.PercentileCont: _percentile,
    exp.LogicalOr: _plain("bool_or"),
    exp.LogicalAnd: _plain("bool_and"),
    exp.Sum: _sum,
    exp.Window: _filtered_window,
    exp.Cast: _cast,
    exp.CTE: _cte,
    exp.DataType: _type,
    exp.In: _in,
    exp.ByteString: lambda node: exp.Literal.string(node.this),
}

# Functions that DuckDB has and sqlglot does not know, or reads as another.
FUNCTIONS: dict[str, Rule] = {
    "row": _function("struct"),
    "hash": _function("xxhash64"),  # another value: it identifies, and nothing may depend on which it is
    "len": _function("size"),
    "list_slice": _list_slice,
    "list_sum": _list_sum,
    "list_reduce": _list_reduce,
    "generate_subscripts": _same,  # analytics.spark.selects has replaced it
    "epoch_ms": _function("unix_millis"),
    "timezone": _timezone,
}
