"""The published marts as reports open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from analytics.errors import AnalyticsError, first_line
from analytics.settings import Settings

if TYPE_CHECKING:
    import duckdb


def require_published(settings: Settings) -> None:
    """Say what to do when there is nothing to report on yet.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    if not settings.published_path.exists():
        raise AnalyticsError(
            f"nothing is published at {settings.published_path}: run `claude-analytics pipeline` (make pipeline)"
        )


@contextmanager
def published_marts(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the marts, whose names need no schema.

    Raises:
        AnalyticsError: nothing is published yet, or it was published by a version with other marts.
    """
    require_published(settings)
    import duckdb

    from analytics.warehouse import marts

    with marts.connect(settings) as connection:
        try:
            yield connection
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise AnalyticsError(
                f"{settings.published_path} does not have what this report reads ({first_line(error)}): "
                "run `claude-analytics pipeline --full-refresh`"
            ) from error
