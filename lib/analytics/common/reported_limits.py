"""The limits that Claude Code told its status line, as `claude-analytics statusline` keeps them in DATA_DIR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDED = "rate_limits.jsonl"
WINDOWS = ("five_hour", "seven_day")


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
