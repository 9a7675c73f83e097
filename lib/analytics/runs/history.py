"""Run history: what every run leaves behind under `DATA_DIR/runs/<started>-<deployment>/`.

    run.json                                                the facts, below
    run.log                                                 what happened, in order
    extract.ipynb load.ipynb transform.ipynb validate.ipynb publish.ipynb    the executed notebooks

`run.json` is written when the run starts and replaced (atomically) at every stage; one object:

    version            1
    run_id             the folder's name, such as 20261123T120000Z-adhoc-analytics; sorts by start
    deployment         what ran: adhoc-analytics, hourly-analytics, daily-full-refresh, full-backfill, …
    started_at         ISO 8601, UTC
    finished_at        the same; null while it runs
    duration_seconds   null while it runs
    outcome            running | succeeded | nothing_new | failed | interrupted | killed
                       (running with a pid that is no longer alive: killed, and no run came after it yet)
    pid, host          the process
    parameters         full_backfill, full_refresh, source, analytics_tz, dbt_target
    stages             list, in order, of
        name               extract | load | transform | validate | publish
        status             pending | running | succeeded | skipped (nothing to do) | failed
        started_at         ISO 8601, UTC; null before it starts
        duration_seconds   null before it ends
        notebook           file name of the executed copy in this folder
        summary            one line; empty before it ends
        result             the stage's counts by name: numbers, texts, true/false, null; and
                           `rows`, rows per table, for transform
    snapshot_id        Iceberg snapshot of raw.conversations after extract; null when there is none
    published_version  the version this run published; null when it published nothing
    error              null, or {stage, type, message, exit_code}: message is one line without secrets

`stages[*].status` of a run that failed says how far it got. Readers ignore keys they do not know.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics.common.clock import utc_now
from analytics.common.files import partial_file
from analytics.errors import AnalyticsError, KilledError
from analytics.settings import Settings

STAGES = ("extract", "load", "transform", "validate", "publish")
# A stage's result inside an executed notebook, for programs; see `result_of`.
RESULT_TYPE = "application/vnd.claude-analytics.result+json"
DEFAULT_DEPLOYMENT = "adhoc-analytics"

DEPLOYMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


@dataclass
class Stage:
    """One stage of a run; the fields are those of run.json."""

    name: str
    status: str = "pending"
    started_at: str | None = None
    duration_seconds: float | None = None
    notebook: str = ""
    summary: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """One run; the fields are those of run.json, and `folder` is where it lies."""

    folder: Path
    run_id: str
    deployment: str
    started_at: str
    parameters: dict[str, Any]
    stages: list[Stage]
    outcome: str = "running"
    finished_at: str | None = None
    duration_seconds: float | None = None
    pid: int = 0
    host: str = ""
    snapshot_id: int | None = None
    published_version: str | None = None
    error: dict[str, Any] | None = None
    version: int = 1

    def stage(self, name: str) -> Stage:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    def failed(self, stage: str | None, error: AnalyticsError) -> None:
        """Note what went wrong, and in which stage, if in one."""
        self.error = {
            "stage": stage,
            "type": type(error).__name__,
            "message": str(error),
            "exit_code": error.exit_code,
        }

    def save(self) -> None:
        """Write run.json, whole or not at all."""
        facts = asdict(self)
        del facts["folder"]
        with partial_file(self.folder / "run.json") as path:
            path.write_text(json.dumps(facts, indent=1, default=str) + "\n")

    def __str__(self) -> str:
        seconds = "" if self.duration_seconds is None else f" in {self.duration_seconds:.1f} s"
        return f"{self.run_id}: {self.outcome.replace('_', ' ')}{seconds}"


def result_of(notebook: Any) -> dict[str, Any] | None:
    """What `show` displayed in an executed notebook: {stage, summary, skipped, result}; else None."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found = output.get("data", {}).get(RESULT_TYPE)
            if found:
                return dict(found)
    return None


