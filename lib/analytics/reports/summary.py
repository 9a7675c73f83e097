"""What the published database says, in one screen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.text import folded, one_line
from analytics.reports import cells
from analytics.reports.report import counted, missing_notes
from analytics.reports.table import Column, draw, style_of
from analytics.runs import history as runs
from analytics.settings import Settings
from analytics.sources import nothing_there

if TYPE_CHECKING:
    import duckdb

MODELS_SHOWN = 12
TOOLS_SHOWN = 5
# A tool that was called a few times says nothing about how often it fails.
CALLS_FOR_A_RATE = 10
# How many responses of a row never got their final output count: its output and cost are at least these.
_BOUND = "lower bound"


def summary(settings: Settings, *, terminal: bool | None = None) -> str:
    """Documents, sessions, prompts, tokens and cost by model, tool errors, and where everything is.

    Args:
        terminal: emphasis and lines for a terminal; default: whether standard output is one.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    from analytics.warehouse.marts import open_version, require_published

    require_published(settings)

    with open_version(settings.published_path) as connection:
        numbers = _Numbers.read(connection)
    if not numbers.documents:
        return f"{nothing_there(settings)}.\nTo see it work on a generated history: make demo"
    style = style_of(terminal, plain=bool(settings.no_color))
    # a pipe gets whole lines
    width = shutil.get_terminal_size().columns if style else sys.maxsize
    demo = "demo data: a generated history, nobody's own\n" if settings.is_demo else ""
    headline, tools, notes = (
        folded(text, width) for text in (demo + _headline(numbers), _tools(numbers), _notes(numbers))
    )
    models = _models(numbers, width, style)
    return "\n\n".join(filter(None, [headline, models, tools, notes, _places(settings), _next(settings)]))


@dataclass(frozen=True)
class _Numbers:
    """Everything the summary needs, read at once."""

    documents: int
    dead_letters: int
    first_day: str
    last_day: str
    totals: dict[str, Any]
    models: list[tuple[Any, ...]]  # model, responses, the four kinds of tokens, cost, lower-bound responses
    tools: list[tuple[str, int, int, int]]  # tool, finished calls, errors, rejected
    unpriced: list[tuple[str, int]]

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> _Numbers:
        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.sql(query).fetchall()

        totals = connection.sql("""
            select
                count(*) as sessions,
                count(distinct project_id) as projects,
                coalesce(sum(prompt_count), 0) as prompts,
                coalesce(sum(queued_prompt_count), 0) as queued_prompts,
                coalesce(sum(response_count), 0) as responses,
                coalesce(sum(tool_call_count), 0) as tool_calls,
                coalesce(sum(cost_usd), 0) as cost_usd,
                coalesce(sum(lower_bound_response_count), 0) as lower_bound_responses
            from marts.dim_sessions
        """)
        first_day, last_day = rows("select min(date_key), max(date_key) from marts.agg_daily_summary")[0]
        return cls(
            documents=rows("select count(*) from raw.conversations")[0][0],
            dead_letters=rows("select count(*) from raw.dead_letters")[0][0],
            first_day=str(first_day),
            last_day=str(last_day),
            totals=dict(zip(totals.columns, totals.fetchall()[0], strict=True)),
            models=rows("""
                select
                    model,
                    sum(response_count),
                    sum(input_tokens),
                    sum(output_tokens),
                    sum(cache_write_5m_tokens + cache_write_1h_tokens),
                    sum(cache_read_tokens),
                    sum(cost_usd),
                    sum(lower_bound_response_count)
                from marts.agg_daily_usage
                group by model
                order by sum(cost_usd) desc nulls last, sum(response_count) desc, model
            """),
            tools=rows("""
                select tool_name, call_count - pending_count, error_count, rejected_count
                from marts.agg_tool_efficiency
                order by tool_name
            """),
            unpriced=rows("""
                select model, sum(unpriced_response_count)
                from marts.agg_daily_usage
                group by model
                having sum(unpriced_response_count) > 0
                order by 2 desc, 1
            """),
        )


