"""The published marts, for everything that only reads."""

from __future__ import annotations

import duckdb

from analytics.errors import AnalyticsError
from analytics.settings import Settings

SCHEMA = "marts"


def connect(settings: Settings, *, timezone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published database; mart names need no schema.

    Args:
        timezone: in which instants are shown, an IANA name. Days in the marts are those of ANALYTICS_TZ anyway.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    if not settings.published_path.exists():
        raise AnalyticsError(
            f"nothing is published at {settings.published_path}: run `claude-analytics pipeline` or `make demo` first"
        )
    # The version's own path: DuckDB shares an open database by path, and the link's target changes.
    connection = duckdb.connect(str(settings.published_path.resolve()), read_only=True)
    connection.execute(f"set search_path = '{SCHEMA}'")
    connection.execute("set timezone = ?", [timezone])
    return connection
