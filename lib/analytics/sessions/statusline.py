"""One line for Claude Code's status line, and the limits that Claude Code tells it.

Claude Code calls this every few hundred milliseconds while somebody works: it reads a small file that publish writes,
and imports neither settings nor DuckDB. What it is given as `rate_limits` is kept in a file beside it.

https://code.claude.com/docs/en/statusline
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from analytics.common.reported_limits import FIGURES, RECORDED, WINDOWS

# A limit that did not change is written again after this long: the file tells when it was last seen.
SECONDS_BETWEEN = 300
# Beyond this size the older half is dropped.
MOST_BYTES = 2_000_000
INPUT_BYTES = 1_000_000

_ROOT = Path(__file__).resolve().parents[3]
_ODD = re.compile(r"[^\x20-\x7e\u00a1-\u1fff\u2010-\u2027\u20a0-\ud7ff]")


def data_dir() -> Path:
    """DATA_DIR as the settings have it: the variable, else `.env`, else `data`; relative to the checkout."""
    root = Path(os.environ.get("ANALYTICS_PROJECT_ROOT") or _ROOT)
    value = os.environ.get("DATA_DIR") or _in_env_file(root / ".env") or "data"
    return Path(os.path.abspath(root / os.path.expanduser(value)))


def _in_env_file(path: Path) -> str:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.findall(r"(?m)^\s*(?:export\s+)?DATA_DIR\s*=[ \t]*(.*?)\s*$", text)
    value = found[-1] if found else ""
    if value[:1] in ("'", '"') and value[-1:] == value[:1]:
        return value[1:-1]
    return re.sub(r"\s+#.*", "", value)


def statusline(given: str, folder: Path, now: float | None = None) -> str:
    """The line for what Claude Code gave, and its limits recorded.

    Args:
        given: JSON as Claude Code writes it to a status line's standard input; anything else is an empty session.
        folder: DATA_DIR.
        now: seconds since 1970.
    """
    now = time.time() if now is None else now
    try:
        told = json.loads(given[:INPUT_BYTES])
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    limits = _limits(told)
    if limits:
        record(folder, limits, now)
    return _line(told, limits, _figures(folder), now)


def record(folder: Path, limits: dict[str, dict[str, float]], now: float) -> None:
    """Keep limits as Claude Code reported them, unless the same were kept a moment ago; a full disk is no error."""
    path = folder / RECORDED
    try:
        last = _last(path)
        if last and last.get("limits") == limits and now - float(last.get("at", 0)) < SECONDS_BETWEEN:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > MOST_BYTES:
            lines = path.read_bytes().splitlines(keepends=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(b"".join(lines[len(lines) // 2 :]))
            partial.replace(path)
        # one write of one line: two status lines at once do not mix theirs
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, (json.dumps({"at": round(now), "limits": limits}) + "\n").encode())
        finally:
            os.close(handle)
    except (OSError, ValueError, TypeError):
        return


def _last(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 1000))
            lines = stream.read().splitlines()
        row = json.loads(lines[-1])
    except (OSError, ValueError, IndexError):
        return None
    return row if isinstance(row, dict) else None


def _limits(told: dict[str, Any]) -> dict[str, dict[str, float]]:
    """`rate_limits` as far as it is what it is said to be."""
    given = told.get("rate_limits")
    found = {}
    for name in WINDOWS:
        window = given.get(name) if isinstance(given, dict) else None
        used = _number(window, "used_percentage")
        resets = _number(window, "resets_at")
        if used is not None and 0 <= used <= 1000:
            found[name] = {"used_percentage": used, **({"resets_at": resets} if resets else {})}
    return found


def _figures(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / FIGURES).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _line(told: dict[str, Any], limits: dict[str, dict[str, float]], figures: dict[str, Any], now: float) -> str:
    parts = []
    model = told.get("model")
    name = model.get("display_name") or model.get("id") if isinstance(model, dict) else None
    if isinstance(name, str) and name:
        parts.append(_ODD.sub("", name)[:40])
    if (cost := _number(told.get("cost"), "total_cost_usd")) is not None:
        parts.append(f"{_usd(cost)} session")
    if (context := _number(told.get("context_window"), "used_percentage")) is not None:
        parts.append(f"context {context:.0f}%")
    today = _number(figures, "today_usd")
    if today is not None and now < (_number(figures, "today_ends_at") or 0):
        parts.append(f"{_usd(today)} today")
    if (month := _number(figures, "month_usd")) is not None and now < (_number(figures, "month_ends_at") or 0):
        parts.append(f"{_usd(month)} this month")
    block, ends = _number(figures, "block_usd"), _number(figures, "block_ends_at") or 0
    if block is not None and now < ends:
        parts.append(f"block {_usd(block)}, {_left(ends - now)} left")
    for name, label in (("five_hour", "5h"), ("seven_day", "7d")):
        if window := limits.get(name):
            left = _left(window["resets_at"] - now) if window.get("resets_at", 0) > now else ""
            parts.append(f"{label} {window['used_percentage']:.0f}%{f' (resets in {left})' if left else ''}")
    return " · ".join(parts) or "Claude Code analytics: nothing published yet"


def _number(holder: Any, name: str) -> float | None:
    value = holder.get(name) if isinstance(holder, dict) else None
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else None
    )


def _usd(value: float) -> str:
    return f"${value:,.2f}" if value >= 0.005 or value == 0 else "<$0.01"


def _left(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours // 24}d {hours % 24}h" if hours >= 48 else f"{hours}h{minutes:02}m" if hours else f"{minutes}m"
