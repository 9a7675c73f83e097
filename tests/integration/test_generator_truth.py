"""The marts of a generated history equal what the generator wrote down while it made it.

The truth comes by construction, in plain Python; a mistake in the SQL and one in the generator would have to agree.
"""

from __future__ import annotations

import socket
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from analytics.raw.extract import extract
from analytics.settings import load_settings
from analytics.warehouse.load import load
from analytics.warehouse.transform import transform
from transcript_generator import Counts, Truth, generate
from transcript_generator.truth import TOKEN_KINDS, usd

# seed, time zone, end, days: prices change on October 7th, clocks in Berlin on October 25th; all have a worktree
HISTORIES = [
    (1, "UTC", datetime(2026, 11, 20, 15, tzinfo=UTC), 60),
    (3, "Europe/Berlin", datetime(2026, 10, 27, 12, tzinfo=UTC), 25),
]
TOKENS = [f"{kind}_tokens" for kind in TOKEN_KINDS]
RESPONSES = ["response_count", *TOKENS, "unpriced_response_count", "lower_bound_response_count"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Marts = duckdb.DuckDBPyConnection
History = tuple[Truth, Marts]


@pytest.fixture(scope="module", params=HISTORIES, ids=[zone for _, zone, _, _ in HISTORIES])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    seed, timezone, end, days = request.param
    root = tmp_path_factory.mktemp("history")
    truth = generate(root / "projects", seed=seed, entries=6_000, days=days, end=end, timezone=timezone, hostile=True)
    settings = load_settings(
        source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects", analytics_tz=timezone
    )
    extract(settings)
    load(settings)
    built = transform(settings, as_of=end, test=True)  # and every data test of dbt
    assert {run.status for run in built.models if run.kind == "test"} == {"pass"}
    with duckdb.connect(str(settings.build_path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield truth, connection


def one(marts: Marts, query: str) -> Any:
    """The row of a query, or its only value."""
    row = marts.sql(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def keyed(marts: Marts, table: str, keys: Iterable[str], columns: Iterable[str]) -> dict[Any, dict[str, Any]]:
    """Rows of a mart as {key: {column: value}}; a key of one column is no tuple."""
    keys, columns = list(keys), list(columns)
    rows = marts.sql(f"select {', '.join([*keys, *columns])} from marts.{table}").fetchall()
    width = len(keys)
    return {row[0] if width == 1 else row[:width]: dict(zip(columns, row[width:], strict=True)) for row in rows}


def counts(marts: Marts, table: str, column: str) -> dict[str, int]:
    """Rows by the values of a column."""
    query = f"select {column}, count(*) from marts.{table} where {column} is not null group by 1"
    return dict(marts.sql(query).fetchall())


def columns_of(facts: Any, columns: Iterable[str]) -> dict[str, Any]:
    """The truth's values of these columns."""
    return {name: getattr(facts, name) for name in columns}


def cost_of(facts: Counts) -> Decimal | None:
    """Null where there are responses and none has a price."""
    return None if 0 < facts.response_count == facts.unpriced_response_count else facts.cost_usd


def at(ms: int | None) -> datetime | None:
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def quantile(values: Iterable[int], share: float) -> float | None:
    """Linear between neighbours; null of nothing."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return ordered[0] if ordered else None
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def test_every_document_is_stored_or_dead_lettered(history: History) -> None:
    truth, marts = history
    assert one(marts, "select count(*) from raw.conversations") == truth.documents
    assert one(marts, "select count(*) from raw.dead_letters") == truth.malformed > 0


def test_data_quality(history: History) -> None:
    truth, marts = history
    found = {
        name: row["check_value"]
        for name, row in keyed(marts, "agg_data_quality", ["check_name"], ["check_value"]).items()
    }
    expected = {
        "documents_stored": truth.documents,
        "duplicate_documents": truth.entry_copies,
        "entries_stored": truth.documents - truth.entry_copies,
        "entries_without_time": truth.entries_without_time,
        "unknown_entry_types": len(truth.unknown_types),
        "dead_letters": truth.malformed,
        "responses": truth.response_count,
        "lower_bound_responses": truth.lower_bound_response_count,
        "unpriced_responses": truth.unpriced_response_count,
        "unpriced_models": sum(facts.unpriced_response_count > 0 for facts in truth.models.values()),
        "pending_tool_calls": truth.status["pending"],
        "sessions_without_responses": sum(not facts.response_count for facts in truth.sessions.values()),
    }
    assert {name: found[name] for name in expected} == expected


def test_messages(history: History) -> None:
    truth, marts = history
    assert counts(marts, "fct_messages", "message_kind") == truth.messages_by_kind
    columns = ", ".join(f"sum({name})" for name in TOKENS)
    row = one(
        marts,
        f"""
        select count(*), {columns}, count(*) filter (where not is_priced),
            count(*) filter (where output_is_lower_bound), sum(cost_usd)
        from marts.fct_messages where message_kind in ('response', 'advisor')
        """,
    )
    assert row == (*columns_of(truth, RESPONSES).values(), truth.cost_usd)


def test_models(history: History) -> None:
    truth, marts = history
    found = keyed(marts, "dim_models", ["model"], ["response_count"])
    assert {
        name: row["response_count"] for name, row in found.items() if name != "<synthetic>"
    } == truth.responses_by_model


def test_tool_calls(history: History) -> None:
    truth, marts = history
    assert counts(marts, "fct_tool_calls", "tool_name") == truth.tools
    assert counts(marts, "fct_tool_calls", "status") == truth.status
    assert counts(marts, "fct_tool_calls", "error_class") == truth.error_classes


def test_subagents_sum_their_own_responses(history: History) -> None:
    truth, marts = history
    columns = ["response_count", *TOKENS]
    rows = marts.sql(
        f"""
        select tool_use_id, {", ".join(f"subagent_{name}" for name in columns)}, coalesce(subagent_cost_usd, 0)
        from marts.fct_tool_calls where spawned_agent_id is not null
        """
    ).fetchall()
    assert {row[0]: row[1:] for row in rows} == {
        call_id: (*columns_of(facts, columns).values(), facts.cost_usd) for call_id, facts in truth.subagents.items()
    }


def test_tool_efficiency(history: History) -> None:
    truth, marts = history
    columns = ["call_count", "session_count", "retry_rate", "success_rate", "error_rate", "rejection_rate"]
    columns += [f"{status}_count" for status in ("success", "error", "rejected", "interrupted", "pending")]
    found = keyed(marts, "agg_tool_efficiency", ["tool_name"], [*columns, "p50_duration_ms", "p95_duration_ms"])
    assert set(found) == set(truth.tool_facts)
    for name, tool in truth.tool_facts.items():
        row = found[name]
        finished = tool.call_count - tool.status["pending"]
        assert row["call_count"] == tool.call_count
        assert row["session_count"] == tool.session_count
        assert row["retry_rate"] == pytest.approx(tool.retried_count / tool.call_count)
        for status in ("success", "error", "rejected", "interrupted", "pending"):
            assert row[f"{status}_count"] == tool.status[status]
        for rate, status in (("success_rate", "success"), ("error_rate", "error"), ("rejection_rate", "rejected")):
            assert row[rate] == (pytest.approx(tool.status[status] / finished) if finished else None)
        for column, share in (("p50_duration_ms", 0.5), ("p95_duration_ms", 0.95)):
            expected = quantile(tool.durations_ms, share)
            assert row[column] == (None if expected is None else pytest.approx(expected, abs=0.6)), name


def test_file_operations(history: History) -> None:
    truth, marts = history
    assert counts(marts, "fct_file_operations", "operation") == truth.file_operations
    assert counts(marts, "fct_file_operations", "language") == truth.languages
    columns = ["edit_count", "create_count", "overwrite_count", "read_count", "lines_added", "lines_removed"]
    found = keyed(marts, "agg_code_changes", ["cast(date_key as varchar)", "language"], [*columns, "files_touched"])
    assert found == {
        key: columns_of(code, columns) | {"files_touched": len(code.paths)} for key, code in truth.code_changes.items()
    }


def test_sessions(history: History) -> None:
    truth, marts = history
    columns = [
        *("project_id", "title", "active_seconds", "entry_count", "user_entry_count", "assistant_entry_count"),
        *("message_count", "prompt_count", "queued_prompt_count", "tool_call_count", "tool_error_count"),
        *("rejected_tool_call_count", "primary_model", "primary_tool", "claude_version", "git_branch", "entrypoint"),
        *("commits", "pull_requests", "lines_added", "lines_removed", "subagent_count", "compactions", "interrupts"),
        *(
            "max_context_tokens",
            "is_resumed",
            "is_automated",
            "is_forked",
            "forked_from_session_id",
            "effort",
            "person",
        ),
        *RESPONSES,
    ]
    found = keyed(
        marts, "dim_sessions", ["session_id"], [*columns, "cost_usd", "started_at", "ended_at", "error_count"]
    )
    assert set(found) == set(truth.sessions)
    for session_id, session in truth.sessions.items():
        expected = columns_of(session, columns) | {
            "cost_usd": cost_of(session),
            "started_at": at(session.started_ms),
            "ended_at": at(session.ended_ms),
            "error_count": session.tool_error_count + session.api_error_count,
            # who worked in no home folder is the machine
            "person": session.person or socket.gethostname(),
        }
        assert found[session_id] == expected, session_id


def test_session_metrics(history: History) -> None:
    truth, marts = history
    columns = [
        *("median_response_seconds", "p90_response_seconds", "median_turn_seconds", "p90_turn_seconds"),
        *("max_turn_seconds", "median_prompt_length", "tools_per_prompt", "tool_error_rate", "cost_per_prompt_usd"),
        *("cache_hit_rate", "subagent_cost_share", "finished_tool_call_count", "context_tokens", "subagent_cost_usd"),
    ]
    found = keyed(marts, "agg_session_metrics", ["session_id"], columns)
    for session_id, session in truth.sessions.items():
        prompts, cost = session.prompt_count, cost_of(session)
        finished = session.tool_call_count - session_pending(marts, session_id)
        prompt_tokens = sum(session.tokens.values()) - session.output_tokens
        expected = {
            "median_response_seconds": seconds(quantile(session.response_ms, 0.5)),
            "p90_response_seconds": seconds(quantile(session.response_ms, 0.9)),
            "median_turn_seconds": seconds(quantile(session.turn_ms, 0.5)),
            "p90_turn_seconds": seconds(quantile(session.turn_ms, 0.9)),
            "max_turn_seconds": seconds(max(session.turn_ms, default=None)),
            "median_prompt_length": statistics.median(session.prompt_lengths) if prompts else None,
            "tools_per_prompt": session.tool_call_count / prompts if prompts else None,
            "tool_error_rate": session.tool_error_count / finished if finished else None,
            "cost_per_prompt_usd": float(cost) / prompts if prompts and cost is not None else None,
            "cache_hit_rate": session.cache_read_tokens / prompt_tokens if prompt_tokens else None,
            "subagent_cost_share": session.subagent_nano_usd / session.nano_usd if session.nano_usd else None,
            "finished_tool_call_count": finished,
            "context_tokens": prompt_tokens,
            "subagent_cost_usd": session.subagent_nano_usd / 1e9,
        }
        for name, value in expected.items():
            actual = found[session_id][name]
            if value is None:
                assert actual is None, (session_id, name)
            else:
                assert float(actual) == pytest.approx(value, rel=1e-6, abs=0.0011), (session_id, name)


def session_pending(marts: Marts, session_id: str) -> int:
    query = f"select count(*) from marts.fct_tool_calls where session_id = '{session_id}' and status = 'pending'"
    return one(marts, query)


def seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def test_projects(history: History) -> None:
    truth, marts = history
    columns = ["session_count", "prompt_count", "tool_call_count", *RESPONSES]
    found = keyed(
        marts, "dim_projects", ["project_id"], [*columns, "cost_usd", "first_seen_at", "last_active_at", "project_path"]
    )
    assert set(found) == set(truth.projects)
    for project_id, project in truth.projects.items():
        assert found[project_id] == columns_of(project, columns) | {
            "cost_usd": cost_of(project),
            "first_seen_at": at(project.first_seen_ms),
            "last_active_at": at(project.last_active_ms),
            "project_path": project.project_path,
        }
    # worktrees belong to their repository
    groups = dict(marts.sql("select project_path, project_group from marts.dim_projects").fetchall())
    repositories = {
        "/home/ada/work/storefront/.claude/worktrees/checkout-redesign": "/home/ada/work/storefront",
        "/home/ada/work/billing-api-worktrees/invoices": "/home/ada/work/billing-api",
    }
    assert repositories.keys() & groups.keys()
    for path, group in groups.items():
        if path is not None:
            assert group == repositories.get(path, path)


def test_days(history: History) -> None:
    truth, marts = history
    columns = [
        *("session_count", "prompt_count", "queued_prompt_count", "tool_call_count", "tool_error_count"),
        *("file_read_count", "file_write_count", "file_edit_count", "lines_added", "lines_removed"),
        *("active_seconds", "commits", "pull_requests", *RESPONSES),
    ]
    found = keyed(marts, "agg_daily_summary", ["cast(date_key as varchar)"], [*columns, "cost_usd", "has_activity"])
    for day, row in found.items():
        facts = truth.days.get(day)
        if facts is None:
            assert not any(row.values()), day
            continue
        expected = columns_of(facts, columns) | {
            "cost_usd": cost_of(facts),
            "has_activity": facts.message_count + facts.tool_call_count > 0,
        }
        assert row == expected, day
    assert set(truth.days) <= set(found)


def test_daily_usage(history: History) -> None:
    truth, marts = history
    keys = ["cast(date_key as varchar)", "project_id", "model"]
    found = keyed(marts, "agg_daily_usage", keys, [*RESPONSES, "cost_usd"])
    assert found == {
        key: columns_of(facts, RESPONSES) | {"cost_usd": cost_of(facts)} for key, facts in truth.usage.items()
    }


def test_hours_of_the_week(history: History) -> None:
    truth, marts = history
    columns = ["prompt_count", "response_count", "tool_call_count"]
    found = keyed(marts, "agg_hourly_activity", ["day_of_week", "hour_of_day"], columns)
    assert len(found) == 168
    assert found == {key: columns_of(truth.weekly_hours.get(key, Counts()), columns) for key in found}


def test_billing_blocks(history: History) -> None:
    truth, marts = history
    found = keyed(
        marts, "agg_billing_blocks", ["started_at"], [*RESPONSES, "cost_usd", "session_count", "last_response_at"]
    )
    blocks = truth.billing_blocks()
    assert found == {
        at(hour * 3_600_000): columns_of(block, RESPONSES)
        | {
            "cost_usd": cost_of(block),
            "session_count": len(block.sessions),
            "last_response_at": at(block.last_response_ms),
        }
        for hour, block in blocks.items()
    }


def test_waste(history: History) -> None:
    truth, marts = history
    calls = dict(marts.sql("select tool_call_key, tool_use_id from marts.fct_tool_calls").fetchall())
    expected = {
        (session_id, finding): waste
        for session_id, session in truth.sessions.items()
        for finding, waste in session.waste.items()
    }
    found = keyed(
        marts, "agg_waste", ["session_id", "finding"], ["occurrence_count", *TOKENS, "cost_usd", "evidence_keys"]
    )
    assert set(found) == set(expected)
    assert len(Counter(finding for _, finding in found)) >= 3
    for key, waste in expected.items():
        row = found[key]
        assert sorted(calls.get(key, key) for key in row["evidence_keys"]) == sorted(waste.evidence), key
        assert row["occurrence_count"] == len(waste.evidence)
        assert [row[name] for name in TOKENS] == waste.tokens
        if waste.cost_usd is None:
            assert row["cost_usd"] is None
        else:  # shares of a response are rounded each
            assert float(row["cost_usd"]) == pytest.approx(float(waste.cost_usd), abs=1e-8)


def ordered(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in an order that does not mind what is missing."""
    return sorted(rows, key=repr)


def test_what_claude_code_says_of_its_own_work(history: History) -> None:
    truth, marts = history
    sessions = truth.sessions.items()
    columns = "turn_seconds * 1000, hook_seconds * 1000, pull_request_links"
    found = marts.sql(f"select session_id, {columns} from marts.dim_sessions").fetchall()
    assert ordered(found) == ordered(
        (id, decimal(own.turn_duration_ms), decimal(own.hook_ms), len(own.pull_request_links)) for id, own in sessions
    )
    columns = "trigger, pre_tokens, post_tokens, duration_ms"
    assert ordered(marts.sql(f"select session_id, {columns} from marts.fct_compactions").fetchall()) == ordered(
        (id, *said) for id, own in sessions for said in own.compactions_told
    )
    columns = "error_status, retry_attempt, is_final"
    assert ordered(marts.sql(f"select session_id, {columns} from marts.fct_api_errors").fetchall()) == ordered(
        (id, *said) for id, own in sessions for said in own.api_errors_told
    )
    query = (
        "select session_id, sum(thinking_tokens) from marts.fct_messages where thinking_tokens is not null group by 1"
    )
    assert dict(marts.sql(query).fetchall()) == {
        id: own.thinking_tokens for id, own in sessions if own.thinking_tokens is not None
    }
    query = "select session_id, count(*) from marts.fct_tool_calls where is_background group by 1"
    assert dict(marts.sql(query).fetchall()) == {
        id: own.background_call_count for id, own in sessions if own.background_call_count
    }


def decimal(number: int | None) -> Decimal | None:
    return None if number is None else Decimal(number)


def test_hooks(history: History) -> None:
    truth, marts = history
    columns = ["run_count", "blocked_count", "cancelled_count", "total_duration_ms", "p95_duration_ms"]
    found = keyed(marts, "agg_hooks", ["cast(date_key as varchar)", "project_id", "hook_name"], columns)
    assert found == {
        key: columns_of(hook, columns[:3])
        | {
            "total_duration_ms": sum(hook.durations_ms) if hook.durations_ms else None,
            "p95_duration_ms": pytest.approx(quantile(hook.durations_ms, 0.95)) if hook.durations_ms else None,
        }
        for key, hook in truth.hooks.items()
    }


def test_attribution(history: History) -> None:
    truth, marts = history
    columns = ["call_count", "failure_count", "result_characters", *RESPONSES]
    keys = ["cast(date_key as varchar)", "project_id", "kind", "name"]
    found = keyed(marts, "agg_attribution", keys, [*columns, "cost_usd"])
    assert {kind for _, _, kind, _ in found} == {"skill", "plugin", "mcp_server", "subagent_type"}
    assert found == {
        # without a response nobody knows what it cost
        key: columns_of(part, columns) | {"cost_usd": cost_of(part) if part.response_count else None}
        for key, part in truth.attribution.items()
    }


def test_turns(history: History) -> None:
    truth, marts = history
    columns = "turn_cost_usd, turn_response_count, turn_unpriced_response_count, turn_tool_use_count, expensive_because"
    query = f"select session_id, {columns} from marts.fct_messages where message_key = prompt_key"
    assert ordered(marts.sql(query).fetchall()) == ordered(
        (id, *turn.columns) for id, own in truth.sessions.items() for turn in own.turns
    )


def test_claude_codes_own_sums(history: History) -> None:
    truth, marts = history
    found = keyed(marts, "agg_cost_reconciliation", ["session_id"], ["our_cost_usd", "claude_code_cost_usd"])
    assert found == {
        id: {"our_cost_usd": cost_of(own), "claude_code_cost_usd": usd(own.stated_nano_usd)}
        for id, own in truth.sessions.items()
        if own.stated_nano_usd is not None
    }
