"""What a whole select of DuckDB's is on Spark: ASOF joins, lists laid out as rows, frames that Spark does not take."""

from __future__ import annotations

from sqlglot import exp, parse_one

from analytics.spark.rules import Refused, call, spark


def rewrite(tree: exp.Expr) -> exp.Expr:
    """The tree with every such select rewritten, in place."""
    for select in list(tree.find_all(exp.Select)):
        _unnest_with_positions(select)
        _without_frames(select)
        for join in select.args.get("joins") or []:
            if (join.args.get("method") or "").upper() == "ASOF":
                _asof(join)
        if select.args.get("qualify") is not None:
            outer = _qualified(select)
            if select is tree:
                tree = outer
    return tree


def without_row_numbers(tree: exp.Expr) -> None:
    """`rowid in (select rowid from the same table where ...)`: the condition itself. DuckDB finds rows faster so."""
    for condition in list(tree.find_all(exp.In)):
        query = condition.args.get("query")
        inner = query.this if isinstance(query, exp.Subquery) else query
        if not isinstance(inner, exp.Select) or not _is_row_number(condition.this):
            continue
        where = condition.parent
        while isinstance(where, (exp.And, exp.Paren)):
            where = where.parent
        outer = where.parent if isinstance(where, exp.Where) else None
        plain = {key for key, value in inner.args.items() if value} == {"expressions", "from_", "where"}
        same = isinstance(outer, exp.Select) and inner.args["from_"] == outer.args.get("from_")
        if plain and same and len(inner.expressions) == 1 and _is_row_number(inner.expressions[0]):
            condition.replace(exp.paren(inner.args["where"].this))


def _is_row_number(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and node.name.lower() == "rowid"


def _qualified(select: exp.Select) -> exp.Expr:
    """`qualify`, which Spark does not have: a column says who stays, and goes."""
    if select.args.get("order") is not None or select.args.get("limit") is not None:
        raise Refused(select, "qualify with order by or limit")
    condition = select.args["qualify"].this
    outer = parse_one("select * except (is_qualified) from x where is_qualified", read="spark")
    parent = select.parent
    if parent is not None:
        select.replace(outer)
    select.set("qualify", None)
    select.append("expressions", exp.alias_(exp.paren(condition), "is_qualified"))
    table = outer.find(exp.Table)
    assert table is not None
    table.replace(exp.Subquery(this=select, alias=exp.TableAlias(this=exp.to_identifier("qualified"))))
    return outer


def _unnest_with_positions(select: exp.Select) -> None:
    """`unnest(a) as x, generate_subscripts(a, 1) as p`: one posexplode beside the rows."""
    positions = [
        item
        for item in select.expressions
        if isinstance(item.this, exp.Anonymous) and item.this.name.lower() == "generate_subscripts"
    ]
    lists = [item for item in select.expressions if isinstance(item, exp.Alias) and isinstance(item.this, exp.Explode)]
    if not positions:
        if len(lists) > 1:
            raise Refused(lists[1], "a second unnest() in one select")
        return
    if len(positions) != 1 or len(lists) != 1 or positions[0].this.expressions[0] != lists[0].this.this:
        raise Refused(positions[0], "generate_subscripts() without unnest() of the same list")
    item, position = lists[0], positions[0]
    alias = exp.TableAlias(
        this=exp.to_identifier("laid_out"), columns=[exp.to_identifier("list_index"), exp.to_identifier(item.alias)]
    )
    select.append("laterals", exp.Lateral(this=call("posexplode", item.this.this), view=True, alias=alias))
    kept = {
        id(item): exp.column(item.alias),
        id(position): exp.alias_(spark("cast(list_index + 1 as bigint)"), position.alias),
    }
    select.set("expressions", [kept.get(id(one), one) for one in select.expressions])


def _without_frames(select: exp.Select) -> None:
    """lag() and lead() over a named window with a frame: they look beyond it anyway, and Spark wants none."""
    named = {window.name: window for window in select.args.get("windows") or []}
    for window in list(select.find_all(exp.Window)):
        definition = named.get(window.alias) if isinstance(window.this, (exp.Lag, exp.Lead)) else None
        if definition is None or not definition.args.get("spec"):
            continue
        window.set("alias", None)
        window.set("over", "OVER")
        window.set("partition_by", [key.copy() for key in definition.args.get("partition_by") or []])
        window.set("order", definition.args["order"].copy())


def _asof(join: exp.Join) -> None:
    """`ASOF JOIN r ON keys AND l.t >= r.t`: a row of r holds from its time to that of the next with its keys."""
    on, right = join.args["on"], join.this
    name = right.alias_or_name
    conditions = list(on.flatten()) if isinstance(on, exp.And) else [on]
    times = [one for one in conditions if isinstance(one, exp.GTE)]
    keys = [one for one in conditions if isinstance(one, exp.EQ)]
    if len(times) != 1 or len(keys) + 1 != len(conditions) or not isinstance(right, exp.Table):
        raise Refused(join, "asof join other than by equal keys and one >=")
    begin = times[0].expression
    columns = [side for key in keys for side in (key.left, key.right) if getattr(side, "table", None) == name]
    if len(columns) != len(keys) or not isinstance(begin, exp.Column) or begin.table != name:
        raise Refused(join, "asof join other than by columns of the table joined")
    partition = f"partition by {', '.join(column.name for column in columns)} " if columns else ""
    # of several rows at one instant lead() leaves all but one empty, as DuckDB takes one of them
    until = f"lead({begin.name}) over ({partition}order by {begin.name}) as next_begin"
    rows = parse_one(f"select *, {until} from {right.name}", read="spark")
    if right.db:
        raise Refused(join, "asof join of a table that no with clause names")
    join.set("method", None)
    join.set("this", exp.Subquery(this=rows, alias=exp.TableAlias(this=exp.to_identifier(name))))
    end = exp.column("next_begin", table=name)
    before = exp.LT(this=times[0].this.copy(), expression=end)
    join.set("on", exp.and_(on, exp.paren(exp.or_(before, exp.Is(this=end.copy(), expression=exp.null())))))
