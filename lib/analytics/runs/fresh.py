"""Numbers that hold what was written since the last run, for one reader: nothing is published, no notebook is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from analytics.common.files import remove_database
from analytics.common.lock import run_lock
from analytics.runs import history
from analytics.runs.quick_look import nothing_to_do
from analytics.settings import Settings


@contextmanager
def fresh(settings: Settings) -> Iterator[Settings]:
    """Extract, load and build what is new; within the block, the settings that read the result.

    The numbers are those that the next run publishes. It finds the documents extracted, and loads and builds them
    itself: the working copy ends with the block.

    Raises:
        BusyError: a run is active.
        AnalyticsError: the source cannot be read, or the working copy cannot be built (or one of its kinds).
    """
    with run_lock(settings, holder="report --fresh"):
        last = next(iter(history.history(settings, limit=1)), None)
        if nothing_to_do(settings, last) is not None:
            yield settings
            return
        from analytics.raw.extract import extract
        from analytics.spark.transform import transform
        from analytics.warehouse.ahead import copying_ahead
        from analytics.warehouse.load import load
        from analytics.warehouse.publish import write_published_at
        from analytics.warehouse.working_copy import connect

        try:
            with copying_ahead(settings) as wait_for_copy:
                extract(settings)
                wait_for_copy()
                loaded = load(settings)
            if loaded.nothing_new:
                yield settings
                return
            transform(settings)
            with connect(settings.build_path) as connection:
                write_published_at(connection)
            yield settings.model_copy(update={"duckdb_path": settings.build_path})
        finally:
            remove_database(settings.build_path)
