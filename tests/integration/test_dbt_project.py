"""The dbt project as a whole. Without these, a mart could quietly read around a layer, a column could appear
that nobody described, or a table without a key could multiply rows in a join.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from analytics.settings import load_settings
from analytics.warehouse import built_with
from analytics.warehouse.built_with import DBT_DIR, Stale
from analytics.warehouse.dbt_project import _parse_error, dbt_session


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"))
    with dbt_session(settings) as (parsed, _):
        return parsed


def models(manifest: Any, *layers: str) -> list[Any]:
    found = [node for node in manifest.nodes.values() if node.resource_type == "model"]
    return [node for node in found if not layers or node.fqn[1] in layers]


def data_tests(manifest: Any, node: Any, kind: str) -> list[Any]:
    nodes = [test for test in manifest.nodes.values() if getattr(test, "attached_node", None) == node.unique_id]
    return [test for test in nodes if test.test_metadata.name == kind]


ALLOWED = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "seed"},
    "marts": {"intermediate", "marts", "seed"},
}


def test_models_read_the_layer_below_only(manifest: Any) -> None:
    wrong = []
    for node in models(manifest):
        for parent in node.depends_on.nodes:
            kind = parent.split(".")[0]
            layer = manifest.nodes[parent].fqn[1] if kind == "model" else kind
            if layer not in ALLOWED[node.fqn[1]]:
                wrong.append(f"{node.name} reads {parent}")
    assert wrong == []


def test_names_say_the_layer(manifest: Any) -> None:
    prefixes = {"staging": ("stg_",), "intermediate": ("int_",), "marts": ("dim_", "fct_", "agg_")}
    assert [node.name for node in models(manifest) if not node.name.startswith(prefixes[node.fqn[1]])] == []


def test_every_model_is_described_and_says_its_grain(manifest: Any) -> None:
    assert [node.name for node in models(manifest) if "One row" not in node.description] == []


def test_every_column_of_a_mart_is_described_typed_and_enforced(manifest: Any) -> None:
    wrong = [node.name for node in models(manifest, "marts") if not node.config.contract.enforced]
    for node in models(manifest, "marts"):
        wrong += [f"{node.name}.{c.name}" for c in node.columns.values() if not (c.description and c.data_type)]
    assert wrong == []


def test_every_mart_has_a_unique_and_not_null_key(manifest: Any) -> None:
    for node in models(manifest, "marts"):
        unique = {test.column_name for test in data_tests(manifest, node, "unique")}
        not_null = {test.column_name for test in data_tests(manifest, node, "not_null")}
        assert unique & not_null, f"{node.name} has no key"


def test_every_foreign_key_is_tested(manifest: Any) -> None:
    keys = {
        "session_id": "dim_sessions",
        "project_id": "dim_projects",
        "date_key": "dim_date",
        "created_date_key": "dim_date",
        "called_date_key": "dim_date",
        "operated_date_key": "dim_date",
        "started_date_key": "dim_date",
        "tool_name": "dim_tools",
        "tool_call_key": "fct_tool_calls",
        "message_key": "fct_messages",
        "model": "dim_models",
    }
    missing = []
    for node in models(manifest, "marts"):
        related = {test.column_name for test in data_tests(manifest, node, "relationships")}
        if node.name == "agg_billing_blocks":
            related.add("started_date_key")  # an hour in UTC may begin on the local day before the first one
        missing += [
            f"{node.name}.{name}"
            for name, target in keys.items()
            if name in node.columns and name not in related and node.name != target
        ]
    assert missing == []


def test_every_mart_feeds_an_exposure(manifest: Any) -> None:
    used = {parent for exposure in manifest.exposures.values() for parent in exposure.depends_on.nodes}
    assert [node.name for node in models(manifest, "marts") if node.unique_id not in used] == []


def test_no_model_asks_for_the_time(manifest: Any) -> None:
    words = ("now()", "current_timestamp", "current_date", "today()", "get_current_timestamp")
    own = [macro for macro in manifest.macros.values() if macro.package_name == "claude_code_analytics"]
    texts = {node.name: node.raw_code for node in models(manifest)}
    texts |= {macro.name: macro.macro_sql for macro in own}
    assert [name for name, text in texts.items() if any(word in _without_comments(text) for word in words)] == []


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ("models/staging/stg_entries.sql", Stale.DOCUMENTS),
        ("macros/text_rules.sql", Stale.DOCUMENTS),
        # a view and a table: what they say is kept in the rows of fct_messages
        ("models/intermediate/int_messages.sql", Stale.SESSIONS),
        ("models/intermediate/int_model_prices.sql", Stale.SESSIONS),
        ("models/marts/fct_messages.sql", Stale.SESSIONS),
        ("seeds/tool_catalogue.csv", Stale.SESSIONS),
        ("dbt_project.yml", Stale.SESSIONS),
        ("models/marts/fct_messages.yml", Stale.PLAN),
    ],
)
def test_a_changed_file_says_what_is_built_again(
    changed: str, stale: Stale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_with, "DBT_DIR", Path(shutil.copytree(DBT_DIR, tmp_path / "dbt")))
    settings = load_settings(data_dir=tmp_path / "data")
    before = built_with.current(settings)
    assert before.stale(built_with.current(settings)) == Stale.NOTHING
    with (tmp_path / "dbt" / changed).open("a") as file:
        file.write("\n")
    assert before.stale(built_with.current(settings)) == stale


@pytest.mark.parametrize("setting", ["analytics_tz", "dbt_target", "pricing_overrides"])
def test_a_changed_setting_builds_sessions_again(setting: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("model,input,output,cache_write_5m,cache_write_1h,cache_read\nhouse-model,1,2,1,1,1\n")
    value = {"analytics_tz": "Asia/Tokyo", "dbt_target": "prod", "pricing_overrides": prices}[setting]
    before = built_with.current(load_settings(data_dir=tmp_path))
    now = built_with.current(load_settings(data_dir=tmp_path, **{setting: value}))
    assert before.stale(now) == Stale.SESSIONS


def test_dbt_writes_nothing_into_the_checkout(manifest: Any) -> None:
    assert not (DBT_DIR / "target").exists()
    assert not (DBT_DIR / "logs").exists()


def _without_comments(text: str) -> str:
    return re.sub(r"\{#.*?#\}|--[^\n]*", "", text, flags=re.DOTALL).lower()


def test_ctrl_c_while_dbt_reads_the_project_is_no_error_of_the_project(
    manifest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBT_PARTIAL_PARSE_FILE_PATH")  # it would be read in no time

    def ends_as_interrupted(data_dir: Path) -> bool:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))  # reading takes seconds
        timer.start()
        try:
            with dbt_session(load_settings(data_dir=data_dir)):
                return False
        except KeyboardInterrupt:
            return True

    # Python drops the exception of a signal that comes while a finalizer runs: a person presses the keys again
    assert any(ends_as_interrupted(tmp_path / str(number)) for number in range(3))


@pytest.mark.parametrize(("exception", "said"), [(EOFError(), "EOFError; log: "), (None, "no reason given; log: ")])
def test_an_exception_without_a_text_is_named(exception: Exception | None, said: str, tmp_path: Path) -> None:
    error = _parse_error(load_settings(data_dir=tmp_path), exception)
    assert str(error).startswith(f"dbt cannot read the project: {said}{tmp_path}")
