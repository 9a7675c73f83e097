"""How long the pages of sessions take, asked through the real server: list, first screen, parts, search.

    python benchmarks/bench_sessions.py --entries 1000000
    python benchmarks/bench_sessions.py --data-dir data          on what is published there

Aims: the list 0.3 s, the first screen of a session of 5,000 entries 1 s, a search that finds nothing 3 s at a million
entries. Beside each the time the processor worked, since another program at work doubles what a clock says. Ratios: to
`grep` for the same word over the same transcripts (generated histories only).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from analytics.settings import load_settings
from analytics.warehouse.marts import connect
from reference import grep_seconds, print_ratios, ratios

TOKEN = "benchmark"
NOWHERE = "zebrafish-quux"


def published(entries: int, root: Path) -> Path:
    """Publish a generated history of so many entries, and one session of 5,000 -> DATA_DIR."""
    from analytics.raw.extract import extract
    from analytics.warehouse.load import load
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform
    from transcript_generator import generate

    generate(root / "projects", entries=entries, days=365)
    _long_session(root / "projects" / "-home-ada-long" / "long.jsonl")
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    extract(settings, progress=False)
    load(settings)
    transform(settings)
    publish(settings)
    return settings.data_dir


def _long_session(path: Path, entries: int = 5_000) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w") as stream:
        for number in range(entries // 2):
            at = f"2026-05-{1 + number // 1440:02}T{number // 60 % 24:02}:{number % 60:02}"
            asked = {"role": "user", "content": f"prompt {number} " + "word " * 40}
            usage = {"input_tokens": 10, "output_tokens": 200, "cache_read_input_tokens": 50_000 + number}
            said = {
                "id": f"m{number}",
                "role": "assistant",
                "model": "claude-opus-4-6",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": f"answer {number} " + "word " * 200}],
                "usage": usage,
            }
            for kind, second, message in (("user", "00", asked), ("assistant", "20", said)):
                line = {"type": kind, "uuid": f"{kind}{number}", "sessionId": "long"}
                line["timestamp"] = f"{at}:{second}.000Z"
                stream.write(json.dumps({**line, "cwd": "/home/ada/long", "message": message}) + "\n")


@contextmanager
def server(data_dir: Path) -> Iterator[tuple[str, int]]:
    """The pages' server -> its address and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "analytics.cli", "dashboards", "serve", "--port", str(port), "--no-browser"]
    environment = {**os.environ, "DATA_DIR": str(data_dir), "JUPYTER_TOKEN": TOKEN}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}/analytics/"
        for _ in range(600):
            try:
                get(base)
                break
            except OSError:
                time.sleep(0.1)
        yield base, process.pid
    finally:
        process.terminate()
        process.wait(30)


def get(address: str) -> bytes:
    """The answer of a page."""
    request = urllib.request.Request(address, headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read()


def worked(process: int) -> float:
    """Seconds that a process has used the processor."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a table; with --json also write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, help="measure on a generated history of this size")
    parser.add_argument("--data-dir", type=Path, help="measure on what is published there")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bench-sessions-") as folder:
        data_dir = published(options.entries, Path(folder)) if options.entries else options.data_dir
        results = measure(data_dir or load_settings().data_dir)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def measure(data_dir: Path) -> dict[str, Any]:
    """Ask the pages, print what was found -> seconds by page: first, best of the next three, processor."""
    with connect(load_settings(data_dir=data_dir)) as connection:
        session, entries = connection.execute(
            "select session_id, entry_count from dim_sessions order by entry_count desc limit 1"
        ).fetchone()
        (total,) = connection.execute("select count(*) from staging.stg_entries").fetchone()
    at = f"sessions/{quote(session, safe='')}"
    asked = {
        "list": "sessions",
        "list by cost": "sessions?sort=cost",
        f"session of {entries:,} entries": at,
        "its next part": f"{at}/steps?from=40",
        "a word that is nowhere": f"sessions?q={NOWHERE}",
        "a word of one month": f"sessions?q={NOWHERE}&from=2026-05-01&to=2026-05-31",
        "a word that is everywhere": "sessions?q=the",
        "recent edits": "edits",
    }
    print(f"{total:,} entries\n{'page':34} {'first':>7} {'then':>7} {'processor':>10}  s")
    found = {"entries": total}
    with server(data_dir) as (base, process):
        time.sleep(8)  # the server lists the files when it starts
        for name, path in asked.items():
            times, works = [], []
            for _ in range(4):
                started, before = time.perf_counter(), worked(process)
                get(base + path)
                times.append(time.perf_counter() - started)
                works.append(worked(process) - before)
            found[name] = {"first": times[0], "then": min(times[1:]), "processor": min(works[1:])}
            print(f"{name:34} {times[0]:7.2f} {min(times[1:]):7.2f} {min(works[1:]):10.2f}")
    projects = data_dir.parent / "projects"
    if projects.exists():
        pages = {name: found[name]["then"] for name in asked}
        found["ratios"] = ratios(pages, {"grep": grep_seconds(projects, NOWHERE)})
        print_ratios(found["ratios"])
    return found


if __name__ == "__main__":
    main()
