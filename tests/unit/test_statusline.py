"""The status line: without these it would open a database hundreds of times an hour, break on what Claude Code writes
next year, or show yesterday's cost as today's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from analytics.common.reported_limits import RECORDED, recorded
from analytics.sessions.statusline import FIGURES, MOST_BYTES, data_dir, statusline

NOW = 1_796_000_000.0
LIMITS = {
    "five_hour": {"used_percentage": 23.5, "resets_at": 1_796_003_600},
    "seven_day": {"used_percentage": 41.2, "resets_at": 1_796_400_000},
}


def given(**more: Any) -> str:
    return json.dumps({"model": {"display_name": "Opus 5"}, "cost": {"total_cost_usd": 1.234}, **more})


def test_a_line_says_session_day_month_block_and_limits(tmp_path: Path) -> None:
    figures = {
        "today_usd": 12.3,
        "today_ends_at": NOW + 60,
        "month_usd": 99,
        "month_ends_at": NOW + 60,
        "block_usd": 4.5,
        "block_ends_at": NOW + 8_000,
    }
    (tmp_path / FIGURES).write_text(json.dumps(figures))
    line = statusline(given(rate_limits=LIMITS), tmp_path, NOW)
    assert line == (
        "Opus 5 · $1.23 session · $12.30 today · $99.00 this month · block $4.50, 2h13m left · "
        "5h 24% (resets in 1h00m) · 7d 41% (resets in 4d 15h)"
    )
    assert statusline(given(), tmp_path, NOW + 10_000) == "Opus 5 · $1.23 session"


def test_limits_are_recorded_once_until_they_change(tmp_path: Path) -> None:
    for seconds in (0, 10, 400):
        statusline(given(rate_limits=LIMITS), tmp_path, NOW + seconds)
    other = {**LIMITS, "five_hour": {"used_percentage": 30, "resets_at": 1_796_003_600}}
    statusline(given(rate_limits=other), tmp_path, NOW + 410)
    statusline(given(), tmp_path, NOW + 420)
    assert [row["at"] - NOW for row in recorded(tmp_path)] == [0, 400, 410]
    assert recorded(tmp_path)[-1]["limits"]["five_hour"]["used_percentage"] == 30
    assert (tmp_path / RECORDED).stat().st_mode & 0o077 == 0


def test_a_record_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / RECORDED
    path.write_text((json.dumps({"at": 1, "limits": LIMITS}) + "\n") * (MOST_BYTES // 100))
    statusline(given(rate_limits=LIMITS), tmp_path, NOW)
    assert path.stat().st_size < MOST_BYTES
    assert recorded(tmp_path)[-1]["at"] == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[1]",
        '{"model": "x", "cost": 3, "rate_limits": [], "context_window": null}',
        '{"cost": {"total_cost_usd": "1"}, "rate_limits": {"five_hour": {"used_percentage": "x", "resets_at": -1}}}',
        '{"cost": {"total_cost_usd": 1e400}, "rate_limits": {"five_hour": 4}}',
        '{"rate_limits": {"five_hour": {"used_percentage": true}, "seven_day": {"used_percentage": 1e9}}}',
    ],
)
def test_what_is_not_as_expected_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / FIGURES).write_text("{torn")
    (tmp_path / RECORDED).write_text('{"at": 1, "limits"')
    assert statusline(text, tmp_path, NOW) == "Claude Code analytics: nothing published yet"
    assert recorded(tmp_path) == []


def test_a_name_drives_no_terminal(tmp_path: Path) -> None:
    line = statusline(json.dumps({"model": {"display_name": "\x1b[31mOp\u202eus\n"}}), tmp_path, NOW)
    assert line == "[31mOpus"


def test_it_imports_neither_settings_nor_a_database(tmp_path: Path) -> None:
    code = (
        "import sys; from analytics.cli import cli; cli.main(['statusline'], standalone_mode=False);"
        "heavy = {'duckdb', 'pyarrow', 'pydantic', 'analytics.settings', 'pyiceberg'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=given(rate_limits=LIMITS),
        capture_output=True,
        text=True,
        env={"DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Opus 5 · $1.23 session")
    assert len(recorded(tmp_path)) == 1


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("DATA_DIR=kept", "kept"),
        ("export DATA_DIR = 'a b' ", "a b"),
        ("DATA_DIR=/srv/x # where", "/srv/x"),
        ("#DATA_DIR=no", "data"),
        ("DATA_DIR=", "data"),
    ],
)
def test_it_finds_the_folder_that_the_settings_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, folder: str
) -> None:
    from dotenv import dotenv_values

    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setenv("ANALYTICS_PROJECT_ROOT", str(tmp_path))
    (tmp_path / ".env").write_text(f"OTHER=1\n{line}\n")
    assert data_dir() == tmp_path / folder
    assert (dotenv_values(tmp_path / ".env").get("DATA_DIR") or "data") == folder
