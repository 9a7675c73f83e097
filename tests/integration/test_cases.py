"""Small histories that other tools count wrong, with what is right. All of them stand in one projects folder.

Without these a set-up that the sample transcripts do not have (a router, a proxy, a fork, a second drive letter) would
come out wrong unseen. The recount in plain Python must say the same.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import oracle
import pytest
import truth
from analytics.raw.extract import extract
from analytics.settings import Settings, load_settings
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform

AS_OF = datetime(2026, 11, 28, tzinfo=UTC)
NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


class Transcript:
    """One session's lines, a minute apart."""

    def __init__(self, root: Path, folder: str, session: str, *, cwd: str = "", day: str = "2026-07-01") -> None:
        self.path = root / folder / f"{session}.jsonl"
        self.session, self.day, self.number = session, day, 0
        self.cwd = cwd or f"/home/u/{folder}"
        self.lines: list[bytes] = []

    def line(self, **fields: Any) -> dict[str, Any]:
        self.number += 1
        entry = {
            "uuid": f"{self.session}-{self.number}",
            "sessionId": self.session,
            "timestamp": f"{self.day}T10:{self.number:02d}:00.000Z",
            "cwd": self.cwd,
            "isSidechain": False,
            "version": "2.1.200",
            **fields,
        }
        self.lines.append(json.dumps(entry).encode())
        return entry

    def says(self, text: Any, **fields: Any) -> dict[str, Any]:
        return self.line(type="user", message={"role": "user", "content": text}, **fields)

    def answers(
        self, model: str, usage: dict[str, Any], *, id: str | None = None, content: Any = None, **fields: Any
    ) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "model": model,
            "stop_reason": "end_turn",
            "content": content or [{"type": "text", "text": "fine"}],
            "usage": {**NO_TOKENS, **usage},
        }
        message["id"] = f"msg-{self.session}-{self.number}" if id is None else id
        return self.line(type="assistant", message=message, **fields)

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"\n".join(self.lines) + b"\n")


def million(**more: Any) -> dict[str, Any]:
    return {"input_tokens": 1_000_000, **more}


