"""The marts that Spark builds are the marts that DuckDB builds; what a purge drops leaves no file behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from analytics.raw.extract import extract
from analytics.raw.maintenance import derived_tables, drop_derived
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.spark.build import build
from analytics.spark.compare import compare

PROJECTS = ("-home-dev-edge-cases", "-Users-alisha-Projects-agent-plugins", "-samples")


def test_marts_are_equal_and_leave_nothing_behind(settings: Settings, samples_dir: Path) -> None:
    target = settings.projects_dirs[0]
    for project in PROJECTS:
        shutil.copytree(samples_dir / "projects" / project, target / project)
    extract(settings)
    result = build(settings)
    assert result.full_refresh
    assert result.documents > 0

    comparison = compare(settings)
    assert comparison.differences == [], str(comparison)
    assert comparison.marts["fct_messages"] > 0

    store = RawStore(settings)
    assert drop_derived(store) > 40
    assert derived_tables(store) == []
    for namespace in ("staging", "intermediate", "marts"):
        assert not list((settings.warehouse_dir / namespace).rglob("*.parquet"))
