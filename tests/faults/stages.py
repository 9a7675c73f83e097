"""What the processes of the fault harness do."""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.settings import Settings, load_settings

# What "today" means in the marts, so that runs at different times can be compared.
AS_OF = datetime(2026, 9, 1, tzinfo=UTC)


def _sync(settings: Settings) -> None:
    from analytics.sources.sync import sync

    sync(settings)


def _extract(settings: Settings) -> None:
    from analytics.raw.extract import extract

    if settings.source == "mongodb":
        _sync(settings)
    # commits of this size are what a large history would make
    extract(settings, commit_bytes=50_000)


def _extract_small_commits(settings: Settings) -> None:
    """Reads, and commits, as little at once as makes a history that a test can afford a long one."""
    from analytics.raw.extract import extract
    from analytics.sources import collection

    collection.CURSOR_BATCH = 200
    extract(settings, commit_bytes=2 * 2**20)


def _backfill(settings: Settings) -> None:
    from analytics.raw.extract import extract

    extract(settings, full_backfill=True)


def _load(settings: Settings) -> None:
    from analytics.warehouse.load import load

    load(settings, even_if_unchanged=True)


def _transform(settings: Settings) -> None:
    from analytics.warehouse.transform import transform

    transform(settings, as_of=AS_OF)


def _validate(settings: Settings) -> None:
    from analytics.quality.validate import validate

    validate(settings)


def _publish(settings: Settings) -> None:
    from analytics.warehouse.publish import publish

    publish(settings)


def _compact(settings: Settings) -> None:
    from analytics.raw import maintenance
    from analytics.raw.store import RawStore

    maintenance.compact(RawStore(settings))


def _expire(settings: Settings) -> None:
    from analytics.raw import maintenance
    from analytics.raw.store import RawStore

    maintenance.expire(RawStore(settings), older_than=timedelta(0), grace=timedelta(0))


def _replay(settings: Settings) -> None:
    from analytics.raw.dead_letters import replay

    replay(settings)


def _purge(settings: Settings) -> None:
    from analytics.operations.purge import purge

    purge(settings, "project", purged_project(settings))


def purged_project(settings: Settings) -> str:
    """The project that the stage `purge` removes."""
    return min(path.name for path in settings.projects_dirs[0].iterdir())


def _build(settings: Settings) -> None:
    for stage in (_load, _transform, _publish):
        stage(settings)


def _run(settings: Settings) -> None:
    """What the pipeline does, apart from validating."""
    from analytics.common.lock import run_lock

    with run_lock(settings):
        _extract(settings)
        _build(settings)


def _run_an_hour_earlier(settings: Settings) -> None:
    """The same when the system's clock was set back since the run before."""
    now = time.time
    time.time = lambda: now() - 3600
    _run(settings)


def _refresh(settings: Settings) -> None:
    """What the nightly pipeline does, apart from validating."""
    from analytics.common.lock import run_lock
    from analytics.warehouse.load import load
    from analytics.warehouse.transform import transform

    with run_lock(settings):
        _backfill(settings)
        load(settings, full_refresh=True)
        transform(settings, full_refresh=True, as_of=AS_OF)
        _publish(settings)


STAGES: dict[str, Callable[[Settings], None]] = {
    "sync": _sync,
    "extract": _extract,
    "extract in small commits": _extract_small_commits,
    "backfill": _backfill,
    "load": _load,
    "transform": _transform,
    "validate": _validate,
    "publish": _publish,
    "compact": _compact,
    "expire": _expire,
    "replay": _replay,
    "purge": _purge,
    "build": _build,
    "run": _run,
    "run an hour earlier": _run_an_hour_earlier,
    "refresh": _refresh,
}


# Exit code of a stage that ended with an exception no user should see.
CRASHED = 70


def perform(stage: str, settings: dict[str, Any], at: str, error_file: Path, peak_file: Path) -> None:
    """Perform `stage` in this process; an error becomes a line in `error_file` and the command line's exit code.

    The process's peak resident memory in MiB ends up in `peak_file`.
    """
    from analytics.errors import AnalyticsError

    os.umask(0o077)
    os.environ.pop("ANALYTICS_FAULT", None)
    if at:
        os.environ["ANALYTICS_FAULT"] = at
    # dbt and Great Expectations print what goes on
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 the process ends with it
    try:
        STAGES[stage](load_settings(**settings))
        peak_file.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    except AnalyticsError as error:
        error_file.write_text(str(error))
        sys.exit(error.exit_code)
    except Exception:
        error_file.write_text(traceback.format_exc())
        sys.exit(CRASHED)
