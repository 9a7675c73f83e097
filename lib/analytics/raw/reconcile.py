"""Compare every document of the source with what is stored: missing, changed, and gone from the source.

An extract asks for ids only: a document that was changed under the same `_id` looks like one that is stored. Nothing is
ever removed here: the store outlives the source, and `purge` is what removes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.files import disk_errors
from analytics.common.progress import progress_bar
from analytics.raw import envelope
from analytics.raw.intake import Intake
from analytics.raw.rewrite import rewrite
from analytics.settings import Settings
from analytics.sources import open_source
from analytics.sources.batch import CONTENT_ID

if TYPE_CHECKING:
    import duckdb
    from pymongo import MongoClient

# Of each kind so many are named.
SHOWN = 20

# Text of documents that are looked at more closely as one lot.
LOT_BYTES = 64 * 2**20

# What says how a line came, not what it is: one that was read from its file has none of it.
_WAY = ("_id", "projectId", "sourceFile", "ingestedAt", "machine")


@dataclass(frozen=True)
class ReconcileResult:
    """What differs between source and store, or did before it was applied."""

    source: str
    documents_read: int
    missing: int
    changed: int
    deleted: int  # stored, from this source, and no longer in it
    is_applied: bool
    examples: dict[str, list[str]] = field(default_factory=dict)  # kind -> ids, some of them

    @property
    def is_same(self) -> bool:
        """Whether everything in the source is stored as it is there."""
        return not self.missing and not self.changed

    def __str__(self) -> str:
        lines = [f"{self.documents_read:,} documents of {self.source} compared"]
        said = {
            "missing": ("added" if self.is_applied else "not stored", self.missing),
            "changed": ("replaced by the newer version" if self.is_applied else "stored otherwise", self.changed),
            "deleted": ("kept although the source no longer has them", self.deleted),
        }
        for kind, (what, count) in said.items():
            lines.append(f"  {count:,} {kind}" + (f": {what}" if count else ""))
            lines += [f"    {key}" for key in self.examples.get(kind, [])]
            if count > len(self.examples.get(kind, [])):
                lines.append(f"    and {count - len(self.examples.get(kind, [])):,} more")
        return "\n".join(lines)


class _Everything(Intake):
    """An intake to which nothing is known: a source hands over all it has."""

    is_empty = True

    def missing(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        return ids


def reconcile(
    settings: Settings,
    *,
    apply: bool = False,
    client: MongoClient[Any] | None = None,
    progress: bool | None = None,
) -> ReconcileResult:
    """Compare every document of the configured source, after redaction, with its row.

    Args:
        apply: add what is missing and replace what changed; the next load then builds everything again.
        client: an open connection to the server of MONGO_URI; default: connect.
        progress: show a progress bar; default: on a terminal.

    Raises:
        ConfigError: a setting is wrong.
        SourceUnavailableError: the server cannot be reached.
        AnalyticsError: the warehouse cannot be written.
    """
    with disk_errors("reconcile", settings.data_dir):
        run = _Everything(settings, full_backfill=True)
        with open_source(settings, client) as source, _stored(run) as stored:
            found = _Differences(run, stored, apply)
            with progress_bar("reconcile", 0, "documents", progress) as bar:
                for batch in source.batches(run):
                    run.documents_read += batch.documents
                    batch.may_repeat = False
                    found.look(*run.rows_of(batch))
                    bar.advance(len(batch))
            found.resolve()
            deleted = found.deleted(source.came_from_here)
        return ReconcileResult(
            source=source.name,
            documents_read=run.documents_read,
            missing=found.missing,
            changed=found.changed,
            deleted=deleted,
            is_applied=apply,
            examples=found.examples,
        )


@contextmanager
def _stored(run: Intake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with `stored`: id, machine and a hash of the text of every row; `seen` is for the source's ids."""
    import duckdb

    folder = run.settings.data_dir / "reconcile.tmp"
    with duckdb.connect(":memory:", config={"memory_limit": "512MB", "temp_directory": str(folder)}) as connection:
        connection.execute("create table stored (_id varchar, machine varchar, hash ubigint)")
        connection.execute("create table seen (_id varchar)")
        for rows in run.store.read_files(run.store.conversations, {"_id", "machine", "entry"}):
            connection.register("rows", rows)
            connection.execute("insert into stored select _id, machine, hash(entry) from rows")
            connection.unregister("rows")
        yield connection