def _headline(numbers: _Numbers) -> str:
    totals = numbers.totals
    queued = f" ({totals['queued_prompts']:,} queued)" if totals["queued_prompts"] else ""
    return (
        f"{numbers.documents:,} documents{_unreadable(numbers.dead_letters)}, "
        f"{numbers.first_day} to {numbers.last_day}\n"
        f"{counted(totals['sessions'], 'session')} in {counted(totals['projects'], 'project')}, "
        f"{counted(totals['prompts'], 'prompt')}{queued}, {counted(totals['responses'], 'response')}, "
        f"{counted(totals['tool_calls'], 'tool call')}, "
        f"{'≥' if totals['lower_bound_responses'] else ''}${totals['cost_usd']:,.2f} at list prices"
    )


def _unreadable(count: int) -> str:
    return f", another {count:,} that could not be read" if count else ""


def _models(numbers: _Numbers, width: int, style: Callable[[str], str] | None) -> str:
    """The table of models; the last row is the sum."""
    shown, rest = numbers.models[:MODELS_SHOWN], numbers.models[MODELS_SHOWN:]
    lines = [(one_line(str(row[0] or "(none)")), *row[1:]) for row in shown]
    if rest:
        lines.append((f"{len(rest)} more", *_sums(rest)))
    header = ("model", "responses", "input", "output", "cache writes", "cache reads", "cost $")
    columns = [
        cells.text("model", "model", shrinks_to=14),
        cells.count("responses", "responses", optional=2),
        cells.count("input", "input", optional=4),
        Column("output", lambda row, number: cells.at_least(row, _BOUND) + number(row["output"])),
        cells.count("cache writes", "cache writes", optional=3),
        cells.count("cache reads", "cache reads", optional=1),
        Column("cost $", lambda row, number: _dollars(row["cost $"], cells.at_least(row, _BOUND))),
    ]
    rows = [dict(zip((*header, _BOUND), line, strict=True)) for line in lines]
    totals = dict(zip((*header[1:], _BOUND), _sums(numbers.models), strict=True))
    return draw(columns, rows, totals, width=width, style=style)


def _sums(rows: list[tuple[Any, ...]]) -> list[Any]:
    costs = [row[6] for row in rows if row[6] is not None]
    counts = [sum(row[column] for row in rows) for column in range(1, 6)]
    return [*counts, sum(costs) if costs else None, sum(row[7] for row in rows)]


def _tools(numbers: _Numbers) -> str:
    finished = sum(row[1] for row in numbers.tools)
    if not finished:
        return ""
    errors = sum(row[2] for row in numbers.tools)
    rejected = sum(row[3] for row in numbers.tools)
    text = f"tool errors: {errors / finished:.1%} of {finished:,} finished calls"
    if rejected:
        text += f", another {rejected:,} rejected by you"
    worst = sorted(
        (row for row in numbers.tools if row[2] and row[1] >= CALLS_FOR_A_RATE),
        key=lambda row: (-row[2] / row[1], row[0]),
    )[:TOOLS_SHOWN]
    if worst:
        listed = ", ".join(f"{one_line(tool)} {failed / calls:.0%} of {calls:,}" for tool, calls, failed, _ in worst)
        text += f"\nworst: {listed}"
    return text


def _notes(numbers: _Numbers) -> str:
    lines = missing_notes(
        [(one_line(str(model)), count) for model, count in numbers.unpriced], numbers.totals["lower_bound_responses"]
    )
    if numbers.dead_letters:
        lines.append(
            f"note: {counted(numbers.dead_letters, 'line')} could not be read; why: {_program()} dead-letters list"
        )
    return "\n".join(lines)


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


def _dollars(value: Any, sign: str) -> str:
    return "no price" if value is None else f"{sign}{value:,.2f}"
