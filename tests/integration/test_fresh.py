"""`report --fresh`: what the next run would publish, for one reader, and nothing else changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from analytics.cli import cli
from analytics.errors import AnalyticsError
from analytics.raw.extract import extract
from analytics.runs.fresh import fresh
from analytics.settings import Settings, load_settings
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform
from analytics.warehouse.versions import current_version
from click.testing import CliRunner
from transcript_generator import generate

REPORTS = ("daily", "session", "tool", "waste", "model", "skill")


def run(settings: Settings) -> None:
    extract(settings)
    load(settings)
    transform(settings)
    publish(settings)


def write_something(settings: Settings, session: str) -> None:
    folder = Path(str(settings.claude_projects_dir)) / f"-{session}"
    folder.mkdir()
    entry = {"type": "user", "uuid": f"of-{session}", "sessionId": session, "timestamp": "2026-11-01T00:00:00Z"}
    (folder / f"{session}.jsonl").write_text(json.dumps(entry) + "\n")


def where(settings: Settings) -> dict[str, str]:
    return {
        "DATA_DIR": str(settings.data_dir),
        "CLAUDE_PROJECTS_DIR": str(settings.claude_projects_dir),
        "SOURCE": "jsonl",
    }


def printed(settings: Settings, *arguments: str) -> Any:
    done = CliRunner(env=where(settings)).invoke(cli, ["report", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["rows"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("fresh")
    generate(root / "projects", seed=3, entries=600, days=4, end=datetime.now(UTC))
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    run(settings)
    return settings


def test_with_nothing_new_what_is_published_is_fresh(settings: Settings) -> None:
    extract(settings)
    with fresh(settings) as numbers:
        assert numbers.published_path == settings.published_path
        assert not settings.build_path.exists()


def test_a_report_that_fails_leaves_no_working_copy(settings: Settings) -> None:
    write_something(settings, "s")

    def read(numbers: Settings) -> None:
        assert numbers.published_path == settings.build_path
        raise AnalyticsError("of no use")

    with pytest.raises(AnalyticsError, match="of no use"), fresh(settings) as numbers:
        read(numbers)
    assert not settings.build_path.exists()


def test_the_engine_that_is_chosen_builds_what_is_fresh(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine goes on where the other stopped: its hashes are its own."""

    def asked(*_: object, **__: object) -> None:
        raise AnalyticsError("Spark was asked")

    monkeypatch.setattr("analytics.spark.build.build", asked)
    on_spark = settings.model_copy(update={"transform_engine": "spark"})
    with pytest.raises(AnalyticsError, match="Spark was asked"), fresh(on_spark):
        pass
    assert not settings.build_path.exists()


def test_what_the_plan_cannot_build_transform_does(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the plan leaves nothing behind."""
    write_something(settings, "plan")
    from analytics.warehouse.plan import run_plan

    fails = [True, False]

    def one_fails(plan: Any, connection: Any, as_of: str, **options: Any) -> Any:
        done = run_plan(plan, connection, as_of, **options)
        if fails.pop(0):
            connection.execute("rollback")
            raise duckdb.Error("no more")
        return done

    expected = printed(settings, "daily", "--fresh")
    monkeypatch.setattr("analytics.warehouse.transform.run_plan", one_fails)
    assert printed(settings, "daily", "--fresh") == expected
    assert not fails
    assert not settings.build_path.exists()


def test_a_fresh_report_imports_no_library_that_it_can_do_without(settings: Settings) -> None:
    write_something(settings, "imports")
    look = "import sys; from analytics.cli import cli; cli(sys.argv[1:], standalone_mode=False)"
    said = "; print({'pandas', 'tornado'} & set(sys.modules))"
    command = [sys.executable, "-c", look + said, "report", "daily", "--fresh", "--csv"]
    done = subprocess.run(command, env={**os.environ, **where(settings)}, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nset()\n")


def test_a_fresh_report_says_what_the_next_run_publishes(settings: Settings, tmp_path: Path) -> None:
    before = {name: printed(settings, name) for name in REPORTS}
    generate(tmp_path / "later", seed=4, entries=300, days=2, end=datetime.now(UTC))
    for path in (tmp_path / "later").rglob("*.jsonl"):
        folder = Path(settings.claude_projects_dir) / f"-later{path.parent.name}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    version = current_version(settings)

    said = {name: printed(settings, name, "--fresh") for name in REPORTS}

    assert current_version(settings) == version
    assert not settings.build_path.exists()
    assert {name: printed(settings, name) for name in REPORTS} == before
    run(settings)
    assert current_version(settings) != version
    assert said == {name: printed(settings, name) for name in REPORTS}
    assert {name for name in REPORTS if said[name] != before[name]} >= {"daily", "session", "tool", "model"}