def begin(settings: Settings, deployment: str, parameters: dict[str, Any]) -> Run:
    """Make the folder of a new run, with its first run.json.

    Raises:
        AnalyticsError: the deployment's name cannot be part of a file name, or DATA_DIR cannot be written.
    """
    if not DEPLOYMENT_NAME.fullmatch(deployment):
        raise AnalyticsError(
            f"deployment {deployment!r}: use letters, digits, dots, dashes and underscores, at most 61"
        )
    folder, started = _new_folder(settings, deployment)
    run = Run(
        folder=folder,
        run_id=folder.name,
        deployment=deployment,
        started_at=started.isoformat(timespec="milliseconds"),
        parameters=parameters,
        stages=[Stage(name, notebook=f"{name}.ipynb") for name in STAGES],
        pid=os.getpid(),
        host=socket.gethostname(),
    )
    run.save()
    return run


def _new_folder(settings: Settings, deployment: str) -> tuple[Path, datetime]:
    while True:
        started = utc_now()
        folder = settings.runs_dir / f"{started:%Y%m%dT%H%M%SZ}-{deployment}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # two runs within one second
            time.sleep(0.2)
            continue
        except OSError as error:
            raise AnalyticsError(
                f"DATA_DIR={settings.data_dir}: cannot be written ({error.strerror}); "
                "make it writable or choose another folder"
            ) from None
        return folder, started


def read(folder: Path) -> Run:
    """The run that lies in `folder`.

    Raises:
        AnalyticsError: there is no run, or its run.json is not one of ours.
    """
    try:
        facts = json.loads((folder / "run.json").read_text())
        known = {name: facts[name] for name in Run.__dataclass_fields__ if name in facts}
        stages = [
            Stage(**{name: stage[name] for name in Stage.__dataclass_fields__ if name in stage})
            for stage in known.pop("stages")
        ]
        return Run(folder=folder, stages=stages, **known)
    except FileNotFoundError:
        raise AnalyticsError(f"no run at {folder}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AnalyticsError(f"{folder / 'run.json'} cannot be read: {error}") from None


def history(settings: Settings, limit: int | None = None) -> list[Run]:
    """Past runs, newest first, `limit` of them at most; folders without a readable run.json are left out."""
    found: list[Run] = []
    for folder in _folders(settings):
        if limit is not None and len(found) >= limit:
            break
        try:
            found.append(read(folder))
        except AnalyticsError:
            continue
    return found


def outcome_of(run: Run) -> str:
    """The outcome in words; a run that says it runs and whose process is gone was killed."""
    if run.outcome == "running" and run.host == socket.gethostname() and not _is_alive(run.pid):
        return "killed"
    return run.outcome.replace("_", " ")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid > 0


def settle_killed(settings: Settings) -> list[Run]:
    """Runs that say they run, given the outcome `killed`, oldest first. For whoever holds the run lock.

    What cannot be written stays as it is, for the next run to find.
    """
    found = []
    for run in reversed(history(settings)):
        if run.outcome != "running":
            continue
        stage = next((stage for stage in run.stages if stage.status == "running"), None)
        if stage is not None:
            stage.status = "failed"
        run.outcome = "killed"
        during = f" during {stage.name}" if stage else ""
        said = f"was killed{during} (pid {run.pid} on {run.host}); the published data is untouched"
        run.failed(stage.name if stage else None, KilledError(said))
        try:
            run.save()
        except OSError:
            continue
        found.append(run)
    return found


def prune(settings: Settings) -> list[str]:
    """Remove all but the newest KEEP_RUNS runs; returns the names of those removed."""
    removed = []
    for folder in _folders(settings)[settings.keep_runs :]:
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder.name)
    return removed


def _folders(settings: Settings) -> list[Path]:
    """Run folders, newest first."""
    if not settings.runs_dir.is_dir():
        return []
    return sorted((path.parent for path in settings.runs_dir.glob("*/run.json")), reverse=True)
