"""Every card's SQL on real data. Without these, a card could fail on a first day without data, count a session twice
through a join, or show a sum that is not the facts'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dashboard_data
import duckdb
import pytest
import raw_tables
from analytics.cards.check import check
from analytics.cards.model import FILTERS, Card, load_dashboards, load_value_cards
from analytics.cards.query import Selection, bound
from analytics.metabase.visualization import visualization_settings
from analytics.warehouse.marts import connect
from metabase_server import visualization

CARDS: dict[str, Card] = {card.key: card for board in load_dashboards() for card in board.cards}
CARDS |= {card.key: card for card in load_value_cards()}
TRENDS = [key for key, card in CARDS.items() if card.display == "smartscalar"]
CHARTS = [key for key, card in CARDS.items() if card.display in visualization.STACKED_UP]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = dashboard_data.published(tmp_path_factory.mktemp("empty"), raw_tables.documents([]))
    with connect(settings) as connection:
        yield connection


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, samples_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = dashboard_data.published(
        tmp_path_factory.mktemp("real"), raw_tables.transcripts(samples_dir / "projects")
    )
    with connect(settings) as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, key: str, selection: Selection | None = None) -> list[dict[str, Any]]:
    found = connection.execute(*bound(CARDS[key].sql, selection))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("key", CARDS)
def test_card_runs_when_nothing_is_recorded(empty: duckdb.DuckDBPyConnection, key: str) -> None:
    for selection in dashboard_data.selections(empty):
        for row in rows(empty, key, selection):
            numbers = [row[column.name] for column in CARDS[key].columns if column.format in ("usd", "percent")]
            assert not any(numbers), row


@pytest.mark.parametrize("key", CARDS)
def test_card_shows_something_of_real_transcripts(real: duckdb.DuckDBPyConnection, key: str) -> None:
    counts = [len(rows(real, key, selection)) for selection in dashboard_data.selections(real)]
    assert counts[0] > 0 or key == "cost_reconciliation"  # no sample is of a version that writes its own sums
    if CARDS[key].tags:
        assert counts[-1] <= counts[0], "a choice that nothing fits shows more than everything"


def choices(connection: duckdb.DuckDBPyConnection) -> list[Selection]:
    """Projects and models with windows of all lengths: many of them have no value in the newest period."""
    (first, last), *_ = connection.execute("select min(date_key), max(date_key) from dim_date").fetchall()
    month = timedelta(days=30)
    windows: list[tuple[date | None, date | None]] = [
        (None, None), (last, last), (last - month, last), (first, first + month),
        (first + (last - first) / 2, last - month), (last - timedelta(days=6), last), (first, first),
        (last + month, last + 2 * month),
    ]  # fmt: skip
    paths = [
        row[0]
        for row in connection.execute(
            "select project_path from dim_projects where project_path is not null order by 1"
        ).fetchall()
    ]
    models = [row[0] for row in connection.execute("select model from dim_models order by 1").fetchall()]
    narrowed = [{}, *({"projects": (path,)} for path in paths[:3]), *({"models": (model,)} for model in models[:2])]
    return [Selection(*window, **narrow) for window in windows for narrow in narrowed]


def drawn(connection: duckdb.DuckDBPyConnection, key: str, selection: Selection) -> tuple[list[str], int]:
    """What Metabase would draw wrongly of a card, and how many rows it gets."""
    card = CARDS[key]
    found = connection.execute(*bound(card.sql, selection))
    names, rows = [column[0] for column in found.description], found.fetchall()
    return visualization.drawing_problems(card.display, visualization_settings(card), names, rows), len(rows)


@pytest.mark.parametrize("key", TRENDS)
def test_trend_has_a_current_value_or_no_rows(real: duckdb.DuckDBPyConnection, key: str) -> None:
    seen = set()
    for selection in choices(real):
        problems, count = drawn(real, key, selection)
        assert problems == [], selection
        seen.add(count > 0)
    assert seen == ({True, False} if "date" in CARDS[key].tags else {True}), "no choice was without a value"


@pytest.mark.parametrize("key", CHARTS)
def test_chart_has_one_row_for_each_x_and_series(real: duckdb.DuckDBPyConnection, key: str) -> None:
    for selection in choices(real):
        assert drawn(real, key, selection)[0] == [], selection


def test_published_marts_are_what_the_cards_expect(real: duckdb.DuckDBPyConnection) -> None:
    assert check(real).problems == ()


def test_spend_is_the_same_however_it_is_split(real: duckdb.DuckDBPyConnection) -> None:
    for selection in dashboard_data.selections(real)[:-1]:
        whole = rows(real, "spend", selection)[-1]["cost_usd"] or Decimal(0)
        for key in ("spend_by_day", "spend_by_model"):
            assert sum(row["cost_usd"] or 0 for row in rows(real, key, selection)) == whole, (key, selection)


@pytest.fixture
def whole(real: duckdb.DuckDBPyConnection) -> Callable[[str, Selection, str], Any]:
    """A measure summed over the rows of a card."""

    def of(sql: str, selection: Selection, measure: str) -> Any:
        text, parameters = bound(sql, selection)
        return real.execute(f"select coalesce(sum({measure}), 0) from ({text})", parameters).fetchone()[0]

    return of


@pytest.mark.parametrize("name", ["machine", "person", "tool"])
def test_a_filter_takes_the_sums_apart(
    real: duckdb.DuckDBPyConnection, whole: Callable[[str, Selection, str], Any], name: str
) -> None:
    table, column = FILTERS[name].column
    word = {"machine": "machines", "person": "people", "tool": "tools"}[name]
    values = [value for (value,) in real.execute(f"select distinct {column} from {table}").fetchall()]
    measures = {
        "machine": {"spend_by_day": "cost_usd", "sessions_by_day": "session_count", "tools": "call_count"},
        "person": {"spend_by_day": "cost_usd", "sessions_by_day": "session_count", "tools": "call_count"},
        "tool": {"tools": "call_count", "error_classes": "error_count"},
    }[name]
    for key, measure in measures.items():
        sql = re.sub(r"limit \d+\s*$", "", CARDS[key].sql)

        parts = [whole(sql, Selection(**{word: (value,)}), measure) for value in values if value is not None]
        assert sum(parts) <= whole(sql, Selection(), measure)
        if None not in values:
            assert sum(parts) == whole(sql, Selection(), measure), key
        assert whole(sql, Selection(**{word: ("nobody's",)}), measure) == 0


def test_sums_are_those_of_the_facts(real: duckdb.DuckDBPyConnection) -> None:
    def fact(sql: str) -> Any:
        return real.execute(sql).fetchone()[0]

    assert rows(real, "spend")[-1]["cost_usd"] == fact("select sum(cost_usd) from fct_messages")
    assert rows(real, "sessions_started")[-1]["session_count"] == fact("select count(*) from dim_sessions")
    assert sum(row["call_count"] for row in rows(real, "tools")) <= fact("select count(*) from fct_tool_calls")
    lines = "select sum(lines_added) from fct_file_operations where status = 'success'"
    assert rows(real, "lines_added")[-1]["lines_added"] == fact(lines)
    assert sum(row["lines_added"] or 0 for row in rows(real, "languages")) <= fact(lines)
    commits = "select count(*) from fct_tool_calls where is_git_commit"
    assert rows(real, "commits")[-1]["commit_count"] == fact(commits)
    hours = "select sum(active_seconds) from dim_sessions"
    assert rows(real, "active_time")[-1]["active_seconds"] == fact(hours)


def test_tools_equal_their_mart_when_nothing_is_filtered(real: duckdb.DuckDBPyConnection) -> None:
    mart = {
        row[0]: row[1:]
        for row in real.execute(
            "select tool_name, call_count, success_rate, retry_rate from agg_tool_efficiency"
        ).fetchall()
    }
    for row in rows(real, "tools"):
        calls, success, retries = mart[row["tool_name"]]
        assert row["call_count"] == calls
        assert (row["success_rate"], row["retry_rate"]) == (pytest.approx(success), pytest.approx(retries))
