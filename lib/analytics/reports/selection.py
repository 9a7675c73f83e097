"""Which days, projects and machines a report is about.

Projects and machines belong to sessions, days to single facts: every report reads the facts through the views that
`apply` makes, so a filter holds wherever a fact is counted, and the totals of all reports agree.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.common.clock import utc_now
from analytics.common.sql import literal
from analytics.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMES_SUGGESTED = 3
NAMES_LISTED = 10

# A response as an hour with one response in it, for what the hours do not tell apart (attribution, sub-agents).
_OF_RESPONSES = """
    *,
    1 as response_count,
    cast(not is_priced as integer) as unpriced_response_count,
    cast(output_is_lower_bound as integer) as lower_bound_response_count
"""

# What happened, with its day: rows to be summed by any key.
_ACTIVITY = """
    select *
    from selected_hours
    union all by name
    select
        session_id,
        project_id,
        called_date_key as date_key,
        1 as tool_call_count,
        cast(status = 'error' as integer) as tool_error_count,
        cast(is_git_commit as integer) as commits,
        cast(is_pull_request as integer) as pull_requests
    from selected_tool_calls
    union all by name
    select
        session_id,
        project_id,
        operated_date_key as date_key,
        lines_added,
        lines_removed
    from selected_file_operations
    where status = 'success'
"""


@dataclass(frozen=True)
class Selection:
    """Days from `since` to `until`, both included, of sessions in `projects` (ids) on `machines`; None is all.

    A report may narrow it down further, to the `sessions` (ids) that it shows.
    """

    since: date | None = None
    until: date | None = None
    projects: tuple[str, ...] | None = None
    machines: tuple[str, ...] | None = None
    sessions: tuple[str, ...] | None = None
    # what the user called the projects, for the heading
    project_names: tuple[str, ...] = ()

    @property
    def has_days(self) -> bool:
        """Whether days are left out."""
        return self.since is not None or self.until is not None

    def whole_sessions(self) -> Selection:
        """The same sessions with all their days."""
        return replace(self, since=None, until=None)

    def days(self, column: str) -> str:
        """A condition: the day in `column` is selected."""
        conditions = ["true"]
        if self.since is not None:
            conditions.append(f"{column} >= date '{self.since}'")
        if self.until is not None:
            conditions.append(f"{column} <= date '{self.until}'")
        return " and ".join(conditions)

    def apply(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the temporary views of what is selected: sessions, their hours, responses, tool calls and activity.

        With days chosen, a session is selected when something happened in it on one of them.
        """
        of_sessions = "true"
        chosen = {"project_id": self.projects, "machine": self.machines, "session_id": self.sessions}
        if any(values is not None for values in chosen.values()):
            conditions = " and ".join(_is_one_of(column, values) for column, values in chosen.items())
            connection.execute(
                "create or replace temp table chosen_sessions as"
                f" select session_id from dim_sessions where {conditions}"
            )
            of_sessions = "session_id in (select session_id from chosen_sessions)"
        views = {
            "selected_hours": ("agg_session_hours", "*", self.days("date_key")),
            "undated_hours": ("agg_session_hours", "*", "date_key is null"),
            "selected_responses": (
                *("fct_messages", _OF_RESPONSES),
                f"message_kind in ('response', 'advisor') and {self.days('created_date_key')}",
            ),
            "selected_tool_calls": ("fct_tool_calls", "*", self.days("called_date_key")),
            "selected_file_operations": ("fct_file_operations", "*", self.days("operated_date_key")),
        }
        for view, (table, columns, condition) in views.items():
            connection.execute(
                f"create or replace temp view {view} as"
                f" select {columns} from {table} where {of_sessions} and {condition}"
            )
        connection.execute(f"create or replace temp view selected_activity as {_ACTIVITY}")
        active = "session_id in (select session_id from selected_activity)" if self.has_days else "true"
        connection.execute(
            "create or replace temp view selected_sessions as"
            f" select * from dim_sessions where {of_sessions} and {active}"
        )

    def __str__(self) -> str:
        parts = []
        if self.since is not None:
            parts.append(f"since {self.since}")
        if self.until is not None:
            parts.append(f"until {self.until}")
        if self.project_names:
            parts.append(f"project {', '.join(self.project_names)}")
        if self.machines:
            parts.append(f"machine {', '.join(self.machines)}")
        return ", ".join(parts)


def select(
    connection: duckdb.DuckDBPyConnection,
    timezone: ZoneInfo,
    *,
    since: str | None = None,
    until: str | None = None,
    projects: Sequence[str] = (),
    machines: Sequence[str] = (),
) -> tuple[Selection, list[str]]:
    """What a user asked for in words, and notes on what the words meant.

    Raises:
        ConfigError: a day cannot be read, or no project or machine goes by that name.
    """
    today = utc_now().astimezone(timezone).date()
    first = None if since is None else parse_day("--since", since, today)
    last = None if until is None else parse_day("--until", until, today, is_end=True)
    if first and last and first > last:
        raise ConfigError(f"--since {since!r} is after --until {until!r}: nothing can be between them")
    ids, notes = _projects(connection, projects)
    chosen = Selection(
        since=first,
        until=last,
        projects=ids,
        machines=_machines(connection, machines),
        project_names=tuple(projects),
    )
    return chosen, notes