def invented(root: Path) -> None:
    """A folder for each kind."""
    advisor = Transcript(root, "advisor", "adv")
    advisor.says("Plan it")
    iterations = [
        {"type": "message", "input_tokens": 400, "output_tokens": 10},
        {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 200_000, "output_tokens": 1_000},
        {"type": "advisor_message", "input_tokens": 0, "output_tokens": 1_000, "cache_read_input_tokens": 100_000},
    ]
    advisor.answers("claude-sonnet-5", {"input_tokens": 1_000, "iterations": iterations}, advisorModel="claude-opus-5")
    advisor.write()

    prices = Transcript(root, "prices", "prices")
    prices.says("What does it cost?")
    searching = {"server_tool_use": {"web_search_requests": 3}}
    for number, (model, usage) in enumerate(
        [
            ("claude-opus-4-7", {"input_tokens": 1_000, **searching}),
            ("claude-opus-4-8", million(speed="fast")),
            ("claude-opus-4-5", million(speed="fast")),
            ("claude-opus-4-6", million(inference_geo="us")),
            ("claude-opus-4-5", million(inference_geo="us")),
            ("claude-opus-5", million(service_tier="batch")),
            ("eu.anthropic.claude-opus-5", million()),
            ("global.anthropic.claude-opus-5", million()),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0", million()),
            ("anthropic/claude-haiku-4.5", million()),
            ("claude-sonnet-4-9", million()),
            ("claude-fable-5-2", million()),
        ]
    ):
        # one line a block: what is said on every line counts once
        for _ in range(1 + number % 2):
            prices.answers(model, usage, id=f"price-{number:02d}")
    prices.write()
    bands = Transcript(root, "bands", "bands", day="2026-03-01")
    bands.answers("claude-opus-4-6", {"input_tokens": 200_000})
    bands.answers("claude-opus-4-6", {"input_tokens": 150_000, "cache_read_input_tokens": 50_001})
    bands.write()
    bands = Transcript(root, "bands", "bands-later", day="2026-03-13")
    bands.answers("claude-opus-4-6", {"input_tokens": 150_000, "cache_read_input_tokens": 50_001})
    bands.write()

    ids = Transcript(root, "ids", "ids")
    for number in (1, 2, 3):
        ids.answers("claude-opus-5", million(), id="")
        ids.answers("claude-opus-5", {"input_tokens": number * 1_000_000}, id="const", requestId=f"r{number}")
    ids.write()
    for session, outcomes in (("tools-a", (False, True)), ("tools-b", (True, True, False))):
        tools = Transcript(root, "tools", session)
        for is_error in outcomes:
            tools.answers("kimi-k3", {}, content=[{"type": "tool_use", "id": "Bash:0", "name": "Bash", "input": {}}])
            result = {"type": "tool_result", "tool_use_id": "Bash:0", "content": "x", "is_error": is_error}
            tools.says([result])
        tools.write()

    who = Transcript(root, "who", "who")
    who.says("Do it")
    for text in (
        '<teammate-message teammate_id="ann">done</teammate-message>',
        'Another Claude session sent a message:\n<teammate-message teammate_id="bob">done</teammate-message>',
        "<system-reminder>go on</system-reminder>",
        '<scheduled-task name="nightly">run</scheduled-task>',
        '<channel source="chat">ping</channel>',
        "<bash-input>ls</bash-input>",
        "<bash-stdout>a</bash-stdout>",
        "This session is being continued from a previous conversation that ran out of context.",
        "<system-reminder>Lint is red</system-reminder>\n<system-reminder>and slow</system-reminder> ",
        "<system-reminder>The file is open</system-reminder>\nFix it",
        " [Request interrupted by user]",
        "  \n",
    ):
        who.says(text)
    who.says("from a peer", origin={"kind": "peer"})
    placeholder = {"role": "assistant", "model": "<synthetic>", "content": [{"type": "text", "text": "No response"}]}
    who.line(type="assistant", message={**placeholder, "id": "syn-1"}, isApiErrorMessage=False)
    who.line(
        type="assistant", message={**placeholder, "id": "syn-2"}, isApiErrorMessage=True, error="x", apiErrorStatus=429
    )
    who.write()

    files = Transcript(root, "files", "files")
    for number, (text, outcome, is_error) in enumerate(
        [
            ("File created successfully at: /w/a.py", None, False),
            ("The file /w/b.py has been updated successfully.", None, False),
            ("ok", None, False),
            ("ok", {"type": "create", "content": "1\n2\n3\n4\n", "structuredPatch": []}, False),
            ("Exit code 137\n[Request interrupted by user for tool use]", None, True),
            ("Permission for this tool use was denied. The tool use was rejected (eg. …)", None, True),
            # what a command printed is the command's
            ("Exit code 1\nuser rejected the transaction", None, True),
            ("Exit code 1\nwatch: interrupted by user", None, True),
        ]
    ):
        side = {"isSidechain": outcome is None, "agentId": "a1"} if outcome is None else {}
        call = {"type": "tool_use", "id": f"w{number}", "name": "Write"}
        call["input"] = {"file_path": f"/w/{number}.py", "content": "1\n2\n"}
        files.answers("claude-opus-5", {}, content=[call], **side)
        result = {"type": "tool_result", "tool_use_id": f"w{number}", "content": text, "is_error": is_error}
        files.says([result], **side, **({"toolUseResult": outcome} if outcome else {}))
    files.write()

    own = Transcript(root, "own", "own", cwd="/home/ann/own")
    own.says("Say how it went")
    hooked = {"hookEvent": "PreToolUse", "hookName": "PreToolUse:Bash"}
    own.line(type="attachment", attachment={"type": "hook_success", **hooked, "durationMs": 50})
    own.line(type="attachment", attachment={"type": "hook_blocking_error", **hooked, "durationMs": 70})
    own.line(type="attachment", attachment={"type": "hook_success", "hookName": "Stop", "hookEvent": "Stop"})
    summary = {"hookInfos": [{"command": "a", "durationMs": 120}, {"command": "b", "durationMs": 80}]}
    own.line(type="system", subtype="stop_hook_summary", **summary, preventedContinuation=True)
    for duration in (60_000, 30_500):
        own.line(type="system", subtype="turn_duration", durationMs=duration)
    sizes = {"trigger": "auto", "preTokens": 170_000, "postTokens": 20_000, "durationMs": 9_000}
    own.line(type="system", subtype="compact_boundary", compactMetadata=sizes)
    own.says("This session is being continued from a previous conversation", isCompactSummary=True)
    retry = {"error": {"status": 529, "error": {"error": {"type": "overloaded_error"}}}, "retryAttempt": 1}
    own.line(type="system", subtype="api_error", **retry, maxRetries=10)
    for url in ("https://example.com/pull/1", "https://example.com/pull/1", "https://example.com/pull/2"):
        own.line(type="pr-link", prUrl=url)
    skill = {"type": "tool_use", "id": "o1", "name": "Skill", "input": {"skill": "house:review"}}
    shell = {"type": "tool_use", "id": "o2", "name": "Bash", "input": {"command": "x", "run_in_background": True}}
    server = {"type": "tool_use", "id": "o3", "name": "mcp__docs__find", "input": {}}
    agent = {"type": "tool_use", "id": "o4", "name": "Agent", "input": {"subagent_type": "Explore"}}
    thought = {"output_tokens_details": {"thinking_tokens": 600}, "output_tokens": 1_000}
    spent = {"attributionSkill": "house:review", "attributionPlugin": "house", "attributionMcpServer": "docs"}
    own.answers("claude-opus-5", thought, content=[skill, shell, server, agent], effort="high", **spent)
    for call in ("o1", "o2", "o3"):
        own.says([{"type": "tool_result", "tool_use_id": call, "content": "four", "is_error": call == "o3"}])
    started = {"agentId": "a9", "status": "completed"}
    own.says([{"type": "tool_result", "tool_use_id": "o4", "content": "done"}], toolUseResult=started)
    own.answers("claude-opus-5", million(), isSidechain=True, agentId="a9")
    models = {"claude-opus-5": {"costUSD": 5.0}}
    own.line(type="cost-state", totalCostUSD=1.0, modelUsage=models)
    own.line(type="cost-state", totalCostUSD=5.03, modelUsage=models)
    own.write()

    folder = root / "workflow" / "flow" / "subagents" / "workflows" / "wf_1"
    flow = Transcript(root, "workflow", "flow")
    flow.path = folder / "agent-w1.jsonl"
    flow.answers("claude-opus-5", million(), isSidechain=True, agentId="w1")
    flow.write()
    journal = [{"type": kind, "agentId": "w1", "key": kind} for kind in ("launched", "started", "result")]
    (folder / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in journal))
    (folder / "agent-w1.meta.json").write_text('{"agentType": "Explore"}')

    torn = Transcript(root, "torn", "torn")
    torn.says("Corrupt")
    for _ in range(3):
        torn.answers("claude-opus-5", million())
    torn.lines[0] = b"\xef\xbb\xbf" + torn.lines[0] + b"\r"
    torn.lines[1] += b"\r"
    torn.lines[2] = b"\0" * 300 + torn.lines[2]
    torn.lines[3] = b'{"parentUuid": null, "isSidechain": false, "cwd": "/home' + torn.lines[3]
    torn.lines.insert(2, b'{"type":"assistant","uuid":"zz","mess')
    torn.write()


