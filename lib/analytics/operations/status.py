"""Past runs and the next ones: for the terminal, and as pages in `DATA_DIR/runs/index.html`."""

from __future__ import annotations

import html
import json
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics.common.clock import utc_now
from analytics.common.files import partial_file
from analytics.common.lock import current_holder
from analytics.errors import AnalyticsError
from analytics.operations import alerts
from analytics.operations import crontab as deploy
from analytics.operations.deployments import Deployment, Schedules, load_schedules
from analytics.runs import history as runs
from analytics.runs.history import Run
from analytics.settings import Settings

RUNS_SHOWN = 10

# A schedule is overdue when this many of its times have passed without a run that worked.
MISSED_TIMES = 3


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment: its schedule and how it goes."""

    deployment: Deployment
    is_deployed: bool
    last: Run | None
    next_at: datetime | None  # local time
    failing_since: str | None
    is_overdue: bool


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
        found.append(
            DeploymentStatus(
                deployment=item,
                is_deployed=item.name in in_crontab,
                last=own[0] if own else None,
                next_at=item.next_time(now),
                failing_since=failing.get(item.name),
                is_overdue=worked is not None and _is_overdue(item, datetime.fromisoformat(worked.started_at), now),
            )
        )
    return found


def _is_overdue(deployment: Deployment, worked_at: datetime, now: datetime) -> bool:
    if deployment.schedule is None:
        return False
    at = worked_at.astimezone(now.tzinfo)
    for _ in range(MISSED_TIMES):
        at = deployment.next_time(at)
    return at < now


def problems(settings: Settings, schedules: Schedules, now: datetime | None = None) -> list[str]:
    """One line for each scheduled deployment that fails or is overdue; empty when all is well."""
    found = []
    for item in deployments(settings, schedules, now):
        if item.failing_since:
            found.append(f"{item.deployment.name} fails since {item.failing_since}")
        elif item.is_overdue and item.last:
            found.append(f"{item.deployment.name} is overdue: the last run began {item.last.started_at}")
    return found


_DEPLOYMENT_HEAD = ("deployment", "schedule", "last run", "outcome", "next")


def _deployment_row(item: DeploymentStatus) -> tuple[str, ...]:
    """How a deployment goes, in the words of `_DEPLOYMENT_HEAD`."""
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
    rows = [_DEPLOYMENT_HEAD, *(_deployment_row(item) for item in deployments(settings, load_schedules()))]
    text = [_table(rows)]
    holder = current_holder(settings)
    if holder:
        text.append(f"running now: {holder}")
    past = runs.history(settings, RUNS_SHOWN)
    if past:
        rows = [("run", "outcome", "took", "what happened"), *(_run_row(run) for run in past)]
        text += ["", _table(rows), "", f"one of them: claude-analytics status {past[0].run_id}"]
        text.append(f"in a browser: {settings.runs_dir / 'index.html'}")
    else:
        text += ["", "no runs yet: claude-analytics pipeline"]
    return "\n".join(text)


def _run_row(run: Run) -> tuple[str, str, str, str]:
    took = "" if run.duration_seconds is None else f"{run.duration_seconds:.1f} s"
    return run.run_id, outcome_of(run), took, _what(run)


def _what(run: Run) -> str:
    """What a run did, in a few words."""
    if run.error:
        return run.error["message"][:160]
    for name in ("extract", "load"):
        stage = next((stage for stage in run.stages if stage.name == name), None)
        if stage and stage.summary:
            return stage.summary[:160]
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
        f"started     {_local(run.started_at)}"
        + (f", took {run.duration_seconds:.1f} s" if run.duration_seconds else ""),
        f"parameters  {parameters}",
        f"snapshot    {run.snapshot_id or 'none'}",
        f"published   {run.published_version or 'nothing'}",
        "",
        _table([("stage", "status", "took", "summary"), *(_stage_row(stage) for stage in run.stages)]),
    ]
    if run.error:
        lines += ["", f"error in {run.error.get('stage') or 'the run'}: {run.error['message']}"]
    lines += ["", f"log and executed notebooks: {run.folder}"]
    return "\n".join(lines)


def _stage_row(stage: runs.Stage) -> tuple[str, str, str, str]:
    took = "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f} s"
    return stage.name, stage.status, took, stage.summary


def _local(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M}"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


# Pages

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .25rem .9rem .25rem 0; vertical-align: top; }
th { border-bottom: 1px solid #8888; } td { border-bottom: 1px solid #8883; }
pre { overflow-x: auto; padding: .6rem .8rem; background: #8881; border-radius: 6px; font-size: 13px; }
.failed, .killed, .interrupted, .error { color: #c0392b; } .succeeded { color: #1e8449; }
.muted { color: #888; } .cell { margin: 1rem 0; } svg, img { max-width: 100%; height: auto; }
svg { overflow: visible; } .dataframe, .dataframe th, .dataframe td { border-width: 0 0 1px; }
"""

