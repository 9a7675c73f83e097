"""What a run needs later, made while an earlier stage still works: a copy of the published file while extract runs, the
marts' Parquet files while validation does. The one waits for the disk or for Python, the other works in the processor.

Each says what it was made from, so whoever finds one that is whole can use it, whatever became of the run that made it.
One that cannot be made is none: the stage makes its own, and says what is wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from analytics.common.files import CopyResult, copy_database, remove_database
from analytics.errors import AnalyticsError
from analytics.settings import Settings
from analytics.warehouse.versions import current_version, next_version

_NAME = "ahead-"


@contextlib.contextmanager
def copying_ahead(settings: Settings) -> Iterator[Callable[[], None]]:
    """Copy the published file within the block, for whoever holds the run lock; the function waits for the copy.

    One that nobody took is removed.
    """
    version = current_version(settings)

    def copy() -> None:
        if version is not None:
            with contextlib.suppress(OSError, AnalyticsError):
                settings.build_path.parent.mkdir(parents=True, exist_ok=True)
                copy_database(settings.published_path.resolve(), _path(settings, version))

    try:
        with _beside(copy) as wait:
            yield wait
    finally:
        remove_copies(settings)


@contextlib.contextmanager
def exporting_ahead(settings: Settings) -> Iterator[Callable[[], None]]:
    """Write the marts of the working copy as Parquet within the block, for whoever holds the run lock; the function
    waits for the files.

    Those that nobody published are removed: the working copy may have failed its validation.
    """
    import duckdb

    from analytics.warehouse import serving

    def export() -> None:
        if settings.build_path.exists():
            with contextlib.suppress(OSError, AnalyticsError, duckdb.Error):
                serving.write_ahead(settings, settings.build_path, next_version(settings))

    try:
        with _beside(export) as wait:
            yield wait
    finally:
        serving.remove_unserved(settings.serving_dir)


@contextlib.contextmanager
def _beside(work: Callable[[], None]) -> Iterator[Callable[[], None]]:
    with ThreadPoolExecutor(1, "ahead") as pool:
        yield pool.submit(work).result


def take_copy(settings: Settings) -> CopyResult | None:
    """Make the copy of what is published now the working copy; None: there is none."""
    version = current_version(settings)
    if version is None or not _path(settings, version).exists():
        return None
    os.rename(_path(settings, version), settings.build_path)
    return CopyResult("ahead", settings.build_path.stat().st_size, 0.0)


def remove_copies(settings: Settings) -> None:
    """Remove every copy that waits, whole or not."""
    for path in settings.build_path.parent.glob(f"{_NAME}*"):
        remove_database(path)


def _path(settings: Settings, version: str) -> Path:
    return settings.build_path.with_name(f"{_NAME}{version}.db")
