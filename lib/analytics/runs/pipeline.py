"""All stages as one Ploomber build, with a lock, a run folder and an outcome.

Ploomber decides what runs and in which order (`pipeline.yaml`), papermill executes the notebooks, all but `validate` in
the one kernel of `analytics.runs.notebook_engine`. Where the time goes is in docs/decisions.md.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import errors
from analytics.common import progress
from analytics.common.clock import utc_now
from analytics.common.files import disk_error, disk_errors, not_written
from analytics.common.lock import run_lock
from analytics.common.process import terminable, without, without_url_grammar
from analytics.errors import AnalyticsError, first_line
from analytics.runs import history as runs
from analytics.runs.history import DEFAULT_DEPLOYMENT, Run, result_of
from analytics.runs.quick_look import nothing_to_do
from analytics.runs.surroundings import log_to, secrets, settings_environment
from analytics.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from analytics.runs.notebook_engine import Failure

logger = logging.getLogger(__name__)

# A stage that takes longer says so, and again after twice the time.
SILENT_SECONDS = 30

# With less than this free no notebook can be written.
FULL_BYTES = 2**16

# What notebooks import takes seconds, Great Expectations alone two: `validate` has a kernel apart that imports it on
# another core while the stages before it run.
_SHOWING = ("altair", "pandas")
STAGES_NEED = (
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
    "analytics.raw.extract",
    "analytics.warehouse.load",
    "analytics.spark.transform",
    "analytics.warehouse.publish",
    *_SHOWING,
)
VALIDATE_NEEDS = (
    "analytics.quality.great",
    "analytics.quality.validate",
    "analytics.quality.gx_duckdb",
    "analytics.raw.glance",
    "analytics.warehouse.built_with",
    "great_expectations.render.renderer.site_builder",
    *_SHOWING,
)


def run(
    settings: Settings,
    *,
    full_backfill: bool = False,
    full_refresh: bool = False,
    deployment: str = DEFAULT_DEPLOYMENT,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
    on_killed: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Run extract, load, transform, validate and publish; only what is needed when nothing is new.

    Args:
        full_backfill: read every document of the source again and add what is missing.
        full_refresh: load every document again and rebuild every model.
        deployment: the schedule's name; part of the run folder's name.
        say: takes the lines a person should see while it runs.
        on_killed: takes each earlier run that never came to its end, once.

    Raises:
        BusyError: another run is active; this one left nothing behind.
        AnalyticsError: a stage failed (or one of its kinds: ConfigError, ValidationFailedError, …); one line
            naming stage, reason and executed notebook. run.json says the same, if it can be written; the published
            data is untouched.
    """
    os.umask(0o077)
    with run_lock(settings, holder=f"pipeline ({deployment})"):
        # nobody else is running: who says so was killed
        for killed in runs.settle_killed(settings):
            say(f"{killed.run_id} {(killed.error or {}).get('message', 'was killed')}")
            on_killed(killed)
        with disk_errors("pipeline", settings.data_dir):
            parameters = {
                "full_backfill": full_backfill,
                "full_refresh": full_refresh,
                "source": settings.source,
                "analytics_tz": settings.analytics_tz,
                "dbt_target": settings.dbt_target,
            }
            last = next(iter(runs.history(settings, limit=1)), None)
            record = runs.begin(settings, deployment, parameters)
            _run(settings, record, last, say)
        runs.prune(settings)
    return record


def _run(settings: Settings, record: Run, last: Run | None, say: Callable[[str], None]) -> None:
    watch = _Watch(settings, record, say)
    started = time.monotonic()
    with log_to(record.folder / "run.log", watch.scrub):
        failure: AnalyticsError | None = None
        try:
            with settings_environment(settings), terminable(), watch:
                logger.info("run %s started", record.run_id)
                everything = record.parameters["full_backfill"] or record.parameters["full_refresh"]
                if everything or not watch.looks_done(lambda: nothing_to_do(settings, last)):
                    _build(settings, record, watch)
            _conclude(record, watch)
        except BaseException as error:
            failure = _failure(error, record, watch)
            record.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            record.failed(watch.current, failure)
            raise failure from error
        finally:
            record.finished_at = utc_now().isoformat(timespec="milliseconds")
            record.duration_seconds = round(time.monotonic() - started, 3)
            # on a full disk what failed is what has to be said, and the next run finds this one unfinished
            with contextlib.suppress(OSError) if failure else contextlib.nullcontext():
                record.save()
            logger.info("%s", record)


