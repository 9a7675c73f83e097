"""How fast histories are generated, against the plain cost of serialising the same documents with orjson.

python benchmarks/bench_generator.py [--entries 200000]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import orjson
from transcript_generator import generate


def main() -> None:
    """Print entries per second and the ratio to the yardstick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        truth = generate(Path(directory), entries=arguments.entries)
        seconds = time.perf_counter() - started
        lines = [line for path in Path(directory).rglob("*.jsonl") for line in path.read_bytes().split(b"\n") if line]
    documents = [orjson.loads(line) for line in lines]
    started = time.perf_counter()
    for document in documents:
        orjson.dumps(document)
    yardstick = time.perf_counter() - started
    size = sum(map(len, lines)) / 1e6
    print(f"{truth.documents:,} entries, {size:.0f} MB in {seconds:.2f} s: {truth.documents / seconds:,.0f} entries/s")
    print(f"{seconds / yardstick:.1f} x orjson.dumps of the same documents")
    if arguments.json:
        figures = {"entries_per_second": truth.documents / seconds, "times_serialising": seconds / yardstick}
        arguments.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
