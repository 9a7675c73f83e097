"""All stages as one Ploomber build, with a lock, a run folder and an outcome.

Ploomber decides what runs and in which order (`pipeline.yaml`), papermill executes the notebooks, and
`analytics.runs.notebook_engine` spares a kernel for each. Where the time goes is in docs/decisions.md.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from analytics import errors
from analytics.common.clock import utc_now
from analytics.common.lock import run_lock
from analytics.common.process import environment, terminable
from analytics.errors import AnalyticsError, first_line
from analytics.runs import history as runs
from analytics.runs.history import DEFAULT_DEPLOYMENT, Run
from analytics.runs.notebook import NO_TELEMETRY, result_of
from analytics.settings import PROJECT_ROOT, Settings

logger = logging.getLogger(__name__)

# Ploomber and papermill log at length what the executed notebook shows anyway.
_QUIET = {"papermill": logging.ERROR, "ploomber": logging.CRITICAL}


def run(
    settings: Settings,
    *,
    full_backfill: bool = False,
    full_refresh: bool = False,
    deployment: str = DEFAULT_DEPLOYMENT,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> Run:
    """Run extract, load, transform, validate and publish; only what is needed when nothing is new.

    Args:
        full_backfill: read every document of the source again and add what is missing.
        full_refresh: load every document again and rebuild every model.
        deployment: the schedule's name; part of the run folder's name.
        say: takes the lines a person should see while it runs.

    Raises:
        BusyError: another run is active; this one left nothing behind.
        AnalyticsError: a stage failed (or one of its kinds: ConfigError, ValidationFailedError, …); one line
            naming stage, reason and executed notebook. run.json says the same; the published data is
            untouched.
    """
    os.umask(0o077)
    with run_lock(settings, holder=f"pipeline ({deployment})"):
        record = runs.begin(
            settings,
            deployment,
            {
                "full_backfill": full_backfill,
                "full_refresh": full_refresh,
                "source": settings.source,
                "analytics_tz": settings.analytics_tz,
                "dbt_target": settings.dbt_target,
            },
        )
        watch = _Watch(settings, record, say)
        started = time.monotonic()
        with _log_to(record.folder / "run.log", watch.scrub):
            try:
                with _environment(settings), terminable():
                    logger.info("run %s started", record.run_id)
                    _build(record, watch)
                _conclude(record, watch)
            except BaseException as error:
                failure = _failure(error, record, watch)
                record.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                record.error = {
                    "stage": watch.current,
                    "type": type(failure).__name__,
                    "message": str(failure),
                    "exit_code": failure.exit_code,
                }
                raise failure from error
            finally:
                record.finished_at = utc_now().isoformat(timespec="milliseconds")
                record.duration_seconds = round(time.monotonic() - started, 3)
                record.save()
                logger.info("%s", record)
        runs.prune(settings)
    return record


def _build(record: Run, watch: _Watch) -> None:
    """The Ploomber build of pipeline.yaml with this run's parameters."""
    # jsonschema (through nbformat) builds a grammar for checking IRIs when this package is there: 0.9 s.
    # Nothing here has an IRI to check, and without it jsonschema just leaves that format unchecked.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from papermill.engines import papermill_engines
    from ploomber.exceptions import DAGBuildError
    from ploomber.spec import DAGSpec

    from analytics.runs.notebook_engine import InProcessEngine, observed_by

    parameters = {
        "run_id": record.run_id,
        "runs": str(record.folder),
        "full_backfill": record.parameters["full_backfill"],
        "full_refresh": record.parameters["full_refresh"],
    }
    # Ploomber cannot name another papermill engine in pipeline.yaml: for this build it becomes the default.
    default = papermill_engines.get_engine(None)
    papermill_engines.register(None, InProcessEngine)
    try:
        with observed_by(watch):
            DAGSpec(str(PROJECT_ROOT / "pipeline.yaml"), env=parameters).to_dag().build(show_progress=False)
    except DAGBuildError as error:
        failure = watch.failure()
        if failure is None:
            raise
        raise failure from error
    finally:
        papermill_engines.register(None, default)
        for leftover in record.folder.glob(".*.metadata"):  # what Ploomber compares code with; every run is a new one
            leftover.unlink()


