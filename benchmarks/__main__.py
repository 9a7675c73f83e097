"""Run every benchmark, one after the other, on a machine with nothing else to do.

    make bench                               sizes that take about twenty minutes on two cores
    make bench ARGS="--scale 10"             ten times as much
    make bench ARGS="--only build extract"   some of them
    make bench ARGS="--json figures.json"    the figures as JSON as well
    make bench ARGS=--compare                what became slower or larger since the time before, and runs nothing

Every time is kept in data/benchmarks.jsonl. No figure is a test: they differ from machine to machine. Each benchmark
says what it aims for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
HISTORY = FOLDER.parent / "data" / "benchmarks.jsonl"

# A figure that moved by less is noise on a machine that does other things too.
NOISE = 0.1

# name -> arguments for a scale
BENCHMARKS: dict[str, Callable[[float], list[str]]] = {
    "generator": lambda scale: ["--entries", str(int(100_000 * scale))],
    "redact": lambda scale: ["--megabytes", str(int(100 * scale))],
    "sync": lambda scale: ["--documents", str(int(20_000 * scale))],
    "extract": lambda scale: ["--documents", str(int(100_000 * scale))],
    "build": lambda scale: ["--entries", str(int(20_000 * scale)), str(int(200_000 * scale))],
    "cards": lambda scale: ["--entries", str(int(200_000 * scale))],
    "sessions": lambda scale: ["--entries", str(int(200_000 * scale))],
    "startup": lambda scale: ["--entries", str(int(7_600 * scale))],
    "web": lambda scale: ["--entries", str(int(200_000 * scale))],
    "publish": lambda scale: ["--rows", str(int(500_000 * scale))],
    "week": lambda scale: ["--entries", str(int(20_000 * scale)), "--per-day", str(int(1_500 * scale))],
}


def main() -> int:
    """Run what was asked for -> 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--compare", action="store_true", help="the newest figures with those before, from the history")
    arguments = parser.parse_args()
    if arguments.compare:
        print(compared([json.loads(line) for line in HISTORY.read_text().splitlines()] if HISTORY.exists() else []))
        return 0
    figures = {}
    failed = 0
    for name in arguments.only:
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "figures.json"
            command = [sys.executable, str(FOLDER / f"bench_{name}.py"), *BENCHMARKS[name](arguments.scale)]
            done = subprocess.run([*command, "--json", str(target)], cwd=FOLDER)
            failed |= done.returncode != 0
            if target.exists():
                figures[name] = json.loads(target.read_text())
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    remember(arguments.scale, figures)
    return int(failed)


def remember(scale: float, figures: dict[str, Any]) -> None:
    """Append the figures to the history, with when, where and of which code they are."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=FOLDER, capture_output=True, text=True)
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.node()}, {os.cpu_count()} cores",
        "scale": scale,
        "figures": figures,
    }
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("a") as stream:
        stream.write(json.dumps(entry) + "\n")


def compared(history: list[dict[str, Any]]) -> str:
    """What moved, for each benchmark of the newest entry, against the entry before that has the same benchmark at the
    same scale on the same machine: one line a figure, the largest ratio first."""
    if not history:
        return f"no figures in {HISTORY}: run `make bench` first"
    newest = history[-1]
    lines = []
    for name, figures in newest["figures"].items():
        before = next(
            (
                entry
                for entry in reversed(history[:-1])
                if name in entry["figures"] and all(entry[key] == newest[key] for key in ("machine", "scale"))
            ),
            None,
        )
        if before is None:
            lines.append(f"{name}: nothing to compare with")
            continue
        old, new = dict(_numbers(before["figures"][name])), dict(_numbers(figures))
        moved = {key: new[key] / old[key] for key in new.keys() & old.keys() if old[key]}
        moved = {key: ratio for key, ratio in moved.items() if abs(ratio - 1) > NOISE}
        lines.append(f"{name}: {before['commit']} -> {newest['commit']}, {len(moved)} of {len(new)} figures moved")
        for key in sorted(moved, key=lambda key: (-moved[key], key)):
            lines.append(f"  x{moved[key]:<6.2f} {key}: {old[key]:.6g} -> {new[key]:.6g}")
    return "\n".join(lines)


def _numbers(figures: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested figures, by their path."""
    if isinstance(figures, dict):
        for key, value in figures.items():
            yield from _numbers(value, f"{path}.{key}" if path else str(key))
    elif isinstance(figures, list):
        for number, value in enumerate(figures):
            yield from _numbers(value, f"{path}[{number}]")
    elif isinstance(figures, int | float) and not isinstance(figures, bool):
        yield path, float(figures)


if __name__ == "__main__":
    sys.exit(main())
