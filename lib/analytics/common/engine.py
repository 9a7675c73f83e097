"""An in-memory DuckDB for work on Arrow tables: parsing, comparing ids, choosing rows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@cache
def engine() -> duckdb.DuckDBPyConnection:
    """The in-memory DuckDB of this process: UTC, bounded memory, rows kept in order."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"memory_limit": "512MB", "preserve_insertion_order": True})
    connection.execute("set timezone = 'UTC'")
    # off already in a Jupyter kernel, where DuckDB refuses the setting unless ipywidgets is installed
    (bar,) = connection.execute("select current_setting('enable_progress_bar')").fetchone() or (False,)
    if bar:
        connection.execute("set enable_progress_bar = false")
    return connection
