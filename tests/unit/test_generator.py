"""The generator: the same arguments give the same bytes, and a history has the features that are counted."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from transcript_generator import Truth, generate

END = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    directory = tmp_path_factory.mktemp("history")
    return directory, generate(directory, seed=3, entries=20_000, end=END)


def documents(directory: Path) -> list[dict]:
    return [
        json.loads(line)
        for path in sorted(directory.rglob("*.jsonl"))
        if path.name != "journal.jsonl"  # what a workflow notes of itself
        for line in path.read_bytes().split(b"\n")
        if line
    ]


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*.jsonl"))}


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        generate(tmp_path / name, seed=7, entries=500, end=END, hostile=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    generate(tmp_path / "three", seed=8, entries=500, end=END)
    assert contents(tmp_path / "one") != contents(tmp_path / "three")


def test_what_tools_return_can_be_of_the_size_of_real_ones(tmp_path: Path) -> None:
    truth = generate(tmp_path, seed=7, entries=2_000, bulk=5)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl"))
    assert 2_300 < size / truth.documents < 3_700


def test_every_line_is_a_document_when_not_hostile(history: tuple[Path, Truth]) -> None:
    directory, truth = history
    assert len(documents(directory)) == truth.documents >= 20_000
    assert truth.malformed == 0


def test_histories_have_every_type_of_entry(history: tuple[Path, Truth]) -> None:
    types = Counter(document["type"] for document in documents(history[0]))
    expected = {
        *("assistant", "user", "progress", "attachment", "system", "file-history-snapshot", "summary", "ai-title"),
        *("custom-title", "last-prompt", "pr-link", "permission-mode", "cost-state", "future-thing"),
    }
    assert expected <= set(types)
    assert types["assistant"] > types["user"] > types["system"]


def test_histories_have_the_features_that_are_counted(history: tuple[Path, Truth]) -> None:
    truth = history[1]
    assert set(truth.status) == {"success", "error", "rejected", "interrupted", "pending"}
    assert set(truth.messages_by_kind) == {
        *("prompt", "slash_command", "tool_result", "command_output", "meta", "compact_summary", "interrupt"),
        *("subagent_prompt", "shell_command", "response", "api_error", "advisor", "placeholder", "teammate_message"),
        *("scheduled", "channel"),
    }
    assert set(truth.error_classes) == {
        *("command_failed", "file_not_read_first", "string_not_found", "file_not_found", "timeout", "network"),
        *("validation", "cancelled_parallel_call", "blocked_by_hook", "other", "permission_denied"),
    }
    for count in (
        truth.queued_prompt_count,
        truth.retries,
        truth.commits,
        truth.pull_requests,
        truth.unpriced_response_count,
    ):
        assert count > 0
    sessions = truth.sessions.values()
    assert any(session.is_resumed for session in sessions)
    assert any(session.is_automated for session in sessions)
    assert any(session.compactions for session in sessions)
    assert any(session.subagent_count for session in sessions)
    assert any(session.is_forked for session in sessions)
    for facts in (
        *("efforts", "thinking_tokens", "hook_ms", "turn_duration_ms", "pull_request_links", "background_call_count"),
        *("compactions_told", "api_errors_told", "stated_nano_usd"),
    ):
        assert any(getattr(session, facts) for session in sessions), facts
    reasons = {turn.expensive_because for session in sessions for turn in session.turns}
    assert reasons == {None, "cold cache", "long context", "long output", "many calls", "sub-agents"}
    assert {kind for _, _, kind, _ in truth.attribution} == {"skill", "plugin", "mcp_server", "subagent_type"}


def test_histories_have_odd_ids_forks_and_what_costs_extra(history: tuple[Path, Truth]) -> None:
    """Where other set-ups begin: routers, proxies, forks, places, tiers, searches and advisors."""
    found: Counter[str] = Counter()
    responses: defaultdict[tuple[str, str], set[str | None]] = defaultdict(set)
    for document in documents(history[0]):
        message = document.get("message") or {}
        usage = message.get("usage") or {}
        content = message.get("content")
        if document["type"] == "assistant" and message.get("id"):
            responses[document["sessionId"], message["id"]].add(document.get("requestId"))
        fork = document.get("forkedFrom")
        found["fork"] += fork is not None
        found["fork with new uuids"] += fork is not None and fork["messageUuid"] != document["uuid"]
        found["empty message id"] += document["type"] == "assistant" and message.get("id") == ""
        found["web search"] += bool((usage.get("server_tool_use") or {}).get("web_search_requests"))
        found["advisor"] += "iterations" in usage
        found["US"] += usage.get("inference_geo") == "us"
        found["batch"] += usage.get("service_tier") == "batch"
        found["Bedrock"] += str(message.get("model")).startswith("us.anthropic.")
        found["router"] += str(message.get("model")).startswith("anthropic/")
        for block in content if isinstance(content, list) else []:
            found["recurring tool id"] += ":" in str(block.get("id"))
            text = str(block.get("content"))
            found["overwritten by a sub-agent"] += (
                document.get("isSidechain") is True and "has been updated" in text and "toolUseResult" not in document
            )
            found["denied"] += text.startswith("Permission for this tool use was denied")
            found["interrupted behind an exit code"] += text.startswith("Exit code 137")
    found["constant message id"] = sum(len(requests) > 1 for requests in responses.values())
    found["workflow"] = len(list(history[0].rglob("subagents/workflows/wf_*/agent-*.jsonl")))
    assert {name for name, count in found.items() if not count} == set()


def test_frequencies_follow_real_transcripts(history: tuple[Path, Truth]) -> None:
    """Real transcripts: about two lines a response, a call a response, 97 % of calls answered, 5 % failing."""
    directory, truth = history
    lines = sum(document["type"] == "assistant" for document in documents(directory))
    assert 1.2 < lines / truth.response_count < 2.2
    assert 0.7 < truth.tool_call_count / truth.response_count < 1.2
    assert truth.status["pending"] / truth.tool_call_count < 0.03
    assert 0.02 < truth.status["error"] / truth.tool_call_count < 0.1
    assert truth.tokens["cache_read"] > 5 * truth.tokens["cache_write_1h"] > 0


def test_histories_end_where_they_should(history: tuple[Path, Truth]) -> None:
    stamps = [document["timestamp"] for document in documents(history[0]) if "timestamp" in document]
    assert min(stamps) >= "2026-10-20"
    assert max(stamps) < "2026-11-21T12"


def test_truth_is_json_ready(history: tuple[Path, Truth]) -> None:
    assert json.loads(json.dumps(history[1].to_json()))["response_count"] == history[1].response_count
