"""The marts that Spark builds are the marts that DuckDB builds; what is purged is in no table of Spark's."""

from __future__ import annotations

import shutil
from pathlib import Path

from analytics.operations.purge import purge
from analytics.raw.extract import extract
from analytics.raw.maintenance import derived_tables
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.spark.build import build
from analytics.spark.compare import compare


def test_marts_are_equal_also_when_documents_are_added_and_purged_ones_are_nowhere(
    settings: Settings, samples_dir: Path
) -> None:
    names = ("-home-dev-edge-cases", "-Users-alisha-Projects-agent-plugins", "-samples")
    projects = [samples_dir / "projects" / name for name in names]
    target = settings.projects_dirs[0]
    target.mkdir(parents=True)
    for project in projects[:-1]:
        shutil.copytree(project, target / project.name)
    extract(settings)
    first = build(settings)
    assert first.full_refresh
    assert first.documents > 0

    shutil.copytree(projects[-1], target / projects[-1].name)
    extract(settings)
    second = build(settings, test=True)
    assert not second.full_refresh
    assert 0 < second.documents < first.documents
    comparison = compare(settings)
    assert comparison.differences == [], str(comparison)
    assert comparison.marts["fct_messages"] > 0

    session = RawStore(settings).catalog.load_table(("marts", "fct_messages")).scan(limit=1).to_arrow()["session_id"][0]
    result = purge(settings, "session", session.as_py())
    assert result.left["tables that Spark built"] == 0
    assert derived_tables(RawStore(settings)) == []
    for namespace in ("staging", "intermediate", "marts"):
        assert not list((settings.warehouse_dir / namespace).rglob("*.parquet"))
