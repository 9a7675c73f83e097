"""`report --fresh`: what the next run would publish, for one reader, and nothing else changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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

REPORTS = ("daily", "session")


def run(settings: Settings) -> None:
    extract(settings)
    load(settings)
    transform(settings)
    publish(settings)


def printed(settings: Settings, *arguments: str) -> Any:
    where = {
        "DATA_DIR": str(settings.data_dir),
        "CLAUDE_PROJECTS_DIR": str(settings.claude_projects_dir),
        "SOURCE": "jsonl",
    }
    done = CliRunner(env=where).invoke(cli, ["report", *arguments, "--json"])
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
    folder = Path(settings.claude_projects_dir) / "-new"
    folder.mkdir()
    (folder / "s.jsonl").write_text(
        json.dumps({"type": "user", "uuid": "u1", "sessionId": "s", "timestamp": "2026-11-01T00:00:00Z"}) + "\n"
    )

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
    assert all(said[name] != before[name] for name in REPORTS)