def _build(settings: Settings, record: Run, watch: _Watch) -> None:
    """The Ploomber build of pipeline.yaml with this run's parameters."""
    progress.show_status("pipeline  starts")
    with without_url_grammar():
        from analytics.runs.kernel import Kernel

        log = record.folder / "run.log"
        with contextlib.ExitStack() as ending:
            # it gets ready while Ploomber is imported
            kernel = Kernel(log, STAGES_NEED)
            ending.callback(kernel.kill)
            with without("pandas", "pyarrow"):
                from ploomber.exceptions import DAGBuildError
                from ploomber.spec import DAGSpec

            from analytics.runs.notebook_engine import one_kernel
            from analytics.warehouse.ahead import copying_ahead, exporting_ahead

            apart: dict[str, Kernel] = {}

            def get_ready() -> None:
                """What later stages need, beside the first one: sooner, and the copy before that one has its kernel, it
                would take the processor from what this one waits for."""
                apart["validate"] = Kernel(log, VALIDATE_NEEDS)
                ending.callback(apart["validate"].kill)
                if not record.parameters["full_refresh"]:
                    with contextlib.suppress(RuntimeError):  # the stage says so
                        kernel.connect()
                    watch.before["load"] = ending.enter_context(copying_ahead(settings))

            def export() -> None:
                watch.before["publish"] = ending.enter_context(exporting_ahead(settings))

            watch.before["extract"] = get_ready
            watch.before["validate"] = export
            parameters = {
                "run_id": record.run_id,
                "runs": str(record.folder),
                "full_backfill": record.parameters["full_backfill"],
                "full_refresh": record.parameters["full_refresh"],
            }
            try:
                with one_kernel(kernel, watch, apart):
                    DAGSpec(str(PROJECT_ROOT / "pipeline.yaml"), env=parameters).to_dag().build(show_progress=False)
            except DAGBuildError as error:
                failure = watch.failure()
                if failure is None:
                    raise
                raise failure from error
            finally:
                for leftover in record.folder.glob(".*.metadata"):  # what Ploomber compares code with; every run is new
                    leftover.unlink()


