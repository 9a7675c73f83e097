"""Runs as pages: `DATA_DIR/runs/index.html`, a page for each run, its executed notebooks."""

from __future__ import annotations

import functools
import html
import logging
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.clock import utc_now
from analytics.common.files import partial_file
from analytics.common.page import page
from analytics.errors import AnalyticsError
from analytics.operations import status
from analytics.operations.schedules import load_schedules
from analytics.runs import history as runs
from analytics.runs.history import Run, outcome_of
from analytics.settings import Settings

if TYPE_CHECKING:
    from nbconvert import HTMLExporter

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .25rem .9rem .25rem 0; vertical-align: top; }
th { border-bottom: 1px solid #8888; } td { border-bottom: 1px solid #8883; }
pre { overflow-x: auto; padding: .6rem .8rem; background: #8881; border-radius: 6px; font-size: 13px; }
.failed, .killed, .interrupted, .error { color: #c0392b; } .succeeded { color: #1e8449; }
.muted { color: #888; }
.cell { margin: 1rem 0; } img { max-width: 100%; height: auto; }
.ansi-red-fg, .ansi-red-intense-fg { color: #c0392b; } .ansi-green-fg { color: #1e8449; }
.ansi-bold { font-weight: bold; }
.highlight .k, .highlight .kn { font-weight: bold; } .highlight .c1 { color: #888; }
.dataframe, .dataframe th, .dataframe td { border-width: 0 0 1px; }
"""


def write_index(settings: Settings) -> Path:
    """Write runs/index.html, a page for each run, and its executed notebooks as HTML where that is missing.

    Returns: the path of the index.
    """
    past = runs.history(settings)
    for run in past:
        if run.outcome == "running" or not (run.folder / "index.html").exists():
            _write_run_pages(run)
    rows = "".join(
        f'<tr><td><a href="{html.escape(run.run_id)}/index.html">{html.escape(run.run_id)}</a></td>'
        f'<td class="{html.escape(run.outcome)}">{html.escape(outcome_of(run))}</td>'
        f"<td>{'' if run.duration_seconds is None else f'{run.duration_seconds:.1f} s'}</td>"
        f"<td>{html.escape(status.what_happened(run))}</td></tr>\n"
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
        temporary.write_text(page("Runs", body, style=_STYLE))
    return path


def _deployment_table(settings: Settings) -> str:
    """The deployments as HTML. A schedules.yaml that cannot be read hides no run."""
    try:
        found = status.deployments(settings, load_schedules())
    except AnalyticsError as error:
        return f'<p class="error">{html.escape(str(error))}</p>'
    head = "".join(f"<th>{name}</th>" for name in status.DEPLOYMENT_HEAD)
    rows = ""
    for item in found:
        cells = [f"<td>{html.escape(cell)}</td>" for cell in status.deployment_row(item)]
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
        temporary.write_text(page(run.run_id, body, style=_STYLE))


def notebook_page(path: Path, title: str) -> str:
    """An executed notebook as one page: no script, no style sheet or font from elsewhere, of HTML in outputs only
    what shapes a text or a table."""
    import nbformat

    head = f'<p><a href="index.html">the run</a></p>\n<h1>{html.escape(title)}</h1>'
    try:
        notebook = nbformat.read(path, as_version=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about outputs that a page cannot show
            body, _ = _exporter().from_notebook_node(notebook)
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError):
        body = '<p class="error">The notebook cannot be read.</p>'
    return page(title, f"{head}\n{body}", style=_STYLE)


@functools.cache
def _exporter() -> HTMLExporter:
    from nbconvert import HTMLExporter

    quiet = logging.getLogger(f"{__name__}.nbconvert")
    quiet.setLevel(logging.ERROR)  # it warns of images without an alternative text
    return HTMLExporter(
        log=quiet,
        template_name="basic",
        sanitize_html=True,
        anchor_link_text="",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        filters={"clean_html": allowed_html},
    )


_TAGS = frozenset(
    """
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre s
    small span strong sub summary sup table tbody td tfoot th thead tr u ul
    """.split()  # noqa: SIM905
)
_ATTRIBUTES = {"*": ["class", "title"], "a": ["href"], "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan"]}
# What is between these tags is no text.
_NO_TEXT = re.compile(r"<(style|script|template|noscript)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)


def allowed_html(text: str) -> str:
    """`text` with the elements and attributes only that shape texts and tables; no images, styles, forms, frames."""
    import bleach

    return bleach.clean(_NO_TEXT.sub("", text), tags=_TAGS, attributes=_ATTRIBUTES, strip=True)
