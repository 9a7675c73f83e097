"""What the published database says, in one screen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.text import folded, one_line
from analytics.reports import cells, usage
from analytics.reports.report import Row, counted, fetch, response_notes, sums
from analytics.reports.selection import Selection
from analytics.reports.table import draw, style_of
from analytics.runs import history as runs
from analytics.settings import Settings
from analytics.sources import nothing_there
from analytics.warehouse.measures import RESPONSES

if TYPE_CHECKING:
    pass

MODELS_SHOWN = 12
TOOLS_SHOWN = 5
# A tool that was called a few times says nothing about how often it fails.
CALLS_FOR_A_RATE = 10


def summary(settings: Settings, *, terminal: bool | None = None) -> str:
    """Documents, sessions, prompts, tokens and cost by model, tool errors, and where everything is.

    Args:
        terminal: emphasis and lines for a terminal; default: whether standard output is one.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    from analytics.warehouse.marts import reading

    style = style_of(terminal, plain=bool(settings.no_color))
    # a pipe gets whole lines
    width = shutil.get_terminal_size().columns if style else sys.maxsize
    demo = "demo data: a generated history, nobody's own\n" if settings.is_demo else ""
    with reading(settings) as connection:
        (totals,) = fetch(connection, _TOTALS)
        if not totals["documents"]:
            return f"{nothing_there(settings)}.\nTo see it work on a generated history: make demo"
        everything = Selection()
        everything.apply(connection)
        models = _models(usage.model(connection, everything, settings.tz).rows, width, style)
        tools = _tools(fetch(connection, "select * from agg_tool_efficiency"))
        notes = response_notes(connection)
    if totals["dead_letters"]:
        unread = counted(totals["dead_letters"], "line")
        notes.append(f"note: {unread} could not be read; why: {_program()} dead-letters list")
    said = "\n".join(map(one_line, notes))
    headline, tools, said = (folded(text, width) for text in (demo + _headline(totals), tools, said))
    return "\n\n".join(filter(None, [headline, models, tools, said, _places(settings), _next(settings)]))


_TOTALS = """
    select
        (select count(*) from raw.conversations) as documents,
        (select count(*) from raw.dead_letters) as dead_letters,
        (select min(date_key) from agg_daily_summary) as first_day,
        (select max(date_key) from agg_daily_summary) as last_day,
        count(*) as sessions,
        count(distinct project_id) as projects,
        coalesce(sum(prompt_count), 0) as prompts,
        coalesce(sum(queued_prompt_count), 0) as queued_prompts,
        coalesce(sum(response_count), 0) as responses,
        coalesce(sum(tool_call_count), 0) as tool_calls,
        coalesce(sum(cost_usd), 0) as cost_usd,
        coalesce(sum(lower_bound_response_count), 0) as lower_bound_responses
    from dim_sessions
"""


def _headline(totals: Row) -> str:
    unread = f", another {totals['dead_letters']:,} that could not be read" if totals["dead_letters"] else ""
    queued = f" ({totals['queued_prompts']:,} queued)" if totals["queued_prompts"] else ""
    return (
        f"{totals['documents']:,} documents{unread}, {totals['first_day']} to {totals['last_day']}\n"
        f"{counted(totals['sessions'], 'session')} in {counted(totals['projects'], 'project')}, "
        f"{counted(totals['prompts'], 'prompt')}{queued}, {counted(totals['responses'], 'response')}, "
        f"{counted(totals['tool_calls'], 'tool call')}, "
        f"{'≥' if totals['lower_bound_responses'] else ''}${totals['cost_usd']:,.2f} at list prices"
    )


def _models(rows: list[Row], width: int, style: Callable[[str], str] | None) -> str:
    """The table of models; the last row is the sum."""
    shown = [{**row, "model": row["model"] or "(none)"} for row in rows[:MODELS_SHOWN]]
    if rest := rows[MODELS_SHOWN:]:
        shown.append({"model": f"{len(rest)} more", **sums(rest, RESPONSES)})
    columns = [
        cells.text("model", "model", shrinks_to=14),
        cells.count("responses", "response_count", optional=2),
        *(replace(column, optional=level) for column, level in zip(cells.tokens(), (4, 0, 3, 1), strict=True)),
        cells.cost(),
    ]
    return draw(columns, shown, sums(rows, RESPONSES), width=width, style=style)


def _tools(rows: list[Row]) -> str:
    finished = {row["tool_name"]: row["call_count"] - row["pending_count"] for row in rows}
    if not (calls := sum(finished.values())):
        return ""
    errors, rejected = (sum(row[name] for row in rows) for name in ("error_count", "rejected_count"))
    text = f"tool errors: {errors / calls:.1%} of {calls:,} finished calls"
    if rejected:
        text += f", another {rejected:,} rejected by you"
    worst = sorted(
        (row for row in rows if row["error_count"] and finished[row["tool_name"]] >= CALLS_FOR_A_RATE),
        key=lambda row: (-row["error_rate"], row["tool_name"]),
    )[:TOOLS_SHOWN]
    if worst:
        listed = (
            f"{one_line(row['tool_name'])} {row['error_rate']:.0%} of {finished[row['tool_name']]:,}" for row in worst
        )
        text += f"\nworst: {', '.join(listed)}"
    return text


def _places(settings: Settings) -> str:
    places: list[tuple[str, Path]] = [("database", settings.published_path)]
    last = next(iter(runs.history(settings, limit=1)), None)
    if last:
        places.append(("notebooks", last.folder))
    data_docs = settings.data_docs_dir / "index.html"
    if data_docs.exists():
        places.append(("data docs", data_docs))
    return "\n".join(f"{name:10} {_short(path)}" for name, path in places)


def _next(settings: Settings) -> str:
    return (
        f"next: {_target(settings, 'dashboards')} (in your browser), {_target(settings, 'lab')} (notebooks), "
        f"{_target(settings, 'docs')} (every table and column);\n"
        f"      any DuckDB client, read-only, on {_short(settings.published_path)}: from marts.agg_daily_summary"
    )


def _program() -> str:
    """This program as it can be typed here."""
    name = "claude-analytics"
    return name if shutil.which(name) else _short(Path(sys.executable).with_name(name))


def _target(settings: Settings, name: str) -> str:
    return f"make {'demo-' if settings.is_demo else ''}{name}"


def _short(path: Path) -> str:
    """Relative to here when it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
