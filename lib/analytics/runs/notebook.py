"""What the notebooks share: a start from any folder, how a stage's result is shown, and the marts to explore."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.process import without_url_grammar
from analytics.common.text import clean
from analytics.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from datetime import date

    import duckdb
    import ipywidgets
    import pandas

# A stage's result inside an executed notebook, for programs; see `result_of`.
RESULT_TYPE = "application/vnd.claude-analytics.result+json"

# Transcripts are private: nothing that runs in a notebook may phone home.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "PLOOMBER_STATS_ENABLED": "false",
    "PLOOMBER_VERSION_CHECK_DISABLED": "true",
}


def start(run_id: str = "", upstream: dict[str, str] | None = None) -> Settings:
    """Get ready to run a stage from a notebook, print what it works on, and return the effective settings.

    JupyterLab starts a notebook in its own folder; relative paths and `.env` mean the repository's root, so
    that is where the notebook goes. Charts become SVG: they need no network, also in HTML made from it.

    Args:
        run_id: the pipeline run this belongs to; empty when the notebook is run by itself.
        upstream: stage before this one -> its executed notebook.
    """
    _prepare()
    settings = load_settings()
    after = f", after {', '.join(upstream)}" if upstream else ""
    print(f"{f'run {run_id}' if run_id else 'by hand'}{after}; state in {settings.data_dir}")
    return settings


def _prepare() -> None:
    """What holds in every notebook: private files, no telemetry, the repository's root, charts as SVG."""
    os.umask(0o077)
    os.environ.update(NO_TELEMETRY)
    if Path.cwd().is_relative_to(PROJECT_ROOT / "notebooks"):
        os.chdir(PROJECT_ROOT)
    with without_url_grammar():
        import altair

    altair.renderers.enable("svg")
    altair.renderers.register("clean svg", _of_clean_texts(altair.renderers.get()))
    altair.renderers.enable("clean svg")
    altair.theme.register("roomy", enable=True)(_roomy)  # type: ignore[arg-type]  # its type wants every key
    altair.data_transformers.disable_max_rows()  # the limit is for data kept in a notebook; a drawing holds none


def _of_clean_texts(draw: Any) -> Callable[..., Any]:
    """A renderer of charts that is given no character that XML does not allow, wherever in the chart it stood: the one
    for SVG aborts the whole process."""

    def drawn(spec: dict[str, Any], **options: Any) -> Any:
        return draw(_clean_texts(spec), **options)

    return drawn


def _clean_texts(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [_clean_texts(item) for item in value]
    return {_clean_texts(key): _clean_texts(item) for key, item in value.items()} if isinstance(value, dict) else value


def _roomy() -> dict[str, Any]:
    """Room around charts: a reader's font can be wider than the one an SVG was laid out with, and would be cut."""
    return {"config": {"padding": 32, "axis": {"labelLimit": 240}}}


def connect() -> duckdb.DuckDBPyConnection:
    """Get an exploration notebook ready: open the published marts read-only, make `%sql` and `%%sql` ask them, and
    print what they hold.

    `$name` in a query is the notebook's variable of that name.

    Returns:
        The native connection, for `connection.sql(...)`.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    from analytics.runs import explore

    _prepare()
    return explore.connect(load_settings())


def tables() -> pandas.DataFrame:
    """The published tables: name, rows, columns, what each holds."""
    from analytics.runs import explore

    _prepare()
    return explore.tables(load_settings())


def columns(table: str) -> pandas.DataFrame:
    """The columns of a published table: name, type, what each means.

    Raises:
        ConfigError: there is no such table; a similar name is suggested.
    """
    from analytics.runs import explore

    _prepare()
    return explore.columns(load_settings(), table)


def pick_project() -> ipywidgets.Dropdown:
    """A list of the projects to choose from: in a query, a project_id, or null for all of them."""
    from analytics.runs import explore

    return explore.pick_project(load_settings())


def pick_days() -> tuple[ipywidgets.DatePicker, ipywidgets.DatePicker]:
    """Two days to choose, the first and the last of a period: at the start, of the whole history."""
    from analytics.runs import explore

    return explore.pick_days(load_settings())


def pick_day(day: date | None = None) -> ipywidgets.DatePicker:
    """A day to choose, at the start `day` or today."""
    from analytics.runs import explore

    return explore.pick_day(day)


def pick_session(day: object) -> ipywidgets.Dropdown:
    """A list of the sessions of a day (or of what is chosen in a `pick_day`), the dearest first: a session_id."""
    from analytics.runs import explore

    return explore.pick_session(load_settings(), day)


def has_work(settings: Settings) -> bool:
    """Whether `load` left a working copy: if not, the published database is up to date."""
    return settings.build_path.exists()


def show(stage: str, result: Any) -> None:
    """Display what `stage` did; `result` is None when there was nothing to do."""
    from IPython.display import display

    summary = str(result) if result is not None else "nothing new: the published database is up to date"
    values = asdict(result) if is_dataclass(result) and not isinstance(result, type) else {}
    shown = {name: getattr(result, name) for name in values}
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name.replace('_', ' '))}</th>"
        f"<td style='text-align:left'>{html.escape(_text(value))}</td></tr>"
        for name, value in shown.items()
        if value is not None and not isinstance(value, dict | list | tuple) and not is_dataclass(value)
    )
    display(
        {
            "text/plain": summary,
            "text/html": f"<p><b>{html.escape(stage)}</b>: {html.escape(summary)}</p><table>{rows}</table>",
            RESULT_TYPE: {
                "stage": stage,
                "summary": summary,
                "skipped": result is None or bool(getattr(result, "nothing_new", False)),
                "result": _facts(values),
            },
        },
        raw=True,
    )


def table(frame: pandas.DataFrame) -> None:
    """Display rows for a person: no row numbers, text to the left, whole numbers whole, unknown ones empty."""
    from IPython.display import display

    frame = frame.convert_dtypes()
    texts = frame.select_dtypes(exclude="number").columns
    display(
        frame.style.hide(axis="index")
        .format(precision=2, thousands=",", na_rep="")
        .format(lambda value: clean(str(value)), subset=texts, na_rep="", escape="html")
        .format_index(lambda name: clean(str(name)), axis="columns", escape="html")
        .set_properties(subset=texts, **{"text-align": "left"})
        .set_table_styles([{"selector": "th", "props": "text-align: left"}])
        .set_uuid("table")  # the same rows are the same output, run after run
    )


def result_of(notebook: Any) -> dict[str, Any] | None:
    """What `show` displayed in an executed notebook: {stage, summary, skipped, result}; else None."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found = output.get("data", {}).get(RESULT_TYPE)
            if found:
                return dict(found)
    return None


def _facts(values: dict[str, Any]) -> dict[str, Any]:
    """The plain values of a result, one level of nesting kept, and the rows of its models."""
    facts: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            facts[name] = {key: _plain(inner) for key, inner in value.items() if not isinstance(inner, dict | list)}
        elif name == "models":
            facts["rows"] = {
                f"{run['schema']}.{run['name']}": run["rows"] for run in value if run.get("rows") is not None
            }
        elif not isinstance(value, list | tuple):
            facts[name] = _plain(value)
    return facts


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12:
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