def forked(root: Path, *, new_uuids: bool) -> tuple[Transcript, Transcript, Transcript]:
    """An original of two turns, a fork of it with one more, and a fork of that fork."""
    folder = f"fork-{new_uuids}"
    original = Transcript(root, folder, f"m-original-{new_uuids}")
    entries = []
    for number in (1, 2):
        entries.append(original.says(f"Question {number}"))
        entries.append(original.answers("claude-opus-5", million(), id=f"fork-{new_uuids}-{number}"))
    copies: list[Transcript] = []
    for session in (f"a-fork-{new_uuids}", f"z-fork-{new_uuids}"):
        fork = Transcript(root, folder, session)
        fork.number = 10
        copied = []
        for entry in entries:
            origin = {"sessionId": entry["sessionId"], "messageUuid": entry["uuid"]}
            uuid = f"{session}-of-{entry['uuid']}" if new_uuids else entry["uuid"]
            copied.append({**entry, "uuid": uuid, "sessionId": session, "forkedFrom": origin})
            fork.lines.append(json.dumps(copied[-1]).encode())
        entries = [*copied, fork.says("One more"), fork.answers("claude-opus-5", million())]
        copies.append(fork)
    return original, copies[0], copies[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[duckdb.DuckDBPyConnection, oracle.Recount]]:
    root = tmp_path_factory.mktemp("cases")
    projects = root / "projects"
    invented(projects)
    for transcript in (*forked(projects, new_uuids=False), *forked(projects, new_uuids=True)):
        transcript.write()
    shared = Path(__file__).resolve().parents[3] / "shared" / "cases"
    for case in sorted(shared.glob("*/projects")) if shared.is_dir() else []:
        shutil.copytree(case, projects, dirs_exist_ok=True)
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=projects)
    extract(settings)
    load(settings)
    result = transform(settings, as_of=AS_OF, test=True)
    assert {run.status for run in result.models if run.kind == "test"} == {"pass"}
    with duckdb.connect(str(settings.build_path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection, oracle.recount(projects)


def costs(connection: duckdb.DuckDBPyConnection, folder: str) -> list[float | None]:
    """USD of a folder's responses, in order of time."""
    query = """
        select cost_usd::double from marts.fct_messages
        where project_id = ? and message_kind in ('response', 'advisor') order by created_at, message_key
    """
    return [cost for (cost,) in connection.execute(query, [folder]).fetchall()]


def kinds(connection: duckdb.DuckDBPyConnection, folder: str) -> dict[str, int]:
    query = "select message_kind, count(*) from marts.fct_messages where project_id = ? group by all"
    return dict(connection.execute(query, [folder]).fetchall())


def test_the_recount_in_plain_python_says_the_same(built: Any) -> None:
    connection, recount = built
    assert truth.differences(connection, recount) == []


def test_an_advisor_is_a_response_of_its_own(built: Any) -> None:
    connection, _ = built
    # sonnet 5 at $2, opus 4.8 at $5 and $25, and the model the line names
    assert costs(connection, "advisor") == [0.002, 1.025, 0.075]
    models = "select count(distinct model) from marts.agg_daily_usage where project_id = 'advisor'"
    assert connection.execute(models).fetchall() == [(3,)]


def test_prices_follow_model_endpoint_speed_place_and_tier(built: Any) -> None:
    connection, _ = built
    searches, fast, no_fast, us, us_old, batch, regional, world, profile, router, unknown, new = costs(
        connection, "prices"
    )
    assert searches == 0.035
    assert (fast, no_fast) == (10, None)
    assert (us, us_old, batch) == (5.5, 5, 2.5)
    assert (regional, world, profile) == (5.5, 5, 1.1)
    assert (router, unknown, new) == (1, None, 8)


def test_bands_are_cliffs_until_their_last_day(built: Any) -> None:
    connection, _ = built
    assert costs(connection, "bands") == [1, 1.550001, 0.7750005]


def test_empty_and_constant_ids_are_none(built: Any) -> None:
    connection, _ = built
    assert sorted(costs(connection, "ids")) == [5, 5, 5, 5, 10, 15]


def test_tool_ids_that_recur_are_calls_of_their_own(built: Any) -> None:
    connection, _ = built
    query = """
        select session_id, count(*), count(distinct tool_call_key), count(*) filter (where is_error),
            count(*) filter (where status = 'pending')
        from marts.fct_tool_calls where project_id = 'tools' group by all order by all
    """
    assert connection.execute(query).fetchall() == [("tools-a", 2, 2, 1, 0), ("tools-b", 3, 3, 2, 0)]


def test_only_a_persons_words_are_prompts(built: Any) -> None:
    connection, _ = built
    assert kinds(connection, "who") == {
        "prompt": 2,
        "teammate_message": 3,
        "meta": 3,
        "interrupt": 1,
        "scheduled": 1,
        "channel": 1,
        "shell_command": 1,
        "command_output": 1,
        "compact_summary": 1,
        "placeholder": 1,
        "api_error": 1,
    }


def test_lines_are_those_that_were_written(built: Any) -> None:
    connection, _ = built
    query = """
        select tool_use_id, status, operation, lines_added from marts.fct_file_operations
        where project_id = 'files' order by tool_use_id
    """
    assert connection.execute(query).fetchall() == [
        ("w0", "success", "create", 2),
        ("w1", "success", "overwrite", None),
        ("w2", "success", "create", None),
        ("w3", "success", "create", 4),
        ("w4", "interrupted", "create", 0),
        ("w5", "rejected", "create", 0),
        ("w6", "error", "create", 0),
        ("w7", "error", "create", 0),
    ]


def test_what_claude_code_says_of_its_own_work(built: Any) -> None:
    connection, _ = built

    def rows(columns: str, table: str) -> list[tuple[Any, ...]]:
        return connection.execute(
            f"select {columns} from marts.{table} where project_id = 'own' order by all"
        ).fetchall()

    said = "turn_seconds::double, hook_seconds::double, compactions, pull_request_links, effort, person"
    assert rows(said, "dim_sessions") == [(90.5, 0.32, 1, 2, "high", "ann")]
    hooks = "hook_name, run_count, blocked_count, total_duration_ms, p95_duration_ms"
    assert rows(hooks, "agg_hooks") == [("PreToolUse:Bash", 2, 1, 120, 69.0), ("Stop", 2, 1, 200, 118.0)]
    compacted = "trigger, pre_tokens, post_tokens, duration_ms"
    assert rows(compacted, "fct_compactions") == [("auto", 170_000, 20_000, 9_000)]
    failed = "error_status, error_name, retry_attempt, max_retries, is_final"
    assert rows(failed, "fct_api_errors") == [("529", "overloaded_error", 1, 10, False)]
    attributed = "kind, name, call_count, failure_count, result_characters, response_count, cost_usd::double"
    assert rows(attributed, "agg_attribution") == [
        ("mcp_server", "docs", 1, 1, 4, 1, 0.025),
        ("plugin", "house", 1, 0, 4, 1, 0.025),
        ("skill", "house:review", 1, 0, 4, 1, 0.025),
        ("subagent_type", "Explore", 1, 0, 4, 1, 5.0),
    ]
    assert rows("tool_use_id, is_background", "fct_tool_calls") == [(f"o{n}", n == 2) for n in range(1, 5)]
    answered = "thinking_tokens, effort, attribution_skill"
    assert (600, "high", "house:review") in rows(answered, "fct_messages")
    # the newest sum of Claude Code's: within 1 % of ours
    compared = "our_cost_usd::double, claude_code_cost_usd::double, is_within_1_percent, known_cause"
    assert rows(compared, "agg_cost_reconciliation") == [(5.025, 5.03, True, None)]
    final = "select error_status, is_final from marts.fct_api_errors where project_id = 'who'"
    assert connection.execute(final).fetchall() == [("429", True)]


def test_forks_say_where_they_come_from(built: Any) -> None:
    connection, _ = built
    query = "select session_id, forked_from_session_id from marts.dim_sessions where is_forked and project_id = ?"
    assert connection.execute(f"{query} order by all", ["fork-False"]).fetchall() == [
        ("a-fork-False", "m-original-False"),
        ("z-fork-False", "a-fork-False"),
    ]


def test_people_and_aliases_of_ones_own(tmp_path: Path) -> None:
    """What PEOPLE, PROJECT_ALIASES and PLAN_LIMIT_… say holds from the next run on, without a new document."""
    for folder, cwd in (("one", "/home/ann/shop"), ("two", "c:\\Users\\Ann\\old-shop")):
        transcript = Transcript(tmp_path / "projects", folder, folder, cwd=cwd)
        transcript.says("Hello")
        transcript.answers("claude-opus-5", million())
        transcript.write()
    told = {"five_hour": {"used_percentage": 40, "resets_at": 1_782_921_600}, "seven_day": "?"}
    at = int(datetime(2026, 7, 1, 11, tzinfo=UTC).timestamp())
    (tmp_path / "data").mkdir()
    lines = [json.dumps({"at": at, "limits": told}), "torn", json.dumps({"at": at + 60, "limits": {}})]
    (tmp_path / "data" / "rate_limits.jsonl").write_text("\n".join(lines))
    people, aliases = tmp_path / "people.csv", tmp_path / "aliases.csv"
    people.write_text("place,person\n/home/ann,Ann\nC:\\Users\\Ann\\,Ann\n")
    aliases.write_text("path,project\nC:\\Users\\Ann\\old-shop,/home/ann/shop\n")
    where = {"source": "jsonl", "data_dir": tmp_path / "data", "claude_projects_dir": tmp_path / "projects"}

    def built_with(**said: Any) -> list[tuple[Any, ...]]:
        settings = load_settings(**where, **said)
        extract(settings)
        assert not load(settings).nothing_new
        transform(settings, as_of=AS_OF)
        publish(settings)
        with duckdb.connect(str(settings.published_path), read_only=True) as connection:
            query = "select person, project_group from marts.dim_sessions join marts.dim_projects using (project_id)"
            limits = "select used_ratio, is_estimate from marts.agg_limits order by limit_window"
            estimates.append(connection.execute(limits).fetchall())
            return connection.execute(f"{query} order by all").fetchall()

    estimates: list[list[tuple[Any, ...]]] = []
    assert built_with() == [("Ann", "C:\\Users\\Ann\\old-shop"), ("ann", "/home/ann/shop")]
    assert built_with(people=people, project_aliases=aliases, plan_limit_7d_usd=40) == [("Ann", "/home/ann/shop")] * 2
    assert estimates == [[(0.4, False), (1.0, True)], [(0.4, False), (0.25, True)]]


def test_a_workflows_agents_count_and_its_journal_is_no_entry(built: Any) -> None:
    connection, _ = built
    assert costs(connection, "workflow") == [5]
    stored = "select source_file, count(*) from raw.conversations where project_id = 'workflow' group by 1"
    file = "workflow/flow/subagents/workflows/wf_1/agent-w1.jsonl"
    assert connection.execute(stored).fetchall() == [(file, 1)]


def test_torn_lines_lose_nothing_whole(built: Any) -> None:
    connection, _ = built
    assert costs(connection, "torn") == [5, 5, 5]
    assert kinds(connection, "torn")["prompt"] == 1


@pytest.mark.parametrize("new_uuids", [False, True])
def test_an_original_keeps_its_history_and_a_fork_has_what_came_after(built: Any, new_uuids: bool) -> None:
    connection, _ = built
    query = """
        select session_id, prompt_count, cost_usd::double from marts.dim_sessions
        where project_id = ? order by session_id
    """
    assert connection.execute(query, [f"fork-{new_uuids}"]).fetchall() == [
        (f"a-fork-{new_uuids}", 1, 5.0),
        (f"m-original-{new_uuids}", 2, 10.0),
        (f"z-fork-{new_uuids}", 1, 5.0),
    ]


def _marts(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(settings.build_path), read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        return {
            name: connection.execute(f"select * from marts.{name} order by all").fetchall()
            for (name,) in tables
            if name != "agg_data_quality"
        }


@pytest.mark.slow
def test_forks_in_every_order_of_arrival(tmp_path: Path) -> None:
    """The original before its forks, between them, after them and never: what stands does not tell."""
    shared = tmp_path / "dbt"
    shared.mkdir()
    whole = None
    for number, order in enumerate(itertools.permutations(range(3))):
        root = tmp_path / str(number)
        settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
        (root / "data").mkdir(parents=True)
        (root / "data" / "dbt").symlink_to(shared)
        kinds_of_fork = [forked(root / "projects", new_uuids=new_uuids) for new_uuids in (False, True)]
        for step, which in enumerate(order):
            for transcripts in kinds_of_fork:
                transcripts[which].write()
            extract(settings)
            load(settings, even_if_unchanged=True, full_refresh=step == 0)
            transform(settings, as_of=AS_OF)
            incremental = _marts(settings)
            if step < 2:
                publish(settings)
        if whole is None:
            load(settings, full_refresh=True)
            transform(settings, as_of=AS_OF, full_refresh=True)
            whole = _marts(settings)
        assert incremental == whole, order


def shared_cases() -> bool:
    return (Path(__file__).resolve().parents[3] / "shared" / "cases").is_dir()


@pytest.mark.skipif(not shared_cases(), reason="the shared cases are not there")
def test_shared_cases(built: Any) -> None:
    connection, _ = built

    def measures(folder: str) -> tuple[Any, ...]:
        return connection.execute(
            "select prompt_count, response_count, tool_call_count, cost_usd::double from marts.dim_projects"
            " where project_id = ?",
            [folder],
        ).fetchone()

    assert sum(costs(connection, "-home-u-adv")) == pytest.approx(0.568)
    assert costs(connection, "-home-u-web") == [0.145]
    assert sorted(costs(connection, "-home-u-fast")) == [8, 10, 10, 30]
    assert costs(connection, "-home-u-bed") == [5.5, 1, 3.3, 5.5, 3.3]
    assert costs(connection, "-home-u-dot")[:6] == [5, 1, 3, 5, 3, None]
    forks = "select prompt_count, cost_usd::double from marts.dim_sessions where project_id = '-home-u-fork' order by 1"
    assert connection.execute(forks).fetchall() == [(1, 5.0), (2, 10.0)]
    assert measures("-home-u-cor")[1:] == (3, 0, 15.0)
    assert measures("-home-u-kimi")[2] == 4
    assert measures("-home-u-empty")[1:] == (3, 0, 15.0)
    assert measures("-home-u-team")[0] == 1
    groups = """
        select count(distinct project_group), count(*), count(distinct project_label) from marts.dim_projects
        where contains(project_path, 'store') and starts_with(project_path, '/home/u/')
    """
    assert connection.execute(groups).fetchall() == [(1, 8, 8)]
    drives = (
        "select distinct project_group from marts.dim_projects where contains(lower(project_id), '--users-me-shop')"
    )
    assert connection.execute(drives).fetchall() == [("C:\\Users\\me\\shop",)]
    stated = """
        select our_cost_usd::double, claude_code_cost_usd::double, known_cause from marts.agg_cost_reconciliation
        where project_id = '-home-u-cs'
    """
    cause = "requests that stand in no line: claude-haiku-4-5"
    assert connection.execute(stated).fetchall() == [(5.0, 5.25, cause)]
