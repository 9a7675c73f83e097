"""The marts of a generated history equal what the generator wrote down while it made it.

The truth comes by construction, in plain Python; a mistake in the SQL and one in the generator would have to agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from analytics.extract import extract
from analytics.generator import Truth, generate
from analytics.generator.truth import TOKEN_KINDS
from analytics.load import load
from analytics.settings import load_settings
from analytics.transform import transform

END = datetime(2026, 11, 20, tzinfo=UTC)

Marts = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module", params=[1, 2])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Truth, Marts]]:
    root = tmp_path_factory.mktemp("history")
    truth = generate(root / "projects", seed=request.param, entries=6_000, end=END, hostile=True)
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    extract(settings)
    load(settings)
    transform(settings, as_of=END)
    with duckdb.connect(str(settings.build_path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield truth, connection


def one(connection: Marts, query: str) -> Any:
    row = connection.sql(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def counts(connection: Marts, query: str) -> dict[Any, Any]:
    return dict(connection.sql(query).fetchall())


TOKENS = ", ".join(f"cast(sum({kind}_tokens) as bigint)" for kind in TOKEN_KINDS)


def test_every_document_is_stored_or_dead_lettered(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    assert one(marts, "select count(*) from raw.conversations") == truth.documents
    assert one(marts, "select count(*) from raw.dead_letters") == truth.malformed


def test_copies_are_counted_once(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    assert truth.entry_copies > 0
    value = "select check_value from marts.agg_data_quality where check_name = 'duplicate_documents'"
    assert one(marts, value) == truth.entry_copies


def test_messages_by_kind(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    kinds = counts(
        marts,
        "select message_kind, count(*) from marts.fct_messages where session_id not in ('42', 'hostile') group by 1",
    )
    assert kinds == {kind: count for kind, count in truth.messages_by_kind.items() if count}


def test_tokens_and_cost(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    row = one(
        marts,
        f"""
        select count(*), {TOKENS}, sum(cost_usd), count(*) filter (where not is_priced),
            count(*) filter (where output_is_lower_bound)
        from marts.fct_messages where message_kind = 'response'
        """,
    )
    assert row[0] == truth.responses
    assert dict(zip(TOKEN_KINDS, row[1:6], strict=True)) == truth.tokens
    assert row[6] == truth.cost_usd
    assert row[7] == truth.unpriced_responses
    assert row[8] == truth.lower_bound_responses


def test_tokens_by_model(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    rows = marts.sql(
        f"select model, count(*), {TOKENS} from marts.fct_messages where message_kind = 'response' group by 1"
    ).fetchall()
    assert {row[0]: row[1] for row in rows} == truth.responses_by_model
    assert {row[0]: dict(zip(TOKEN_KINDS, row[2:], strict=True)) for row in rows} == truth.tokens_by_model


def test_tool_calls_by_tool_status_and_error_class(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    assert counts(marts, "select tool_name, count(*) from marts.fct_tool_calls group by 1") == truth.tools
    status = counts(marts, "select status, count(*) from marts.fct_tool_calls group by 1")
    assert status == {name: count for name, count in truth.status.items() if count}
    classes = "select error_class, count(*) from marts.fct_tool_calls where error_class is not null group by 1"
    assert counts(marts, classes) == truth.error_classes


def test_retries_commits_and_pull_requests(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    row = one(
        marts,
        """
        select count(*) filter (where is_retry_followed), count(*) filter (where is_git_commit),
            count(*) filter (where is_pull_request)
        from marts.fct_tool_calls
        """,
    )
    assert row == (truth.retries, truth.commits, truth.pull_requests)


def test_file_operations_and_lines(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    operations = counts(marts, "select operation, count(*) from marts.fct_file_operations group by 1")
    assert operations == truth.file_operations
    assert counts(marts, "select language, count(*) from marts.fct_file_operations group by 1") == truth.languages
    lines = "select cast(sum(lines_added) as bigint), cast(sum(lines_removed) as bigint) from marts.fct_file_operations"
    assert one(marts, lines) == (truth.lines_added, truth.lines_removed)


def test_sessions(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    columns = {
        "project_id": "project_id",
        "title": "title",
        "prompt_count": "prompts",
        "queued_prompt_count": "queued_prompts",
        "response_count": "responses",
        "tool_call_count": "tool_calls",
        "tool_error_count": "tool_errors",
        "rejected_tool_call_count": "rejected",
        "commits": "commits",
        "pull_requests": "pull_requests",
        "compactions": "compactions",
        "interrupts": "interrupts",
        "subagent_count": "subagents",
        "lines_added": "lines_added",
        "lines_removed": "lines_removed",
        "is_automated": "is_automated",
        "is_resumed": "is_resumed",
        "active_seconds": "active_ms",
    }
    rows = marts.sql(
        f"select session_id, {', '.join(columns)} from marts.dim_sessions where session_id not in ('42', 'hostile')"
    ).fetchall()
    found = {row[0]: dict(zip(columns.values(), row[1:], strict=True)) for row in rows}
    assert set(found) == set(truth.sessions)
    for session_id, session in truth.sessions.items():
        expected = {name: getattr(session, name) for name in columns.values()}
        found[session_id]["active_ms"] = int(found[session_id]["active_ms"] * 1000)
        assert found[session_id] == expected, session_id


def test_cost_of_sessions(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    found = counts(marts, "select session_id, coalesce(cost_usd, 0) from marts.dim_sessions")
    for session_id, session in truth.sessions.items():
        assert found[session_id] == session.cost_usd


def test_projects(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    projects = "select project_id, session_count from marts.dim_projects where project_id not like '%hostile'"
    assert set(counts(marts, projects)) == truth.projects


def test_days(history: tuple[Truth, Marts]) -> None:
    truth, marts = history
    columns = "prompt_count, response_count, tool_call_count, coalesce(cost_usd, 0), cache_read_tokens, output_tokens"
    rows = marts.sql(f"select cast(date_key as varchar), {columns} from marts.agg_daily_summary").fetchall()
    found = {row[0]: row[1:] for row in rows}
    for day, expected in truth.days.items():
        assert found[day] == (
            expected.prompts,
            expected.responses,
            expected.tool_calls,
            expected.cost_usd,
            expected.tokens["cache_read"],
            expected.tokens["output"],
        ), day
    assert sum((row[3] for row in found.values()), Decimal(0)) == truth.cost_usd
