"""A DATA_DIR that was moved. What would silently go wrong: documents read twice, or a watermark lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from analytics.errors import AnalyticsError
from analytics.raw.extract import extract
from analytics.raw.glance import glance
from analytics.raw.maintenance import info
from analytics.raw.repair import moved_tables, repair
from analytics.raw.store import RawStore
from analytics.settings import Settings, load_settings


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """A few lines, one of them broken."""
    folder = tmp_path / "projects" / "-home-me-x"
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"type": "user", "uuid": f"u{n}", "sessionId": "s", "timestamp": f"2026-01-0{n}T10:00:00Z"})
        for n in range(1, 6)
    ]
    (folder / "s.jsonl").write_text("\n".join([*lines, "{broken", ""]))
    return folder.parent


def settings_at(data_dir: Path, projects: Path) -> Settings:
    return load_settings(data_dir=data_dir, claude_projects_dir=projects, source="jsonl")


def test_repaired_tables_hold_and_remember_the_same(tmp_path: Path, projects: Path) -> None:
    settings = settings_at(tmp_path / "old", projects)
    extract(settings, progress=False)
    before = [(table.rows, table.files, table.properties) for table in info(RawStore(settings))]
    assert repair(settings).moved_from is None
    (tmp_path / "old").rename(tmp_path / "new 'place' %41 & ü")
    settings = settings_at(tmp_path / "new 'place' %41 & ü", projects)
    assert set(moved_tables(settings)) == {"conversations", "dead_letters"}
    result = repair(settings)
    assert result.moved_from == str(tmp_path / "old" / "iceberg")
    assert [(table.rows, table.files, table.properties) for table in info(RawStore(settings))] == before
    assert not moved_tables(settings)
    assert not extract(settings, progress=False).is_new
    assert not extract(settings, full_backfill=True, progress=False).is_new
    store = RawStore(settings)
    assert store.conversations.scan().to_arrow().num_rows == 5
    assert store.files_added_since(1).full


def test_a_copy_leaves_the_tables_it_was_copied_from_alone(tmp_path: Path, projects: Path) -> None:
    """Whoever tries something on a copy of DATA_DIR would write into the original's tables, and expire its files."""
    original, copy = settings_at(tmp_path / "old", projects), settings_at(tmp_path / "new", projects)
    extract(original, progress=False)
    shutil.copytree(original.data_dir, copy.data_dir)
    files = sorted(original.warehouse_dir.rglob("*"))
    (projects / "-home-me-x" / "t.jsonl").write_text(json.dumps({"type": "user", "uuid": "t", "sessionId": "t"}) + "\n")
    assert glance(copy) is None
    with pytest.raises(AnalyticsError, match=f"is not in {copy.warehouse_dir}.*doctor --repair"):
        extract(copy, progress=False)
    assert repair(copy).rows == 6
    assert extract(copy, progress=False).is_new
    assert sorted(original.warehouse_dir.rglob("*")) == files
    # another name for the same place is no other place
    (tmp_path / "link").symlink_to(original.data_dir)
    assert extract(settings_at(tmp_path / "link", projects), progress=False).is_new


def test_half_copied_data_dir_is_left_as_it_is(tmp_path: Path, projects: Path) -> None:
    settings = settings_at(tmp_path / "old", projects)
    extract(settings, progress=False)
    (tmp_path / "old").rename(tmp_path / "new")
    settings = settings_at(tmp_path / "new", projects)
    next((tmp_path / "new" / "iceberg" / "raw" / "conversations").rglob("*.parquet")).unlink()
    catalog = (settings.warehouse_dir / "catalog.db").read_bytes()
    with pytest.raises(AnalyticsError, match="files are missing"):
        repair(settings)
    assert (settings.warehouse_dir / "catalog.db").read_bytes() == catalog
