"""Numbers that hold what was written since the last run, for one reader: nothing is published, no notebook is run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from analytics.common.files import CopyResult, copy_database, remove_database
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
        from analytics.warehouse.load import copied_ahead, load
        from analytics.warehouse.publish import write_published_at
        from analytics.warehouse.working_copy import connect

        ahead = copied_ahead(settings)

        def rename(_published: Path, target: Path) -> CopyResult:
            copied = copying.result()
            ahead.rename(target)
            return copied

        pool = ThreadPoolExecutor(1, "copy")
        try:
            ahead.parent.mkdir(parents=True, exist_ok=True)
            # the one works in the disk, the other in the processor
            copying = pool.submit(copy_database, settings.published_path.resolve(), ahead)
            extract(settings)
            if load(settings, copy=rename).nothing_new:
                yield settings
                return
            transform(settings)
            with connect(settings.build_path) as connection:
                write_published_at(connection)
            yield settings.model_copy(update={"duckdb_path": settings.build_path})
        finally:
            pool.shutdown()
            remove_database(ahead)
            remove_database(settings.build_path)
