"""The published marts, for everything that only reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analytics.common.sql import identifier, literal
from analytics.errors import AnalyticsError, first_line
from analytics.settings import Settings

SCHEMA = "marts"

# Columns in which words of a conversation stand; everything else of the marts is numbers, names and paths.
TEXTS = {"dim_sessions": ("title",), "fct_tool_calls": ("error_text",)}

# Options of DuckDB for a file that is only read.
CONFINED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}

# A setting of DuckDB. Rows looked for by their numbers: beyond so many (else 50) whole columns are read, 0.7 s at two
# million entries.
BY_NUMBER = {"dynamic_or_filter_threshold": "100000"}


_opening = threading.Lock()
# By file, a connection that has not committed what is read.
handed_over: dict[Path, duckdb.DuckDBPyConnection] = {}


@dataclass(frozen=True)
class Mart:
    """One table of the marts schema."""

    name: str
    columns: tuple[tuple[str, str], ...]  # name and DuckDB type, in order
    rows: int


def connect(settings: Settings, *, timezone: str = "UTC", memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published database; mart names need no schema, and texts are as SHOW_TEXT has it.

    Args:
        timezone: in which instants are shown, an IANA name. Days in the marts are those of ANALYTICS_TZ anyway.
        memory_limit: what DuckDB may use for the file in this process, such as `256MB`; default: DuckDB's own.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    require_published(settings)
    connection = open_version(settings.published_path, timezone=timezone, memory_limit=memory_limit)
    prepare(connection, settings)
    return connection


def prepare(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Let mart names need no schema; with `SHOW_TEXT=false` such a name gives no words of a conversation.

    Temporary views of a mart's name come before it, whoever asks and whatever they ask: pages, reports, notebooks.
    """
    connection.execute(f"set search_path = '{SCHEMA}'")
    if settings.show_text:
        return
    for table, columns in TEXTS.items():
        nothing = ", ".join(f"cast(null as varchar) as {column}" for column in columns)
        connection.execute(f"create or replace temp view {table} as select * replace ({nothing}) from {SCHEMA}.{table}")


def open_version(
    database: Path, *, timezone: str = "UTC", memory_limit: str | None = None
) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a published database file, for SQL that reaches nothing else.

    Such SQL may hold what a stranger wrote into a transcript: whatever it says, no file beside the database is read or
    written, and no setting that would allow it comes back. Whoever reads a published file opens it here: DuckDB
    refuses two ways of opening one file within a process.

    Args:
        timezone: in which instants are shown, the same for all connections to the file that are open in this process.
        memory_limit: the same; who opens the file first says it.

    Raises:
        duckdb.Error: the file cannot be opened.
    """
    # The version's own path: DuckDB shares an open database by path, and the link's target changes.
    connection = handed_over.get(database) or duckdb.connect(str(database.resolve()), read_only=True, config=CONFINED)
    with _opening:  # the settings are those of all connections to the file
        row = connection.execute("select current_setting('TimeZone'), current_setting('lock_configuration')").fetchone()
        if row != (timezone, True):
            # global: cursors have it too. A parameter would make DuckDB import pandas, slower than most queries.
            connection.execute(f"set global timezone = {literal(timezone)}")
            if memory_limit:
                connection.execute(f"set global memory_limit = {literal(memory_limit)}")
            connection.execute("set lock_configuration = true")
    return connection


def open_to_export(database: Path, folder: Path, *, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """As `open_version`, for SQL that also writes files, into `folder` and nowhere else.

    Args:
        threads: how many DuckDB may use; default: one a processor.

    Raises:
        duckdb.Error: the file cannot be opened, or is open in this process.
    """
    connection = duckdb.connect(str(database), read_only=True)
    # no option for opening a file: DuckDB takes it only afterwards, and only as long as everything is allowed
    connection.execute(f"set allowed_directories = [{literal(folder)}]")
    # nothing relies on the order of rows, and large files need less memory
    connection.execute("set preserve_insertion_order = false")
    if threads:
        connection.execute(f"set threads = {threads}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def marts_of(connection: duckdb.DuckDBPyConnection) -> list[Mart]:
    """Tables of the marts schema with their columns and numbers of rows, by name."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from duckdb_columns()"
        f" where database_name = current_database() and schema_name = {literal(SCHEMA)} and not internal"
        " order by table_name, column_index"
    ).fetchall():
        columns.setdefault(table, []).append((column, kind))
    marts = []
    for table, described in columns.items():
        count = connection.execute(f"select count(*) from {SCHEMA}.{identifier(table)}").fetchone()
        assert count is not None
        marts.append(Mart(table, tuple(described), count[0]))
    return marts


def require_published(settings: Settings) -> None:
    """Say what to do when there is nothing to read yet.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    if not settings.published_path.exists():
        raise AnalyticsError(
            f"nothing is published at {settings.published_path}: run `claude-analytics pipeline` (make pipeline), "
            "or `make demo`"
        )


@contextmanager
def reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """`connect` for a block whose queries may not fit what is published.

    Raises:
        AnalyticsError: nothing is published yet, or it was published by a version with other marts.
    """
    with connect(settings) as connection:
        try:
            yield connection
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise AnalyticsError(
                f"{settings.published_path} does not have what this report reads ({first_line(error)}): "
                "run `claude-analytics pipeline --full-refresh`"
            ) from error
