"""Redaction: its share of an extract, and its rate against parsing the same bytes as JSON once with orjson.

    python benchmarks/bench_redact.py --megabytes 200 --json out.json

The history is made up, shaped like Claude Code's; `--projects DIR` measures real transcripts instead. Secrets are
planted in one document of `--secret-every`, so that the slow path, which only rows under suspicion take, is seen too.
What counts: its share of the processor time of an extract from JSONL files, the quickest source (aim: at most 0.15).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
import pyarrow as pa
from analytics.privacy.redact import redact_batch
from reference import seconds_of

sys.path.insert(0, str(Path(__file__).parent))


def texts(megabytes: int, projects: Path | None, secret_every: int) -> list[str]:
    """JSON texts, about `megabytes` of them."""
    found: list[str] = []
    size = 0
    if projects is None:
        from bench_extract import documents

        source = (json.dumps(document, default=str) for document in documents(megabytes * 2000))
    else:
        lines = [
            line
            for path in sorted(projects.rglob("*.jsonl"))
            for line in path.read_text(errors="replace").split("\n")
            if line.startswith("{")
        ]
        source = (line for _ in range(1000) for line in lines)
    rng = random.Random(1)
    for number, text in enumerate(source):
        if secret_every and number % secret_every == 0:
            token = "gh" + "p_" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=36))
            text = text[:-1] + f', "planted": "GITHUB_TOKEN={token}"}}'
        found.append(text)
        size += len(text)
        if size >= megabytes * 1e6:
            break
    return found


def write_transcripts(root: Path, rows: list[str]) -> None:
    """The texts as transcript files of 250 lines."""
    root.mkdir(parents=True)
    for start in range(0, len(rows), 250):
        (root / f"{start}.jsonl").write_text("\n".join(rows[start : start + 250]) + "\n", errors="replace")


_EXTRACT = """
import sys, time
from analytics.privacy import redact
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import load_settings
import analytics.sources.jsonl

settings = load_settings(source="jsonl", claude_projects_dir=sys.argv[1], data_dir=sys.argv[2])
RawStore(settings).refresh()
redact_batch, spent = redact.redact_batch, 0.0

def measured(texts):
    global spent
    started = time.thread_time()
    try:
        return redact_batch(texts)
    finally:
        spent += time.thread_time() - started

redact.redact_batch = measured
started = time.process_time()
extract(settings, progress=False)
print(spent / (time.process_time() - started))
"""


def share_of_extract(rows: list[str], times: int = 3) -> float:
    """The share of an extract's processor time that goes into redacting `rows`; the median of `times` processes."""
    with tempfile.TemporaryDirectory(prefix="bench-redact-") as folder:
        root = Path(folder)
        write_transcripts(root / "projects" / "-home-dev", rows)
        shares = []
        for number in range(times):
            command = [sys.executable, "-c", _EXTRACT, str(root / "projects"), str(root / f"data-{number}")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            shares.append(float(done.stdout))
    return statistics.median(shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--projects", type=Path)
    parser.add_argument("--secret-every", type=int, default=500, metavar="N", help="0: none")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()

    rows = texts(options.megabytes, options.projects, options.secret_every)
    array = pa.array(rows, pa.large_string())
    size = sum(len(row.encode("utf-8", "replace")) for row in rows)
    encoded = [row.encode("utf-8", "replace") for row in rows]

    def parse() -> None:
        for row in encoded:
            try:
                orjson.loads(row)
            except orjson.JSONDecodeError:
                continue

    parsing = seconds_of(parse, 2)
    redacting = seconds_of(lambda: redact_batch(array), 3)
    counts = redact_batch(array)[1]
    figures = {
        "documents": len(rows),
        "megabytes": round(size / 1e6, 1),
        "json_mb_per_s": round(size / 1e6 / parsing),
        "redact_mb_per_s": round(size / 1e6 / redacting),
        "redact_to_json_time": round(redacting / parsing, 3),
        "share_of_extract": round(share_of_extract(rows), 3),
        "redacted": counts,
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
