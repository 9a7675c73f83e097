"""`schedules.yaml`: the deployments, when each runs next, and running one of them or all in the foreground."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.clock import utc_now
from analytics.common.retry import RetryPolicy, retrying
from analytics.errors import AnalyticsError, ConfigError
from analytics.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from analytics.runs.history import Run

SCHEDULES_PATH = PROJECT_ROOT / "schedules.yaml"
PARAMETERS = ("full_backfill", "full_refresh")


@dataclass(frozen=True)
class Deployment:
    """One entry of schedules.yaml."""

    name: str
    description: str = ""
    schedule: str | None = None  # five cron fields; None: by hand
    parameters: dict[str, bool] = field(default_factory=dict)
    maintenance: bool = False

    def next_time(self, after: datetime) -> datetime | None:
        """The first time of the schedule after `after`, in its time zone; None when it runs by hand."""
        if self.schedule is None:
            return None
        from croniter import croniter

        return croniter(self.schedule, after).get_next(datetime)


@dataclass(frozen=True)
class Schedules:
    """schedules.yaml."""

    deployments: tuple[Deployment, ...]
    retry: RetryPolicy

    @property
    def scheduled(self) -> tuple[Deployment, ...]:
        """Those that run by themselves."""
        return tuple(item for item in self.deployments if item.schedule)

    def deployment(self, name: str) -> Deployment:
        """The deployment of that name.

        Raises:
            ConfigError: there is none.
        """
        for item in self.deployments:
            if item.name == name:
                return item
        names = ", ".join(item.name for item in self.deployments)
        raise ConfigError(f"deployment {name!r} is not in schedules.yaml; there are: {names}")


def load_schedules(path: Path = SCHEDULES_PATH) -> Schedules:
    """Read and check schedules.yaml.

    Raises:
        ConfigError: one line naming the file, the entry, the value and what is allowed.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path} is no YAML{f' (line {where.line + 1})' if where else ''}") from None
    items = document.get("deployments") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise ConfigError(f"{path}: `deployments` must be a list with at least one entry")
    deployments = tuple(_deployment(path, item) for item in items)
    names = [item.name for item in deployments]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: deployment {name!r} stands there twice; each name once")
    return Schedules(deployments, _retry(path, document.get("retry") or {}))


def _deployment(path: Path, item: Any) -> Deployment:
    from croniter import croniter

    from analytics.runs.history import _DEPLOYMENT_NAME

    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not _DEPLOYMENT_NAME.fullmatch(name):
        raise ConfigError(f"{path}: name {name!r}: use letters, digits, dots, dashes and underscores, at most 61")
    if unknown := set(item) - {"name", "description", "schedule", "parameters", "maintenance"}:
        raise ConfigError(f"{path}: {name}: unknown key {sorted(unknown)[0]!r}")
    schedule = item.get("schedule")
    if schedule is not None and not (
        isinstance(schedule, str) and len(schedule.split()) == 5 and croniter.is_valid(schedule)
    ):
        raise ConfigError(f"{path}: {name}: schedule {schedule!r}: five cron fields such as '0 2 * * *'")
    parameters = item.get("parameters") or {}
    for key, value in parameters.items():
        if key not in PARAMETERS or not isinstance(value, bool):
            raise ConfigError(f"{path}: {name}: parameter {key}={value!r}: only {', '.join(PARAMETERS)}, true or false")
    maintenance = item.get("maintenance", False)
    if not isinstance(maintenance, bool):
        raise ConfigError(f"{path}: {name}: maintenance={maintenance!r}: true or false")
    return Deployment(
        name=name,
        description=str(item.get("description") or ""),
        schedule=" ".join(schedule.split()) if schedule else None,
        parameters=parameters,
        maintenance=maintenance,
    )


def _retry(path: Path, values: dict[str, Any]) -> RetryPolicy:
    known = RetryPolicy.__dataclass_fields__
    for key, value in values.items():
        if key not in known or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{path}: retry: {key}={value!r}: only {', '.join(known)}, whole numbers from 1")
    return RetryPolicy(**values)


