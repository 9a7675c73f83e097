"""The published database for a server: always the newest version, asked from a few threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from analytics.errors import AnalyticsError
from analytics.settings import Settings
from analytics.warehouse.marts import connect

# The server stays small beside what else runs on the machine; a query that needs more goes to DuckDB's disk.
MEMORY_LIMIT = "128MB"


@dataclass(frozen=True)
class Project:
    """A project as readers choose it. `ids` are all that share its path."""

    project_id: str
    label: str
    path: str | None
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What every page needs to know of a version: read once when it is first asked."""

    version: str
    first_day: date | None
    last_day: date | None
    newest_entry_at: datetime | None
    projects: tuple[Project, ...]
    models: tuple[str, ...]
    machines: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    sessions: int = field(default=0, compare=False)

    @cached_property
    def project_by_word(self) -> dict[str, Project]:
        """Projects by everything that may stand in an address: id, label, path."""
        found: dict[str, Project] = {}
        for project in self.projects:
            for word in (project.path, project.label, *project.ids):
                if word:
                    found.setdefault(word, project)
        return found


class Published:
    """Reads the published marts.

    Every thread keeps a connection to the version it last asked. When another version has been published the next
    query opens that one; a query that is under way ends on the version it began with.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._local = threading.local()
        self._facts: Facts | None = None

    @property
    def version(self) -> Path:
        """The database file that is published now."""
        return self.settings.published_path.resolve()

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        """Rows of a query over the marts, whose names need no schema.

        Args:
            sql: with named parameters, such as `$project`.
            parameters: their values.

        Raises:
            AnalyticsError: nothing is published yet.
            duckdb.Error: the query is wrong.
        """
        try:
            return self._ask(sql, parameters)
        except duckdb.IOException:
            # the version was removed between the look at the link and the opening of the file
            self._local.version = None
            return self._ask(sql, parameters)

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The same as a list of rows by column name."""
        return self.query(sql, parameters).to_pylist()

    def _ask(self, sql: str, parameters: dict[str, Any] | None) -> pa.Table:
        return self._connection().execute(sql, parameters or {}).to_arrow_table()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        version = self.version
        if getattr(self._local, "version", None) != version:
            self._local.connection = connect(self.settings, memory_limit=MEMORY_LIMIT)
            self._local.version = version
        return self._local.connection

    def facts(self) -> Facts:
        """What the version published now holds.

        Raises:
            AnalyticsError: nothing is published yet.
        """
        version = str(self.version)
        if self._facts is None or self._facts.version != version:
            self._facts = self._read_facts(version)
        return self._facts

    def _read_facts(self, version: str) -> Facts:
        days = self.rows("select min(date_key) as first_day, max(date_key) as last_day from dim_date")[0]
        newest = self.rows("select max(last_active_at) as newest_at from dim_projects")[0]["newest_at"]
        projects = self.rows(
            """
            select
                arg_max(project_id, coalesce(last_active_at, 'epoch'::timestamptz)) as project_id,
                min(project_label) as label,
                project_path as path,
                list(project_id order by project_id) as ids
            from dim_projects
            group by project_path, case when project_path is null then project_id end
            order by lower(label), path
            """
        )
        models = self.rows("select model from dim_models where model is not null order by response_count desc, model")
        tools = self.rows("select tool_name from agg_tool_efficiency order by call_count desc, tool_name")
        sessions = self.rows("select count(*) as sessions from dim_sessions")[0]["sessions"]
        return Facts(
            version=version,
            first_day=days["first_day"],
            last_day=days["last_day"],
            newest_entry_at=newest,
            projects=tuple(
                Project(row["project_id"], row["label"], row["path"], tuple(row["ids"])) for row in projects
            ),
            models=tuple(row["model"] for row in models),
            machines=self._values("machine"),
            people=self._values("person"),
            tools=tuple(row["tool_name"] for row in tools),
            sessions=sessions,
        )

    def _values(self, column: str) -> tuple[str, ...]:
        known = "select 1 from information_schema.columns where table_name = 'dim_sessions' and column_name = $column"
        if not self.rows(known, {"column": column}):  # published by a version that did not know it yet
            return ()
        rows = self.rows(f"select distinct {column} as value from dim_sessions where {column} is not null order by 1")
        return tuple(row["value"] for row in rows)


def require(published: Published) -> Facts:
    """The facts of the published version.

    Raises:
        AnalyticsError: nothing is published yet, with what to do.
    """
    if not published.settings.published_path.exists():
        raise AnalyticsError("nothing is published yet: run `make pipeline`, or `make demo` for a generated history")
    return published.facts()
