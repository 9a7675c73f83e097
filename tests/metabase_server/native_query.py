"""Native queries as Metabase handles them: optional parts, tags, field filters, dates, and the SQL they
become.

Follows metabase/metabase src/metabase/driver/sql/parameters/substitution.clj (a field filter becomes
`"schema"."table"."column" <condition>`, its name replaced by the tag's alias) and
src/metabase/query_processor/parameters/dates.clj (the date range texts).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
TAG = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
WRONG_FIELD_FILTER = (
    (
        re.compile(r"(?:=|<|>|\blike\b|\bin\b)\s*\(?\s*\{\{\s*%s\s*\}\}", re.IGNORECASE),
        "compared with an operator",
    ),
    (re.compile(r"'\s*\{\{\s*%s\s*\}\}\s*'"), "quoted"),
)


class MissingValueError(Exception):
    """A plain tag outside `[[ ]]` has no value."""


def tag_names(sql: str) -> set[str]:
    """Template tags in `sql`, without snippets and card references."""
    return {name for name in TAG.findall(sql) if not name.startswith(("snippet:", "#"))}


def problems(sql: str, tags: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with a native query's text."""
    found = []
    if sql.count("[[") != sql.count("]]") or any("[[" in part for part in OPTIONAL.findall(sql)):
        found.append("[[ ]] must be balanced and not nested")
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", "", sql, flags=re.DOTALL).strip()
    if ";" in re.sub(r"'[^']*'", "", bare):
        found.append("one statement, no semicolon")
    if not re.match(r"(select|with|from)\b", bare, re.IGNORECASE):
        found.append("must start with select, with or from")
    if tag_names(sql) != set(tags):
        found.append(f"tags in the SQL {sorted(tag_names(sql))} are not the declared ones {sorted(tags)}")
    for name, tag in tags.items():
        if tag["name"] != name:
            found.append(f"tag {name} is named {tag['name']}")
        if tag["type"] == "dimension":
            for pattern, what in WRONG_FIELD_FILTER:
                if re.search(pattern.pattern % re.escape(name), sql, pattern.flags):
                    found.append(f"field filter {name} is {what}")
    return found


def compile_sql(
    sql: str,
    tags: dict[str, dict[str, Any]],
    values: dict[str, Any],
    identifier: Callable[[dict[str, Any]], tuple[str, str]],
    *,
    today: date,
) -> str:
    """The SQL for DuckDB.

    Args:
        values: tag name -> value; without one the tag's default counts.
        identifier: tag -> (its column as SQL, its base type).
    """
    given = {name: values.get(name, tag.get("default")) for name, tag in tags.items()}
    given = {name: value for name, value in given.items() if value not in (None, [], "")}

    def optional(match: re.Match[str]) -> str:
        return match.group(1) if all(name in given for name in TAG.findall(match.group(1))) else ""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        tag = tags[name]
        if tag["type"] == "dimension":
            if name not in given:
                return "1 = 1"
            column, base_type = identifier(tag)
            return _condition(tag.get("alias") or column, base_type, tag["widget-type"], given[name], today)
        if name not in given:
            raise MissingValueError(
                f"You'll need to pick a value for '{tag['display-name']}' before this query can run."
            )
        return _literal(given[name][0] if isinstance(given[name], list) else given[name])

    return TAG.sub(value, OPTIONAL.sub(optional, sql))


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _condition(column: str, base_type: str, widget: str, value: Any, today: date) -> str:
    if widget.startswith("date"):
        start, end = date_range(value, today)
        parts = []
        if start:
            parts.append(f"{column} >= date '{start}'")
        if end and base_type.startswith("type/DateTime"):
            parts.append(f"{column} < date '{end + timedelta(days=1)}'")
        elif end:
            parts.append(f"{column} <= date '{end}'")
        return f"({' and '.join(parts)})"
    values = value if isinstance(value, list) else [value]
    return f"({column} in ({', '.join(map(_literal, values))}))"


_RELATIVE = re.compile(r"(past|next)(\d+)(day|week|month|quarter|year)s(~?)")


def date_range(text: str, today: date) -> tuple[date | None, date | None]:
    """First and last day (both included) of a date filter's text.

    Raises:
        ValueError: not a text that Metabase's date/all-options reads.
    """
    if "~" in text and not text.startswith(("past", "next")):
        start, end = text.split("~")
        return date.fromisoformat(start) if start else None, date.fromisoformat(end) if end else None
    if text in ("today", "thisday"):
        return today, today
    if text == "yesterday":
        return today - timedelta(days=1), today - timedelta(days=1)
    if text.startswith("this"):
        return _period(text.removeprefix("this"), today, 0)
    relative = _RELATIVE.fullmatch(text)
    if relative:
        direction, count, unit, including = relative.groups()
        sign = -1 if direction == "past" else 1
        spans = [_period(unit, today, sign * step) for step in range(0 if including else 1, int(count) + 1)]
        return min(start for start, _ in spans), max(end for _, end in spans)
    day = date.fromisoformat(text)
    return day, day


def _period(unit: str, today: date, offset: int) -> tuple[date, date]:
    if unit == "day":
        day = today + timedelta(days=offset)
        return day, day
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=offset)
        return monday, monday + timedelta(days=6)
    months = {"month": 1, "quarter": 3, "year": 12}.get(unit)
    if months is None:
        raise ValueError(f"unknown date range unit {unit!r}")
    index = today.year * 12 + today.month - 1
    first = (index // months + offset) * months
    start = date(first // 12, first % 12 + 1, 1)
    after = first + months
    return start, date(after // 12, after % 12 + 1, 1) - timedelta(days=1)