class _Differences:
    """What was found so far."""

    def __init__(self, run: Intake, stored: duckdb.DuckDBPyConnection, apply: bool) -> None:
        self.missing = self.changed = 0
        self.examples: dict[str, list[str]] = {"missing": [], "changed": [], "deleted": []}
        self._run = run
        self._stored = stored
        self._apply = apply
        self._differing: list[pa.Table] = []

    def look(self, rows: pa.Table, dead: list[Any]) -> None:
        """Rows of a batch, redacted."""
        self._stored.register("rows", rows.select(["_id", "entry"]))
        found = self._stored.execute(
            """
            select rows._id, max(stored._id) is null as is_missing, bool_or(hash(rows.entry) = stored.hash) as is_same
            from rows
            left join stored using (_id)
            anti join seen on rows._id = seen._id
            group by rows._id
            """
        ).to_arrow_table()
        self._stored.execute("insert into seen select _id from rows")
        self._stored.unregister("rows")
        missing = found.filter(found["is_missing"])["_id"].combine_chunks()
        differing = found.filter(pc.invert(pc.fill_null(found["is_same"], True)))["_id"].combine_chunks()
        new = rows.filter(pc.is_in(rows["_id"], missing))
        self.missing += len(missing)
        self._name("missing", new)
        if self._apply:
            self._run.add(new, dead)
            self._run.commit()
        self._differing.append(rows.filter(pc.is_in(rows["_id"], differing)))
        if sum(part.nbytes for part in self._differing) > LOT_BYTES:
            self.resolve()

    def resolve(self) -> None:
        """Which of the rows with another text have another content; replace them."""
        rows = pa.concat_tables(self._differing) if self._differing else envelope.SCHEMA.empty_table()
        self._differing = []
        if not rows.num_rows:
            return
        store, ids = self._run.store, rows["_id"].combine_chunks()
        before: dict[str, str] = {}
        for part in store.read_files(store.conversations, {"_id", "entry"}):
            found = part.filter(pc.is_in(part["_id"], ids))
            before |= dict(zip(found["_id"].to_pylist(), found["entry"].to_pylist(), strict=True))
        mask = [
            _content(key, entry) != _content(key, before[key])
            for key, entry in zip(rows["_id"].to_pylist(), rows["entry"].to_pylist(), strict=True)
        ]
        changed = rows.filter(pa.array(mask, pa.bool_()))
        self.changed += changed.num_rows
        self._name("changed", changed)
        if self._apply and changed.num_rows:
            ids = changed["_id"].combine_chunks()
            rewrite(store, store.conversations, lambda rows: pc.invert(pc.is_in(rows["_id"], ids)), {"_id"}, changed)

    def _name(self, kind: str, rows: pa.Table) -> None:
        room = SHOWN - len(self.examples[kind])
        for row in rows.slice(0, room).select(["_id", "type", "timestamp", "source_file"]).to_pylist():
            at = f"{row['timestamp']:%Y-%m-%d %H:%M}" if row["timestamp"] else "no time"
            self.examples[kind].append(f"{row['_id']} ({row['type'] or 'no type'}, {at}, {row['source_file'] or '-'})")

    def deleted(self, came_from_here: Any) -> int:
        """Rows of the source that it no longer has; `came_from_here` says whose they are."""
        rows = self._stored.execute("select _id, machine from stored anti join seen using (_id)").to_arrow_table()
        rows = rows.filter(came_from_here(rows))
        self.examples["deleted"] = sorted(rows.slice(0, SHOWN)["_id"].to_pylist())
        return rows.num_rows


def _content(key: str, entry: str) -> Any:
    """The document without what says only how it came."""
    try:
        document = orjson.loads(entry)
    except ValueError:
        return entry
    without = _WAY if re.match(CONTENT_ID, key) else ("ingestedAt",)
    return {name: value for name, value in document.items() if name.removeprefix("_original_") not in without}
