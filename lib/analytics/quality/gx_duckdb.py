"""Great Expectations on DuckDB: a SQLAlchemy dialect it can read results from.

GX gives a connection back to its pool before it reads the rows of a statement; DuckDB drops the result of a
connection that is reset, so every metric fails with "list index out of range"
(https://github.com/great-expectations/great_expectations/issues/11579). With this dialect the rows are in
memory when a statement returns. Its URL is `duckdb+buffered:///PATH`.
"""

from __future__ import annotations

from pathlib import Path

from duckdb_engine import Dialect
from sqlalchemy.dialects import registry
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

from analytics.warehouse.marts import BY_NUMBER, CONFINED


class _BufferedExecutionContext(Dialect.execution_ctx_cls):  # type: ignore[misc, valid-type]
    def post_exec(self) -> None:
        super().post_exec()
        if self.cursor.description:
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                self.cursor, initial_buffer=self.cursor.fetchall()
            )


class BufferedDialect(Dialect):
    """DuckDB with results that outlive their connection."""

    driver = "buffered"
    supports_statement_cache = False
    execution_ctx_cls = _BufferedExecutionContext


def register() -> None:
    """Make `duckdb+buffered://` URLs known to SQLAlchemy."""
    registry.register("duckdb.buffered", __name__, BufferedDialect.__name__)


def read_only_url(database: Path) -> str:
    """The URL of a database file, opened read-only and for SQL that reaches nothing else."""
    options = {"access_mode": "read_only", **CONFINED, **BY_NUMBER, "lock_configuration": "true"}
    # SQLAlchemy takes the path as it is and decodes nothing in it.
    return f"duckdb+buffered:///{database}?{'&'.join(f'{name}={value}' for name, value in options.items())}"
