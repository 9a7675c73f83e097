"""A copy of the published file that is made while a run still extracts: the one works on the disk, the other in the
processor.

It is named after its version, which never changes: whoever finds one that is whole can use it, whatever became of the
run that made it.
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
from analytics.warehouse.versions import current_version

_NAME = "ahead-"


@contextlib.contextmanager
def copying_ahead(settings: Settings) -> Iterator[Callable[[], None]]:
    """Copy the published file within the block, for whoever holds the run lock; the function waits for the copy.

    A copy that fails is none: `load` makes its own, and says what is wrong. One that nobody took is removed.
    """
    version = current_version(settings)

    def copy() -> None:
        if version is not None:
            with contextlib.suppress(OSError, AnalyticsError):
                settings.build_path.parent.mkdir(parents=True, exist_ok=True)
                copy_database(settings.published_path.resolve(), _path(settings, version))

    with ThreadPoolExecutor(1, "copy") as pool:
        copying = pool.submit(copy)
        try:
            yield copying.result
        finally:
            pool.shutdown()
            remove_copies(settings)


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
