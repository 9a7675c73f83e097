"""The published marts, for everything that only reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from analytics.common.sql import literal
from analytics.errors import AnalyticsError, first_line
from analytics.settings import Settings

SCHEMA = "marts"


def connect(settings: Settings, *, timezone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published database; mart names need no schema.

    Args:
        timezone: in which instants are shown, an IANA name. Days in the marts are those of ANALYTICS_TZ anyway.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    require_published(settings)
    # The version's own path: DuckDB shares an open database by path, and the link's target changes.
    return _prepared(duckdb.connect(str(settings.published_path.resolve()), read_only=True), timezone)


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


def _prepared(connection: duckdb.DuckDBPyConnection, timezone: str) -> duckdb.DuckDBPyConnection:
    connection.execute(f"set search_path = '{SCHEMA}'")
    # a parameter would make DuckDB import pandas, which takes longer than most queries
    connection.execute(f"set timezone = {literal(timezone)}")
    return connection


class Cursors:
    """The connection for JupySQL, which asks every query on a cursor of its own: those forget the search path."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, timezone: str = "UTC") -> None:
        self._connection = connection
        self._timezone = timezone

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A new cursor to which mart names need no schema."""
        return _prepared(self._connection.cursor(), self._timezone)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
