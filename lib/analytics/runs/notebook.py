"""What the notebooks share: a start from any folder, how a stage's result is shown, and the marts to explore."""

from __future__ import annotations

import html
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from analytics.common.text import clean
from analytics.runs.explore import columns, connect, pick_day, pick_days, pick_project, pick_session, tables
from analytics.runs.history import RESULT_TYPE
from analytics.runs.surroundings import prepare_notebook
from analytics.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas

# fmt: off
__all__ = [
    "columns", "connect", "has_work", "pick_day", "pick_days", "pick_project", "pick_session", "show", "start", "table",
    "tables",
]
# fmt: on


def start(run_id: str = "", upstream: dict[str, str] | None = None) -> Settings:
    """Get ready to run a stage from a notebook, print what it works on, and return the effective settings.

    JupyterLab starts a notebook in its own folder; relative paths and `.env` mean the repository's root, so
    that is where the notebook goes. Charts become SVG: they need no network, also in HTML made from it.

    Args:
        run_id: the pipeline run this belongs to; empty when the notebook is run by itself.
        upstream: stage before this one -> its executed notebook.
    """
    prepare_notebook()
    settings = load_settings()
    after = f", after {', '.join(upstream)}" if upstream else ""
    print(f"{f'run {run_id}' if run_id else 'by hand'}{after}; state in {settings.data_dir}")
    return settings


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
