"""Connections to the working copy, the DuckDB file that a run builds and nobody else reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.sql import identifier, literal
from analytics.settings import load_settings

if TYPE_CHECKING:
    import duckdb

# What the statements of a build may use in memory; what does not fit goes to disk beside the file.
MEMORY_LIMIT = "768MB"

# What they get when that does not do: JSON is parsed many documents at a time, and one alone can have 16 MB.
LARGE_MEMORY_LIMIT = "4GB"

# Every run leaves a small row group in each table it adds rows to. Merging them takes the large ones beside them along,
# most of a second for a table of half a million rows: it is left for one run in so many.
RUNS_PER_MERGE = 24

# Rows of a table that stand together: half of DuckDB's own number. Rows of a thread that fill no row group are written
# a second time, by one thread at the end: half a second of the two that parsing 182,000 entries takes.
ROW_GROUP_SIZE = 61_440


def chosen_memory_limit() -> str | None:
    """ANALYTICS_MEMORY_LIMIT; None when the user leaves it to us."""
    return load_settings().analytics_memory_limit


def connect(database: Path, *, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """A connection with the settings of a build (dbt/profiles.yml has the same, but for row groups).

    Every commit checkpoints: statements that belong together should stand in one transaction.

    Args:
        memory_limit: such as `256MB`; default ANALYTICS_MEMORY_LIMIT, or MEMORY_LIMIT.

    Raises:
        duckdb.Error: the file cannot be opened.
    """
    import duckdb

    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": memory_limit or chosen_memory_limit() or MEMORY_LIMIT,
            # no model relies on the order of rows, and large inserts need less memory
            "preserve_insertion_order": "false",
            # a commit writes the file itself and no log of what it is about to write: nobody would replay that
            "checkpoint_threshold": "1KB",
            # a full row group is written at once, by the thread that filled it
            "write_buffer_row_group_count": "1",
            "temp_directory": f"{database}.tmp",
        },
    )
    name = identifier(database.stem)
    # attached, not opened: only so DuckDB is told the size of row groups
    connection.execute(f"attach {literal(database)} as {name} (row_group_size {ROW_GROUP_SIZE})")
    connection.execute(f"use {name}")
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"set max_vacuum_tasks = {vacuum_tasks(connection)}")
    return connection


def vacuum_tasks(connection: duckdb.DuckDBPyConnection) -> int:
    """DuckDB's `max_vacuum_tasks` for this run: 0 unless it is its turn to merge row groups."""
    import duckdb

    try:
        row = connection.execute("select load_id from raw.load_state").fetchone()
    except duckdb.Error:
        row = None
    return 100 if row and row[0] % RUNS_PER_MERGE == 0 else 0
