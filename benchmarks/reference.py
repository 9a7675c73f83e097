"""What a figure is divided by: plain work on the same bytes, on the same machine, in the same run.

Seconds differ from machine to machine and with what else it does; a ratio to these differs far less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

# The newest that is all JavaScript: it runs wherever node does.
CCUSAGE = "ccusage@18.0.11"


def seconds_of(work: Callable[[], object], times: int = 1) -> float:
    """Seconds of the quickest of `times` calls."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def parse_seconds(projects: Path) -> float:
    """DuckDB reads all transcripts below `projects` as JSON and takes one field out of each line."""
    query = (
        "select count(*), max(json ->> 'uuid') from read_json_objects"
        "($files, format = 'newline_delimited', maximum_object_size = 268435456, ignore_errors = true)"
    )
    files = [str(path) for path in projects.rglob("*.jsonl")]
    with duckdb.connect() as connection:
        return seconds_of(lambda: connection.execute(query, {"files": files}).fetchall())


def copy_seconds(file: Path, beside: Path) -> float:
    """A plain copy of every byte of `file` to a file in the folder `beside`, removed again (no reflink)."""
    target = beside / "copy-of-the-benchmark"

    def copy() -> None:
        with file.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)

    try:
        return seconds_of(copy)
    finally:
        target.unlink(missing_ok=True)


def grep_seconds(projects: Path, word: str) -> float | None:
    """`grep` looks for `word` in all transcripts below `projects`; None where there is no grep."""
    if not shutil.which("grep"):
        return None
    command = ["grep", "-rlF", word, str(projects)]
    return seconds_of(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=False), times=2)


def ccusage_seconds(projects: Path) -> float | None:
    """`ccusage daily` over the transcripts below `projects`, the quicker of two; None where npm does not have it.

    `projects` is called so: ccusage looks for that name.
    """
    program = ["npx", "--yes", CCUSAGE]
    if not shutil.which("npx") or subprocess.run([*program, "--version"], capture_output=True, check=False).returncode:
        return None
    environment = {**os.environ, "CLAUDE_CONFIG_DIR": str(projects.parent)}
    command = [*program, "daily", "--json", "--offline"]
    return seconds_of(lambda: subprocess.run(command, env=environment, capture_output=True, check=True), times=2)


def ratios(figures: dict[str, float], references: dict[str, float | None]) -> dict[str, float]:
    """Each figure (seconds) by each reference (seconds) that could be had: `figure / reference` -> ratio."""
    return {
        f"{figure} / {name}": seconds / reference
        for figure, seconds in figures.items()
        for name, reference in references.items()
        if reference
    }


def print_ratios(found: dict[str, float]) -> None:
    """A line for each."""
    for name, ratio in found.items():
        print(f"{name:<44} {ratio:>10.2f}")
