"""One command from transcripts to published marts, through Ploomber, papermill and all five notebooks.

Without these the parts could each be right and the whole be wrong: numbers unlike the reference, a second run that
counts twice, a source that gives other numbers than the next.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import nbformat
import pytest
from command_line import Workspace, marts
from mongo_server import Server

pytestmark = pytest.mark.slow


def test_numbers_equal_the_reference_when_samples_are_read(published: Workspace, samples_dir: Path) -> None:
    expected = json.loads((samples_dir / "expected.json").read_text())

    def one(sql: str) -> tuple[Any, ...]:
        return published.query(sql)[0]

    assert one("select count(*) from raw.conversations") == (expected["entries"],)
    assert one("select count(*) from raw.dead_letters") == (expected["bad_lines"],)
    sessions, prompts, responses, calls = one(
        "select count(*), sum(prompt_count), sum(response_count), sum(tool_call_count) from marts.dim_sessions"
    )
    assert (sessions, prompts, responses, calls) == tuple(
        expected[name] for name in ("sessions", "prompts", "responses", "tool_calls")
    )

    usage = published.query("""
        select model, sum(input_tokens), sum(output_tokens), sum(cache_write_5m_tokens + cache_write_1h_tokens),
            sum(cache_read_tokens), sum(response_count)
        from marts.agg_daily_usage
        group by model
    """)
    kinds = ("input", "output", "write", "read")
    assert {row[0]: dict(zip((*kinds, "responses"), row[1:], strict=True)) for row in usage} == expected["by_model"]
    assert {kind: sum(row[1 + i] for row in usage) for i, kind in enumerate(kinds)} == expected["tokens"]
    (cost,) = one("select sum(cost_usd) from marts.fct_messages")
    assert abs(cost - Decimal(str(expected["cost_usd"]))) <= Decimal("0.000001")

    assert dict(published.query("select tool_name, count(*) from marts.fct_tool_calls group by 1")) == expected["tools"]
    assert dict(published.query("select status, count(*) from marts.fct_tool_calls group by 1")) == expected["status"]
    files, added, removed = one("select count(*), sum(lines_added), sum(lines_removed) from marts.fct_file_operations")
    assert (files, added, removed) == tuple(
        expected[name] for name in ("file_operations", "lines_added", "lines_removed")
    )


def test_run_explains_itself_when_it_succeeded(published: Workspace) -> None:
    (run,) = published.runs()
    assert run["outcome"] == "succeeded"
    assert [stage["status"] for stage in run["stages"]] == ["succeeded"] * 5
    assert all(stage["duration_seconds"] > 0 and stage["summary"] for stage in run["stages"])
    assert run["stages"][0]["result"]["documents_stored"] == 7611
    assert run["stages"][2]["result"]["rows"]["marts.dim_sessions"] == 29
    assert run["snapshot_id"]
    assert run["published_version"]
    assert run["error"] is None
    folder = published.data_dir / "runs" / run["run_id"]
    for stage in run["stages"]:
        notebook = nbformat.read(folder / stage["notebook"], 4)
        shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert any("image/svg+xml" in output.get("data", {}) for output in shown), f"no chart in {stage['name']}"
        assert any("<table" in output.get("data", {}).get("text/html", "") for output in shown)
        assert not any("application/vnd.vegalite" in str(output.get("data", {}).keys()) for output in shown)
    assert not list(folder.glob(".*"))


def test_report_says_what_matters_when_data_is_published(published: Workspace) -> None:
    done = published.run("report")
    assert done.returncode == 0
    for text in (
        "7,611 documents, another 13 that could not be read, 2025-06-08 to 2026-08-18",
        "29 sessions in 11 projects, 222 prompts, 1,355 responses, 1,463 tool calls, ≥$163.24",
        "claude-3-sonnet-20240229 7 435 650 0 0 0.01",
        "total 1,355 11,708 ≥674,056 6,063,539 173,472,494 ≥163.24",
        "tool errors: 3.6% of 1,456 finished calls, another 9 rejected by you",
        "note: 330 responses never got a final output count",
        # what is below the working directory is named from there
        f"database   {published.published.relative_to(published.root)}\n",
        f"data docs  {published.data_dir.relative_to(published.root) / 'data_docs' / 'index.html'}\n",
    ):
        assert text in done.stdout or text in " ".join(done.stdout.split())


def test_report_names_the_remedy_when_nothing_is_published(workspace: Workspace) -> None:
    done = workspace.run("report")
    assert done.returncode == 1
    assert "make pipeline" in done.stderr


def test_files_are_private_when_a_run_ended(published: Workspace) -> None:
    open_to_others = [
        path for path in published.data_dir.rglob("*") if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]
    assert open_to_others == []


def test_nothing_changes_when_nothing_is_new(published: Workspace) -> None:
    before, rows = published.published.resolve(), marts(published.published)
    done = published.pipeline()
    assert "nothing new" in done.stdout
    assert published.published.resolve() == before
    assert marts(published.published) == rows
    run = published.runs()[-1]
    assert run["outcome"] == "nothing_new"
    assert [stage["status"] for stage in run["stages"]] == ["skipped"] * 5
    assert not list((published.data_dir / "runs" / run["run_id"]).glob("*.ipynb"))
    assert run["snapshot_id"] == published.runs()[0]["snapshot_id"]


def test_exactly_their_effect_shows_when_three_lines_are_appended(copy_of: Workspace) -> None:
    totals = """
        select sum(session_count), sum(prompt_count), sum(response_count), sum(tool_call_count),
            sum(tool_error_count), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens)
        from marts.agg_daily_summary
    """
    other_sessions = "select * from marts.dim_sessions where session_id <> '{}' order by all"
    ((session, cwd),) = copy_of.query(
        "select session_id, cwd from raw.conversations where type = 'assistant' and cwd is not null"
        " and not is_sidechain order by timestamp desc limit 1"
    )
    file = next(path for path in Path(copy_of.env["CLAUDE_PROJECTS_DIR"]).rglob("*.jsonl") if path.stem == session)
    before, others = copy_of.query(totals)[0], copy_of.query(other_sessions.format(session))
    common = {"sessionId": session, "cwd": cwd, "isSidechain": False, "version": "2.1.0", "userType": "external"}
    day = copy_of.query("select max(date_key)::varchar from marts.agg_daily_summary")[0][0]
    call = {"type": "tool_use", "id": "toolu_appended", "name": "Bash", "input": {"command": "false"}}
    usage = {"input_tokens": 11, "output_tokens": 22, "cache_read_input_tokens": 33, "cache_creation_input_tokens": 0}
    answer = {"id": "msg_appended", "role": "assistant", "model": "claude-opus-4-6", "stop_reason": "tool_use"}
    result = {"type": "tool_result", "tool_use_id": "toolu_appended", "is_error": True, "content": "Exit code 1"}
    messages = [
        ("user", 0, {"role": "user", "content": "please look at it"}),
        ("assistant", 5, {**answer, "content": [call], "usage": usage}),
        ("user", 9, {"role": "user", "content": [result]}),
    ]
    lines = [
        {
            **common,
            "type": kind,
            "uuid": f"appended-{second}",
            "timestamp": f"{day}T23:00:{second:02}.000Z",
            "message": message,
        }
        for kind, second, message in messages
    ]
    with file.open("a") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)

    done = copy_of.pipeline()
    assert "3 documents stored" in done.stdout
    # the published file was copied while documents were extracted
    stages = copy_of.runs()[-1]["stages"]
    assert stages[1]["result"]["copy_method"] == "ahead"
    # and the marts' files were written while they were validated
    assert stages[4]["result"]["serving"]["written_ahead"]
    after = copy_of.query(totals)[0]
    assert [right - left for left, right in zip(before, after, strict=True)][1:] == [1, 1, 1, 1, 11, 22, 33]
    assert copy_of.query(other_sessions.format(session)) == others
    assert copy_of.query(
        "select tool_name, status, duration_ms from marts.fct_tool_calls where tool_use_id = 'toolu_appended'"
    ) == [("Bash", "error", 4000)]


def test_marts_are_equal_when_a_filled_mongodb_is_read(
    published: Workspace, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    projects = published.env["CLAUDE_PROJECTS_DIR"]
    with Server(tmp_path_factory.mktemp("server") / "storage") as server:
        filled = workspace.run("sync", MONGO_URI=server.uri, CLAUDE_PROJECTS_DIR=projects)
        assert filled.returncode == 0, filled.stderr
        workspace.pipeline(MONGO_URI=server.uri, CLAUDE_PROJECTS_DIR=str(workspace.root / "nowhere"))
    assert workspace.runs()[0]["stages"][0]["result"]["source"] == "mongodb"
    assert marts(workspace.published) == marts(published.published)


def test_everything_is_rebuilt_when_the_time_zone_changed(copy_of: Workspace) -> None:
    before = copy_of.query("select sum(cost_usd), sum(response_count) from marts.agg_daily_summary")
    done = copy_of.pipeline(ANALYTICS_TZ="Pacific/Kiritimati")
    assert copy_of.runs()[-1]["outcome"] == "succeeded", done.stdout
    assert copy_of.query("select sum(cost_usd), sum(response_count) from marts.agg_daily_summary") == before
    fresh = copy_of.query("select min(date_key)::varchar from marts.agg_daily_summary")
    assert fresh == [("2025-06-09",)]  # 10:47 UTC on the 8th


def test_marts_are_equal_when_everything_is_refreshed(copy_of: Workspace) -> None:
    before = marts(copy_of.published)
    copy_of.pipeline("--full-refresh", "--full-backfill")
    assert marts(copy_of.published) == before
