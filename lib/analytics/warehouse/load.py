"""Iceberg to DuckDB: new documents into a working copy of the published database.

A run never writes the published file. It copies it, adds the envelope of the documents the copy has not seen, and lays
a view over their Parquet files (`raw.new_documents`) from which dbt parses the JSON once; the JSON itself stays in
Iceberg. What the copy has seen is a row in the copy, so an aborted run leaves nothing to repair: the next load starts
from the published file again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import copy_database, disk_errors, remove_database
from analytics.errors import AnalyticsError, first_line
from analytics.raw.catalog import local_path
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.warehouse import built_with
from analytics.warehouse.ahead import remove_copies, take_copy
from analytics.warehouse.built_with import UNKNOWN, BuiltWith, Stale
from analytics.warehouse.documents import lay_documents, load_dead_letters, load_redactions
from analytics.warehouse.mappings import write_mappings
from analytics.warehouse.prices import PriceList, note_models, write_model_prices
from analytics.warehouse.working_copy import connect

if TYPE_CHECKING:
    import duckdb

# Bumped when the raw tables below change shape: an older published database is then loaded anew.
RAW_VERSION = 2

# Rows pass through; what DuckDB would keep of them in memory beyond this, nobody reads again.
MEMORY_LIMIT = "256MB"


@dataclass(frozen=True)
class LoadResult:
    """What one load brought into the working copy."""

    nothing_new: bool  # there is no working copy: the published database is up to date
    full_refresh: bool
    documents: int  # documents added by this load
    documents_total: int  # documents in the working copy, or in the published database when nothing is new
    dead_letters: int  # dead letters in all
    files: int  # Parquet files read
    snapshot_id: int | None  # Iceberg snapshot of raw.conversations that is now loaded
    copy_method: str  # how the published file was copied: reflink, copy, ahead (before the load began) or none
    copy_seconds: float
    copy_bytes: int
    duration_seconds: float
    because: str = ""  # why more is built again than the new documents: an upgrade, a setting; nobody asked for it

    def __str__(self) -> str:
        if self.nothing_new:
            return f"nothing new: {self.documents_total:,} documents are loaded already"
        kind = "all" if self.full_refresh else "new"
        return (
            f"{self.documents:,} {kind} documents loaded from {self.files} files in {self.duration_seconds:.1f} s; "
            f"{self.documents_total:,} in all, {self.dead_letters:,} could not be read"
            + (f"; {self.because}" if self.because else "")
        )


@dataclass(frozen=True)
class _State:
    """The row of raw.load_state."""

    raw_version: int
    load_id: int
    snapshot_id: int | None
    dead_letter_snapshot_id: int | None
    documents: int
    dead_letters: int
    built_with: BuiltWith = UNKNOWN  # what the tables were built with


def load(
    settings: Settings,
    *,
    full_refresh: bool = False,
    even_if_unchanged: bool = False,
) -> LoadResult:
    """Load what Iceberg holds beyond the published database into `settings.build_path`.

    Args:
        full_refresh: start from an empty database and load every document. So it does by itself when the models
            that parse documents have changed.
        even_if_unchanged: make the working copy although there is nothing new. So it does by itself when prices,
            time zone or models have changed.

    Raises:
        AnalyticsError: the working copy cannot be written, or an Iceberg file cannot be read.
        ConfigError: PRICING_OVERRIDES, PROJECT_ALIASES or PEOPLE cannot be read.
    """
    with disk_errors("load", settings.data_dir):
        return _load(settings, full_refresh, even_if_unchanged)


def is_loaded(
    settings: Settings, has_rows_since: Callable[[int | None], bool], dead_letter_snapshot_id: int | None
) -> bool:
    """Whether the published database holds everything, built as it would be built now: `load` would do nothing.

    Args:
        has_rows_since: whether raw.conversations got rows after that snapshot.
        dead_letter_snapshot_id: the newest snapshot of raw.dead_letters.
    """
    published = _read_state(settings.published_path)
    return (
        published is not None
        and published.raw_version == RAW_VERSION
        and published.dead_letter_snapshot_id == dead_letter_snapshot_id
        and not has_rows_since(published.snapshot_id)
        and published.built_with.stale(built_with.current(settings)) <= Stale.PLAN
    )


def _load(settings: Settings, full_refresh: bool, even_if_unchanged: bool) -> LoadResult:
    started = time.perf_counter()
    reached("load.started")
    now = built_with.current(settings)
    store = RawStore(settings)
    dead_letters = store.dead_letters.current_snapshot()
    dead_letter_snapshot_id = dead_letters.snapshot_id if dead_letters else None

    published = None if full_refresh else _read_state(settings.published_path)
    stale = published.built_with.stale(now) if published else Stale.DOCUMENTS
    because = _why_again(published, stale)
    if published is not None and (published.raw_version != RAW_VERSION or stale == Stale.DOCUMENTS):
        published = None
    added = store.files_added_since(published.snapshot_id if published else None)
    if published and not added.full and not all(map(_exists, added.files)):
        # compaction replaced files this load has not seen and expiry deleted them: the rows are in other files now
        published, added = None, store.files_added_since(None)
    full = published is None or (added.full and added.snapshot_id is not None)
    unchanged = (
        published is not None
        and not full
        and not added.files
        and published.dead_letter_snapshot_id == dead_letter_snapshot_id
        and stale <= Stale.PLAN
    )
    remove_database(settings.build_path)
    if published is not None and unchanged and not even_if_unchanged:
        remove_copies(settings)
        return LoadResult(
            nothing_new=True,
            full_refresh=False,
            documents=0,
            documents_total=published.documents,
            dead_letters=published.dead_letters,
            files=0,
            snapshot_id=published.snapshot_id,
            copy_method="none",
            copy_seconds=0.0,
            copy_bytes=0,
            duration_seconds=time.perf_counter() - started,
        )

    method, copy_seconds, copy_bytes = "none", 0.0, 0
    settings.build_path.parent.mkdir(parents=True, exist_ok=True)
    if not full:
        copied = take_copy(settings) or copy_database(settings.published_path.resolve(), settings.build_path)
        method, copy_seconds, copy_bytes = copied.method, copied.seconds, copied.size_bytes
    remove_copies(settings)  # of another version, left by a run that was killed
    reached("load.copied")
    load_id = _next_load_id(settings, published)
    documents, state = _load_files(
        settings,
        store,
        added.files,
        added.snapshot_id,
        dead_letter_snapshot_id,
        load_id=load_id,
        full=full,
    )
    reached("load.finished")
    # what extract and load held of Arrow's memory: 0.15 GB of the peak that comes next, in the build
    pa.default_memory_pool().release_unused()
    return LoadResult(
        nothing_new=False,
        full_refresh=full,
        documents=documents,
        documents_total=state.documents,
        dead_letters=state.dead_letters,
        files=len(added.files),
        snapshot_id=state.snapshot_id,
        copy_method=method,
        copy_seconds=copy_seconds,
        copy_bytes=copy_bytes,
        duration_seconds=time.perf_counter() - started,
        because=because,
    )


def _load_files(
    settings: Settings,
    store: RawStore,
    files: list[str],
    snapshot_id: int | None,
    dead_letter_snapshot_id: int | None,
    *,
    load_id: int,
    full: bool,
) -> tuple[int, _State]:
    """Write the raw schema of the working copy; returns the number of documents added and the new state."""
    import duckdb

    try:
        with connect(settings.build_path, memory_limit=MEMORY_LIMIT) as connection:
            connection.execute("begin")
            connection.execute("create schema if not exists raw")
            lay_documents(connection, store, files, load_id)
            if full:
                connection.execute("create table raw.conversations as select * exclude (entry) from raw.new_documents")
                documents = _count(connection, "raw.conversations")
            else:
                before = _count(connection, "raw.conversations")
                connection.execute(
                    "insert into raw.conversations by name select * exclude (entry) from raw.new_documents"
                )
                documents = _count(connection, "raw.conversations") - before
            reached("load.documents")
            note_models(connection)
            write_model_prices(connection, PriceList.of(settings))
            write_mappings(connection, settings)
            load_dead_letters(connection, store)
            state = _State(
                raw_version=RAW_VERSION,
                load_id=load_id,
                snapshot_id=snapshot_id,
                dead_letter_snapshot_id=dead_letter_snapshot_id,
                documents=_count(connection, "raw.conversations"),
                dead_letters=_count(connection, "raw.dead_letters"),
            )
            connection.execute(
                """
                create or replace table raw.load_state as
                select
                    ?::integer as raw_version,
                    ?::bigint as load_id,
                    ?::bigint as iceberg_snapshot_id,
                    ?::bigint as dead_letter_snapshot_id,
                    ?::bigint as documents,
                    ?::bigint as dead_letters,
                    ?::timestamptz as loaded_at,
                    ?::boolean as full_refresh,
                    false as is_built -- transform sets it: what is not built is not published
                """,
                [
                    state.raw_version,
                    state.load_id,
                    state.snapshot_id,
                    state.dead_letter_snapshot_id,
                    state.documents,
                    state.dead_letters,
                    utc_now(),
                    full,
                ],
            )
            load_redactions(connection, store.properties())
            connection.execute("commit")
    except duckdb.Error as error:
        remove_database(settings.build_path)
        raise AnalyticsError(f"the working copy {settings.build_path} cannot be loaded: {first_line(error)}") from None
    return documents, state


def _read_state(database: Path) -> _State | None:
    """State of a published database; None when there is none or it is not one of ours."""
    import duckdb

    from analytics.warehouse.marts import open_version

    if not database.exists():
        return None
    try:
        with open_version(database) as connection:
            row = connection.execute(
                "select raw_version, load_id, iceberg_snapshot_id, dead_letter_snapshot_id, documents, dead_letters"
                " from raw.load_state"
            ).fetchone()
            known = built_with.read(connection)
    except duckdb.Error:
        return None
    if row is None:
        return None
    raw_version, load_id, snapshot_id, dead_letter_snapshot_id, documents, dead_letters = row
    return _State(raw_version, load_id, snapshot_id, dead_letter_snapshot_id, documents, dead_letters, known)


def _why_again(published: _State | None, stale: Stale) -> str:
    """What an upgrade or a setting makes necessary, and why; empty when nothing."""
    if published is None:
        return ""
    if published.raw_version != RAW_VERSION:
        return "every document is loaded again: this version keeps them in other columns"
    if stale == Stale.DOCUMENTS:
        return "every document is loaded again: this version reads them differently, or TRANSFORM_ENGINE is another"
    if stale == Stale.SESSIONS:
        return "every session is built again: models, prices, ANALYTICS_TZ or other settings changed since the last run"
    return ""


def _next_load_id(settings: Settings, published: _State | None) -> int:
    state = published or _read_state(settings.published_path)
    return state.load_id + 1 if state else 1


def _exists(file: str) -> bool:
    path = local_path(file)
    return path is None or path.exists()


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    return int(row[0])


def stats(database: Path) -> str:
    """What a database holds: rows and columns per table, what was loaded and the size of the file.

    Raises:
        AnalyticsError: there is no such database.
    """
    from analytics.warehouse.marts import open_version

    if not database.exists():
        raise AnalyticsError(f"no database at {database}: run `claude-analytics pipeline` first")
    with open_version(database) as connection:
        tables = connection.sql(
            "select schema_name, table_name, column_count from duckdb_tables() order by schema_name, table_name"
        ).fetchall()
        counts = {(schema, table): _count(connection, f'"{schema}"."{table}"') for schema, table, _ in tables}
        state = connection.sql("select loaded_at, iceberg_snapshot_id from raw.load_state").fetchone()
    lines = [f"{database} ({database.stat().st_size / 1e6:.1f} MB)"]
    if state:
        lines.append(f"loaded {state[0]:%Y-%m-%d %H:%M:%S %Z}, Iceberg snapshot {state[1]}")
    width = max((len(f"{schema}.{table}") for schema, table, _ in tables), default=0)
    width = min(width, shutil.get_terminal_size().columns)
    lines += [
        f"{f'{schema}.{table}':{width}}  {counts[schema, table]:>12,} rows  {columns:>3} columns"
        for schema, table, columns in tables
    ]
    return "\n".join(lines)
