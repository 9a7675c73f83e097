"""Validation as the last gate before publishing. Each critical expectation is shown a copy of a valid build that is
broken in the one way it is there for: an expectation that never fails guards nothing, and one that fails with others
would name the wrong cause.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from analytics.errors import AnalyticsError, ConfigError, ValidationFailedError
from analytics.quality.result import ValidationResult
from analytics.quality.validate import GX_DIR, validate
from analytics.raw.extract import extract
from analytics.settings import Settings, load_settings
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform

SUITES = {
    suite: json.loads((GX_DIR / "expectations" / f"{suite}.json").read_text())
    for suite in ("raw", "staging", "intermediate", "marts")
}


def _entry(kind: str, uuid: str, at: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = {"type": kind, "uuid": uuid, "sessionId": "s1", "timestamp": f"2026-03-{at}:00.000Z", "cwd": "/w/app"}
    return {**entry, "version": "2.1.100", "message": message, **more}


def _prompt(uuid: str, at: str, text: str, **more: Any) -> dict[str, Any]:
    return _entry("user", uuid, at, {"role": "user", "content": text}, **more)


def _answer(uuid: str, at: str, block: dict[str, Any], model: str = "claude-opus-4-6", **more: Any) -> dict[str, Any]:
    usage: dict[str, Any] = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 1000}
    if uuid == "a4":  # an advisor was asked: a response of its own
        usage["iterations"] = [{"type": "advisor_message", "model": "claude-opus-4-7", "output_tokens": 10}]
    if uuid == "a8":
        usage["input_tokens"] = 300
    # a proxy gives one id to every response
    key = "msg_proxy" if uuid in ("a7", "a8") else f"msg_{uuid}"
    message = {"id": key, "role": "assistant", "model": model, "stop_reason": "end_turn"}
    return _entry("assistant", uuid, at, {**message, "content": [block], "usage": usage}, **more)


def _result(uuid: str, at: str, tool: str, text: str, is_error: bool = False, **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": tool, "content": text, "is_error": is_error}
    return _entry("user", uuid, at, {"role": "user", "content": [block]}, **more)


def _use(tool: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool, "name": name, "input": arguments}


_PATCH = {"filePath": "/w/app/a.py", "structuredPatch": [{"lines": ["+one", "+two", "-three"]}]}
_TEXT = {"type": "text", "text": "done"}
HISTORY = [
    _prompt("u1", "01T10:00", "fix the bug"),
    _answer("a1", "01T10:01", _use("t1", "Read", file_path="/w/app/a.py"), parentUuid="u1"),
    _result("r1", "01T10:02", "t1", "text", parentUuid="a1"),
    _answer("a2", "01T10:03", _use("t2", "Edit", file_path="/w/app/a.py"), parentUuid="r1"),
    _result("r2", "01T10:04", "t2", "ok", parentUuid="a2", toolUseResult=_PATCH),
    _answer("a3", "01T10:05", _use("t3", "Bash", command="git commit -m x"), parentUuid="r2"),
    _result("r3", "01T10:06", "t3", "no such command", is_error=True, parentUuid="a3"),
    _answer("a4", "01T10:07", _TEXT, parentUuid="r3"),
    _prompt("u2", "03T12:00", "and the other project?", sessionId="s2", cwd="/w/other"),
    _answer("a5", "03T12:01", _use("t4", "mcp__db__query", sql="select 1"), sessionId="s2", cwd="/w/other"),
    _result("r4", "03T12:02", "t4", "1", sessionId="s2", cwd="/w/other"),
    _answer("a6", "03T12:03", _TEXT, model="house-model", sessionId="s2", cwd="/w/other"),
    _answer("a7", "03T12:04", _TEXT, sessionId="s2", cwd="/w/other", requestId="q1"),
    _answer("a8", "03T12:05", _TEXT, sessionId="s2", cwd="/w/other", requestId="q2"),
]


def _settings(folder: Path, dbt_cache: Path) -> Settings:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "dbt").symlink_to(dbt_cache)
    return load_settings(
        data_dir=folder / "data", source="jsonl", claude_projects_dir=folder / "projects", machine_name="box"
    )


def _build(settings: Settings, entries: list[dict[str, Any]]) -> None:
    transcript = settings.projects_dirs[0] / "-w-app" / "s1.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    extract(settings)
    load(settings)
    transform(settings)


@pytest.fixture(scope="module")
def dbt_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("PYICEBERG_HOME", str(home))
        patch.chdir(home)
        yield


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory, dbt_cache: Path) -> Settings:
    """A valid build; tests break copies of it."""
    settings = _settings(tmp_path_factory.mktemp("valid"), dbt_cache)
    _build(settings, HISTORY)
    return settings


@pytest.fixture
def build(valid: Settings, tmp_path: Path) -> Settings:
    """A copy of the valid build, Iceberg tables shared."""
    settings = load_settings(data_dir=tmp_path / "data")
    settings.build_path.parent.mkdir(parents=True)
    shutil.copyfile(valid.build_path, settings.build_path)
    settings.warehouse_dir.symlink_to(valid.warehouse_dir)
    return settings


def change(settings: Settings, *statements: str) -> None:
    with duckdb.connect(str(settings.build_path)) as connection:
        for statement in statements:
            connection.execute(statement)


def check(settings: Settings) -> ValidationResult:
    return validate(settings, build_docs=False, raise_on_failure=False)


def failed(result: ValidationResult) -> set[tuple[str, str]]:
    return {(item.layer, item.expectation) for item in result.checks if not item.success}


def test_every_expectation_holds_when_the_build_is_valid(build: Settings) -> None:
    result = validate(build)
    assert failed(result) == set()
    assert len(result.checks) == sum(len(suite["expectations"]) for suite in SUITES.values())
    assert [item.layer for item in result.checks] == sorted(
        (item.layer for item in result.checks), key=list(SUITES).index
    )
    assert result.warnings == []


def test_an_empty_history_is_valid(tmp_path: Path, dbt_cache: Path) -> None:
    settings = _settings(tmp_path, dbt_cache)
    _build(settings, [])
    result = validate(settings, build_docs=False)
    assert failed(result) == set()
    publish(settings)


def test_numbers_that_cannot_be_are_unknown_and_stop_nothing(tmp_path: Path, dbt_cache: Path) -> None:
    """A transcript is written by others too: one odd number in it must not keep all numbers from being published."""
    settings = _settings(tmp_path, dbt_cache)
    entries = []

    def costs(usd: float) -> dict[str, object]:
        return {"totalCostUSD": usd, "modelUsage": {"claude-odd": {"costUSD": usd}, "claude-odder": {"costUSD": "inf"}}}

    for number, odd in enumerate((-5, 2**62, 2**62)):
        system = {**_prompt(f"o{number}", f"0{number + 4}T10:00", "x"), "type": "system", "message": None}
        usage = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_input_tokens"), odd)
        usage["output_tokens_details"] = {"thinking_tokens": odd}
        answer = _answer(f"b{number}", f"0{number + 4}T10:01", _TEXT)
        answer["message"] = {**answer["message"], "usage": usage}
        metadata = {"trigger": "auto", "preTokens": odd, "postTokens": odd, "durationMs": odd}
        said = [
            {"subtype": "api_error", "retryAttempt": odd, "maxRetries": odd, "error": {"status": 529}},
            {"subtype": "turn_duration", "durationMs": odd},
            {"subtype": "compact_boundary", "compactMetadata": metadata},
            {"subtype": "stop_hook_summary", "hookInfos": [{"command": "lint", "durationMs": odd}]},
            *({"type": "cost-state", **costs(usd)} for usd in (float(odd), 1e11)),
        ]
        entries += [answer, *({**system, "uuid": f"{system['uuid']}-{n}", **words} for n, words in enumerate(said))]
    _build(settings, [*HISTORY, *entries])
    assert failed(validate(settings, build_docs=False)) == set()
    publish(settings)
    unknown = "(select count(*) from marts.fct_compactions where pre_tokens is null), sum(run_count)"
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        found = connection.execute(f"select {unknown}, max(total_duration_ms) from marts.agg_hooks").fetchall()
    assert found == [(3, 3, None)]


def test_an_incremental_build_and_what_is_published_are_valid(tmp_path: Path, dbt_cache: Path) -> None:
    settings = _settings(tmp_path, dbt_cache)
    # what is new touches no session of the proxy's
    _build(settings, HISTORY[8:])
    publish(settings)
    other = settings.projects_dirs[0] / "-w-app" / "other.jsonl"
    other.write_text("".join(json.dumps(entry) + "\n" for entry in HISTORY[:8]))
    extract(settings)
    load(settings)
    transform(settings)
    assert failed(check(settings)) == set()
    publish(settings)
    assert failed(check(settings)) == set()
    # a document of an earlier load, and one of the newest
    load(settings, even_if_unchanged=True)
    # the last build changed no row of s2: these are in the totals alone
    of_others = "input_tokens where session_id = 's2' and message_kind = 'response'"
    change(settings, f"update marts.fct_messages set input_tokens = 1 + {of_others}")
    assert failed(check(settings)) == {("marts", "expect_tokens_and_cost_to_reconcile")}
    change(settings, f"update marts.fct_messages set input_tokens = -1 + {of_others}")
    for entry in ("u2", "u1"):
        change(settings, f"delete from staging.stg_entries where entry_key = '{entry}'")
        assert failed(check(settings)) == {("staging", "expect_every_document_to_be_parsed_once")}


# what breaks it -> the expectations that must fail, and no other
BREAKS: dict[str, tuple[list[str], set[tuple[str, str]]]] = {
    "a document loaded twice": (
        [
            "insert into raw.conversations select * from raw.conversations where uuid = 'u1'",
            "update raw.load_state set documents = documents + 1",
        ],
        {("raw", "expect_keys_to_be_unique"), ("raw", "expect_table_row_count_to_equal")},
    ),
    "a document lost between Iceberg and DuckDB": (
        [
            "delete from staging.stg_entries where entry_key = 'u1'",
            "delete from raw.conversations where uuid = 'u1'",
            "update raw.load_state set documents = documents - 1",
        ],
        {("raw", "expect_table_row_count_to_equal")},
    ),
    "a raw table missing": (["drop table raw.redactions cascade"], {("raw", "expect_tables_to_exist")}),
    "a document without a day": (
        ["update raw.conversations set date = null where uuid = 'u1'"],
        {("raw", "expect_values_to_be_present")},
    ),
    "a load state that says too much": (
        ["update raw.load_state set documents = documents + 1"],
        {("raw", "expect_load_state_to_match_tables")},
    ),
    "two load states": (
        ["insert into raw.load_state select * from raw.load_state"],
        {("raw", "expect_load_state_to_match_tables")},
    ),
    "an entry from the future": (
        ["update raw.conversations set timestamp = now() + interval 3 day where uuid = 'u1' and type = 'user'"],
        {
            ("raw", "expect_times_to_be_plausible"),
            ("raw", "expect_entries_to_follow_their_parents"),
            ("marts", "expect_marts_to_be_fresh"),
        },
    ),
    "an entry an hour before its parent": (
        ["update raw.conversations set timestamp = timestamp - interval 1 hour where uuid = 'a4'"],
        {("raw", "expect_entries_to_follow_their_parents")},
    ),
    "a staging table missing": (["drop table staging.stg_redactions"], {("staging", "expect_tables_to_exist")}),
    "a document parsed twice": (
        ["insert into staging.stg_entries select * from staging.stg_entries where entry_key = 'u1'"],
        {("staging", "expect_keys_to_be_unique")},
    ),
    "an entry without its key": (
        ["update staging.stg_entries set entry_key = null where entry_key = 'u1'"],
        {("staging", "expect_values_to_be_present")},
    ),
    "a document that was not parsed": (
        ["delete from staging.stg_entries where entry_key = 'u1'"],
        {("staging", "expect_every_document_to_be_parsed_once")},
    ),
    "a negative length": (
        ["update staging.stg_entries set text_length = -1 where entry_key = 'u1'"],
        {("staging", "expect_numbers_to_be_in_range")},
    ),
    "two results that disagree": (
        [
            "update staging.stg_entries set tool_blocks = list_transform(tool_blocks, lambda b:"
            " struct_update(b, tool_use_id := 't1')) where entry_key = 'r2'"
        ],
        {("staging", "expect_at_most_one_result_per_tool_use")},
    ),
    "an intermediate table missing": (
        ["drop table intermediate.int_projects cascade"],
        {("intermediate", "expect_tables_to_exist"), ("intermediate", "expect_keys_to_be_unique")},
    ),
    "a session computed twice": (
        ["insert into intermediate.int_sessions select * from intermediate.int_sessions where session_id = 's1'"],
        {("intermediate", "expect_keys_to_be_unique")},
    ),
    "usage of the first line instead of the largest": (
        [
            "update staging.stg_entries set output_tokens = 70 where entry_key = 'a1'",
        ],
        {("intermediate", "expect_responses_to_carry_their_largest_usage")},
    ),
    "a tool call that was lost": (
        ["update intermediate.int_tool_calls set tool_use_id = 'other' where tool_use_id = 't4'"],
        {("intermediate", "expect_every_tool_use_to_be_one_call")},
    ),
    "a mart missing": (
        ["drop table marts.agg_data_quality"],
        {
            ("marts", "expect_tables_to_exist"),
            ("marts", "expect_keys_to_be_unique"),
            ("marts", "expect_values_to_be_present"),
            ("marts", "expect_values_to_be_known"),
            ("marts", "expect_rows_where_there_are_conversations"),
        },
    ),
    "an empty mart": (
        ["delete from marts.agg_data_quality"],
        {("marts", "expect_rows_where_there_are_conversations")},
    ),
    "two rows for one check": (
        ["insert into marts.agg_data_quality select * from marts.agg_data_quality limit 1"],
        {("marts", "expect_keys_to_be_unique")},
    ),
    "a count that is null": (
        ["update marts.dim_sessions set entry_count = null where session_id = 's1'"],
        {("marts", "expect_values_to_be_present")},
    ),
    "a kind of message nobody knows": (
        ["update marts.fct_messages set message_kind = 'novel' where message_kind = 'tool_result'"],
        {("marts", "expect_values_to_be_known")},
    ),
    "a project without its dimension": (
        [
            "update marts.fct_tool_calls set project_id = 'nobody' where tool_use_id = 't4'",
        ],
        {("marts", "expect_references_to_exist")},
    ),
    "a tool that is never used": (
        [
            "insert into marts.dim_tools by name select 'Idle' as tool_name, 'other' as tool_category, false as is_mcp",
        ],
        {("marts", "expect_references_to_exist")},
    ),
    "a negative duration": (
        ["update marts.fct_tool_calls set duration_ms = -5 where tool_use_id = 't1'"],
        {("marts", "expect_numbers_to_be_in_range"), ("marts", "expect_durations_to_follow_their_times")},
    ),
    "a rate above one": (
        ["update marts.agg_tool_efficiency set error_rate = 1.5 where tool_name = 'Bash'"],
        {("marts", "expect_numbers_to_be_in_range")},
    ),
    "a session that ended before it started": (
        ["update marts.dim_sessions set ended_at = started_at - interval 1 minute where session_id = 's1'"],
        {("marts", "expect_times_to_be_ordered")},
    ),
    "a duration although the clock stepped back": (
        ["update marts.fct_tool_calls set finished_at = called_at - interval 1 minute where tool_use_id = 't1'"],
        {("marts", "expect_durations_to_follow_their_times"), ("marts", "expect_clocks_not_to_step_back")},
    ),
    "a duration that is guessed": (
        ["update marts.fct_tool_calls set duration_ms = duration_ms + 1 where tool_use_id = 't1'"],
        {("marts", "expect_durations_to_follow_their_times")},
    ),
    "an unpriced response for nothing": (
        ["update marts.fct_messages set cost_usd = 0 where model = 'house-model'"],
        {("marts", "expect_cost_exactly_where_priced"), ("marts", "expect_tokens_and_cost_to_reconcile")},
    ),
    "a priced response marked as unpriced": (
        ["update marts.fct_messages set is_priced = false where message_id = 'msg_a1'"],
        {("marts", "expect_cost_exactly_where_priced")},
    ),
    "tokens that a day has twice": (
        ["update marts.agg_daily_summary set output_tokens = 2 * output_tokens"],
        {("marts", "expect_tokens_and_cost_to_reconcile")},
    ),
    "a cost that only the sessions know": (
        ["update marts.dim_sessions set cost_usd = cost_usd + 0.000000001 where session_id = 's1'"],
        {("marts", "expect_tokens_and_cost_to_reconcile")},
    ),
    "an error that is counted twice": (
        ["update marts.agg_tool_efficiency set error_count = error_count + 1 where tool_name = 'Bash'"],
        {("marts", "expect_counts_to_reconcile")},
    ),
    "lines that no session added": (
        ["update marts.dim_sessions set lines_added = 0"],
        {("marts", "expect_lines_to_reconcile")},
    ),
    "a day that is missing": (
        ["delete from marts.agg_daily_summary where not has_activity"],
        {("marts", "expect_calendars_to_be_complete")},
    ),
    "a tool name with a blank": (
        ["update marts.dim_tools set tool_name = 'Re ad' where tool_name = 'Read'"],
        {("marts", "expect_tool_names_to_be_valid"), ("marts", "expect_references_to_exist")},
    ),
    "a newest entry that never reached the marts": (
        ["update raw.conversations set timestamp = timestamp + interval 1 hour where uuid = 'a6'"],
        {("marts", "expect_marts_to_be_fresh")},
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_exactly_the_right_expectation_fails_when_there_is(broken: str, build: Settings) -> None:
    statements, expected = BREAKS[broken]
    change(build, *statements)
    result = check(build)
    assert failed(result) == expected
    for item in result.checks:
        if not item.success and item.error is None:
            assert item.failing_rows > 0


def test_every_expectation_is_seen_failing() -> None:
    declared = {(s, e["type"]) for s, suite in SUITES.items() for e in suite["expectations"]}
    broken = set().union(*(expected for _, expected in BREAKS.values()))
    assert declared - broken == set()


def test_suites_say_how_severe_an_expectation_is() -> None:
    for suite in SUITES.values():
        for expectation in suite["expectations"]:
            assert expectation["severity"] in ("critical", "warning"), expectation["type"]


def test_failure_names_expectation_table_and_rows_in_one_line(build: Settings) -> None:
    change(
        build,
        "update marts.fct_tool_calls set input_length = -5 where tool_use_id in ('t1', 't2')",
        "update marts.dim_sessions set lines_added = 0",
    )
    with pytest.raises(ValidationFailedError) as raised:
        validate(build)
    message = str(raised.value)
    assert "expect_numbers_to_be_in_range on marts.fct_tool_calls: 2 rows" in message
    assert "1 more failed: expect_lines_to_reconcile on marts.dim_sessions" in message
    assert str(build.data_docs_dir / "index.html") in message
    assert "\n" not in message


def test_examples_show_which_rows_failed(build: Settings) -> None:
    change(build, "insert into marts.fct_messages select facts.* from marts.fct_messages as facts, range(30)")
    (keys,) = [c for c in check(build).failed if c.expectation == "expect_keys_to_be_unique"]
    messages = len(HISTORY) + 1  # an advisor's answer is a row of its own
    assert (keys.failing_rows, len(keys.examples)) == (messages, messages)
    change(build, "update marts.fct_messages set context_tokens = -1")
    (ranges,) = [c for c in check(build).failed if c.expectation == "expect_numbers_to_be_in_range"]
    assert (ranges.failing_rows, len(ranges.examples)) == (messages * 31, 20)
    assert ranges.examples[0]["out_of_range"] == "context_tokens = -1"


def test_a_warning_is_reported_and_stops_nothing(build: Settings) -> None:
    change(build, "update raw.conversations set timestamp = timestamp - interval 1 hour where uuid = 'a4'")
    result = validate(build, build_docs=False)
    assert result.success
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("expect_entries_to_follow_their_parents on raw.conversations: 1 row (")


def test_a_table_that_is_gone_is_a_clear_failure(build: Settings) -> None:
    change(build, "drop table marts.fct_messages")
    with pytest.raises(ValidationFailedError) as raised:
        validate(build, build_docs=False)
    assert "fct_messages" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_later_snapshot_in_iceberg_is_a_note_when_the_published_database_is_validated(
    tmp_path: Path, dbt_cache: Path
) -> None:
    settings = _settings(tmp_path, dbt_cache)
    _build(settings, HISTORY[:2])
    publish(settings)
    with (settings.projects_dirs[0] / "-w-app" / "s1.jsonl").open("a") as transcript:
        transcript.write(json.dumps(HISTORY[2]) + "\n")
    extract(settings)
    result = validate(settings, build_docs=False)
    assert result.database == settings.published_path.resolve()
    assert result.warnings == ["documents in Iceberg that are not loaded yet: 1"]


def test_validation_leaves_the_database_closed(build: Settings) -> None:
    validate(build, build_docs=False)
    with duckdb.connect(str(build.build_path)) as connection:  # fails while it is open read-only
        connection.execute("create table raw.after_validation (a integer)")
    assert not Path(f"{build.build_path}.wal").exists()


def test_a_result_that_was_half_written_stops_no_later_validation(build: Settings) -> None:
    validate(build)
    written = sorted((build.data_docs_dir / "results").rglob("*.json"))
    written[0].write_bytes(written[0].read_bytes()[:1000])
    assert validate(build).success


def test_data_docs_are_complete_without_the_network(build: Settings) -> None:
    change(build, "update marts.fct_tool_calls set duration_ms = -5 where tool_use_id = 't1'")
    result = validate(build, raise_on_failure=False)
    assert result.docs_path == build.data_docs_dir / "index.html"
    pages = list(build.data_docs_dir.rglob("*.html"))
    assert len(pages) > len(SUITES)
    for page in pages:
        loaded = re.findall(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)=["']?https?:[^>]*>""", page.read_text())
        assert loaded == [], page
    index = result.docs_path.read_text()
    assert "duration_ms = -5" in index
    assert "Counts, tokens, costs and durations are never negative" in index


def test_old_runs_leave_the_data_docs(build: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.quality.validate.KEEP_RUNS", 2)
    for _ in range(4):
        validate(build)
    runs = list((build.data_docs_dir / "validations" / "marts").iterdir())
    assert len(runs) == 2


def test_wrong_calls_end_in_one_clear_line(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    with pytest.raises(AnalyticsError, match=r"nothing to validate at .*: run `claude-analytics load` first"):
        validate(settings)
    with pytest.raises(ConfigError, match=r"--checkpoint 'nightly': .* there is analytics_checkpoint"):
        validate(settings, checkpoint="nightly")


def test_great_expectations_is_imported_only_when_it_runs() -> None:
    code = "import sys, analytics.quality.validate, analytics.cli.quality; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_suites_in_git_stay_as_they_are_when_a_run_ends(build: Settings) -> None:
    def content() -> dict[Path, bytes]:
        return {
            path: path.read_bytes() for path in GX_DIR.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        }

    before = content()
    validate(build)
    assert content() == before
