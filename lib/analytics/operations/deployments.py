"""Running a deployment of `schedules.yaml` now, or all of them in the foreground."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from analytics.common.clock import utc_now
from analytics.errors import AnalyticsError, BusyError, ConfigError, KilledError, SourceUnavailableError
from analytics.operations import alerts, pages
from analytics.operations.schedules import SCHEDULES_PATH, Deployment, RetryPolicy, Schedules
from analytics.runs import history as runs
from analytics.runs.history import Run
from analytics.settings import Settings

# What may pass by itself: another run holds the lock, the source is away.
TRANSIENT = (BusyError, SourceUnavailableError)

# So long after its time a run may still come by itself: cron starts it in the same minute, and the lock delays it.
GRACE = timedelta(minutes=20)


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
    from analytics.runs import pipeline

    def once() -> Run:
        return pipeline.run(
            settings,
            deployment=deployment.name,
            say=say,
            on_killed=lambda killed: alert_killed(settings, killed),
            full_backfill=deployment.parameters.get("full_backfill", False),
            full_refresh=deployment.parameters.get("full_refresh", False),
        )

    try:
        run = _retrying(policy, say, sleep)(once)
        if deployment.maintenance:
            _retrying(policy, say, sleep)(_maintain, settings, run, say)
    except AnalyticsError as error:
        # A run that was kept out by the lock has no folder of its own.
        newest = next((item for item in runs.history(settings, 10) if item.deployment == deployment.name), None)
        is_its = newest is not None and newest.outcome == "failed" and newest.error is not None
        alerts.report_failure(settings, deployment.name, error, newest if is_its else None)
        raise
    finally:
        pages.write_index(settings)
    alerts.report_success(settings, deployment.name, run)
    return run


def missed(settings: Settings, schedules: Schedules, now: datetime) -> Deployment | None:
    """The deployment with `catch_up` whose last time passed without a run, while the machine slept or was off.

    A run that failed is one: it was told. One that was killed, switched off in its middle, is repeated once.
    `now`: in the time zone of the schedules.
    """
    past = runs.history(settings)
    if not past:
        return None
    known_since = min(datetime.fromisoformat(run.started_at) for run in past)
    for item in schedules.scheduled:
        due = item.last_time(now - GRACE) if item.catch_up else None
        if due is None or due < known_since:
            continue
        since = [run for run in past if run.deployment == item.name and datetime.fromisoformat(run.started_at) >= due]
        if not since or (len(since) == 1 and runs.outcome_of(since[0]) == "killed"):
            return item
    return None


def scheduled_now(
    settings: Settings, schedules: Schedules, deployment: Deployment, now: datetime, say: Callable[[str], None]
) -> Deployment:
    """What to run when it is `deployment`'s turn: one that was missed goes first, and does its work too."""
    late = missed(settings, schedules, now) if deployment.schedule else None
    if late is None or late.name == deployment.name:
        return deployment
    due = late.last_time(now - GRACE)
    say(f"{late.name} was missed at {due:%Y-%m-%d %H:%M}: it runs now, in place of {deployment.name}")
    return late


def alert_killed(settings: Settings, run: Run) -> None:
    """Tell of a run that never came to its end, which it could not do itself."""
    alerts.report_failure(settings, run.deployment, KilledError(run.error["message"] if run.error else ""), run)


def _retrying(policy: RetryPolicy, say: Callable[[str], None], sleep: Callable[[float], None]) -> Retrying:
    """Calls again what fails with a transient error, while attempts are left; the last error is raised."""

    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        say(f"attempt {state.attempt_number} of {policy.attempts}: {error}; again in {state.upcoming_sleep:.0f} s")

    return Retrying(
        retry=retry_if_exception_type(TRANSIENT),
        stop=stop_after_attempt(policy.attempts),
        wait=wait_exponential(policy.first_pause_seconds, max=policy.longest_pause_seconds),
        before_sleep=announce,
        sleep=sleep,
        reraise=True,
    )


def _maintain(settings: Settings, run: Run, say: Callable[[str], None]) -> None:
    """Compact and expire the raw tables, as one more stage of `run`."""
    from analytics.common.lock import run_lock
    from analytics.raw import maintenance
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
            compacted, expired = maintenance.compact(store), maintenance.expire(store)
    except Exception as error:
        failure = (
            error
            if isinstance(error, AnalyticsError)
            else AnalyticsError(f"maintenance of the raw tables failed: {type(error).__name__}: {error}")
        )
        stage.status, stage.summary = "failed", str(failure)
        # what was published stays published, but the run did not do all of its work
        run.outcome = "failed"
        run.failed(stage.name, failure)
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

    Times that pass while a run is active or the machine sleeps are made up for where the deployment says `catch_up`. A
    failed run is said and the next one comes.
    `stop_after` runs it returns.
    """
    if not schedules.scheduled:
        raise ConfigError(f"{SCHEDULES_PATH} schedules nothing; give a deployment a `schedule`")
    done = 0
    while stop_after is None or done < stop_after:
        times = [(item, item.next_time(now())) for item in schedules.scheduled]
        at = min(time for _, time in times if time is not None)
        # Two due at the same minute: the one that does more does the other's work too.
        due = [item for item, time in times if time == at]
        chosen = max(due, key=lambda item: (item.maintenance, sum(item.parameters.values())))
        if missed(settings, schedules, now()) is None:
            say(f"next: {chosen.name} at {at:%Y-%m-%d %H:%M}")
            while (left := (at - now()).total_seconds()) > 0:
                sleep(min(left, 30))  # short naps: a suspended machine wakes up late, a clock may be set
        chosen = scheduled_now(settings, schedules, chosen, now(), say)
        say(f"{chosen.name} started")
        try:
            say(str(run_deployment(settings, chosen, schedules.retry, say=say, sleep=sleep)))
        except AnalyticsError as error:
            say(f"error: {chosen.name}: {error}")
        done += 1
    return done
