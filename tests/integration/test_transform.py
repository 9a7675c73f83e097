"""dbt on a working copy. Without these, an aggregate could drift from its facts, a price or time-zone change
could leave old sessions as they were, and a failed build could leave the database open or its reason in a
stack trace.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import raw_tables
from analytics.errors import AnalyticsError, ConfigError
from analytics.settings import Settings, load_settings
from analytics.warehouse import built_with
from analytics.warehouse.dbt_docs import write_docs
from analytics.warehouse.dbt_project import dbt_session
from analytics.warehouse.plan import NotPlainError, full_statement, plan_of, read_plan, statements
from analytics.warehouse.prepared_plan import prepare
from analytics.warehouse.transform import transform
from analytics.warehouse.working_copy import connect

pytestmark = pytest.mark.usefixtures("no_prepared_plan")

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)


def user(uuid: str, at: str, text: str, **more: Any) -> dict[str, Any]:
    entry = {"type": "user", "uuid": uuid, "sessionId": "s1", "timestamp": at, "cwd": "/w/app"}
    return {**entry, "message": {"role": "user", "content": text}, **more}


def answer(uuid: str, at: str, model: str, tokens: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {
        "id": f"msg_{uuid}",
        "role": "assistant",
        "model": model,
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "ok"}],
        "usage": tokens,
    }
    entry = {"type": "assistant", "uuid": uuid, "sessionId": "s1", "timestamp": at, "cwd": "/w/app"}
    return {**entry, "message": message, **more}


MILLION = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
HISTORY = [
    user("u1", "2026-03-01T22:50:00.000Z", "fix the bug"),
    answer("a1", "2026-03-01T22:50:10.000Z", "claude-opus-4-8", MILLION),
    user("u2", "2026-03-01T23:30:00.000Z", "and now?"),
    answer("a2", "2026-03-01T23:30:30.000Z", "house-model", MILLION),
]


@pytest.fixture(scope="module")
def parse_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One DATA_DIR/dbt for the whole module: parsing the project takes longer than building it."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture
def settings(tmp_path: Path, parse_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("PRICING_OVERRIDES", "ANALYTICS_TZ", "DBT_TARGET", "DUCKDB_PATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dbt").symlink_to(parse_cache)
    return load_settings(data_dir=tmp_path / "data")


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.build_path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_transform_says_load_first_when_there_is_no_working_copy(settings: Settings) -> None:
    with pytest.raises(AnalyticsError, match="run `claude-analytics load` first"):
        transform(settings)


def test_transform_builds_every_mart_when_history_is_empty(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents([]))
    result = transform(settings, as_of=AS_OF, test=True)
    assert {run.status for run in result.models} <= {"success", "pass"}
    assert rows(settings, "select count(*), sum(total_activity) from marts.agg_hourly_activity") == [(168, 0)]
    assert rows(settings, "select count(*) from marts.agg_daily_summary") == [(0,)]


def test_only_a_whole_build_may_be_published(settings: Settings) -> None:
    is_built = "select is_built from raw.load_state"
    for by_plan in (False, True):
        raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
        assert rows(settings, is_built) == [(False,)]
        if by_plan:  # models after staging, without the documents that have just come
            transform(settings, models="dim_date", as_of=AS_OF)
            assert rows(settings, is_built) == [(False,)]
        assert transform(settings, as_of=AS_OF).by_plan is by_plan
        assert rows(settings, is_built) == [(True,)]


def test_what_sessions_share_is_kept_once_however_often_it_comes(settings: Settings) -> None:
    for number, session in enumerate(["s1", "s2", "s3", "s2", "s1"]):
        shared = user("u1", f"2026-03-01T22:5{number}:00.000Z", "again", sessionId=session)
        raw_tables.load(settings.build_path, raw_tables.documents([shared]))
        transform(settings, as_of=AS_OF)
    links = "select count(*), count(distinct (session_id, link)), count(distinct session_id) from {}"
    (kept, different, sessions), *_ = rows(settings, links.format("intermediate.int_shared_links"))
    assert kept == different
    assert sessions == 3


def test_facts_lie_in_the_order_of_their_days(settings: Settings) -> None:
    history = [
        answer(f"a{day}", f"2026-03-{day:02d}T12:00:00.000Z", "claude-opus-4-8", MILLION) for day in (9, 2, 30, 17, 4)
    ]
    raw_tables.load(settings.build_path, raw_tables.documents(history))
    transform(settings, as_of=AS_OF)
    for table in ("marts.fct_messages", "intermediate.int_response_usage"):
        days = [row[0].day for row in rows(settings, f"select created_date_key from {table} order by rowid")]
        assert days == [2, 4, 9, 17, 30]


def test_transform_warns_and_leaves_cost_null_when_a_model_has_no_price(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    result = transform(settings, as_of=AS_OF)
    assert result.warnings == ["no price for model house-model: 1 responses have no cost; add it to PRICING_OVERRIDES"]
    assert rows(settings, "select cost_usd, unpriced_response_count from marts.dim_sessions") == [(30, 1)]
    quality = "select check_value, check_text, status from marts.agg_data_quality where check_name = 'unpriced_models'"
    assert rows(settings, quality) == [(1.0, "house-model: 1", "warn")]


def test_transform_reprices_old_sessions_when_overrides_change(settings: Settings, tmp_path: Path) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    transform(settings, as_of=AS_OF)
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "model_prefix,input,output,cache_write_5m,cache_write_1h,cache_read\nhouse-model,0.6,2.2,0,0,0\nclaude-opus-4,1,2,0,0,0\n"
    )
    priced = load_settings(data_dir=settings.data_dir, pricing_overrides=prices)
    result = transform(priced, as_of=AS_OF)
    assert result.full_refresh
    assert result.warnings == []
    # the longer published prefix claude-opus-4-8 still wins over the user's claude-opus-4
    assert rows(
        settings,
        "select model, cost_usd::double from marts.fct_messages where cost_usd is not null order by 1",
    ) == [
        ("claude-opus-4-8", 30.0),
        ("house-model", 2.8),
    ]
    assert not transform(priced, as_of=AS_OF).full_refresh


def test_transform_redates_everything_when_the_time_zone_changes(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    transform(settings, as_of=AS_OF)
    days = "select date_key::varchar, response_count from marts.agg_daily_summary order by 1"
    assert rows(settings, days) == [("2026-03-01", 2)]
    berlin = load_settings(data_dir=settings.data_dir, analytics_tz="Europe/Berlin")
    transform(berlin, as_of=AS_OF)
    assert rows(settings, days) == [("2026-03-01", 1), ("2026-03-02", 1)]
    hours = "select hour_of_day, day_name from marts.agg_hourly_activity where response_count > 0 order by 1"
    assert rows(settings, hours) == [(0, "Monday"), (23, "Sunday")]


def test_transform_changes_nothing_when_repeated(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    transform(settings, as_of=AS_OF)
    before = _marts(settings)
    assert not transform(settings, as_of=AS_OF).full_refresh
    assert _marts(settings) == before


def test_transform_keeps_old_documents_when_rebuilding_after_an_increment(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY[:2]))
    transform(settings, as_of=AS_OF)
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY[2:], file="later.jsonl"))
    assert transform(settings, as_of=AS_OF, full_refresh=True).full_refresh
    assert rows(settings, "select count(*) from marts.fct_messages") == [(4,)]
    assert rows(settings, "select response_count from marts.dim_sessions") == [(2,)]


def test_an_increment_runs_what_dbt_compiled_and_gives_what_dbt_gives(settings: Settings, tmp_path: Path) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY[:2]), full_refresh=True)
    _plan(settings).unlink(missing_ok=True)
    assert not transform(settings, as_of=AS_OF).by_plan
    _add(settings, HISTORY[2:])
    later = AS_OF + timedelta(days=40)
    copy = tmp_path / "copy.db"
    shutil.copy(settings.build_path, copy)
    quick = transform(settings, as_of=later)
    marts = _marts(settings)
    _plan(settings).unlink()
    shutil.copy(copy, settings.build_path)
    thorough = transform(settings, as_of=later)
    assert (quick.by_plan, thorough.by_plan) == (True, False)
    assert _marts(settings) == marts
    assert rows(settings, "select count(*) from marts.fct_messages") == [(4,)]
    ran = {run.name: run.rows for run in quick.models}
    assert {run.name for run in thorough.models} - ran.keys() == {"tool_catalogue"}
    assert ran["fct_messages"] == 4
    assert quick.warnings == thorough.warnings


def test_dbt_and_the_plan_run_the_same_sql_to_the_letter(settings: Settings) -> None:
    """Two engines of one plan must not come to differ: neither in a model's SQL nor in which rows give way."""
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY[:2]), full_refresh=True)
    _plan(settings).unlink(missing_ok=True)  # of another instant
    transform(settings, as_of=AS_OF)
    plan = read_plan(_plan(settings), built_with.current(settings).project)
    assert plan
    models, built = plan.models, _of_words(settings, "run")
    for model in models:
        select = f"select {', '.join(model.columns)} from (" if model.columns else ""
        for ran_in_full in (built[model.name], _words(full_statement(model))):
            assert _words(model.full_sql) in ran_in_full
            assert select in ran_in_full
    _plan(settings).unlink()
    _add(settings, HISTORY[2:])
    assert not transform(settings, as_of=AS_OF).by_plan
    compiled, ran = _of_words(settings, "compiled"), _of_words(settings, "run")
    assert len(models) > 35
    for model in models:
        assert _words(model.sql) == compiled[model.name]
        if model.materialized == "incremental":
            *deletions, insertion = statements(plan, model)
            assert len(deletions) == (0 if model.strategy == "append" else 1 + bool(model.day_column))
            assert insertion.startswith(f"insert into {model.relation} by name (")
            for deletion in deletions:
                assert _words(deletion) in ran[model.name]
        else:
            [statement] = statements(plan, model)
            assert _words(model.sql) in _words(statement)
            assert _words(model.sql) in ran[model.name]
            # a contract's columns in its order
            select = f"select {', '.join(model.columns)} from ("
            assert not model.columns or (select in _words(statement) and select in ran[model.name])


