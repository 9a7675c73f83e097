"""Numbers that hold what was written since the last run, for one reader: nothing is published, no notebook is run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from analytics.common.files import remove_database
from analytics.common.lock import run_lock
from analytics.common.process import without
from analytics.runs import history
from analytics.runs.quick_look import nothing_to_do
from analytics.settings import Settings


@contextlib.contextmanager
def fresh(settings: Settings) -> Iterator[Settings]:
    """Extract, load and build what is new; within the block, the settings that read the result.

    The numbers are those that the next run publishes. It finds the documents extracted, and loads and builds them
    itself: the working copy ends with the block.

    Raises:
        BusyError: a run is active.
        AnalyticsError: the source cannot be read, or the working copy cannot be built (or one of its kinds).
    """
    with run_lock(settings, holder="report --fresh"), contextlib.ExitStack() as reading:
        last = next(iter(history.history(settings, limit=1)), None)
        reading.callback(remove_database, settings.build_path)
        # PyArrow, DuckDB and Tenacity look for these: a fifth of a second to import
        with without("pandas", "tornado"):
            is_new = nothing_to_do(settings, last) is None and _build(settings, reading)
        yield settings.model_copy(update={"duckdb_path": settings.build_path}) if is_new else settings


def _build(settings: Settings, reading: contextlib.ExitStack) -> bool:
    """Hand over a connection to what was built, for as long as it is read; False: nothing is new."""
    from analytics.raw.extract import extract
    from analytics.spark.transform import transform
    from analytics.warehouse.ahead import copying_ahead
    from analytics.warehouse.load import load
    from analytics.warehouse.marts import handed_over
    from analytics.warehouse.publish import write_published_at
    from analytics.warehouse.transform import look

    with copying_ahead(settings) as wait_for_copy:
        extract(settings)
        wait_for_copy()
        if load(settings).nothing_new:
            return False
    connection = reading.enter_context(look(settings, transform))
    write_published_at(connection)
    connection.execute("set enable_external_access = false")
    handed_over[settings.build_path] = connection
    reading.callback(handed_over.clear)
    return True