class _Watch:
    """Follows the notebooks: keeps run.json current and tells the person at the terminal."""

    def __init__(self, settings: Settings, record: Run, say: Callable[[str], None]) -> None:
        self._record, self._say = record, progress.while_heard(say)
        self._data_dir = settings.data_dir
        self._secrets = secrets(settings)
        self._started = 0.0
        self._current: str | None = None
        self._error: tuple[str, str] | None = None  # name and message of what stopped the current stage
        self._reminder: threading.Timer | None = None
        self.before: dict[str, Callable[[], None]] = {}  # what is done before a stage, by its name

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._quiet()

    def looks_done(self, nothing_to_do: Callable[[], int | None]) -> bool:
        """Ask whether there is anything to do; if not, every stage is through with that."""
        first = self._record.stages[0]
        try:
            snapshot_id = nothing_to_do()
        except AnalyticsError as error:
            first.status, self._current = "failed", first.name
            self._error = (type(error).__name__, self.scrub(first_line(error)))
            raise self.failure() or error from error
        if snapshot_id is not None:
            first.result = {"snapshot_id": snapshot_id}
            first.summary = f"nothing new from {self._record.parameters['source']}"
            for stage in self._record.stages:
                stage.status, stage.notebook, stage.duration_seconds = "skipped", "", 0.0
            self._say(f"{first.summary}, and nothing else to do")
            logger.info("nothing to do")
        return snapshot_id is not None

    def started(self, output_path: str) -> None:
        stage = self._record.stage(Path(output_path).stem)
        self._current, self._started = stage.name, time.monotonic()
        stage.status = "running"
        stage.started_at = utc_now().isoformat(timespec="milliseconds")
        self._record.save()
        logger.info("%s started", stage.name)
        if not progress.show_status(f"{stage.name:10}running since {utc_now().astimezone():%H:%M:%S}"):
            self._remind(stage.name, SILENT_SECONDS)
        if before := self.before.get(stage.name):
            before()

    def finished(self, output_path: str, notebook: Any, error: Failure | None) -> None:
        self._quiet()
        stage = self._record.stage(Path(output_path).stem)
        stage.duration_seconds = round(time.monotonic() - self._started, 3)
        shown = result_of(notebook)
        if shown:
            stage.summary, stage.result = self.scrub(shown["summary"]), shown["result"]
        if error is not None:
            stage.status = "failed"
            self._error = (error.name, self.scrub(first_line(error)))
            logger.error("%s failed after %.1f s: %s", stage.name, stage.duration_seconds, ": ".join(self._error))
        else:
            stage.status = "skipped" if shown and shown["skipped"] else "succeeded"
            self._current = None
            self._say(f"{stage.name:10}{stage.duration_seconds:6.1f} s  {stage.summary}")
            logger.info("%s %s in %.1f s: %s", stage.name, stage.status, stage.duration_seconds, stage.summary)
        self._record.save()

    def _remind(self, name: str, seconds: float) -> None:
        def tell() -> None:
            self._say(f"{name:10}runs for {time.monotonic() - self._started:.0f} s")
            self._remind(name, 2 * seconds)

        self._reminder = threading.Timer(seconds, tell)
        self._reminder.daemon = True
        self._reminder.start()

    def _quiet(self) -> None:
        progress.hide_status()
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def scrub(self, text: str) -> str:
        """`text` without the secrets of the settings."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return text

    @property
    def current(self) -> str | None:
        """The stage that runs, or that failed."""
        return self._current

    def disk_error(self, reason: str) -> AnalyticsError:
        """What is said when the disk is full, wherever in the run that showed."""
        return disk_error(self._current or "pipeline", self._data_dir, reason)

    def failure(self) -> AnalyticsError | None:
        """The error of the failed stage as the kind it was; None when no stage failed."""
        if self._error is None or self._current is None:
            return None
        name, message = self._error
        if name == "OSError" and message.startswith(f"[Errno {errno.ENOSPC}]"):
            return self.disk_error(message.partition("] ")[2])
        kind = getattr(errors, name, None)
        if not (isinstance(kind, type) and issubclass(kind, AnalyticsError)):
            kind, message = AnalyticsError, f"{name}: {message}"
        notebook = self._record.folder / self._record.stage(self._current).notebook
        has_error = notebook.exists() and kind is not errors.KernelDiedError
        look = f"executed notebook: {notebook}" if has_error else f"log: {self._record.folder / 'run.log'}"
        return kind(f"{self._current} failed: {message}; {look}")


def _conclude(record: Run, watch: _Watch) -> None:
    """The outcome of a build that ran through."""
    unfinished = [stage.name for stage in record.stages if stage.status not in ("succeeded", "skipped")]
    if unfinished:
        raise AnalyticsError(f"Ploomber did not run {', '.join(unfinished)}; log: {record.folder / 'run.log'}")
    record.snapshot_id = record.stage("extract").result.get("snapshot_id")
    published = record.stage("publish")
    if published.status == "skipped":
        record.outcome = "nothing_new"
    else:
        record.outcome = "succeeded"
        record.published_version = published.result.get("version")


def _failure(error: BaseException, record: Run, watch: _Watch) -> AnalyticsError:
    """What a person is told about `error`: one line, without secrets."""
    if isinstance(error, AnalyticsError):
        return error
    during = f" during {watch.current}" if watch.current else ""
    if isinstance(error, KeyboardInterrupt):
        return AnalyticsError(f"interrupted{during}; the published data is untouched, the next run starts over")
    if disk := not_written(error):
        return watch.disk_error(disk.strerror or str(disk))
    if shutil.disk_usage(record.folder).free < FULL_BYTES:  # Ploomber does not hand on what it was told
        return watch.disk_error(os.strerror(errno.ENOSPC))
    logger.error("run %s failed", record.run_id, exc_info=error)
    return AnalyticsError(
        f"the pipeline failed{during}: {watch.scrub(first_line(error))}; log: {record.folder / 'run.log'}"
    )