def test_a_history_from_its_beginning_is_built_by_a_plan_as_by_dbt(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that the installation left, made of no documents and at another time."""
    prepared = tmp_path / "prepared.json"
    monkeypatch.setattr("analytics.warehouse.prepared_plan.prepared_path", lambda: prepared)
    prepare(settings)
    _plan(settings).unlink(missing_ok=True)

    def build() -> tuple[bool, list[Any], dict[str, list[tuple[Any, ...]]]]:
        settings.build_path.unlink(missing_ok=True)
        raw_tables.load(settings.build_path, raw_tables.documents(HISTORY), full_refresh=True)
        result = transform(settings, as_of=AS_OF)
        assert result.full_refresh
        columns = "select table_schema, table_name, column_name, data_type from information_schema.columns order by all"
        kept = "select * from raw.built_with, raw.load_state"
        made = [*rows(settings, columns), *rows(settings, kept), *rows(settings, "from seeds.tool_catalogue")]
        ran = sorted((run.schema, run.name, run.kind, run.rows) for run in result.models)
        return result.by_plan, [made, ran, result.warnings], _marts(settings)

    by_dbt, *made_by_dbt = build()
    monkeypatch.setattr("analytics.warehouse.transform.prepared_path", lambda: prepared)
    _plan(settings).unlink()
    by_plan, *made_by_plan = build()
    assert (by_dbt, by_plan) == (False, True)
    assert made_by_plan == made_by_dbt
    _assert_closed(settings)
    # and so are the documents after it
    _add(settings, [user("u3", "2026-03-02T10:00:00.000Z", "thanks")])
    assert transform(settings, as_of=AS_OF).by_plan
    assert rows(settings, "select count(*) from marts.fct_messages") == [(5,)]
    broken = json.loads(prepared.read_text())
    broken["models"][-1]["full_sql"] = "select error('late')"
    prepared.write_text(json.dumps(broken))
    by_plan, *made_again = build()
    assert not by_plan
    assert made_again == made_by_dbt


def test_dbt_builds_when_its_plan_cannot_be_used_or_fails(settings: Settings, tmp_path: Path) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY[:2]), full_refresh=True)
    transform(settings, as_of=AS_OF)
    built = shutil.copy(settings.build_path, tmp_path / "built.db")
    failing = json.loads(_plan(settings).read_text())
    failing["models"][-1]["sql"] = "select error('late')"
    for plan in ("", "{}", "[1]", '{"fingerprint": "another", "as_of": "", "models": []}', json.dumps(failing)):
        shutil.copy(built, settings.build_path)
        _add(settings, HISTORY[2:])
        _plan(settings).write_text(plan)
        assert not transform(settings, as_of=AS_OF).by_plan, plan
        assert rows(settings, "select count(*) from marts.fct_messages") == [(4,)]
        assert '"fct_messages"' in _plan(settings).read_text()


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ("post_hook", ["select 1"]),
        ("unique_key", "session_id"),
        ("grants", {"select": ["me"]}),
        ("persist_docs", {"relation": True}),
        ("materialized", "external"),
        ("incremental_strategy", "merge"),
        ("indexes", [{"columns": ["session_id"]}]),
    ],
)
def test_what_a_plan_does_not_do_makes_no_plan(settings: Settings, config: str, value: Any) -> None:
    """A setting of dbt works as dbt says, also for an hour's documents: then dbt builds them."""
    with dbt_session(settings) as (manifest, _):
        nodes = {key: node for key, node in manifest.nodes.items() if node.resource_type == "model"}
    sql = dict.fromkeys(nodes, "select 1")
    assert len(plan_of("", "", nodes.values(), sql, sql).models) == len(nodes)
    [node] = [node for node in nodes.values() if node.name == "dim_sessions"]
    node.config[config] = value
    with pytest.raises(NotPlainError, match=f"dim_sessions: .*{config}"):
        plan_of("", "", nodes.values(), sql, sql)


def test_dbt_builds_when_prices_have_changed_since_its_plan(settings: Settings, tmp_path: Path) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY[:2]), full_refresh=True)
    transform(settings, as_of=AS_OF)
    _add(settings, HISTORY[2:])
    prices = tmp_path / "prices.csv"
    prices.write_text("model_prefix,input,output,cache_write_5m,cache_write_1h,cache_read\nhouse-model,1,2,0,0,0\n")
    result = transform(load_settings(data_dir=settings.data_dir, pricing_overrides=prices), as_of=AS_OF)
    assert (result.by_plan, result.full_refresh) == (False, True)
    assert rows(settings, "select cost_usd::double from marts.fct_messages where model = 'house-model'") == [(3.0,)]


