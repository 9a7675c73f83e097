"""The limits that Claude Code told its status line, as `claude-analytics statusline` keeps them in DATA_DIR."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

RECORDED = "rate_limits.jsonl"
FIGURES = "statusline.json"  # what publish writes for the status line beside it
WINDOWS = ("five_hour", "seven_day")


class Told(NamedTuple):
    """What Claude Code said of a window."""

    window: str
    at: datetime
    used_ratio: float
    resets_at: datetime | None  # None: it did not say


def recorded(folder: Path) -> list[dict[str, Any]]:
    """Everything kept, the oldest first: `at` (seconds since 1970) and `limits`; lines that are torn are left out."""
    try:
        lines = (folder / RECORDED).read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("at"), int) and isinstance(row.get("limits"), dict):
            found.append(row)
    return found


def told(folder: Path) -> list[Told]:
    """The same window by window, as far as it makes sense."""
    found = []
    for row in recorded(folder):
        for window in WINDOWS:
            said = row["limits"].get(window)
            used = said.get("used_percentage") if isinstance(said, dict) else None
            if isinstance(used, int | float) and 0 < row["at"] < 4e9:
                found.append(
                    Told(window, datetime.fromtimestamp(row["at"], UTC), used / 100, _instant(said.get("resets_at")))
                )
    return found


def _instant(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) and 0 < seconds < 4e9 else None
