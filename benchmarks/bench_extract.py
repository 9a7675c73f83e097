"""Extract: wall time against draining the same cursor raw, and against a plain per-document extractor.

    python benchmarks/bench_extract.py --documents 100000 --json out.json

Every figure is measured in this run, on this machine; ratios are what counts:
- mongodb: our extract / raw drain of the same cursor (aim: at most 1.5),
  and / the yardstick, a per-document extractor (aim: at most 0.6)
- java: the same from mongo-java-server, which answers quicker (aim: at most 2); needs Java and Maven
- jsonl: MB of JSONL per second into Iceberg (aim: at least 40), and / a parse of the same lines by DuckDB
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from java_server import JavaServer, what_is_missing
from mongo_server import Server
from reference import parse_seconds

DATABASE = "bench"
COLLECTION = "conversations"


def documents(count: int, seed: int = 1) -> Any:
    """`count` entries shaped like Claude Code's, about 1.6 KB each on average, a few of them large."""
    rng = random.Random(seed)
    words = [uuid.UUID(int=rng.getrandbits(128)).hex[: rng.randint(2, 12)] for _ in range(4000)]
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def text(size: int) -> str:
        return " ".join(rng.choices(words, k=max(1, size // 7)))

    def key() -> str:
        return str(uuid.UUID(int=rng.getrandbits(128)))

    session, parent = key(), None
    for number in range(count):
        if number % 250 == 0:
            session, parent = key(), None
        at += timedelta(seconds=rng.expovariate(1 / 40))
        entry: dict[str, Any] = {
            "parentUuid": parent,
            "isSidechain": rng.random() < 0.1,
            "userType": "external",
            "cwd": f"/home/dev/project-{number // 5000}",
            "sessionId": session,
            "version": "2.1.38",
            "gitBranch": "main",
            "type": "assistant" if number % 3 else "user",
            "uuid": (parent := key()),
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
        }
        size = min(int(rng.lognormvariate(5.6, 1.3)), 200_000)
        if number % 3:
            usage = {
                "input_tokens": rng.randint(1, 9),
                "output_tokens": rng.randint(1, 3000),
                "cache_read_input_tokens": rng.randint(0, 200_000),
                "cache_creation_input_tokens": rng.randint(0, 20_000),
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 0,
                    "ephemeral_1h_input_tokens": rng.randint(0, 20_000),
                },
                "service_tier": "standard",
            }
            block = {
                "type": "tool_use",
                "id": f"toolu_{key()}",
                "name": "Bash",
                "input": {"command": text(size)},
            }
            entry["message"] = {
                "id": f"msg_{key()}",
                "type": "message",
                "role": "assistant",
                "model": "claude-opus-4-6",
                "content": [block if number % 2 else {"type": "text", "text": text(size)}],
                "stop_reason": None,
                "usage": usage,
            }
            entry["requestId"] = f"req_{key()}"
        else:
            result = text(size * 2)
            content = [{"type": "tool_result", "tool_use_id": f"toolu_{key()}", "content": result, "is_error": False}]
            entry["message"] = {"role": "user", "content": content}
            entry["toolUseResult"] = {"stdout": result, "stderr": "", "interrupted": False, "isImage": False}
        yield entry


def write_transcripts(root: Path, count: int) -> int:
    """The documents as transcript files of 250 lines -> bytes written."""
    import orjson

    lines: list[bytes] = []
    total = number = 0
    for number, entry in enumerate(documents(count), start=1):
        lines.append(orjson.dumps(entry))
        if number % 250 == 0 or number == count:
            path = root / f"-home-dev-project-{number // 5000}" / f"{entry['sessionId']}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = b"\n".join(lines) + b"\n"
            path.write_bytes(content)
            os.utime(path, (number, number))
            total += len(content)
            lines = []
    return total


def drain(uri: str) -> tuple[float, int]:
    """Read the collection raw and do nothing with it -> (seconds, bytes)."""
    from analytics.sources.collection import CURSOR_BATCH
    from pymongo import MongoClient

    started = time.perf_counter()
    with MongoClient(uri) as client:
        cursor = client[DATABASE][COLLECTION].find_raw_batches({}, batch_size=CURSOR_BATCH)
        size = sum(len(raw) for raw in cursor)
    return time.perf_counter() - started, size


def plain_extractor(uri: str, data_dir: Path) -> float:
    """The yardstick: a dict per document, `pa.Table.from_pylist`, the same table and commits -> seconds."""
    import pyarrow as pa
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401  start-up, not work
    from analytics.raw.envelope import SCHEMA
    from analytics.raw.store import RawStore
    from analytics.settings import load_settings
    from analytics.sources.collection import CURSOR_BATCH
    from dateutil.parser import isoparse
    from pymongo import MongoClient

    started = time.perf_counter()
    store = RawStore(load_settings(data_dir=data_dir))
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []

    def flush() -> None:
        store.append(pa.Table.from_pylist(rows, schema=SCHEMA))
        rows.clear()

    with MongoClient(uri, tz_aware=True) as client:
        # left to itself, mongo-java-server answers with more than a message may hold
        for document in client[DATABASE][COLLECTION].find({}, batch_size=CURSOR_BATCH):
            message = document.get("message") or {}
            timestamp = document.get("timestamp")
            at = isoparse(timestamp) if timestamp else None
            rows.append(
                {
                    "_id": str(document["_id"]),
                    "type": document.get("type"),
                    "uuid": document.get("uuid"),
                    "parent_uuid": document.get("parentUuid"),
                    "session_id": document.get("sessionId"),
                    "project_id": document.get("projectId"),
                    "timestamp": at,
                    "ingested_at": document.get("ingestedAt"),
                    "extracted_at": now,
                    "source_file": document.get("sourceFile"),
                    "message_role": message.get("role"),
                    "message_id": message.get("id"),
                    "request_id": document.get("requestId"),
                    "is_sidechain": document.get("isSidechain"),
                    "agent_id": document.get("agentId"),
                    "version": document.get("version"),
                    "cwd": document.get("cwd"),
                    "git_branch": document.get("gitBranch"),
                    "date": (at or now).date(),
                    "entry": json.dumps(document, default=str),
                }
            )
            if len(rows) >= 40_000:
                flush()
    if rows:
        flush()
    return time.perf_counter() - started


def timed_extract(**settings: Any) -> dict[str, Any]:
    """One extract in a fresh process -> seconds of work and peak resident memory in MiB."""
    code = (
        "import sys, json, resource, time\n"
        "from pathlib import Path\n"
        "from analytics.settings import load_settings\n"
        "from analytics.raw.extract import extract\n"
        "import pyiceberg.catalog.sql, pyiceberg.io.pyarrow\n"  # start-up, not work
        "settings = load_settings(**json.loads(sys.argv[1]))\n"
        "result = extract(settings, progress=False)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print(json.dumps({'seconds': result.duration_seconds, 'peak_mib': peak}))"
    )
    arguments = json.dumps({key: str(value) for key, value in settings.items()})
    found = subprocess.run([sys.executable, "-c", code, arguments], check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def tree_bytes(root: Path) -> int:
    """Bytes of all files under `root`."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def through(server: Server, count: int, root: Path) -> dict[str, float]:
    """Extract `count` documents from a server that runs -> figures, beside those of the two yardsticks."""
    from pymongo import MongoClient

    with MongoClient(server.uri) as client:
        collection = client[DATABASE][COLLECTION]
        now = datetime.now(UTC)
        entries = documents(count)
        while lot := list(itertools.islice(entries, 1000)):
            added = {"projectId": "-home-dev", "sourceFile": "a.jsonl", "ingestedAt": now}
            collection.insert_many([{**entry, **added} for entry in lot], ordered=False)
    drain(server.uri)  # warms the server's cache for all that follow
    target = {"mongo_uri": server.uri, "mongo_db": DATABASE, "mongo_collection": COLLECTION}
    raw, size = drain(server.uri)
    ours = timed_extract(**target, data_dir=root / "ours")
    raw = min(raw, drain(server.uri)[0])
    plain = plain_extractor(server.uri, root / "plain")
    return {
        "raw_drain_seconds": raw,
        "raw_drain_mb_per_second": size / 1e6 / raw,
        "seconds": ours["seconds"],
        "peak_mib": ours["peak_mib"],
        "plain_extractor_seconds": plain,
        "to_raw_drain": ours["seconds"] / raw,
        "to_plain_extractor": ours["seconds"] / plain,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--only", choices=["mongodb", "java", "jsonl"])
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    chosen = [options.only] if options.only else ["jsonl", "mongodb", "java"]
    figures: dict[str, Any] = {"documents": options.documents}

    with tempfile.TemporaryDirectory(prefix="bench-extract-") as folder:
        root = Path(folder)
        if "jsonl" in chosen:
            size = write_transcripts(root / "projects", options.documents)
            found = timed_extract(source="jsonl", claude_projects_dir=root / "projects", data_dir=root / "jsonl")
            figures["jsonl_mb"] = size / 1e6
            figures["jsonl_seconds"] = found["seconds"]
            figures["jsonl_mb_per_second"] = size / 1e6 / found["seconds"]
            figures["jsonl_peak_mib"] = found["peak_mib"]
            figures["jsonl_to_parse"] = found["seconds"] / parse_seconds(root / "projects")
            figures["iceberg_share_of_jsonl"] = tree_bytes(root / "jsonl" / "iceberg") / size
        if "mongodb" in chosen:
            # A MongoDB of one's own holds what it is asked for in memory. With a small cache a longer history would
            # show how fast the server reads its disk, in every one of the figures.
            with Server(root / "server", cache_size="2G") as server:
                found = through(server, options.documents, root / "secantus")
            figures |= {f"mongodb_{name}": value for name, value in found.items()}
        if "java" in chosen:
            if missing := what_is_missing():
                print(f"mongo-java-server is not measured: {missing}", file=sys.stderr)
            else:
                with JavaServer(None) as server:
                    found = through(server, options.documents, root / "java")
                figures |= {f"java_{name}": value for name, value in found.items()}
    figures["benchmark_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value in figures.items():
        print(f"{name:<32} {value:>12,.2f}" if isinstance(value, float) else f"{name:<32} {value:>12,}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
