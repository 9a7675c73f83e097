"""`doctor` names what is missing from the numbers."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from analytics.operations.doctor import examine
from analytics.privacy.tombstones import Tombstone
from analytics.raw.extract import extract
from analytics.settings import Settings, load_settings
from analytics.warehouse.load import load
from analytics.warehouse.transform import transform


def line(kind: str, day: int, session: str, number: int, **fields: object) -> str:
    return json.dumps(
        {
            "type": kind,
            "uuid": f"{session}-{number}",
            "sessionId": session,
            "timestamp": f"2026-09-{day:02d}T10:00:{number:02d}Z",
            "version": "2.1.0",
            "cwd": "/repo",
            **fields,
        }
    )


def response(model: str, number: int) -> dict:
    usage = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 7}
    return {"id": f"m{number}", "role": "assistant", "model": model, "content": [], "usage": usage}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "projects" / "-repo"
    project.mkdir(parents=True)
    prompt = {"role": "user", "content": "hello"}
    lines = [
        line("user", 1, "s1", 1, message=prompt),
        line("assistant", 1, "s1", 2, message=response("mystery-9", 1)),
        line("user", 4, "s2", 1, message=prompt),  # Wednesday 2 and Thursday 3 have no entry
        line("brand-new", 4, "s2", 2),
        line("user", 4, "s3", 1, message=prompt, timestamp=None),
        "{not json",
    ]
    (project / "s.jsonl").write_text("\n".join(lines) + "\n")
    settings = load_settings(source="jsonl", data_dir=tmp_path / "data", claude_projects_dir=tmp_path / "projects")
    extract(settings)
    load(settings)
    transform(settings, as_of=datetime(2026, 9, 10, tzinfo=UTC))
    os.replace(settings.build_path, settings.published_path)
    return settings


def test_doctor_finds_what_is_missing(settings: Settings) -> None:
    cases = {finding.title: finding.cases for finding in examine(settings)}
    assert cases["models without a price"] == [
        "mystery-9: 1 responses, 3 input, 5 output, 0 cache write, 7 cache read tokens"
    ]
    assert cases["weekdays without entries inside an active period"] == ["2026-09-02 to 2026-09-03 (2 weekdays)"]
    assert cases["sessions without responses"] == [
        "s2 2026-09-04 10:00 2 entries hello",
        "s3 without a time 1 entries ",
    ]
    [dead] = cases["documents that could not be stored"]
    assert dead.startswith("1 x ")
    assert "s.jsonl" in dead
    [unknown] = cases["entry types not seen before, by Claude Code version"]
    assert "brand-new" in unknown
    assert "2.1.0" in unknown
    assert cases["Iceberg tables that are not in DATA_DIR"] == []


def test_doctor_notices_a_moved_data_directory(settings: Settings, tmp_path: Path) -> None:
    shutil.move(settings.data_dir, tmp_path / "elsewhere")
    moved = load_settings(data_dir=tmp_path / "elsewhere", claude_projects_dir=settings.claude_projects_dir)
    [finding] = [finding for finding in examine(moved) if "DATA_DIR" in finding.title]
    assert len(finding.cases) == 2
    assert "claude-analytics doctor --repair" in finding.advice


def test_doctor_names_the_purges_that_were_killed_as_commands(settings: Settings) -> None:
    entries = [
        Tombstone("project", "-a", "2026-09-01T00:00:00+00:00"),
        Tombstone("session", "s1", "2026-09-02T00:00:00+00:00", is_finished=False),
        Tombstone("before", "2025-12-31T23:00:00.000Z", "2026-09-03T00:00:00+00:00", is_finished=False),
    ]
    (settings.data_dir / "purged.json").write_text(json.dumps([asdict(tombstone) for tombstone in entries]))
    berlin = settings.model_copy(update={"analytics_tz": "Europe/Berlin"})
    [finding] = [finding for finding in examine(berlin) if "purges" in finding.title]
    assert finding.cases == [
        "claude-analytics purge --session s1 (begun 2026-09-02T00:00:00+00:00)",
        "claude-analytics purge --before 2026-01-01 (begun 2026-09-03T00:00:00+00:00)",
    ]


def test_doctor_looks_at_data_dir_when_nothing_is_published(tmp_path: Path) -> None:
    """It is asked most when nothing works yet."""
    (tmp_path / "mongo" / "storage").mkdir(parents=True)
    found = {finding.title: finding for finding in examine(load_settings(data_dir=tmp_path))}
    assert found.pop("published database").cases == [f"nothing is published at {tmp_path / 'analytics.db'}"]
    assert [title for title, finding in found.items() if not finding.is_ok] == [
        "storage of the MongoDB server that came with version 0.1"
    ]
    assert len(found) == 3
