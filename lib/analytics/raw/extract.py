"""Source -> Iceberg: new documents, each exactly once.

Always: documents read = rows stored + already stored + dead letters. Rows go in by commits of bounded size;
only the last commit of a run moves the watermark, so a run that was killed half-way is simply repeated, and
what it had stored is recognised by `_id`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.common.progress import progress_bar
from analytics.operations.purge import tombstones
from analytics.raw.store import DEAD_LETTER_SCHEMA, RawStore, envelope, keep_new
from analytics.settings import Settings
from analytics.sources.batch import Batch, DeadLetter, fingerprint

if TYPE_CHECKING:
    from pymongo import MongoClient

    from analytics.sources.sync import SyncResult, SyncState
    from analytics.sources.transcripts import FileState

# JSON text per commit: bounds memory (each byte exists a few times on its way) against the number of files.
COMMIT_BYTES = 64 * 2**20

# Text that is decoded, redacted and parsed as one piece while the next one is on its way.
BATCH_BYTES = 16 * 2**20

# Reading single documents by `_id` beats reading everything while fewer than this share is missing.
FEW_MISSING = 0.3

_NO_IDS = pa.chunked_array([], pa.string())


@dataclass(frozen=True)
class ExtractResult:
    """What one extract did."""

    source: str  # mongodb, embedded or jsonl
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
    sync: SyncResult | None = None

    @property
    def is_new(self) -> bool:
        """Whether anything was added."""
        return bool(self.documents_stored or self.dead_letters)

    def __str__(self) -> str:
        text = f"nothing new from {self.source}"
        if self.is_new:
            text = f"{self.documents_stored} documents stored from {self.source}"
            if self.dead_letters:
                text += f", {self.dead_letters} dead letters"
        if self.documents_skipped:
            text += f", {self.documents_skipped} already stored"
        return f"{text} ({self.duration_seconds:.1f} s)"


def extract(
    settings: Settings,
    *,
    full_backfill: bool = False,
    client: MongoClient[Any] | None = None,
    progress: bool | None = None,
    commit_bytes: int = COMMIT_BYTES,
) -> ExtractResult:
    """Store new documents of the configured source in `raw.conversations`.

    Args:
        full_backfill: look at every document of the source, not only at recent ones, and add what is missing.
        client: an open connection to the server of MONGO_URI; default: connect.
        progress: show a progress bar; default: on a terminal.
        commit_bytes: JSON text per Iceberg commit.

    Raises:
        ConfigError: a setting is wrong (CLAUDE_PROJECTS_DIR, MONGO_URI).
        SourceUnavailableError: the server cannot be reached or stays away.
        AnalyticsError: the warehouse cannot be written.
    """
    # A full disk, a directory that turned read-only: what was committed stays, the next run goes on from there.
    with disk_errors("extract", settings.data_dir):
        run = Intake(settings, full_backfill, progress, commit_bytes)
        reached("extract.started")
        if settings.source == "jsonl":
            result = _from_jsonl(run)
        elif settings.mongo_uri is None:
            result = _from_embedded(run)
        else:
            result = _from_mongodb(run, client)
        if full_backfill:
            from analytics.raw.dead_letters import remove_solved

            remove_solved(run.store)
        return result


class Intake:
    """One extract: takes batches, stores what is new, counts everything."""

    def __init__(self, settings: Settings, full_backfill: bool, progress: bool | None, commit_bytes: int) -> None:
        self.settings = settings
        self.full_backfill = full_backfill
        self.progress = progress
        self.commit_bytes = commit_bytes
        self.started = time.monotonic()
        self.now = utc_now().replace(microsecond=0)
        self.tombstones = tombstones(settings)
        self.store = RawStore(settings)
        self.properties = self.store.properties()
        self.previous_snapshot_id = self.store.current_snapshot_id()
        self._known_files: list[str] | None = None
        self.read = self.stored = self.skipped = self.dead = 0
        self.newest: datetime | None = None
        self.redacted: dict[str, int] = {}
        self._uncommitted: dict[str, int] = {}
        self._pending: list[pa.Table] = []
        self._pending_dead: list[DeadLetter] = []
        self._pending_bytes = 0

    @property
    def known_files(self) -> list[str]:
        """Parquet files that may hold what is read: those from before this run. Listing thousands takes a while."""
        if self._known_files is None:
            before = self.previous_snapshot_id
            self._known_files = [] if before is None else self.store.data_files(before)
        return self._known_files

    def recheck(self) -> None:
        """From here on documents of this very run may come again."""
        self._known_files = self.store.data_files()

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
        self.read += len(batch) + len(batch.dead)
        rows, dead = self._rows(batch)
        if rows.num_rows:
            self._pending.append(rows)
        self._pending_dead += dead
        self._pending_bytes += batch.bytes

    def commit(self, properties: Callable[[], dict[str, str]] | None = None, *, force: bool = False) -> bool:
        """Store what was absorbed -> whether raw.conversations got a commit.

        `properties` go into the same commit. Without new rows there is no commit, unless `force`, or unless this
        run stored something before: its end has to be remembered.
        """
        rows = pa.concat_tables(self._pending) if self._pending else envelope.SCHEMA.empty_table()
        first = keep_new(rows["_id"], _NO_IDS)
        if not pc.all(first).as_py():
            rows = rows.filter(first)
        letters = self._dead_letters(self._pending_dead)
        self.skipped += sum(part.num_rows for part in self._pending) - rows.num_rows
        self.skipped += len(self._pending_dead) - letters.num_rows
        self.dead += letters.num_rows
        self.stored += rows.num_rows
        self._pending, self._pending_dead, self._pending_bytes = [], [], 0
        reached("extract.read")
        wanted = bool(rows.num_rows) or (properties is not None and (force or self.stored > 0))
        if wanted or letters.num_rows:
            update = self._update(properties() if properties else {}) if wanted else None
            self.store.append(rows if rows.num_rows else None, dead_letters=letters, properties=update)
        return wanted

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

    def _rows(self, batch: Batch) -> tuple[pa.Table, list[DeadLetter]]:
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
                        source=self.settings.source,
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
        from analytics.sources.mongodb import newest_ingested_at

        newest = newest_ingested_at(rows, self.now)
        if newest is not None and (self.newest is None or newest > self.newest):
            self.newest = newest

    def _redact(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """`texts` with secrets replaced, counted by kind."""
        if not self.settings.redact_secrets:
            return texts
        from analytics.privacy.redact import redact_batch

        clean, counts = redact_batch(texts)
        for kind, count in counts.items():
            self.redacted[kind] = self.redacted.get(kind, 0) + count
            self._uncommitted[kind] = self._uncommitted.get(kind, 0) + count
        return clean

    def _dead_letters(self, dead: list[DeadLetter]) -> pa.Table:
        """Dead letters not stored yet, as rows."""
        if self.tombstones is not None:
            known = self.tombstones
            dead = [
                item
                for item in dead
                if item.dead_letter_id not in known.ids and not known.covers_file(None, item.source_file)
            ]
        if not dead:
            return DEAD_LETTER_SCHEMA.empty_table()
        rows = [
            {
                "dead_letter_id": item.dead_letter_id,
                "reason": item.reason,
                "source": item.source,
                "document_id": item.document_id,
                "source_file": item.source_file,
                "byte_offset": item.byte_offset,
                "byte_length": len(item.original),
                "first_seen_at": self.now,
                "original": item.original,
            }
            for item in dead
        ]
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

    def result(self, source: str, watermark: datetime | None = None, sync: SyncResult | None = None) -> ExtractResult:
        """The counts so far."""
        return ExtractResult(
            source=source,
            documents_read=self.read,
            documents_stored=self.stored,
            documents_skipped=self.skipped,
            dead_letters=self.dead,
            snapshot_id=self.store.current_snapshot_id(),
            previous_snapshot_id=self.previous_snapshot_id,
            watermark=watermark,
            duration_seconds=time.monotonic() - self.started,
            full_backfill=self.full_backfill,
            redacted=self.redacted,
            sync=sync,
        )


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """`items`, each produced by a thread while the one before is being stored."""
    done = object()
    waiting: queue.Queue[Any] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((done, None))
        except BaseException as error:
            put((done, error))

    thread = threading.Thread(target=produce, name="extract-produce", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is done:
                return
            yield item
    finally:
        stop.set()
        thread.join(timeout=10)


def _from_jsonl(run: Intake) -> ExtractResult:
    from analytics.sources import jsonl

    positions = jsonl.ReadPositions(run.settings, run.properties)
    files = positions.pending(everything=run.full_backfill)
    exact = positions.are_exact(run.properties) and not run.full_backfill
    total = sum(file.size - file.start for file in files)
    produced = jsonl.batches(files, run.settings.machine_name, run.now, run.batch_bytes, positions_are_exact=exact)
    read: dict[str, FileState] = {}
    with progress_bar("extract", total, "B", run.progress) as bar:
        for batch, states in _ahead(produced) if files else ():
            run.absorb(batch)
            read.update(states)
            bar.advance(batch.bytes)
            if not (run.is_full or batch.is_last):
                continue
            # Positions first, under the name of a commit that does not exist yet: they count only if it
            # succeeds.
            token = positions.prepare(read)
            reached("extract.positions")
            committed = run.commit(
                lambda token=token: {positions.key: token},
                force=positions.token is None and run.read > 0,
            )
            positions.settle(token if committed else positions.token)
            read = {}
    return run.result("jsonl")


def _from_mongodb(run: Intake, client: MongoClient[Any] | None) -> ExtractResult:
    from analytics.sources import mongodb
    from analytics.sources.sync import open_state, state_path

    uri = run.settings.mongo_uri.get_secret_value()
    with contextlib.ExitStack() as stack:
        if client is None:
            client = stack.enter_context(mongodb.connect(uri))
        state = stack.enter_context(open_state(run.settings)) if state_path(run.settings).exists() else None
        watermark = _read_collection(run, client, uri, state, has_undated=True)
    return run.result("mongodb", watermark)


def _from_embedded(run: Intake) -> ExtractResult:
    from analytics.sources import mongodb
    from analytics.sources.embedded import embedded_mongo
    from analytics.sources.sync import open_state, pending_files, sync

    key = f"mongodb.{mongodb.target_fingerprint(run.settings)}"
    with open_state(run.settings) as state:
        ever_synced = state.fact("probe") is not None
        behind = state.fact("unextracted") == "yes" or f"{key}.read_at" not in run.properties
        if not (
            pending_files(run.settings, state)
            or state.has_dead_letters()
            or (ever_synced and (behind or run.full_backfill))
        ):
            return run.result("embedded", _instant(run.properties.get(f"{key}.ingested_at")))
        with embedded_mongo(run.settings) as uri, mongodb.connect(uri) as client:
            synced = sync(run.settings, client=client, progress=run.progress)
            reached("extract.synced")
            # Every document of our own sync has its ingestedAt.
            watermark = _read_collection(run, client, uri, state, has_undated=False)
            # The server is ours, so the next run need not look at everything to find what is recent. Made after
            # the first read: it would slow the first, largest sync by two thirds.
            client[run.settings.mongo_db][run.settings.mongo_collection].create_index("ingestedAt")
            state.save_facts({"unextracted": "no"})
    return run.result("embedded", watermark, synced)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _read_collection(
    run: Intake, client: MongoClient[Any], uri: str, state: SyncState | None, *, has_undated: bool
) -> datetime | None:
    """Everything new of one collection into the raw layer -> the watermark after it."""
    from analytics.sources import mongodb

    settings = run.settings
    source = mongodb.MongoSource(client, uri, settings.mongo_db, settings.mongo_collection)
    key = f"mongodb.{mongodb.target_fingerprint(settings)}"
    watermark = _instant(run.properties.get(f"{key}.ingested_at"))
    read_at = _instant(run.properties.get(f"{key}.read_at"))
    overlap = timedelta(minutes=settings.extract_overlap_minutes)

    if state is not None and (letters := state.waiting_dead_letters()):
        batch = Batch()
        batch.add_dead(letters)
        run.absorb(batch)
        run.commit()
        state.dead_letters_stored([letter.dead_letter_id for letter in letters])

    filters: list[dict[str, Any]]
    if read_at is None or run.full_backfill:
        filters = [{}]
        if run.known_files:
            missing, total = _missing(run, source.all_ids())
            if len(missing) < FEW_MISSING * total:
                run.read += total - len(missing)
                run.skipped += total - len(missing)
                filters = mongodb.id_filters(missing.to_pylist())
    else:
        filters = mongodb.recent_filters(watermark and watermark - overlap, read_at - overlap, has_undated)
        if has_undated:
            missing, total = _missing(run, source.undated_ids())
            run.read += total - len(missing)
            run.skipped += total - len(missing)
            filters += mongodb.id_filters(missing.to_pylist())

    def remember() -> dict[str, str]:
        newest = max(filter(None, (watermark, run.newest)), default=None)
        found = {f"{key}.read_at": run.now.isoformat()}
        if newest is not None:
            found[f"{key}.ingested_at"] = newest.isoformat()
        return found

    # Not every server knows the number without reading all documents.
    total = source.count if filters == [{}] else 0
    with progress_bar("extract", total, "documents", run.progress) as bar:
        for batch in _ahead(source.documents(filters, run.batch_bytes)) if filters else [_nothing()]:
            run.absorb(batch)
            bar.advance(len(batch))
            if run.is_full or batch.is_last or batch.is_restart:
                run.commit(remember if batch.is_last else None, force=read_at is None and run.read > 0)
            if batch.is_restart:
                run.recheck()
    return max(filter(None, (watermark, run.newest)), default=None)


def _nothing() -> Batch:
    """The last batch of a source without documents."""
    batch = Batch()
    batch.is_last = True
    return batch


def _missing(run: Intake, chunks: Iterator[pa.Array]) -> tuple[pa.ChunkedArray, int]:
    """Ids not stored yet, and how many ids there were."""
    ids = pa.chunked_array(list(chunks), pa.string())
    mask = keep_new(ids, run.store.stored_ids(ids, run.known_files))
    return ids.filter(mask), len(ids)