# Pages hold nothing from outside and run no script.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def write_index(settings: Settings) -> Path:
    """Write runs/index.html, a page for each run, and its executed notebooks as HTML where that is missing.

    Returns: the path of the index.
    """
    past = runs.history(settings)
    for run in past:
        page = run.folder / "index.html"
        if run.outcome == "running" or not page.exists():
            _write_run_pages(run)
    rows = "".join(
        f'<tr><td><a href="{html.escape(run.run_id)}/index.html">{html.escape(run.run_id)}</a></td>'
        f'<td class="{html.escape(run.outcome)}">{html.escape(outcome_of(run))}</td>'
        f"<td>{'' if run.duration_seconds is None else f'{run.duration_seconds:.1f} s'}</td>"
        f"<td>{html.escape(_what(run))}</td></tr>\n"
        for run in past
    )
    body = (
        f'<h1>Deployments</h1>\n<p class="muted">as of {utc_now().astimezone():%Y-%m-%d %H:%M %Z}</p>\n'
        f"{_deployment_table(settings)}\n<h1>Runs</h1>\n"
        f"<table><tr><th>run</th><th>outcome</th><th>took</th><th>what happened</th></tr>\n{rows}</table>"
    )
    path = settings.runs_dir / "index.html"
    settings.runs_dir.mkdir(parents=True, exist_ok=True)
    with partial_file(path) as temporary:
        temporary.write_text(_page("Runs", body))
    return path


def _deployment_table(settings: Settings) -> str:
    """The deployments as HTML. A schedules.yaml that cannot be read hides no run."""
    try:
        found = deployments(settings, load_schedules())
    except AnalyticsError as error:
        return f'<p class="error">{html.escape(str(error))}</p>'
    head = "".join(f"<th>{name}</th>" for name in _DEPLOYMENT_HEAD)
    rows = ""
    for item in found:
        cells = [f"<td>{html.escape(cell)}</td>" for cell in _deployment_row(item)]
        if item.last:
            kind = "failed" if item.failing_since else outcome_of(item.last)
            cells[3] = cells[3].replace("<td>", f'<td class="{html.escape(kind)}">', 1)
        rows += f"<tr>{''.join(cells)}</tr>\n"
    return f"<table><tr>{head}</tr>\n{rows}</table>"


def _write_run_pages(run: Run) -> None:
    rows = []
    for stage in run.stages:
        notebook = run.folder / stage.notebook if stage.notebook else None
        link = html.escape(stage.name)
        if notebook is not None and notebook.is_file():
            target = notebook.with_suffix(".html")
            with partial_file(target) as temporary:
                temporary.write_text(notebook_page(notebook, f"{stage.name} of {run.run_id}"))
            link = f'<a href="{html.escape(target.name)}">{link}</a>'
        took = "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f} s"
        rows.append(
            f'<tr><td>{link}</td><td class="{html.escape(stage.status)}">{html.escape(stage.status)}</td>'
            f"<td>{took}</td><td>{html.escape(stage.summary)}</td></tr>\n"
        )
    error = f'<p class="error">{html.escape(run.error["message"])}</p>\n' if run.error else ""
    parameters = ", ".join(f"{name}={value}" for name, value in run.parameters.items())
    log = '<p><a href="run.log">run.log</a> · <a href="run.json">run.json</a></p>'
    body = (
        f'<p><a href="../index.html">all runs</a></p>\n<h1>{html.escape(run.run_id)}</h1>\n'
        f'<p><span class="{html.escape(run.outcome)}">{html.escape(outcome_of(run))}</span>, '
        f"started {html.escape(run.started_at)}, {html.escape(parameters)}</p>\n{error}"
        f"<table><tr><th>stage</th><th>status</th><th>took</th><th>summary</th></tr>\n{''.join(rows)}</table>\n{log}"
    )
    with partial_file(run.folder / "index.html") as temporary:
        temporary.write_text(_page(run.run_id, body))


def notebook_page(path: Path, title: str) -> str:
    """An executed notebook as one page: no script, no style sheet or font from elsewhere."""
    try:
        cells = json.loads(path.read_text()).get("cells", [])
    except (OSError, ValueError, AttributeError):
        return _page(title, f'<h1>{html.escape(title)}</h1><p class="error">The notebook cannot be read.</p>')
    parts = [f'<p><a href="index.html">the run</a></p>\n<h1>{html.escape(title)}</h1>']
    for cell in cells:
        source = _text(cell.get("source"))
        if cell.get("cell_type") == "code":
            parts.append(f'<div class="cell"><pre>{html.escape(source)}</pre>{_outputs(cell)}</div>')
        elif source.strip():
            parts.append(f'<div class="cell">{_markdown(source)}</div>')
    return _page(title, "\n".join(parts))


def _markdown(source: str) -> str:
    import mistune

    return str(mistune.create_markdown(escape=True)(source))


def _outputs(cell: dict[str, Any]) -> str:
    return "".join(_output(output) for output in cell.get("outputs", []))


def _output(output: dict[str, Any]) -> str:
    if output.get("output_type") == "stream":
        return f"<pre>{html.escape(_text(output.get('text')))}</pre>"
    if output.get("output_type") == "error":
        lines = f"{output.get('ename', '')}: {output.get('evalue', '')}"
        return f'<pre class="error">{html.escape(lines)}</pre>'
    data = output.get("data", {})
    if "image/svg+xml" in data:
        return _text(data["image/svg+xml"])
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{html.escape(_text(data["image/png"]).strip())}">'
    if "text/html" in data:
        return _text(data["text/html"])
    return f"<pre>{html.escape(_text(data.get('text/plain')))}</pre>"


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value or "")
