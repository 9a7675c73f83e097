"""A full build on Spark: every model's seconds, shuffled bytes and what one task alone had to hold, as histories grow.

    python benchmarks/bench_spark.py --entries 20000 200000 2000000 --limit 1500 --json out.json
    python benchmarks/bench_spark.py --entries 200000 --giant

Spark runs with the product's own settings (SPARK_CONF adds to them), each size in a process of its own. Figures are
those of Spark's status store. `--giant` makes half of all entries one session. A build that takes longer than `--limit`
seconds is ended, and what it finished is shown. What counts: processor time and bytes per entry do not grow with the
history; rows in one task only where they are few whatever the history.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

END = datetime(2026, 11, 20, tzinfo=UTC)
GIANT = "11111111-1111-4111-8111-111111111111"


class Watch:
    """What Spark did between two models."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.model, self.started = "start", time.perf_counter()
        self.stages: set[int] = set()
        self.executions: set[int] = set()

    def __call__(self, name: str) -> None:
        """The model before is done, `name` begins."""
        from pyspark.sql import SparkSession

        now = time.perf_counter()
        spark = SparkSession.getActiveSession()
        if spark is not None:
            figures = {"model": self.model, "seconds": round(now - self.started, 2), **self._stages(spark)}
            with self.out.open("a") as file:
                file.write(json.dumps(figures) + "\n")
        self.model, self.started = name, time.perf_counter()

    def _stages(self, spark: Any) -> dict[str, Any]:
        context, jvm = spark.sparkContext._jsc.sc(), spark.sparkContext._jvm
        context.listenerBus().waitUntilEmpty()
        none, quantiles = jvm.java.util.ArrayList(), spark.sparkContext._gateway.new_array(jvm.double, 0)
        found = context.statusStore().stageList(none, False, False, quantiles, none)
        new = [stage for stage in map(found.apply, range(found.size())) if stage.stageId() not in self.stages]
        self.stages |= {stage.stageId() for stage in new}
        alone = [stage.shuffleReadRecords() for stage in new if stage.numTasks() == 1]
        return {
            "cpu": round(sum(stage.executorCpuTime() for stage in new) / 1e9, 2),
            "shuffled": sum(stage.shuffleWriteBytes() for stage in new),
            "spilled": sum(stage.diskBytesSpilled() for stage in new),
            "tasks": sum(stage.numTasks() for stage in new),
            "in_one_task": max(alone, default=0),
            "single": self._single(spark),
        }

    def _single(self, spark: Any) -> list[str]:
        """What is gathered in one partition by the plan, whatever the number of rows."""
        store = spark._jsparkSession.sharedState().statusStore()
        listed = store.executionsList()
        found = set()
        for one in map(listed.apply, range(listed.size())):
            if one.executionId() in self.executions:
                continue
            self.executions.add(one.executionId())
            text = one.physicalPlanDescription()
            # every operator's arguments stand below the tree
            for number in re.findall(r"\((\d+)\) Exchange\n(?:.*\n)*?Arguments: SinglePartition", text):
                above = re.search(rf"\n([^\n]*)\n(?:[^\n]*(?:Stage|Read)[^\n]*\n)*[^\n]*Exchange \({number}\)", text)
                name = re.sub(r"[^A-Za-z]", "", above[1]) if above else "?"
                found.add(name)
        return sorted(found)


def step(root: Path, out: Path) -> None:
    """Build the history below `root`."""
    from analytics.raw.extract import extract
    from analytics.settings import load_settings
    from analytics.spark.build import build

    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    extract(settings, progress=False)
    watch = Watch(out)
    build(settings, full_refresh=True, as_of=END, starting=watch)


def make_giant(projects: Path) -> None:
    """Every second file belongs to one session."""
    for number, path in enumerate(sorted(projects.rglob("*.jsonl"))):
        if number % 2:
            text = re.sub(r'"sessionId": ?"[^"]*"', f'"sessionId":"{GIANT}"', path.read_text())
            path.write_text(text)


def measure(entries: int, limit: int, giant: bool) -> dict[str, Any]:
    """Figures of one size of history."""
    from transcript_generator import generate

    with tempfile.TemporaryDirectory(prefix="bench-spark-") as folder:
        root = Path(folder)
        documents = generate(root / "projects", entries=entries, days=180, end=END).documents
        if giant:
            make_giant(root / "projects")
        out = root / "models.jsonl"
        started = time.perf_counter()
        conf = ";".join(
            filter(
                None,
                (
                    os.environ.get("SPARK_CONF"),
                    "spark.ui.retainedStages=100000",
                    "spark.sql.ui.retainedExecutions=10000",
                ),
            )
        )
        command = [sys.executable, __file__, "--step", str(root), str(out)]
        try:
            subprocess.run(command, check=True, timeout=limit, env={**os.environ, "SPARK_CONF": conf})
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
        models = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        return {
            "entries": documents,
            "giant": giant,
            "ended": ended,
            "seconds": round(time.perf_counter() - started, 1),
            "models": models,
        }


def table(results: list[dict[str, Any]]) -> str:
    """Seconds, and processor time and bytes per entry, by model, slowest first."""
    last = results[-1]
    lines = []
    for name in [model["model"] for model in sorted(last["models"], key=lambda model: -model["seconds"])]:
        cells = []
        for result in results:
            found = [model for model in result["models"] if model["model"] == name]
            if found:
                one, entries = found[0], result["entries"]
                cells.append(
                    f"{one['seconds']:7.1f} s {one['cpu']:7.1f} cpu {1e6 * one['cpu'] / entries:7.1f} us"
                    f" {one['shuffled'] / entries:8.1f} B {one['in_one_task']:9,} rows"
                )
            else:
                cells.append(" " * 57)
        single = next((model["single"] for model in last["models"] if model["model"] == name), [])
        lines.append(f"{name:34} {' | '.join(cells)} {' '.join(single)}")
    for result in results:
        seconds = sum(model["seconds"] for model in result["models"])
        cpu = sum(model["cpu"] for model in result["models"])
        shuffled = sum(model["shuffled"] for model in result["models"]) / result["entries"]
        spilled = sum(model["spilled"] for model in result["models"]) / 1e6
        lines.append(
            f"{result['entries']:,} entries{' (half of them one session)' if result['giant'] else ''}: "
            f"{seconds:.0f} s ({cpu:.0f} s of tasks' processor time) in {len(result['models'])} models, "
            f"{shuffled:,.0f} B per entry shuffled, "
            f"{spilled:,.0f} MB spilled{'' if result['ended'] else '; ended at the limit'}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print a table; with --json also write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--limit", type=int, default=1500, help="seconds for one build")
    parser.add_argument("--giant", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--step", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(*arguments.step)
        return
    results = [measure(entries, arguments.limit, arguments.giant) for entries in arguments.entries]
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
