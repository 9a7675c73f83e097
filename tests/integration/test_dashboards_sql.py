"""Every card's SQL on real data. Without these, a card could fail on a first day without data, count a session twice
through a join, or show a sum that is not the facts'.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dashboard_data
import duckdb
import pytest
import raw_tables
from analytics.cards.check import check
from analytics.cards.model import Card, load_dashboards, load_value_cards
from analytics.cards.query import Selection, bound
from analytics.warehouse.marts import connect

CARDS: dict[str, Card] = {card.key: card for board in load_dashboards() for card in board.cards}
CARDS |= {card.key: card for card in load_value_cards()}


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
    assert counts[0] > 0
    if CARDS[key].tags:
        assert counts[-1] <= counts[0], "a choice that nothing fits shows more than everything"


def test_published_marts_are_what_the_cards_expect(real: duckdb.DuckDBPyConnection) -> None:
    assert check(real).problems == ()


def test_spend_is_the_same_however_it_is_split(real: duckdb.DuckDBPyConnection) -> None:
    for selection in dashboard_data.selections(real)[:-1]:
        whole = rows(real, "spend", selection)[-1]["cost_usd"] or Decimal(0)
        for key in ("spend_by_day", "spend_by_model"):
            assert sum(row["cost_usd"] or 0 for row in rows(real, key, selection)) == whole, (key, selection)


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
