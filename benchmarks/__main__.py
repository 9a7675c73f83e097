"""Run every benchmark, one after the other, on a machine with nothing else to do.

    make bench                               sizes that take about twenty minutes on two cores
    make bench ARGS="--scale 10"             ten times as much
    make bench ARGS="--only build extract"   some of them
    make bench ARGS="--json figures.json"    the figures as JSON as well

No figure is a test: they differ from machine to machine. Each benchmark says what it aims for.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent

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
    "publish": lambda scale: ["--rows", str(int(500_000 * scale))],
    "week": lambda scale: ["--entries", str(int(20_000 * scale)), "--per-day", str(int(1_500 * scale))],
}


def main() -> int:
    """Run what was asked for -> 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
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
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