def parse_day(option: str, value: str, today: date, *, is_end: bool = False) -> date:
    """A day in words.

    `2026-01-31`, `20260131`, `today`, `yesterday`, `tuesday` (the last one), `7d` and `4w` (the first of so many last
    days), `2026-08` and `2026` (their first day, or their last with `is_end`).

    Raises:
        ConfigError: `value` is none of these.
    """
    word = value.strip().lower()
    if word in ("today", "yesterday"):
        return today - timedelta(days=word == "yesterday")
    try:
        if re.fullmatch(r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}", word):
            return date.fromisoformat(word)
        if re.fullmatch(r"[1-9][0-9]*[dw]", word):
            return today - timedelta(days=int(word[:-1]) * (7 if word[-1] == "w" else 1) - 1)
        if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", word):
            year, month = int(word[:4]), int(word[5:] or (12 if is_end else 1))
            return date(year, month, monthrange(year, month)[1] if is_end else 1)
        if len(word) >= 3 and (found := [place for place, name in enumerate(WEEKDAYS) if name.startswith(word)]):
            return today - timedelta(days=(today.weekday() - found[0]) % 7)
    except (ValueError, OverflowError):
        pass
    raise ConfigError(
        f"{option} {value!r} is no day: give YYYY-MM-DD, YYYY-MM, today, yesterday, a weekday, "
        "or 7d for the last seven days"
    )


def _projects(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> tuple[tuple[str, ...] | None, list[str]]:
    """Ids of the projects that go by `names`: an id, a name, a path, or the name or path of their repository."""
    if not names:
        return None, []
    known: dict[str, set[str]] = {}
    shown: dict[str, None] = {}
    rows = connection.sql(
        "select project_id, project_name, project_label, project_path, project_group from dim_projects"
        " order by cost_usd desc nulls last, project_id"
    ).fetchall()
    for project_id, name, label, path, group in rows:
        repository = re.split(r"[/\\]", group.rstrip("/\\"))[-1] if group else None
        # what reports print for projects of one name: as much of the path's end as tells them apart
        parts = [part for part in re.split(r"[/\\]", path or "") if part]
        endings = ["/".join(parts[-length:]) for length in range(2, len(parts) + 1)]
        for text in filter(None, (project_id, name, label, path, group, repository, *endings)):
            known.setdefault(text, set()).add(project_id)
        shown[label] = None
    found: list[str] = []
    notes = []
    for name in names:
        ids = sorted(known.get(name) or _ignoring_case(known, name))
        if not ids:
            raise ConfigError(f"--project {name!r}: no such project{_instead(name, shown, known)}")
        if len(ids) > 1:
            notes.append(
                f"note: {len(ids)} projects are called {name} and all are counted; "
                f"--project=ID takes one: {', '.join(ids)}"
            )
        found += ids
    return tuple(dict.fromkeys(found)), notes


def _ignoring_case(known: dict[str, set[str]], name: str) -> set[str]:
    return {project for text, ids in known.items() if text.lower() == name.lower() for project in ids}


def _machines(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> tuple[str, ...] | None:
    if not names:
        return None
    rows = connection.sql("select distinct machine from dim_sessions where machine is not null order by 1").fetchall()
    known = [row[0] for row in rows]
    for name in names:
        if name not in known:
            raise ConfigError(f"--machine {name!r}: no such machine{_instead(name, known, known)}")
    return tuple(dict.fromkeys(names))


def _instead(name: str, shown: Iterable[str], known: Iterable[str]) -> str:
    """What to write instead of a name that is not known: the few there are, or those that are near."""
    shown = list(shown)
    if not shown:
        return "; none is recorded"
    meant = ", ".join(_near(name, shown) or _near(name, known))
    if len(shown) <= NAMES_LISTED:
        return f"{f'; did you mean {meant}' if meant else ''}; there are: {', '.join(shown)}"
    return f"; did you mean {meant}" if meant else f"; there are {len(shown)}: {', '.join(shown[:NAMES_LISTED])}, ..."


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Names that contain this one, then those that are spelt alike."""
    from difflib import get_close_matches

    lowered = {text.lower(): text for text in reversed([*names])}
    near = [text for text in reversed(lowered) if name and name.lower() in text]
    near += [text for text in get_close_matches(name.lower(), lowered, n=NAMES_SUGGESTED) if text not in near]
    return [lowered[text] for text in near[:NAMES_SUGGESTED]]


def _is_one_of(column: str, values: tuple[str, ...] | None) -> str:
    """A condition, with the values in it: a parameter would make DuckDB import pandas."""
    if values is None:
        return "true"
    quoted = ", ".join(literal(value) for value in values)
    return f"{column} in ({quoted})"
