"""The recount in plain Python: equal to the numbers of real transcripts, and to what the generator wrote down.

Without this a mistake in a definition could hide in the generator's truth and in the SQL alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import oracle
import oracle_work
import pytest
from transcript_generator import Truth, generate
from transcript_generator.truth import usd

END = datetime(2026, 11, 20, 15, tzinfo=UTC)

# seed, time zone, end, days: eras and prices of all times, days of 23 and 25 hours
HISTORIES = [
    (1, "UTC", END, 30),
    (2, "Asia/Kolkata", END, 60),
    (3, "America/New_York", datetime(2026, 11, 3, 12, tzinfo=UTC), 5),
    (4, "Europe/Berlin", datetime(2026, 10, 27, 12, tzinfo=UTC), 40),
    (5, "Australia/Lord_Howe", datetime(2026, 10, 6, 12, tzinfo=UTC), 5),
]


@pytest.fixture(scope="module", params=HISTORIES, ids=[zone for _, zone, _, _ in HISTORIES])
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, oracle.Recount]:
    seed, timezone, end, days = request.param
    folder = tmp_path_factory.mktemp("history")
    truth = generate(folder, seed=seed, entries=6_000, days=days, end=end, timezone=timezone, hostile=True)
    return truth, oracle.recount(folder, timezone=timezone)


def nonzero(counts: dict) -> dict:
    return {key: value for key, value in counts.items() if value}


def test_recount_equals_the_published_numbers_of_real_transcripts(samples_dir: Path) -> None:
    expected = json.loads((samples_dir / "expected.json").read_text())
    assert oracle.recount(samples_dir / "projects").headline() == expected


def test_documents_copies_and_dead_lines(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    assert found.documents == truth.documents
    assert found.malformed == truth.malformed > 0
    assert found.copies == truth.entry_copies > 0


def test_messages_by_kind(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    assert Counter(message.kind for message in found.messages) == nonzero(truth.messages_by_kind)
    assert len(found.prompts) == truth.prompt_count
    assert sum(message.is_prompt and message.is_queued for message in found.messages) == truth.queued_prompt_count


def test_tokens_and_cost_by_model_and_day(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    usage: dict[tuple[str, str, str], list] = {}
    for message in found.responses:
        project_id = found.sessions[message.session_id].project_id
        key = (found.day(message.at).isoformat(), project_id, message.model)
        cell = usage.setdefault(key, [0, 0, 0, 0, 0, 0, 0, 0, 0])
        values = (1, *message.tokens, message.cost is None, message.is_lower_bound, message.cost or 0)
        usage[key] = [here + more for here, more in zip(cell, values, strict=True)]
    expected = {
        key: [
            counts.response_count,
            *counts.tokens.values(),
            counts.unpriced_response_count,
            counts.lower_bound_response_count,
            counts.cost_usd,
        ]
        for key, counts in truth.usage.items()
    }
    assert usage == expected
    assert found.cost == truth.cost_usd


def test_tool_calls(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    assert Counter(call.tool for call in found.calls) == truth.tools
    assert Counter(call.status for call in found.calls) == truth.status
    assert Counter(call.error_class for call in found.calls if call.error_class) == truth.error_classes
    for tool, facts in truth.tool_facts.items():
        calls = [call for call in found.calls if call.tool == tool]
        assert Counter(call.status for call in calls) == nonzero(facts.status)
        assert sum(call.is_retry_followed for call in calls) == facts.retried_count
        assert sorted(call.duration_ms for call in calls if call.finished_at) == sorted(facts.durations_ms)
    assert sum(call.is_commit for call in found.calls) == truth.commits
    assert sum(call.is_pull_request for call in found.calls) == truth.pull_requests


def test_file_operations(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    assert Counter(operation.operation for operation in found.file_operations) == truth.file_operations
    assert sum(operation.added or 0 for operation in found.file_operations) == truth.lines_added
    assert sum(operation.removed or 0 for operation in found.file_operations) == truth.lines_removed


def test_sessions(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    messages = Counter(message.session_id for message in found.messages)
    prompts = Counter(message.session_id for message in found.prompts)
    calls = Counter(call.session_id for call in found.calls)
    assert set(found.sessions) == set(truth.sessions)
    for session_id, session in found.sessions.items():
        expected = truth.sessions[session_id]
        assert session.project_id == expected.project_id
        assert session.title == expected.title
        assert milliseconds(session.started_at) == expected.started_ms
        assert milliseconds(session.ended_at) == expected.ended_ms
        assert session.active_ms == expected.active_ms
        assert session.entry_count == expected.entry_count
        assert session.user_entry_count == expected.user_entry_count
        assert session.assistant_entry_count == expected.assistant_entry_count
        assert session.compactions == expected.compactions
        assert session.is_resumed == expected.is_resumed
        assert session.is_automated == expected.is_automated
        assert messages[session_id] == expected.message_count
        assert prompts[session_id] == expected.prompt_count
        assert calls[session_id] == expected.tool_call_count


def milliseconds(at: datetime | None) -> int | None:
    return None if at is None else (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def test_days(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    prompts = Counter(found.day(message.at).isoformat() for message in found.prompts)
    calls = Counter(found.day(call.called_at).isoformat() for call in found.calls)
    active: Counter[str] = Counter()
    for session in found.sessions.values():
        for day, ms in session.active_ms_by_day.items():
            active[day.isoformat()] += ms
    days = truth.days.items()
    assert prompts == nonzero({day: counts.prompt_count for day, counts in days})
    assert calls == nonzero({day: counts.tool_call_count for day, counts in days})
    assert nonzero(active) == nonzero({day: counts.active_ms for day, counts in days})


def facts(found: Iterable[oracle_work.Fact]) -> list[tuple[Any, ...]]:
    return sorted((fact for fact, _ in found), key=repr)


def test_what_claude_code_says_of_its_own_work(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    sessions = truth.sessions.items()
    assert facts(oracle_work.sessions(found)) == sorted(
        (
            (id, own.turn_duration_ms, own.hook_ms, len(own.pull_request_links), own.effort, own.person)
            for id, own in sessions
        ),
        key=repr,
    )
    assert facts(oracle_work.compactions(found)) == sorted(
        ((id, *said) for id, own in sessions for said in own.compactions_told), key=repr
    )
    assert facts(oracle_work.api_errors(found)) == sorted(
        ((id, *said) for id, own in sessions for said in own.api_errors_told), key=repr
    )
    assert {
        (day.isoformat(), project_id, name): (runs, blocked, cancelled, total)
        for day, project_id, name, runs, blocked, cancelled, _, total in facts(oracle_work.hooks(found))
    } == {
        key: (hook.run_count, hook.blocked_count, hook.cancelled_count, sum(hook.durations_ms) or None)
        for key, hook in truth.hooks.items()
    }
    background = Counter(
        session_id for session_id, _, is_background in facts(oracle_work.background(found)) if is_background
    )
    assert background == nonzero({id: own.background_call_count for id, own in sessions})
    thoughts: Counter[str] = Counter()
    for message in found.responses:
        thoughts[message.session_id] += message.thinking or 0
    assert nonzero(thoughts) == nonzero({id: own.thinking_tokens for id, own in sessions})
    stated = {session_id: theirs for session_id, _, theirs, _ in facts(oracle_work.cost_states(found))}
    assert stated == {id: usd(own.stated_nano_usd) for id, own in sessions if own.stated_nano_usd is not None}


def test_what_was_spent_on_what(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    assert {
        (day.isoformat(), project_id, kind, name): (calls, failures, characters, responses, tokens, cost or 0)
        for day, project_id, kind, name, calls, failures, characters, responses, *tokens, cost in facts(
            oracle_work.attribution(found)
        )
    } == {
        key: (
            part.call_count,
            part.failure_count,
            part.result_characters,
            part.response_count,
            list(part.tokens.values()),
            part.cost_usd,
        )
        for key, part in truth.attribution.items()
    }


def test_turns(counted: tuple[Truth, oracle.Recount]) -> None:
    truth, found = counted
    assert sorted(((fact[0], *fact[2:]) for fact, _ in oracle_work.turns(found)), key=repr) == sorted(
        ((session_id, *turn.columns) for session_id, own in truth.sessions.items() for turn in own.turns),
        key=repr,
    )
