"""The published marts as a database of Metabase: connected read-only, and known to the last column."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

import duckdb

from analytics.cards import query
from analytics.cards.check import EVERYTHING
from analytics.common.sql import identifier
from analytics.errors import ConfigError, first_line
from analytics.metabase.bodies import stored_sql
from analytics.metabase.client import Json, MetabaseError
from analytics.metabase.definition import Definition
from analytics.metabase.job import Job

DATABASE_NAME = "Claude Code Analytics"
SERVING_FILE = "serving.duckdb"
MEMORY_LIMIT = "2GB"  # DuckDB lives in Metabase's JVM and would otherwise take 80 % of the machine
SYNC_TIMEOUT_SECONDS = 180.0

_LOST = ("not found", "does not exist", "does not have a column")  # a missing table or column in DuckDB's words

Fields = dict[tuple[str, str], int]  # (table, column) -> Metabase's id of the column


def connect(job: Job) -> tuple[int, Fields]:
    """Connect serving.duckdb read-only and wait until Metabase knows the columns that the cards use.

    Returns:
        Metabase's id of the database, and its ids of columns by (table, column); in a dry run 0 and none when there is
        no such database yet.

    Raises:
        ConfigError: METABASE_DATABASE_PATH is no absolute path.
        MetabaseError: Metabase cannot open the file, holds another database of that name, or misses columns.
    """
    path = job.settings.metabase_database_path or str(job.settings.serving_dir / SERVING_FILE)
    if not posixpath.isabs(path):
        raise ConfigError(f"METABASE_DATABASE_PATH={path!r}: must be absolute, as Metabase's container sees it")
    details = {
        "database_file": path,
        "read_only": True,
        "old_implicit_casting": True,
        "memory_limit": MEMORY_LIMIT,
        # The driver's default, <file>.tmp, is not writable on a read-only mount.
        "additional-options": "temp_directory=/tmp/duckdb",
    }
    listed = job.client.get("/api/database")["data"]
    stored = next((db for db in listed if db["name"] == DATABASE_NAME and db["engine"] == "duckdb"), None)
    synced = False
    if stored is None:
        job.did("create", "database", DATABASE_NAME, path)
        if job.dry_run:
            return 0, {}
        body = {"name": DATABASE_NAME, "engine": "duckdb", "details": details, "is_full_sync": True}
        database_id: int = _asked(lambda: job.client.post("/api/database", body), path)["id"]
    else:
        database_id = stored["id"]
        held = stored.get("details") or {}
        if posixpath.basename(str(held.get("database_file"))) != posixpath.basename(path):
            raise MetabaseError(
                f'Metabase has another DuckDB database named "{DATABASE_NAME}" on '
                f"{held.get('database_file')}; rename it there, it is left alone"
            )
        changed = [key for key, value in details.items() if held.get(key) != value]
        if changed:
            job.did("update", "database", DATABASE_NAME, ", ".join(changed))
            if not job.dry_run:
                _asked(
                    lambda: job.client.put(f"/api/database/{database_id}", {"details": details}),
                    path,
                )
        else:
            job.did("unchanged", "database", DATABASE_NAME)
            synced = True
    return database_id, _wait_for_columns(job, database_id, synced=synced and not job.dry_run)


def _asked(request: Callable[[], Json], path: str) -> Json:
    """Create or change the connection; Metabase tests it and answers 400 when it does not open."""
    try:
        return request()
    except MetabaseError as error:
        if error.status != 400:
            raise
        if "engine" in error.fields:
            raise MetabaseError(
                "Metabase does not know the engine duckdb: its DuckDB driver is not loaded (the jar must "
                "be readable in Metabase's plugins folder, and the official Alpine image cannot load it)",
                status=400,
            ) from None
        hint = "METABASE_DATABASE_PATH must be the published serving.duckdb as Metabase's container sees it"
        if "different configuration" in str(error):
            hint = "restart Metabase"
        elif "UnsatisfiedLinkError" in str(error) or "failed to map segment" in str(error):
            hint = (
                "Metabase unpacks DuckDB's library into a folder from which nothing may be loaded (a tmpfs is "
                "noexec by default): mount /tmp with exec, or give Java another one with -Djava.io.tmpdir"
            )
        elif "icu extension" in str(error):
            hint = "driver 1.5.5.0 needs DuckDB's icu extension on disk, see docs/metabase.md"
        raise MetabaseError(f"Metabase cannot open {path}: {error}; {hint}", status=400) from None


def _wait_for_columns(job: Job, database_id: int, *, synced: bool) -> Fields:
    """Poll the metadata until every card binds against it. A finished sync shows tables before their
    columns, and may lose one that an earlier sync knew: it is asked again every few polls."""
    deadline = job.client.clock() + SYNC_TIMEOUT_SECONDS
    polls, delay = 0, 0.2
    while True:
        if not synced and not job.dry_run and polls % 8 == 0:
            job.client.post(f"/api/database/{database_id}/sync_schema", retry=True)
        tables = _tables(job, database_id)
        problem = _missing(job.definition, tables)
        if problem is None:
            break
        if job.dry_run:
            job.progress(f"Metabase has to synchronise the database first: {problem}")
            break
        if job.client.clock() >= deadline:
            raise MetabaseError(
                f"Metabase's view of {DATABASE_NAME} lacks what the dashboards need after "
                f"{SYNC_TIMEOUT_SECONDS:.0f} s of synchronising: {problem}; publish the current marts, "
                "and restart Metabase if their columns changed since it started"
            )
        if polls == 0:
            job.progress(f"waiting for Metabase to synchronise {DATABASE_NAME}")
        synced = False
        job.client.pause(delay)
        delay, polls = min(delay * 1.5, 5.0), polls + 1
    return _fields(tables)


def _fields(tables: list[dict[str, Any]]) -> Fields:
    """Metabase's ids of the columns, by the table's name with and without its schema."""
    return {
        (name, column["name"]): column["id"]
        for table in tables
        for column in table["fields"]
        for name in (table["name"], f"{table['schema']}.{table['name']}")
    }


def _tables(job: Job, database_id: int) -> list[dict[str, Any]]:
    metadata = job.client.get(f"/api/database/{database_id}/metadata", include_hidden=True) or {}
    return [
        {
            **table,
            "schema": table.get("schema") or "main",
            "fields": [column for column in table.get("fields") or [] if column.get("active", True)],
        }
        for table in metadata.get("tables") or []
    ]


def _missing(definition: Definition, tables: list[dict[str, Any]]) -> str | None:
    """What the cards need and `tables` (Metabase's metadata) do not have, None when every card binds.

    The cards' SQL is bound by DuckDB against empty tables with exactly the columns that Metabase knows, so
    a lost column is named before any card is touched.
    """
    known = _fields(tables)
    for card in definition.cards:
        for name, column in card.tags.items():
            if column not in known:
                return f'column {".".join(column)} for the filter {name} of "{card.title}"'
    with duckdb.connect(config={"old_implicit_casting": True}) as connection:
        for table in tables:
            columns = ", ".join(f"{identifier(c['name'])} {c['database_type']}" for c in table["fields"])
            if columns:
                connection.execute(f"create schema if not exists {identifier(table['schema'])}")
                connection.execute(
                    f"create table {identifier(table['schema'])}.{identifier(table['name'])} ({columns})"
                )
        for card in definition.cards:
            for selection in (None, EVERYTHING):
                sql, values = query.bound(stored_sql(card), selection)
                try:
                    connection.execute(f"explain {sql}", values)
                except duckdb.Error as error:
                    problem = f'"{card.title}" does not bind: {first_line(error)}'
                    if any(words in problem for words in _LOST):
                        return problem
                    raise MetabaseError(f"{problem}; correct {card.source}") from None
    return None
