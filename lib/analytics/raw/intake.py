"""Batches on their way into the raw tables: what is new in them, redacted, counted, committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.privacy.tombstones import tombstones
from analytics.raw import envelope
from analytics.raw.catalog import DEAD_LETTER_SCHEMA
from analytics.raw.store import RawStore, keep_new
from analytics.settings import Settings
from analytics.sources.batch import Batch, DeadLetter, Part, fingerprint

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

# JSON text per commit: bounds memory (each byte exists a few times on its way) against the number of files.
COMMIT_BYTES = 64 * 2**20

# Text that is decoded, redacted and parsed as one piece while the next one is on its way. The automaton that looks for
# secrets is built anew for each.
BATCH_BYTES = 32 * 2**20

_NO_IDS = pa.chunked_array([], pa.string())


@dataclass(frozen=True)
class ExtractResult:
    """What one extract did."""

    source: str  # mongodb or jsonl
    documents_read: int
    documents_stored: int
    documents_skipped: int  # already stored
    dead_letters: int
    snapshot_id: int | None
    previous_snapshot_id: int | None
    watermark: datetime | None
    duration_seconds: float
    full_backfill: bool = False
    redacted: dict[str, int] | None = None  # secrets replaced, by kind
    hint: str = ""  # what to do, where the source holds nothing at all

    @property
    def is_new(self) -> bool:
        """Whether anything was added."""
        return bool(self.documents_stored or self.dead_letters)

    def __str__(self) -> str:
        text = f"nothing new from {self.source}"
        if self.is_new:
            text = f"{self.documents_stored:,} documents stored from {self.source}"
            if self.dead_letters:
                text += f", {self.dead_letters:,} lines could not be read"
        if self.documents_skipped:
            text += f", {self.documents_skipped} already stored"
        return f"{text} ({self.duration_seconds:.1f} s)" + (f"; {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class Taken:
    """What another process made of a part: files that no commit names yet, and its counts."""

    files: list[DataFile]  # of raw.conversations
    dead_letter_files: list[DataFile]
    read: int
    stored: int
    skipped: int
    dead: int
    bytes: int  # of JSON text
    is_exact: bool  # no document came twice
    newest: datetime | None
    redacted: dict[str, int]
    bookmarks: list[Any]


class Intake:
    """One extract: takes batches, stores what is new, counts everything."""

    def __init__(
        self,
        settings: Settings,
        full_backfill: bool,
        commit_bytes: int = COMMIT_BYTES,
        store: RawStore | None = None,
    ) -> None:
        self.settings = settings
        self.full_backfill = full_backfill
        self.commit_bytes = commit_bytes
        self.started = time.monotonic()
        self.now = utc_now().replace(microsecond=0)
        self.tombstones = tombstones(settings)
        self.store = store or RawStore(settings)
        self.properties = self.store.properties()
        self.previous_snapshot_id = self.store.current_snapshot_id()
        self._known_files: list[str] | None = None
        self.documents_read = self.stored = self.skipped = self.dead = 0
        self.newest: datetime | None = None
        self.redacted: dict[str, int] = {}
        self._uncommitted: dict[str, int] = {}
        self._pending: list[pa.Table] = []
        self._pending_dead: list[DeadLetter] = []
        self._pending_bytes = 0
        self._taken: list[Taken] = []

    @property
    def known_files(self) -> list[str]:
        """Parquet files that may hold what is read: those from before this run. Listing thousands takes a while."""
        if self._known_files is None:
            before = self.previous_snapshot_id
            self._known_files = [] if before is None else self.store.data_files(before)
        return self._known_files

    @property
    def is_empty(self) -> bool:
        """Whether nothing was stored before this run."""
        return not self.known_files

    def missing(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Those of `ids` that are not stored."""
        return ids.filter(keep_new(ids, self.store.stored_ids(ids, self.known_files)))

    def recheck(self) -> None:
        """From here on documents of this very run may come again."""
        self._known_files = self.store.data_files()

    def read(self, part: Part) -> Iterator[Batch]:
        """The batches of `part`."""
        yield from part.batches(self.settings, self.batch_bytes)

    @property
    def batch_bytes(self) -> int:
        """How much text a source should hand over at once."""
        return min(BATCH_BYTES, self.commit_bytes)

    @property
    def is_full(self) -> bool:
        """Whether enough waits for a commit."""
        return self._pending_bytes >= self.commit_bytes

    def absorb(self, batch: Batch) -> None:
        """Make rows of what is new in `batch`, to be committed later."""
        self.documents_read += batch.documents + batch.recognised
        self.skipped += batch.recognised
        if batch.taken is not None:
            self._count(batch.taken)
            self._taken.append(batch.taken)
        rows, dead = self.rows_of(batch)
        self.add(rows, dead)
        self._pending_bytes += batch.bytes

    def add(self, rows: pa.Table, dead: list[DeadLetter]) -> None:
        """Have rows and dead letters wait for the next commit."""
        if rows.num_rows:
            self._pending.append(rows)
        self._pending_dead += dead

    def commit(self, properties: dict[str, str] | None = None, *, force: bool = False) -> bool:
        """Store what was absorbed -> whether raw.conversations got a commit.

        `properties` go into the same commit. Without new rows there is no commit, unless `force`, or unless this
        run stored something before: its end has to be remembered.
        """
        rows = pa.concat_tables(self._pending) if self._pending else envelope.SCHEMA.empty_table()
        first = keep_new(rows["_id"], _NO_IDS)
        if not pc.all(first).as_py():
            rows = rows.filter(first)
        dead_letters = self._dead_letters(self._pending_dead)
        self.skipped += sum(part.num_rows for part in self._pending) - rows.num_rows
        self.skipped += len(self._pending_dead) - dead_letters.num_rows
        self.dead += dead_letters.num_rows
        self.stored += rows.num_rows
        self._pending, self._pending_dead, self._pending_bytes = [], [], 0
        reached("extract.read")
        files = [file for taken in self._taken for file in taken.files]
        dead_letter_files = [file for taken in self._taken for file in taken.dead_letter_files]
        wanted = bool(rows.num_rows or files) or (properties is not None and (force or self.stored > 0))
        if wanted or dead_letters.num_rows or dead_letter_files:
            update = self._update(properties or {}) if wanted else None
            self.store.append(
                rows if rows.num_rows else None,
                dead_letters=dead_letters,
                properties=update,
                files=files,
                dead_letter_files=dead_letter_files,
            )
        self._taken = []
        return wanted

    def _count(self, taken: Taken) -> None:
        self.stored += taken.stored
        self.skipped += taken.skipped
        self.dead += taken.dead
        self.newest = max(filter(None, (self.newest, taken.newest)), default=None)
        self._count_redacted(taken.redacted)

    def _count_redacted(self, counts: dict[str, int]) -> None:
        for kind, count in counts.items():
            self.redacted[kind] = self.redacted.get(kind, 0) + count
            self._uncommitted[kind] = self._uncommitted.get(kind, 0) + count

    def _update(self, properties: dict[str, str]) -> Callable[[dict[str, str]], dict[str, str]]:
        """`properties` and the running number of redactions, on top of what the table says at that moment."""
        counts, self._uncommitted = self._uncommitted, {}

        def merge(current: dict[str, str]) -> dict[str, str]:
            totals = {
                f"redacted.{kind}": str(int(current.get(f"redacted.{kind}", "0")) + count)
                for kind, count in counts.items()
            }
            return {**properties, **totals}

        return merge

    def rows_of(self, batch: Batch) -> tuple[pa.Table, list[DeadLetter]]:
        """New rows of `batch`, and everything in it that is a dead letter."""
        dead = list(batch.dead)
        if not len(batch):
            return envelope.SCHEMA.empty_table(), dead
        table = batch.to_arrow()
        stored = self.store.stored_ids(table["_id"], self.known_files) if batch.may_repeat else _NO_IDS
        mask = keep_new(table["_id"], stored)
        new = table if pc.all(mask).as_py() else table.filter(mask)
        self.skipped += table.num_rows - new.num_rows
        self._see(table)
        if not new.num_rows:
            return envelope.SCHEMA.empty_table(), dead
        new = new.set_column(1, "entry", self._redact(new["entry"]))
        new = self._redact_names(new, "project_id", "source_file", "machine")
        try:
            rows = envelope.to_envelope(new, self.now)
        except Exception:
            # Something is no JSON to the engine that reads it later: find it, keep it, store the others.
            bad = envelope.invalid_rows(new)
            if not bad:
                raise
            for position in bad:
                row = new.slice(position, 1).to_pylist()[0]
                original = row["entry"].encode()
                dead.append(
                    DeadLetter(
                        dead_letter_id=fingerprint(b"envelope", row["_id"].encode(), original),
                        reason="not a JSON object",
                        source=self.settings.source or "",
                        original=original,
                        document_id=row["_id"],
                        source_file=row["source_file"],
                    )
                )
            good = pa.array([position not in set(bad) for position in range(new.num_rows)])
            rows = envelope.to_envelope(new.filter(good), self.now)
        self._see(rows)
        if self.tombstones is not None:
            kept = rows.filter(self.tombstones.keep(rows))
            self.skipped += rows.num_rows - kept.num_rows
            rows = kept
        return rows, dead

    def _see(self, rows: pa.Table) -> None:
        newest = _newest_ingested_at(rows, self.now)
        if newest is not None and (self.newest is None or newest > self.newest):
            self.newest = newest

    def _redact(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """`texts` with secrets replaced, counted by kind."""
        if not self.settings.redact_secrets:
            return texts
        from analytics.privacy.redact import redact_batch

        clean, counts = redact_batch(texts)
        self._count_redacted(counts)
        return clean

    def _redact_names(self, rows: pa.Table, *columns: str) -> pa.Table:
        """`rows` with the same done to names of files, folders and machines, of which there are few different ones."""
        different = pc.unique(pa.chunked_array([chunk for name in columns for chunk in rows[name].chunks], pa.string()))
        names = pa.chunked_array([different])
        clean = self._redact(names)
        if clean is names:
            return rows
        for name in columns:
            replaced = pc.take(clean, pc.index_in(rows[name], different))
            rows = rows.set_column(rows.column_names.index(name), name, replaced)
        return rows

    def _dead_letters(self, dead: list[DeadLetter]) -> pa.Table:
        """Dead letters not stored yet, as rows."""
        if self.settings.redact_secrets and dead:
            names = pa.table({"source_file": pa.array([item.source_file for item in dead], pa.string())})
            clean = self._redact_names(names, "source_file")["source_file"].to_pylist()
            dead = [replace(item, source_file=name) for item, name in zip(dead, clean, strict=True)]
        if self.tombstones is not None:
            known = self.tombstones
            dead = [
                item
                for item in dead
                if item.dead_letter_id not in known.ids and not known.covers_file(None, item.source_file)
            ]
        if not dead:
            return DEAD_LETTER_SCHEMA.empty_table()
        rows = [{**vars(item), "byte_length": len(item.original), "first_seen_at": self.now} for item in dead]
        table = pa.Table.from_pylist(rows, schema=DEAD_LETTER_SCHEMA)
        ids = table["dead_letter_id"]
        mask = keep_new(ids, self.store.stored_dead_letter_ids(ids))
        # What a replay stored, MongoDB may refuse for ever.
        keys = pc.coalesce(table["document_id"], ids)
        stored = self.store.stored_ids(keys, self.known_files)
        if len(stored):
            mask = pc.and_(mask, pc.invert(pc.is_in(keys, value_set=stored.combine_chunks())))
        table = table.filter(mask)
        # Originals are bytes of any kind: Latin-1 maps each byte to a character and back.
        texts = [[item.decode("latin-1") for item in table["original"].to_pylist()]]
        originals = [
            text.encode("latin-1", "replace") for text in self._redact(pa.chunked_array(texts, pa.string())).to_pylist()
        ]
        field = DEAD_LETTER_SCHEMA.field("original")
        position = DEAD_LETTER_SCHEMA.get_field_index("original")
        return table.set_column(position, field, pa.array(originals, field.type))

    def result(self, source: str, watermark: datetime | None = None, hint: str = "") -> ExtractResult:
        """The counts so far."""
        return ExtractResult(
            source=source,
            documents_read=self.documents_read,
            documents_stored=self.stored,
            documents_skipped=self.skipped,
            dead_letters=self.dead,
            snapshot_id=self.store.current_snapshot_id(),
            previous_snapshot_id=self.previous_snapshot_id,
            watermark=watermark,
            duration_seconds=time.monotonic() - self.started,
            full_backfill=self.full_backfill,
            redacted=self.redacted,
            hint=hint,
        )


def _newest_ingested_at(rows: pa.Table, not_after: datetime) -> datetime | None:
    """Largest `ingested_at` in `rows`, never later than `not_after`: a wrong clock must hide no documents."""
    largest = pc.max(rows["ingested_at"]).as_py() if rows.num_rows else None
    return None if largest is None else min(largest, not_after)
