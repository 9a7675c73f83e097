"""A whole run by the command line: what it costs before any work is done, and with nothing, little and everything new.

    python benchmarks/bench_startup.py --entries 7600 --json out.json

Each run is a process of its own, as cron starts it. `work` is what the five notebooks took;
the rest is the interpreter, Ploomber and papermill. What counts: a run with nothing new (aim: under 20 s on two cores),
and its ratio to plain `ploomber build`, which starts a kernel for each notebook. Everything anew, a report, and one
with what was written since the run are compared with `ccusage daily` on the same transcripts, which reads all of them
again, where npm has it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reference import ccusage_seconds, print_ratios, ratios

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def timed(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall and processor seconds of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr or done.stdout}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_seconds": wall, "processor_seconds": processor}


def pipeline(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """One `claude-analytics pipeline` -> its figures and what each stage took."""
    figures: dict[str, Any] = timed([str(BIN / "claude-analytics"), "pipeline", *arguments], environment)
    newest = max((Path(environment["DATA_DIR"]) / "runs").glob("*/run.json"))
    record = json.loads(newest.read_text())
    figures["stages"] = {stage["name"]: stage["duration_seconds"] for stage in record["stages"]}
    figures["work_seconds"] = sum(figures["stages"].values())
    figures["outcome"] = record["outcome"]
    return figures


def append_session(projects: Path) -> None:
    """Three entries of a new session."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:")
    lines = [
        {"type": "user", "uuid": f"bench-{n}", "sessionId": "bench", "timestamp": f"{at}{n:02d}.000Z", "cwd": "/b"}
        | {"message": {"role": "user", "content": f"prompt {n}"}}
        for n in range(3)
    ]
    path = projects / "-b" / "bench.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def main() -> None:
    """Print a table; with --json also write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=7_600)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    from analytics.runs.surroundings import NO_TELEMETRY
    from transcript_generator import generate

    with tempfile.TemporaryDirectory(prefix="bench-startup-") as folder:
        root = Path(folder)
        projects = root / "projects"
        generate(projects, entries=options.entries)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MONGO_")},
            **NO_TELEMETRY,
            "DATA_DIR": str(root / "data"),
            "CLAUDE_PROJECTS_DIR": str(projects),
            "SOURCE": "jsonl",
        }
        interpreter = timed([sys.executable, "-c", "pass"], environment)
        pipeline(environment)  # leaves dbt's parse cache and compiled modules: what follows is warm
        figures: dict[str, Any] = {
            "interpreter": interpreter,
            "everything anew": pipeline(environment, "--full-refresh"),
            "nothing new": pipeline(environment),
        }
        append_session(projects)
        figures["three entries new"] = pipeline(environment)
        build = [str(BIN / "ploomber"), "build", "--env--runs", str(root / "kernels"), "--force"]
        figures["nothing new, kernels"] = timed(build, environment)
        report = [str(BIN / "claude-analytics"), "report", "daily"]
        figures["report daily"] = timed(report, environment)
        figures["report daily --fresh"] = timed([*report, "--fresh"], environment)
        compared = ("everything anew", "nothing new", "three entries new", "report daily", "report daily --fresh")
        to_ccusage = ratios(
            {name: figures[name]["wall_seconds"] for name in compared}, {"ccusage daily": ccusage_seconds(projects)}
        )
    ratio = figures["nothing new"]["wall_seconds"] / figures["nothing new, kernels"]["wall_seconds"]
    print(f"{'':24}{'wall s':>10}{'processor s':>13}{'work s':>10}")
    for name, found in figures.items():
        work = f"{found['work_seconds']:>10.1f}" if "work_seconds" in found else ""
        print(f"{name:24}{found['wall_seconds']:>10.1f}{found['processor_seconds']:>13.1f}{work}")
    for name, found in figures.items():
        if "stages" in found:
            print(f"{name}: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in found["stages"].items()))
    print(f"nothing new, in one process / with kernels: {ratio:.2f}")
    print_ratios(to_ccusage)
    if options.json:
        options.json.write_text(json.dumps({**figures, "nothing_new_to_kernels": ratio, **to_ccusage}, indent=1))


if __name__ == "__main__":
    main()
