"""Publish: seconds per GB by step, and whether a reader with an open connection notices.

    python benchmarks/bench_publish.py --rows 2000000 --json out.json

Measured on a database of message-like rows, half of it in the marts:
- copy: the working copy a run starts with (reflink where the file system can), in seconds per GB
- publish: finish (drop, checkpoint), serving (marts as Parquet), move and swap
- compact: the rewrite that gives free blocks back, in seconds per GB of what remains
- ratios: both to a plain copy of every byte of the published file
- reader: median and slowest query through serving.duckdb, alone and while a publish runs (aim: no failure)
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
from analytics.common.files import copy_database
from analytics.settings import Settings, load_settings
from analytics.warehouse.publish import publish
from reference import copy_seconds, ratios

GB = 1e9
ROWS = """
select
    md5(i::varchar) as message_key,
    md5((i // 200)::varchar) as session_id,
    timestamptz '2026-01-01 00:00:00+00' + to_seconds(i * 7) as created_at,
    (i * 37) % 5000 as output_tokens,
    (i * 101) % 200000 as cache_read_tokens,
    ((i * 13) % 1000000 / 1000000)::decimal(18, 9) as cost_usd,
    'claude-model-' || (i % 5) as model,
    repeat(md5((i * 3)::varchar), 2) as title,
from range({rows}) as r(i)
"""


def build(settings: Settings, rows: int) -> None:
    """A working copy: `rows` rows in the intermediate layer and again in the marts."""
    settings.build_path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute("set preserve_insertion_order = false; create schema raw; create schema intermediate")
        connection.execute("create schema marts; create table raw.load_state as select 1 as load_id")
        connection.execute(f"create table intermediate.int_messages as {ROWS.format(rows=rows)}")
        connection.execute("create table marts.fct_messages as from intermediate.int_messages")


def queries(database: Path, until: threading.Event) -> list[float]:
    """Seconds of each query of a connection that stays open."""
    taken = []
    with duckdb.connect(str(database), read_only=True) as connection:
        while not until.is_set():
            started = time.perf_counter()
            connection.execute("select model, sum(cost_usd) from fct_messages group by model").fetchall()
            taken.append(time.perf_counter() - started)
    return taken


def reading(settings: Settings, work: Any) -> dict[str, float]:
    """Query times while `work()` runs."""
    until = threading.Event()
    taken: list[float] = []
    thread = threading.Thread(target=lambda: taken.extend(queries(settings.serving_dir / "serving.duckdb", until)))
    thread.start()
    work()
    until.set()
    thread.join()
    return {
        "queries": len(taken),
        "median_seconds": round(statistics.median(taken), 4),
        "slowest_seconds": round(max(taken), 4),
    }


def run(rows: int, folder: Path) -> dict[str, Any]:
    """All figures for a database of `rows` rows."""
    settings = load_settings(data_dir=folder / "data")
    build(settings, rows)
    size = settings.build_path.stat().st_size
    first = publish(settings)

    copied = copy_database(settings.published_path.resolve(), settings.build_path)
    alone = reading(settings, lambda: time.sleep(2))
    results = []
    busy = reading(settings, lambda: results.append(publish(settings)))

    # what is dropped in the middle of the file leaves free blocks there
    copy_database(settings.published_path.resolve(), settings.build_path)
    with duckdb.connect(str(settings.build_path)) as connection:
        for number in range(4):
            connection.execute(f"create table intermediate.dropped_{number} as from marts.fct_messages")
        connection.execute("create table intermediate.last as from marts.fct_messages; checkpoint")
        for number in range(4):
            connection.execute(f"drop table intermediate.dropped_{number}")
    bloated = settings.build_path.stat().st_size
    compacted = publish(settings)
    plain = copy_seconds(settings.published_path, folder)
    return {
        "rows": rows,
        "size_mb": round(size / 1e6, 1),
        "copy": {"method": copied.method, "seconds_per_gb": round(copied.seconds / (size / GB), 2)},
        "publish": {
            "seconds": first.duration_seconds,
            "seconds_per_gb": round(first.duration_seconds / (size / GB), 2),
            "steps": first.steps,
            "serving_mb": round(first.serving.size_bytes / 1e6, 1),
        },
        "compact": {
            "from_mb": round(bloated / 1e6, 1),
            "to_mb": round(compacted.size_bytes / 1e6, 1),
            "done": compacted.compacted,
            "seconds_per_gb": round(compacted.steps["finish"] / (compacted.size_bytes / GB), 2),
        },
        "ratios": ratios(
            {"publish": first.duration_seconds, "compact": compacted.duration_seconds, "copy": copied.seconds},
            {"plain copy": plain},
        ),
        "reader_alone": alone,
        "reader_during_publish": {**busy, "publish_seconds": results[0].duration_seconds},
    }


def main() -> None:
    """Print the figures, and write them where --json says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(arguments.rows, Path(folder))
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
