"""What is known beside the transcripts: projects and people as users map them, and the limits of a plan.

A project that was moved or renamed is one project again (`path,project`); a machine or a home folder is a person's
(`place,person`). With what Claude Code told its status line of the limits, and PLAN_LIMIT_5H_USD and PLAN_LIMIT_7D_USD,
they become small tables that dbt joins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.reported_limits import WINDOWS, Told, told
from analytics.common.user_csv import read_rows
from analytics.errors import ConfigError
from analytics.settings import Settings

if TYPE_CHECKING:
    import duckdb

ALIAS_COLUMNS = ("path", "project")
PEOPLE_COLUMNS = ("place", "person")


def read_mapping(variable: str, path: Path | None, columns: Sequence[str]) -> dict[str, str]:
    """The rows of a CSV of two columns, in file order; none when `path` is None. Lines starting with # are comments.

    Raises:
        ConfigError: one line naming the file, line and column, and what is allowed.
    """
    if path is None:
        return {}
    where = f"{variable}={path}"
    rows = read_rows(variable, path)
    header = [name.strip() for name in rows[0][1]] if rows else []
    if header != list(columns):
        raise ConfigError(f"{where}: the first line must be {','.join(columns)}")
    found: dict[str, str] = {}
    for number, written in rows[1:]:
        values = [value.strip() for value in written]
        if len(values) != len(columns):
            raise ConfigError(f"{where} line {number}: {len(values)} values; write {','.join(columns)}")
        for column, value in zip(columns, values, strict=True):
            if not value or not value.isprintable():
                raise ConfigError(f"{where} line {number}: {column}={value!r}: must be a text")
        key = normalized(values[0])
        if key in found:
            raise ConfigError(f"{where} line {number}: {columns[0]}={values[0]!r} already stands above")
        found[key] = values[1]
    return found


def normalized(path: str) -> str:
    """A path as one spelling: the drive letter's case is no difference, nor is a slash at the end."""
    if re.match("[a-z]:", path):
        path = path[0].upper() + path[1:]
    return path.rstrip("/\\") or path


def project_aliases(settings: Settings) -> list[tuple[str, str, bool]]:
    """(path, project, whether the project is a name) of PROJECT_ALIASES. What goes on to another alias is followed.

    Raises:
        ConfigError: the file is wrong, or aliases go in a circle.
    """
    aliases = read_mapping("PROJECT_ALIASES", settings.project_aliases, ALIAS_COLUMNS)
    found = []
    for path, project in aliases.items():
        passed = [path]
        while (step := normalized(project)) in aliases:
            if step in passed:
                raise ConfigError(f"PROJECT_ALIASES={settings.project_aliases}: {path} goes in a circle")
            passed.append(step)
            project = aliases[step]
        is_name = not re.search(r"[/\\]", project)
        found.append((path, project if is_name else normalized(project), is_name))
    return found


def people(settings: Settings) -> list[tuple[str, str]]:
    """(machine or home folder, person) of PEOPLE.

    Raises:
        ConfigError: the file is wrong.
    """
    return [*read_mapping("PEOPLE", settings.people, PEOPLE_COLUMNS).items()]


def plan_limits(settings: Settings) -> list[tuple[str, float]]:
    """(window, USD of list price that the plan allows in it)."""
    given = zip(WINDOWS, (settings.plan_limit_5h_usd, settings.plan_limit_7d_usd), strict=True)
    return [(window, usd) for window, usd in given if usd is not None]


def reported_limits(settings: Settings) -> list[Told]:
    """What Claude Code said of its limits: the last word of each hour."""
    return [*{(said.window, int(said.at.timestamp()) // 3600): said for said in told(settings.data_dir)}.values()]


def write_mappings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """`raw.project_aliases`, `raw.people`, `raw.plan_limits` and `raw.reported_limits` anew."""
    for table, columns, rows in (
        ("project_aliases", "path varchar, project varchar, is_name boolean", project_aliases(settings)),
        ("people", "place varchar, person varchar", people(settings)),
        ("plan_limits", "limit_window varchar, limit_usd double", plan_limits(settings)),
        (
            "reported_limits",
            "limit_window varchar, reported_at timestamptz, used_ratio double, resets_at timestamptz",
            reported_limits(settings),
        ),
    ):
        connection.execute(f"create or replace table raw.{table} ({columns})")
        if rows:
            marks = ", ".join(f"unnest(?::{column.split()[1]}[])" for column in columns.split(", "))
            values = [list(column) for column in zip(*rows, strict=True)]
            connection.execute(f"insert into raw.{table} select {marks}", values)