def run_deployment(
    settings: Settings,
    deployment: Deployment,
    policy: RetryPolicy,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """Run one deployment now: the pipeline, tried again while its failure is transient, then maintenance; alert on
    failure and recovery; bring runs/index.html up to date.

    Raises:
        AnalyticsError: what the pipeline raised, after the last attempt.
    """
    from analytics.operations import alerts, status
    from analytics.runs import history as runs
    from analytics.runs import pipeline

    def once() -> Run:
        return pipeline.run(settings, deployment=deployment.name, say=say, **deployment.parameters)

    try:
        run = retrying(once, policy, say=say, sleep=sleep)
        if deployment.maintenance:
            retrying(lambda: _maintain(settings, run, say), policy, say=say, sleep=sleep)
    except AnalyticsError as error:
        # A run that was kept out by the lock has no folder of its own.
        newest = next((item for item in runs.history(settings, 10) if item.deployment == deployment.name), None)
        is_its = newest is not None and newest.outcome == "failed" and newest.error is not None
        alerts.report_failure(settings, deployment.name, error, newest if is_its else None)
        raise
    finally:
        status.write_index(settings)
    alerts.report_success(settings, deployment.name, run)
    return run


def _maintain(settings: Settings, run: Run, say: Callable[[str], None]) -> None:
    """Compact and expire the raw tables, as one more stage of `run`."""

    from analytics.common.lock import run_lock
    from analytics.raw.store import RawStore
    from analytics.runs.history import Stage

    started = time.monotonic()
    run.stages = [stage for stage in run.stages if stage.name != "maintain"]
    stage = Stage("maintain", "running", utc_now().isoformat(timespec="milliseconds"))
    run.stages.append(stage)
    built, before = run.outcome, run.duration_seconds or 0.0
    try:
        with run_lock(settings, holder=f"maintenance ({run.deployment})"):
            store = RawStore(settings)
            compacted, expired = store.compact(), store.expire()
    except Exception as error:
        failure = error
        if not isinstance(error, AnalyticsError):
            failure = AnalyticsError(f"maintenance of the raw tables failed: {type(error).__name__}: {error}")
        stage.status, stage.summary = "failed", str(failure)
        # what was published stays published, but the run did not do all of its work
        run.outcome = "failed"
        run.error = {
            "stage": stage.name,
            "type": type(failure).__name__,
            "message": str(failure),
            "exit_code": failure.exit_code,
        }
        if failure is error:
            raise
        raise failure from error
    else:
        stage.status, stage.summary = "succeeded", f"{compacted}; {expired}"
        stage.result = {
            "files_before": compacted.files_before,
            "files_after": compacted.files_after,
            "snapshots_expired": expired.snapshots_expired,
            "files_deleted": expired.files_deleted,
            "bytes_deleted": expired.bytes_deleted,
        }
        say(f"{stage.name:10}{time.monotonic() - started:6.1f} s  {stage.summary}")
    finally:
        stage.duration_seconds = round(time.monotonic() - started, 3)
        run.finished_at = utc_now().isoformat(timespec="milliseconds")
        run.duration_seconds = round(before + stage.duration_seconds, 3)
        run.save()
        # another attempt starts from what the build itself came to
        if stage.status == "failed":
            run.outcome, run.error, run.duration_seconds = built, None, before


def work(
    settings: Settings,
    schedules: Schedules,
    *,
    say: Callable[[str], None],
    now: Callable[[], datetime] = lambda: utc_now().astimezone(),
    sleep: Callable[[float], None] = time.sleep,
    stop_after: int | None = None,
) -> int:
    """Run the scheduled deployments in the foreground until a signal comes; returns the number of runs.

    Times that pass while a run is active are not made up for. A failed run is said and the next one comes.
    `stop_after` runs it returns.
    """
    if not schedules.scheduled:
        raise ConfigError(f"{SCHEDULES_PATH} schedules nothing; give a deployment a `schedule`")
    done = 0
    while stop_after is None or done < stop_after:
        start = now()
        at = min(item.next_time(start) for item in schedules.scheduled)
        # Two due at the same minute: the one that does more does the other's work too.
        due = [item for item in schedules.scheduled if item.next_time(start) == at]
        chosen = max(due, key=lambda item: (item.maintenance, sum(item.parameters.values())))
        say(f"next: {chosen.name} at {at:%Y-%m-%d %H:%M}")
        while (left := (at - now()).total_seconds()) > 0:
            sleep(min(left, 30))  # short naps: a suspended machine wakes up late, a clock may be set
        say(f"{chosen.name} started")
        try:
            say(str(run_deployment(settings, chosen, schedules.retry, say=say, sleep=sleep)))
        except AnalyticsError as error:
            say(f"error: {chosen.name}: {error}")
        done += 1
    return done