def test_selector_is_no_way_to_options_of_dbt(tmp_path: Path) -> None:
    for models in ("dim_date --log-path /tmp/elsewhere", "--full-refresh", "-x"):
        with pytest.raises(ConfigError, match="no options"):
            transform(load_settings(data_dir=tmp_path), models=models)


def test_transform_builds_only_what_is_selected_when_models_are_given(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    result = transform(settings, models="+fct_messages", as_of=AS_OF)
    names = {run.name for run in result.models}
    assert "fct_messages" in names
    assert "dim_sessions" not in names
    with pytest.raises(ConfigError, match="selects nothing"):
        transform(settings, models="fct_massages")


def test_transform_fails_in_one_line_and_closes_the_database_when_a_model_fails(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute("drop table raw.new_documents")
    with pytest.raises(AnalyticsError) as error:
        transform(settings)
    message = str(error.value)
    assert message.startswith("dbt model stg_entries failed: Catalog Error: Table with name new_documents")
    assert "\n" not in message
    _assert_closed(settings)


def test_transform_closes_the_database_when_done(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    transform(settings)
    _assert_closed(settings)


def test_transform_names_the_target_when_it_is_unknown(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    with pytest.raises(ConfigError, match="DBT_TARGET='prod'"):
        transform(load_settings(data_dir=settings.data_dir, dbt_target="prod"))


def test_a_build_that_needs_more_memory_gets_it_unless_the_user_set_a_limit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # one entry of 16 MB beside others: what parses JSON holds it several times
    large = user("u0", "2026-03-01T22:40:00.000Z", "x" * 16_000_000)
    raw_tables.load(settings.build_path, raw_tables.documents([large, *HISTORY]), full_refresh=True)
    monkeypatch.setenv("ANALYTICS_MEMORY_LIMIT", "30MB")
    with pytest.raises(
        AnalyticsError, match=r"dbt model \w+ failed: .*ANALYTICS_MEMORY_LIMIT allows; raise it"
    ) as error:
        transform(settings, as_of=AS_OF)
    assert "\n" not in str(error.value)
    monkeypatch.delenv("ANALYTICS_MEMORY_LIMIT")
    for by_plan, module in ((False, "dbt_project"), (True, "working_copy")):
        if not by_plan:
            _plan(settings).unlink(missing_ok=True)
        caplog.clear()
        monkeypatch.setattr(f"analytics.warehouse.{module}.MEMORY_LIMIT", "30MB")
        assert transform(settings, as_of=AS_OF).by_plan is by_plan
        assert "trying again with 4GB" in caplog.text
        assert rows(settings, "select count(*) from marts.fct_messages") == [(5,)]


def test_the_responses_of_a_long_history_are_found_within_little_memory(settings: Settings, tmp_path: Path) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    with dbt_session(settings) as (_, invoke):
        arguments = ["compile", "--full-refresh", "--no-write-json", "--select", "int_response_usage"]
        [sql] = [r.node.compiled_code for r in invoke(arguments).results if r.node.name == "int_response_usage"]
    with connect(tmp_path / "analytics.db", memory_limit="150MB") as connection:
        # 300,000 responses of two lines: an aggregate that keeps their texts needs several times as much
        connection.execute(
            """
            create schema intermediate;
            create table intermediate.int_entries as
            select
                md5(cast(number // 2 as varchar)) as response_key,
                md5(cast(number // 500 as varchar)) as session_id,
                md5(cast(number as varchar)) as uuid,
                md5(cast(number as varchar)) as document_id,
                '-project/' || md5(cast(number // 500 as varchar)) as source_file,
                'msg_' || md5(cast(number // 2 as varchar)) as message_id,
                'req_' || md5(cast(number // 2 as varchar)) as request_id,
                'claude-opus-4-6' as model,
                cast(null as varchar) as agent_id,
                case when number % 2 = 1 then 'end_turn' end as stop_reason,
                to_timestamp(1770000000 + number) as occurred_at,
                'assistant' as entry_type,
                true as has_message,
                true as is_standing,
                false as is_sidechain,
                false as is_fast,
                false as has_code_block,
                false as is_question,
                cast(10 as bigint) as text_length,
                cast(number % 2 + 1 as bigint) as input_tokens,
                cast(number % 2 + 1 as bigint) as output_tokens,
                cast(0 as bigint) as cache_write_5m_tokens,
                cast(0 as bigint) as cache_write_1h_tokens,
                cast(0 as bigint) as cache_read_tokens,
                cast([] as struct(block_type varchar, tool_use_id varchar)[]) as tool_blocks,
                false as has_shared_message_id,
                false as is_api_error_message,
                cast(null as varchar) as service_tier,
                cast(null as varchar) as inference_geo,
                0 as web_search_requests,
                cast(null as bigint) as thinking_tokens,
                cast([] as struct(
                    model varchar, input_tokens bigint, output_tokens bigint, cache_write_5m_tokens bigint,
                    cache_write_1h_tokens bigint, cache_read_tokens bigint
                )[]) as advisor_iterations,
                cast(null as varchar) as effort,
                cast(null as varchar) as attribution_skill,
                cast(null as varchar) as attribution_plugin,
                cast(null as varchar) as attribution_mcp_server,
                cast(null as varchar) as error_status,
                cast(null as varchar) as error_name
            from range(600000) as numbers (number)
            """
        )
        connection.execute(f"create table usage as {sql}")
        sums = connection.execute(
            "select count(*), sum(output_tokens), sum(content_length), count(distinct entry_uuid) from usage"
        ).fetchone()
    assert sums == (300_000, 600_000, 6_000_000, 300_000)


def test_every_data_test_passes_on_real_transcripts(settings: Settings, samples_dir: Path) -> None:
    raw_tables.load(settings.build_path, raw_tables.transcripts(samples_dir / "projects"))
    result = transform(settings, as_of=AS_OF, test=True)
    assert sum(run.kind == "test" for run in result.models) > 100
    assert {run.status for run in result.models} <= {"success", "pass"}
    expected = json.loads((samples_dir / "expected.json").read_text())
    totals = rows(
        settings,
        "select round(sum(cost_usd), 6)::double, sum(prompt_count), sum(response_count), sum(output_tokens),"
        " sum(tool_call_count) from marts.agg_daily_summary",
    )
    assert totals == [
        (
            expected["cost_usd"],
            expected["prompts"],
            expected["responses"],
            expected["tokens"]["output"],
            expected["tool_calls"],
        )
    ]


def test_every_column_of_every_table_is_described(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    transform(settings, as_of=AS_OF)
    with dbt_session(settings) as (manifest, _):
        described = {
            (node.schema, node.name, column.name)
            for node in manifest.nodes.values()
            for column in getattr(node, "columns", {}).values()
            if column.description
        }
    query = "select table_schema, table_name, column_name from information_schema.columns where table_schema <> 'raw'"
    assert sorted(set(rows(settings, query)) ^ described) == []


def test_every_dbt_unit_test_passes(settings: Settings) -> None:
    raw_tables.load(settings.build_path, raw_tables.documents(HISTORY))
    transform(settings, as_of=AS_OF)  # dbt asks the database for the types of a unit test's inputs
    variables = json.dumps({"as_of": AS_OF.isoformat()})
    with dbt_session(settings) as (_, invoke):
        outcome = invoke(["test", "--select", "test_type:unit", "--vars", variables])
    assert len(outcome.results) > 40


def test_docs_are_one_page_with_lineage_from_source_to_exposure(settings: Settings) -> None:
    page = write_docs(settings)
    text = page.read_text()
    assert "source.claude_code_analytics.raw.new_documents" in text
    assert "exposure.claude_code_analytics." in text
    assert '"send_anonymous_usage_stats": false' in text
    assert "Content-Security-Policy" in text.partition("<script")[0]


def _plan(settings: Settings) -> Path:
    return settings.data_dir / "dbt" / "plan.json"


def _of_words(settings: Settings, kind: str) -> dict[str, str]:
    """What dbt wrote of each model in target/compiled or target/run."""
    folder = settings.data_dir / "dbt" / "target" / kind / "claude_code_analytics" / "models"
    return {path.stem: _words(path.read_text()) for path in folder.rglob("*.sql")}


def _words(sql: str) -> str:
    return " ".join(sql.split())


def _add(settings: Settings, entries: list[dict[str, Any]]) -> None:
    """A load of these entries onto what a publish leaves of the working copy."""
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute(
            "drop view intermediate.int_messages; drop view intermediate.int_entries;"
            "drop view intermediate.int_related_entries"
        )
    raw_tables.load(settings.build_path, raw_tables.documents(entries, file="later.jsonl"))


def _marts(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    tables = rows(settings, "select table_name from duckdb_tables() where schema_name = 'marts'")
    return {name: rows(settings, f"select * from marts.{name} order by all") for (name,) in tables}


def _assert_closed(settings: Settings) -> None:
    """Another process can write: nothing in this one holds the file, and no log is left beside it."""
    script = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table raw.mine (x int)')"
    subprocess.run([sys.executable, "-c", script, str(settings.build_path)], check=True, timeout=60)
    assert not settings.build_path.with_name(settings.build_path.name + ".wal").exists()
