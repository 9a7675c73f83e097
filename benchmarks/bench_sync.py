"""Sync: documents per second against the server's own bulk insert of the same documents (aim: at least 80 %).

python benchmarks/bench_sync.py --documents 50000 --json out.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_extract import write_transcripts


def bulk_insert(client: Any, root: Path, settings: Any) -> float:
    """The same documents, encoded beforehand, in the same lots, nothing else done -> seconds."""
    import bson
    import orjson
    from analytics.sources.sync import INSERT_DOCUMENTS
    from bson.raw_bson import RawBSONDocument

    now = datetime.now(UTC)
    encoded = []
    for path in sorted(root.rglob("*.jsonl")):
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_bytes().splitlines()):
            added = {"projectId": path.parent.name, "sourceFile": name, "ingestedAt": now, "machine": "m" * 10}
            encoded.append(bson.encode({"_id": f"{name[-20:]}{number:012d}", **orjson.loads(line), **added}))
    collection = client[settings.mongo_db]["yardstick"]
    started = time.perf_counter()
    for start in range(0, len(encoded), INSERT_DOCUMENTS):
        lot = [RawBSONDocument(item) for item in encoded[start : start + INSERT_DOCUMENTS]]
        collection.insert_many(lot, ordered=False)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()

    from analytics.settings import load_settings
    from analytics.sources.sync import sync

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from mongo_server import Server
    from pymongo import MongoClient

    with tempfile.TemporaryDirectory(prefix="bench-sync-") as folder:
        root = Path(folder)
        size = write_transcripts(root / "projects", options.documents)
        with Server(root / "server") as server, MongoClient(server.uri) as client:
            uri = server.uri
            settings = load_settings(
                claude_projects_dir=root / "projects",
                data_dir=root / "data",
                mongo_uri=uri,
                mongo_db="bench",
            )
            before = bulk_insert(client, root / "projects", settings)
            result = sync(settings, client=client, progress=False)
            client[settings.mongo_db]["yardstick"].drop()
            after = bulk_insert(client, root / "projects", settings)
            again = sync(settings, client=client, progress=False)
        yardstick = (before + after) / 2
        figures = {
            "documents": options.documents,
            "jsonl_mb": size / 1e6,
            "bulk_insert_seconds": yardstick,
            "sync_seconds": result.duration_seconds,
            "sync_documents_per_second": result.documents_inserted / result.duration_seconds,
            "sync_to_bulk_insert_rate": yardstick / result.duration_seconds,
            "nothing_new_seconds": again.duration_seconds,
        }
    for name, value in figures.items():
        print(f"{name:<28} {value:>12,.2f}" if isinstance(value, float) else f"{name:<28} {value:>12,}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
