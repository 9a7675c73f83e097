"""Past runs and the next ones, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analytics.common.clock import utc_now
from analytics.common.lock import current_holder
from analytics.common.text import display_width, excerpt, one_line
from analytics.errors import AnalyticsError
from analytics.operations import alerts
from analytics.operations import crontab as deploy
from analytics.operations.schedules import Deployment, Schedules, load_schedules
from analytics.runs import history as runs
from analytics.runs.history import Run, outcome_of
from analytics.settings import Settings

RUNS_SHOWN = 10

# A schedule is overdue when this many of its times have passed without a run that worked.
MISSED_TIMES = 3


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment: its schedule and how it goes."""

    deployment: Deployment
    is_deployed: bool
    has_worked: bool
    last: Run | None
    next_at: datetime | None  # local time
    failing_since: str | None
    is_overdue: bool


def deployments(settings: Settings, schedules: Schedules, now: datetime | None = None) -> list[DeploymentStatus]:
    """How each deployment of schedules.yaml goes."""
    now = now or utc_now().astimezone()
    in_crontab = deploy.deployed(schedules)
    failing = alerts.failing(settings)
    past = runs.history(settings)
    found = []
    for item in schedules.deployments:
        own = [run for run in past if run.deployment == item.name]
        worked = next((run for run in own if run.outcome in ("succeeded", "nothing_new")), None)
        is_deployed = item.name in in_crontab
        found.append(
            DeploymentStatus(
                deployment=item,
                is_deployed=is_deployed,
                last=own[0] if own else None,
                next_at=item.next_time(now),
                failing_since=failing.get(item.name),
                has_worked=worked is not None,
                is_overdue=_is_overdue(item, _waits_since(settings, worked, own, is_deployed=is_deployed), now),
            )
        )
    return found


def _waits_since(settings: Settings, worked: Run | None, own: list[Run], *, is_deployed: bool) -> datetime | None:
    """Since when runs of a deployment are waited for: the last that worked, the first that did not, or `deploy`."""
    if worked or own:
        return datetime.fromisoformat((worked or own[-1]).started_at)
    script = deploy.script_path(settings)
    if not is_deployed or not script.exists():
        return None
    return datetime.fromtimestamp(script.stat().st_mtime, UTC)


def _is_overdue(deployment: Deployment, since: datetime | None, now: datetime) -> bool:
    if deployment.schedule is None or since is None:
        return False
    at: datetime | None = since.astimezone(now.tzinfo)
    for _ in range(MISSED_TIMES):
        at = deployment.next_time(at) if at else None
    return at is not None and at < now


def problems(settings: Settings, schedules: Schedules, now: datetime | None = None) -> list[str]:
    """One line for each scheduled deployment that fails or is overdue; empty when all is well."""
    found = []
    for item in deployments(settings, schedules, now):
        if item.failing_since:
            found.append(f"{item.deployment.name} fails since {item.failing_since}")
        elif item.last and outcome_of(item.last) == "killed":
            found.append(f"{item.deployment.name} was killed: the run that began {item.last.started_at} has no end")
        elif item.is_overdue and item.last:
            never = "" if item.has_worked else "; none has ever worked"
            found.append(f"{item.deployment.name} is overdue: the last run began {item.last.started_at}{never}")
        elif item.is_overdue:
            found.append(
                f"{item.deployment.name} has never run although it was due: is cron running? (docs/runbook.md)"
            )
    return found


DEPLOYMENT_HEAD = ("deployment", "schedule", "last run", "outcome", "next")


def deployment_row(item: DeploymentStatus) -> tuple[str, ...]:
    """How a deployment goes, in the words of `DEPLOYMENT_HEAD`."""
    schedule = item.deployment.schedule or "by hand"
    if item.deployment.schedule and not item.is_deployed:
        schedule += " (not in crontab)"
    last = _local(item.last.started_at) if item.last else "never"
    outcome = outcome_of(item.last) if item.last else ""
    if item.failing_since:
        outcome += f", failing since {_local(item.failing_since)}"
    elif item.is_overdue:
        outcome += ", overdue"
    due = f"{item.next_at:%Y-%m-%d %H:%M}" if item.next_at and item.is_deployed else ""
    return item.deployment.name, schedule, last, outcome, due


def overview(settings: Settings) -> str:
    """Deployments and the last runs, as text."""
    rows = [DEPLOYMENT_HEAD, *(deployment_row(item) for item in deployments(settings, load_schedules()))]
    text = [_table(rows)]
    holder = current_holder(settings)
    if holder:
        text.append(f"running now: {holder}")
    past = runs.history(settings, RUNS_SHOWN)
    if past:
        rows = [
            ("run", "outcome", "took", "what happened"),
            *((run.run_id, outcome_of(run), took(run), what_happened(run)) for run in past),
        ]
        text += ["", _table(rows), "", f"one of them: claude-analytics status {past[0].run_id}"]
        text.append(f"in a browser: {settings.runs_dir / 'index.html'}")
    else:
        text += ["", "no runs yet: claude-analytics pipeline"]
    return "\n".join(text)


def took(what: Run | runs.Stage) -> str:
    """How long a run or a stage took; nothing while it runs."""
    return "" if what.duration_seconds is None else f"{what.duration_seconds:.1f} s"


def what_happened(run: Run) -> str:
    """What a run did, in a few words."""
    if run.error:
        return excerpt(run.error["message"], 160)
    for name in ("extract", "load"):
        stage = next((stage for stage in run.stages if stage.name == name), None)
        if stage and stage.summary:
            return excerpt(stage.summary, 160)
    return ""


def detail(settings: Settings, run_id: str) -> str:
    """One run, as text.

    Raises:
        AnalyticsError: there is no such run.
    """
    if Path(run_id).name != run_id or not run_id:
        raise AnalyticsError(f"run {run_id!r}: give the name of a folder in {settings.runs_dir}")
    run = runs.read(settings.runs_dir / run_id)
    parameters = ", ".join(f"{name}={value}" for name, value in run.parameters.items())
    lines = [
        f"{run.run_id}: {outcome_of(run)}",
        f"started     {_local(run.started_at)}{f', took {took(run)}' if run.duration_seconds else ''}",
        f"parameters  {parameters}",
        f"snapshot    {run.snapshot_id or 'none'}",
        f"published   {run.published_version or 'nothing'}",
        "",
        _table([("stage", "status", "took", "summary"), *((s.name, s.status, took(s), s.summary) for s in run.stages)]),
    ]
    if run.error:
        lines += ["", f"error in {run.error.get('stage') or 'the run'}: {one_line(run.error['message'])}"]
    lines += ["", f"log and executed notebooks: {run.folder}"]
    return "\n".join(lines)


def _local(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M}"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (width - display_width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
