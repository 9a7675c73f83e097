"""The raw tables of a working copy, made from transcript lines without the layers before them.

For tests of what comes after loading: the same envelope code, no Iceberg.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from analytics.raw.envelope import invalid_rows, to_envelope
from analytics.sources.batch import BATCH_SCHEMA
from analytics.warehouse.prices import note_models

LOADED_AT = datetime(2026, 11, 1, tzinfo=UTC)


def documents(entries: Iterable[dict[str, Any]], project: str = "-p", file: str = "s.jsonl") -> pa.Table:
    """Entries -> a batch as a source hands it over; the `_id` is a hash of file, position and content."""
    rows = []
    for position, entry in enumerate(entries):
        text = json.dumps(entry)
        key = hashlib.md5(f"{file}{position}{text}".encode(), usedforsecurity=False).hexdigest()
        rows.append({"_id": key, "entry": text, "project_id": project, "source_file": f"{project}/{file}"})
    return pa.Table.from_pylist(rows, schema=BATCH_SCHEMA)


def transcripts(root: Path) -> pa.Table:
    """Every valid line of the `.jsonl` files below `root`, as one batch."""
    rows = []
    for path in sorted(root.rglob("*.jsonl")):
        if path.name == "journal.jsonl" and "workflows" in path.parts:
            continue  # what a workflow notes of itself
        name = str(path.relative_to(root))
        for position, line in enumerate(path.read_text("utf-8", errors="replace").split("\n")):
            if line.strip():
                key = hashlib.md5(f"{name}{position}".encode(), usedforsecurity=False).hexdigest()
                rows.append(
                    {
                        "_id": key,
                        "entry": line,
                        "project_id": name.split("/")[0],
                        "source_file": name,
                        "machine": "m",
                    }
                )
    batch = pa.Table.from_pylist(rows, schema=BATCH_SCHEMA)
    wrong = set(invalid_rows(batch))
    return batch.take([i for i in range(len(batch)) if i not in wrong])


def load(database: Path, batch: pa.Table, *, full_refresh: bool = False) -> None:
    """Put `batch` into the raw tables of `database` as the next load; `full_refresh` forgets what was."""
    database.parent.mkdir(parents=True, exist_ok=True)
    envelope = to_envelope(batch, LOADED_AT)
    with duckdb.connect(str(database)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("envelope", envelope)
        connection.execute("create schema if not exists raw")
        connection.execute(
            "create table if not exists raw.conversations as"
            " select * exclude (entry), 0::bigint as load_id from envelope limit 0"
        )
        connection.execute(
            "create table if not exists raw.dead_letters"
            " (dead_letter_id varchar, reason varchar, source varchar, document_id varchar,"
            " source_file varchar, byte_offset bigint, byte_length bigint, first_seen_at timestamptz)"
        )
        connection.execute("create table if not exists raw.redactions (kind varchar, replacements bigint)")
        if full_refresh:
            connection.execute("delete from raw.conversations")
        (load_id,) = connection.execute("select coalesce(max(load_id), 0) + 1 from raw.conversations").fetchone()
        connection.execute(
            "insert into raw.conversations select * exclude (entry), $id::bigint from envelope",
            {"id": load_id},
        )
        connection.execute(
            "create or replace table raw.new_documents as select *, $id::bigint as load_id from envelope",
            {"id": load_id},
        )
        connection.execute(
            "create or replace table raw.load_state as select $id::bigint as load_id, $full as full_refresh,"
            " $at::timestamptz as loaded_at, false as is_built",
            {"id": load_id, "full": full_refresh, "at": LOADED_AT},
        )
        note_models(connection)
        for table, columns in (
            ("project_aliases", "path varchar, project varchar, is_name boolean"),
            ("people", "place varchar, person varchar"),
            ("plan_limits", "limit_window varchar, limit_usd double"),
            (
                "reported_limits",
                "limit_window varchar, reported_at timestamptz, used_ratio double, resets_at timestamptz",
            ),
        ):
            connection.execute(f"create table if not exists raw.{table} ({columns})")
