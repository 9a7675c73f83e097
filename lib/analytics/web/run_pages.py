"""Past runs: the list, and one with its stages, log and executed notebooks."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from analytics.common import formats
from analytics.common.text import clean
from analytics.errors import AnalyticsError
from analytics.runs import history
from analytics.web.choice import BadAddress
from analytics.web.pages import Pages
from analytics.web.tables import Cell

RUNS_LISTED = 100
LOG_TAIL_BYTES = 200_000


def runs(pages: Pages) -> dict[str, Any]:
    """The newest runs."""
    past = history.history(pages.settings, RUNS_LISTED)
    section = {
        "key": "runs",
        "title": "Runs, newest first",
        "about": "What the schedules did. A failed run publishes nothing: the numbers stay the ones before it.",
        "heads": ["Started", "Run", "Outcome", "Took", "Published", "Error"],
        "rows": [
            [
                *run_cells(pages, run),
                Cell(run.published_version or ""),
                Cell(clean((run.error or {}).get("message", "")), wraps=True),
            ]
            for run in past
        ],
    }
    return {
        **pages.frame("runs", "Runs", pages.facts_if_any()),
        "intro": "Each with its stages, log and executed notebooks.",
        "sections": [section],
    }


def run(pages: Pages, run_id: str) -> dict[str, Any]:
    """One run.

    Raises:
        BadAddress: there is no such run.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", run_id) or run_id.startswith("."):
        raise BadAddress(f"There is no run {run_id!r}.", 404)
    try:
        run = history.read(pages.settings.runs_dir / run_id)
    except AnalyticsError:
        raise BadAddress(f"There is no run {run_id!r}.", 404) from None
    stages = [
        [
            Cell(stage.name, href=_notebook_href(pages, run, stage.notebook)),
            Cell(stage.status, badge="warn" if stage.status == "failed" else ""),
            Cell("" if stage.duration_seconds is None else formats.duration(stage.duration_seconds), is_number=True),
            Cell(clean(stage.summary), wraps=True),
        ]
        for stage in run.stages
    ]
    took = "" if run.duration_seconds is None else f", took {formats.duration(run.duration_seconds)}"
    facts_of_run = [("Deployment", run.deployment), ("Published", run.published_version or "nothing")]
    facts_of_run += [(name, str(value)) for name, value in run.parameters.items()]
    return {
        **pages.frame("runs", run.run_id, pages.facts_if_any()),
        "run": run,
        "bad": run.outcome in ("failed", "interrupted"),
        "outcome": run.outcome.replace("_", " "),
        "when": _instant(pages, run.started_at) + took,
        "error": clean(run.error["message"]) if run.error else "",
        "stages": stages,
        "facts_of_run": [(name, clean(value)) for name, value in facts_of_run],
        "log": _log(pages, run),
    }


def _log(pages: Pages, run: history.Run) -> str:
    path = run.folder / "run.log"
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            return clean(stream.read().decode("utf-8", "replace"))
    except OSError:
        return ""


def _notebook_href(pages: Pages, run: history.Run, notebook: str) -> str | None:
    page = run.folder / notebook.replace(".ipynb", ".html") if notebook else None
    return f"{pages.base}runs/{run.run_id}/{page.name}" if page is not None and page.is_file() else None


def run_cells(pages: Pages, run: history.Run) -> list[Cell]:
    return [
        Cell(_instant(pages, run.started_at)),
        Cell(run.deployment, href=f"{pages.base}runs/{run.run_id}"),
        Cell(run.outcome.replace("_", " "), badge="warn" if run.outcome in ("failed", "interrupted") else "run"),
        Cell("" if run.duration_seconds is None else formats.duration(run.duration_seconds), is_number=True),
    ]


def _instant(pages: Pages, text: str) -> str:
    return formats.instant(datetime.fromisoformat(text), pages.settings.analytics_tz)
