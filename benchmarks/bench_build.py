"""Load + transform: a full build from empty, then 0.1 % new entries on top, then 250, at two sizes of history.

    python benchmarks/bench_build.py --entries 200000 1000000 --json out.json

Each step runs in a process of its own; seconds are those of the project's work, without interpreter start-up. What
counts: full build of 1M entries (aim: at most 90 s on two cores), increment / full build (aim: at most 0.05), the
increment's growth from the smallest history to the largest (aim: at most 1.3; the 0.1 % grow with the history, the 250
do not, and show what the history alone costs), peak memory (aim: at most 1.5 GiB for 2M entries), disk / JSONL (aim: at
most 0.6). The copy of the published file is reported apart. Ratios: to a parse of the same JSON by DuckDB, and to a
plain copy of the published file.
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

from reference import copy_seconds, parse_seconds, ratios

END = datetime(2026, 11, 20, tzinfo=UTC)
FEW_ENTRIES = 250


def step(name: str, root: Path) -> dict[str, Any]:
    """Run one step on the history below `root` in this process -> its figures."""
    from analytics.raw.extract import extract
    from analytics.settings import load_settings
    from analytics.warehouse.load import load
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform

    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    if name == "extract":
        seconds = extract(settings, progress=False).duration_seconds
        return {"extract_seconds": seconds, "extract_peak_mb": peak_mb()}
    import dbt.cli.main  # noqa: F401  start-up, not work
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401

    started = time.perf_counter()
    loaded = load(settings)
    load_peak = peak_mb()
    load_seconds = time.perf_counter() - started
    started = time.perf_counter()
    transform(settings, as_of=END)
    transform_seconds = time.perf_counter() - started
    started = time.perf_counter()
    publish(settings)
    return {
        "documents": loaded.documents,
        "load_seconds": load_seconds - loaded.copy_seconds,
        "copy_seconds": loaded.copy_seconds,
        "copy_gb": loaded.copy_bytes / 1e9,
        "transform_seconds": transform_seconds,
        "publish_seconds": time.perf_counter() - started,
        "load_peak_mb": load_peak,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(name: str, root: Path) -> dict[str, Any]:
    """The step in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--step", name, "--root", str(root)],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def size_mb(path: Path) -> float:
    """Bytes of all files below `path`, links not followed, in MB."""
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6


def measure(entries: int, root: Path) -> dict[str, Any]:
    """Figures of one size of history."""
    from transcript_generator import generate

    truth = generate(root / "projects", entries=entries, days=180, end=END)
    jsonl = size_mb(root / "projects")
    extracted = in_process("extract", root)
    full = in_process("build", root)
    disk = size_mb(root / "data" / "iceberg") + size_mb(root / "data" / "versions")

    def add(count: int, seed: int) -> dict[str, Any]:
        """A few new sessions on the last day, by somebody else."""
        generate(root / f"new{seed}", seed=seed, entries=count, days=2, end=END)
        (root / f"new{seed}").rename(root / "projects" / f"-home-new{seed}")
        extracted = in_process("extract", root)
        return {**in_process("build", root), **extracted}

    published = root / "data" / "analytics.db"
    references = {"parse": parse_seconds(root / "projects"), "copy": copy_seconds(published, root)}
    increment = add(max(50, entries // 1000), seed=2)
    few = add(FEW_ENTRIES, seed=3)

    def work(figures: dict[str, Any]) -> float:
        return figures["load_seconds"] + figures["transform_seconds"]

    return {
        "entries": truth.documents,
        "jsonl_mb": jsonl,
        "extract_mb_per_second": jsonl / extracted["extract_seconds"],
        "extract_peak_mb": extracted["extract_peak_mb"],
        "full_seconds": work(full),
        "full_peak_mb": full["peak_mb"],
        "load_peak_mb": full["load_peak_mb"],
        "increment_documents": increment["documents"],
        "increment_seconds": work(increment),
        "increment_share": work(increment) / work(full),
        "increment_extract_seconds": increment["extract_seconds"],
        "increment_extract_peak_mb": increment["extract_peak_mb"],
        "few_documents": few["documents"],
        "few_seconds": work(few),
        "copy_seconds_per_gb": increment["copy_seconds"] / increment["copy_gb"] if increment["copy_gb"] else None,
        "publish_seconds": increment["publish_seconds"],
        "disk_share": disk / jsonl,
        **ratios({"extract": extracted["extract_seconds"], "full": work(full)}, {"parse": references["parse"]}),
        **ratios({"increment": work(increment), "publish": increment["publish_seconds"]}, {"copy": references["copy"]}),
    }


def main() -> None:
    """Print a table; with --json also write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(step(arguments.step, arguments.root)))
        return
    results = []
    for entries in sorted(arguments.entries):
        with tempfile.TemporaryDirectory() as directory:
            results.append(measure(entries, Path(directory)))
    growth = {name: results[-1][f"{name}_seconds"] / results[0][f"{name}_seconds"] for name in ("increment", "few")}
    for name in results[0]:
        values = "".join(f"{result[name]:>16,.3f}" if result[name] is not None else f"{'-':>16}" for result in results)
        print(f"{name:28}{values}")
    for name, ratio in growth.items():
        print(f"{name + '_growth':28}{ratio:>16,.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"sizes": results, "growth": growth}, indent=1))


if __name__ == "__main__":
    main()
