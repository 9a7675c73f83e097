"""Runs as pages: `DATA_DIR/runs/index.html`, a page for each run, its executed notebooks."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

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


def write_index(settings: Settings) -> Path:
    """Write runs/index.html, a page for each run, and its executed notebooks as HTML where that is missing.

    Returns: the path of the index.
    """
    past = runs.history(settings)
    for run in past:
        if run.outcome == "running" or not (run.folder / "index.html").exists():
            _write_run_pages(run)
    deployments, problem = [], ""
    try:
        for item in status.deployments(settings, load_schedules()):
            kind = "failed" if item.failing_since else outcome_of(item.last) if item.last else ""
            deployments.append((kind, status.deployment_row(item)))
    except AnalyticsError as error:  # a schedules.yaml that cannot be read hides no run
        problem = str(error)
    settings.runs_dir.mkdir(parents=True, exist_ok=True)
    text = _page(
        *("Runs", "runs.html"),
        now=f"{utc_now().astimezone():%Y-%m-%d %H:%M %Z}",
        problem=problem,
        head=status.DEPLOYMENT_HEAD,
        deployments=deployments,
        past=past,
        what_happened=status.what_happened,
    )
    return _write(settings.runs_dir / "index.html", text)


def _write_run_pages(run: Run) -> None:
    pages = dict.fromkeys(stage.name for stage in run.stages)
    for stage in run.stages:
        notebook = run.folder / stage.notebook
        if notebook.is_file():
            target = notebook.with_suffix(".html")
            pages[stage.name] = _write(target, notebook_page(notebook, f"{stage.name} of {run.run_id}")).name
    _write(run.folder / "index.html", _page(run.run_id, "run.html", run=run, pages=pages))


def _page(title: str, template: str, **context: Any) -> str:
    style = (Path(__file__).parent / "templates" / "runs.css").read_text(encoding="utf-8")
    shared = {"took": status.took, "outcome_of": outcome_of}
    return page(title, "operations", template, style=style, **shared, **context)


def _write(path: Path, text: str) -> Path:
    with partial_file(path) as temporary:
        temporary.write_text(text)
    return path


def notebook_page(path: Path, title: str) -> str:
    """An executed notebook as one page: no script, no style sheet or font from elsewhere, of HTML in outputs only
    what shapes a text or a table."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about outputs that a page cannot show
            body, _ = _exporter().from_notebook_node(notebook)
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError):
        body = '<p class="error">The notebook cannot be read.</p>'
    return _page(title, "notebook.html", body=Markup(body))


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