class _Watch:
    """Follows the notebooks: keeps run.json current and tells the person at the terminal."""

    def __init__(self, settings: Settings, record: Run, say: Callable[[str], None]) -> None:
        self._record, self._say = record, say
        self._secrets = _secrets(settings)
        self._started = 0.0
        self._current: str | None = None
        self._error: tuple[str, str] | None = None  # type and message of what stopped the current stage

    def started(self, output_path: str) -> None:
        stage = self._record.stage(Path(output_path).stem)
        self._current, self._started = stage.name, time.monotonic()
        stage.status = "running"
        stage.started_at = utc_now().isoformat(timespec="milliseconds")
        self._record.save()
        logger.info("%s started", stage.name)

    def finished(self, output_path: str, notebook: Any, error: BaseException | None) -> None:
        stage = self._record.stage(Path(output_path).stem)
        stage.duration_seconds = round(time.monotonic() - self._started, 3)
        shown = result_of(notebook)
        if shown:
            stage.summary, stage.result = self.scrub(shown["summary"]), shown["result"]
        if error is not None:
            stage.status = "failed"
            self._error = (type(error).__name__, self.scrub(first_line(error)))
            logger.error("%s failed after %.1f s: %s", stage.name, stage.duration_seconds, ": ".join(self._error))
        else:
            stage.status = "skipped" if shown and shown["skipped"] else "succeeded"
            self._current = None
            self._say(f"{stage.name:10}{stage.duration_seconds:6.1f} s  {stage.summary}")
            logger.info("%s %s in %.1f s: %s", stage.name, stage.status, stage.duration_seconds, stage.summary)
        self._record.save()

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

    def failure(self) -> AnalyticsError | None:
        """The error of the failed stage as the kind it was; None when no stage failed."""
        if self._error is None or self._current is None:
            return None
        name, message = self._error
        kind = getattr(errors, name, AnalyticsError)
        known = isinstance(kind, type) and issubclass(kind, AnalyticsError)
        reason = message if known and hasattr(errors, name) else f"{name}: {message}"
        notebook = self._record.folder / self._record.stage(self._current).notebook
        return (kind if known else AnalyticsError)(f"{self._current} failed: {reason}; executed notebook: {notebook}")


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
    logger.error("run %s failed", record.run_id, exc_info=error)
    return AnalyticsError(
        f"the pipeline failed{during}: {watch.scrub(first_line(error))}; log: {record.folder / 'run.log'}"
    )


def _secrets(settings: Settings) -> list[str]:
    """Every text that must not be written anywhere, longest first."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            found.add(value.get_secret_value())
    if settings.mongo_uri:
        password = urlsplit(settings.mongo_uri.get_secret_value()).password
        if password:
            found |= {password, unquote(password), quote(unquote(password), safe="")}
    return sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True)


@contextlib.contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """The settings as environment variables: what the notebooks read, here or in kernels of their own."""
    values = dict(NO_TELEMETRY)
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            values[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    with environment(values):
        yield


@contextlib.contextmanager
def _log_to(path: Path, scrub: Callable[[str], str]) -> Iterator[None]:
    """Everything that is logged, and every warning, into the run's log."""

    class Formatter(logging.Formatter):
        converter = time.gmtime

        def format(self, log: logging.LogRecord) -> str:
            return scrub(super().format(log))

    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    handler.addFilter(lambda log: log.levelno >= logging.WARNING or log.name.startswith("analytics"))
    levels = {name: logging.getLogger(name).level for name in (*_QUIET, "analytics")}
    for name, level in {**_QUIET, "analytics": logging.INFO}.items():
        logging.getLogger(name).setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        handler.close()
