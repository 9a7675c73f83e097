"""Transcript files into MongoDB: each line one document, once, whatever happens in between.

The `_id` of a document is computed from file, offset and bytes, so inserting it again is a duplicate key and
nothing else. The state file only says what need not be looked at; losing it costs time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect, BulkWriteError, DocumentTooLarge, OperationFailure, PyMongoError

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.common.progress import Progress, progress_bar
from analytics.errors import AnalyticsError, ConfigError, SourceUnavailableError
from analytics.privacy.tombstones import tombstones
from analytics.settings import Settings
from analytics.sources import collection as mongo
from analytics.sources.batch import DeadLetter, fingerprint, without_secrets
from analytics.sources.encode import encode_document, parse_line
from analytics.sources.positions import FileState, PendingFile, no_transcripts, pending, projects_dirs, state_after
from analytics.sources.sync_state import SyncState, open_state
from analytics.sources.transcripts import parse, read_lines

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

INSERT_BYTES = 4 * 2**20
INSERT_DOCUMENTS = 1000

_DUPLICATE_KEY = 11000
# Failures that are not about a document: no rights, not primary, no such command, no space or quota left.
_NOT_THE_DOCUMENT = {13, 18, 20, 59, 115, 8000, 10107, 13435, 14031}
# Failures that may be about either: an internal error, an unknown one, something that is not implemented.
_UNCLEAR = {None, 1, 8, 96, 238}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncResult:
    """What one sync did."""

    files: int  # files looked into
    documents_read: int
    documents_inserted: int
    documents_already_there: int
    dead_letters: int  # lines that could not be stored, this time
    bytes_read: int
    duration_seconds: float
    hint: str = ""  # what to do, where there are no transcripts at all

    def __str__(self) -> str:
        if not self.documents_read and not self.dead_letters:
            return "nothing new to sync" + (f": {self.hint}" if self.hint else "")
        return (
            f"{self.documents_inserted} documents inserted from {self.files} files, "
            f"{self.documents_already_there} already there, {self.dead_letters} dead letters, "
            f"{self.duration_seconds:.1f} s"
        )


def pending_files(settings: Settings, state: SyncState) -> list[tuple[Path, list[PendingFile]]]:
    """Transcripts with something possibly new for the target, by projects folder."""
    return [(root, pending(root, state.files(root))) for root in projects_dirs(settings)]


def sync(settings: Settings, *, client: MongoClient[Any] | None = None, progress: bool | None = None) -> SyncResult:
    """Copy new transcript lines into the collection that MONGO_URI, MONGO_DB and MONGO_COLLECTION name.

    Args:
        client: an open connection to use; default: connect.
        progress: show a progress bar; default: on a terminal.

    Raises:
        ConfigError: MONGO_URI is not set, or CLAUDE_PROJECTS_DIR is not usable.
        SourceUnavailableError: the server cannot be reached.
    """
    started = time.monotonic()
    uri = mongo.required_uri(settings)
    with disk_errors("sync", settings.data_dir), open_state(settings) as state:
        if client is not None:
            return _sync(settings, state, client, progress, started)
        with mongo.connect(uri) as connection:
            return _sync(settings, state, connection, progress, started)


def _sync(
    settings: Settings,
    state: SyncState,
    client: MongoClient[Any],
    progress: bool | None,
    started: float,
) -> SyncResult:
    reached("sync.started")
    copy = _Copy(settings, state, client[settings.mongo_db][settings.mongo_collection])
    probe = state.fact("probe")
    keys = [probe] if probe else []
    looked_into: list[int] = []

    def once() -> None:
        nonlocal keys
        if not copy.holds(keys):
            # The collection was dropped, restored from a backup, or its server lost what it had acknowledged
            # when it was killed: look at everything again, duplicate keys do the rest.
            state.forget()
        files = pending_files(settings, state)
        looked_into.append(sum(len(found) for _, found in files))
        size = sum(file.size - file.start for _, found in files for file in found)
        with progress_bar("sync", size, "B", progress) as bar:
            try:
                copy.run(files, bar)
            finally:
                keys = copy.flushed or keys
        if not copy.holds(keys):
            raise AutoReconnect("the server lost documents that it had acknowledged")

    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(mongo.RETRIES + 1),
        wait=tenacity.wait_exponential(multiplier=0.2, max=5),
        retry=tenacity.retry_if_exception_type(AutoReconnect),
        reraise=True,
    )
    try:
        retry(once)
    except PyMongoError as error:
        raise _unavailable(settings, error) from error
    there = copy.read - copy.inserted - copy.refused
    seconds = time.monotonic() - started
    hint = "" if looked_into[0] or probe else no_transcripts(settings)
    return SyncResult(looked_into[0], copy.read, copy.inserted, there, copy.refused, copy.bytes_read, seconds, hint)


def _unavailable(settings: Settings, error: PyMongoError) -> SourceUnavailableError:
    return mongo.unavailable(mongo.required_uri(settings), error, "written")


class _Copy:
    """Lines on their way into one collection, and what is remembered once they are there."""

    def __init__(self, settings: Settings, state: SyncState, collection: Collection[Any]) -> None:
        self._state = state
        self._tombstones = tombstones(settings)
        self._collection = collection
        self._root = Path()
        self._machine = settings.machine_name
        self._redacts = settings.redact_secrets
        last = state.fact("last_ingested_at")
        self._now = _whole_ms(max(utc_now(), datetime.fromisoformat(last)) if last else utc_now())
        self._waiting: list[_Document] = []
        self._dead: list[DeadLetter] = []
        self._states: dict[str, FileState] = {}
        self._size = 0
        self._sent: _Lot | None = None
        self.read = self.inserted = self.refused = self.bytes_read = 0
        self.flushed: list[str] = []  # the last id of every insert

    def holds(self, keys: list[str]) -> bool:
        """Whether the collection has all documents with these ids."""
        for start in range(0, len(keys), mongo.IDS_PER_QUERY):
            some = list(set(keys[start : start + mongo.IDS_PER_QUERY]))
            if len(list(self._collection.find({"_id": {"$in": some}}, {"_id": 1}))) < len(some):
                return False
        return True

    def run(self, files: list[tuple[Path, list[PendingFile]]], bar: Progress) -> None:
        """Copy what is new in `files`, which stand by projects folder."""
        self._waiting, self._dead, self._states, self._size, self.flushed = [], [], {}, 0, []
        self._sent = None
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync-insert") as self._sender:
            for self._root, found in files:
                for file in found:
                    self._read(file, bar)
                # positions are remembered by folder
                self._flush()
                self._settle()

    def _read(self, file: PendingFile, bar: Progress) -> None:
        """Copy what is new in `file`."""
        offset = file.start
        for plain, helped, next_offset in read_lines(file, parse_line):
            for start, text, document in plain:
                self._add(file, start, text, document)
            for line in helped:
                document = None if line.reason else parse(line.text)
                self._add(file, line.offset, line.original, document, line.reason)
            self.bytes_read += next_offset - offset
            bar.advance(next_offset - offset)
            offset = next_offset
            self._states[file.key] = state_after(file, offset, at_end=False)
        self._states[file.key] = state_after(file, offset)

    def _add(
        self,
        file: PendingFile,
        offset: int,
        original: bytes,
        document: dict[str, Any] | None,
        reason: str | None = None,
    ) -> None:
        if self._tombstones is not None and self._tombstones.covers_document(
            document or {}, file.project_id, file.source_file
        ):
            return
        key = fingerprint(file.source_file.encode(), b"%d" % offset, original)
        encoded = None
        if document is not None:
            added = {
                "projectId": file.project_id,
                "sourceFile": file.source_file,
                "ingestedAt": self._now,
                "machine": self._machine,
            }
            encoded, reason = encode_document(key, document, added)
        item = _Document(key, encoded or b"", original, file.source_file, offset)
        if encoded is None:
            self._dead.append(item.dead_letter(reason or "not a document"))
            return
        self._waiting.append(item)
        self._size += len(encoded)
        if self._size >= INSERT_BYTES or len(self._waiting) >= INSERT_DOCUMENTS:
            self._flush()

    def _flush(self) -> None:
        """Send what waits. The server stores it while the next lines are read."""
        self._settle()
        lot = _Lot(self._waiting, self._dead, self._states)
        self._waiting, self._dead, self._states, self._size = [], [], {}, 0
        # Stamped by lot: a long sync may be overtaken by an extract. Never backwards, when the clock was set back.
        self._now = max(self._now, _whole_ms(utc_now()))
        if lot.documents:
            lot.insert = self._sender.submit(_insert, self._collection, lot.documents)
        self._sent = lot

    def _settle(self) -> None:
        """Wait for what was sent; only then remember that it was read."""
        lot, self._sent = self._sent, None
        if lot is None:
            return
        facts = {"last_ingested_at": self._now.isoformat()}
        dead = lot.dead
        if lot.insert is not None:
            new, failed = lot.insert.result()
            reached("sync.inserted")
            self.inserted += new
            dead = [*dead, *failed]
            refused = {dead_letter.dead_letter_id for dead_letter in failed}
            stored = [item.key for item in lot.documents if item.key not in refused]
            if stored:
                facts["probe"] = stored[-1]
                self.flushed.append(stored[-1])
        self.read += len(lot.documents) + len(lot.dead)
        self.refused += len(dead)
        if self._redacts:
            dead = [without_secrets(dead_letter) for dead_letter in dead]
        self._state.save(self._root, lot.states, dead, facts)
        reached("sync.saved")


def _whole_ms(now: datetime) -> datetime:
    """As BSON keeps it."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass
class _Lot:
    """Documents on their way to the server, with what is to be remembered once they are there."""

    documents: list[_Document]
    dead: list[DeadLetter]
    states: dict[str, FileState]
    insert: Future[tuple[int, list[DeadLetter]]] | None = None


@dataclass(frozen=True)
class _Document:
    """A line on its way into MongoDB."""

    key: str
    encoded: bytes
    original: bytes
    source_file: str
    offset: int

    def dead_letter(self, reason: str) -> DeadLetter:
        return DeadLetter(
            dead_letter_id=self.key,
            reason=reason,
            source="sync",
            original=self.original,
            source_file=self.source_file,
            byte_offset=self.offset,
        )


def _insert(collection: Collection[Any], documents: list[_Document]) -> tuple[int, list[DeadLetter]]:
    """Insert -> (number inserted, those the server refuses). Duplicate keys are documents already there.

    Raises:
        PyMongoError: it is the server: it does not answer, or takes none of them, and not for what is in them.
    """
    inserted, refused = _insert_each(collection, documents)
    unclear = [error for _, error in refused if getattr(error, "code", 0) in _UNCLEAR]
    if unclear and len(refused) == len(documents):
        raise unclear[0]
    return inserted, [item.dead_letter(f"refused by MongoDB: {error}"[:500]) for item, error in refused]


def _insert_each(
    collection: Collection[Any], documents: list[_Document]
) -> tuple[int, list[tuple[_Document, Exception]]]:
    try:
        collection.insert_many([RawBSONDocument(item.encoded) for item in documents], ordered=False)
        return len(documents), []
    except BulkWriteError as bulk:
        errors = [item for item in bulk.details["writeErrors"] if item["code"] != _DUPLICATE_KEY]
        refused = [(documents[item["index"]], OperationFailure(item["errmsg"], item["code"])) for item in errors]
        for _, failure in refused:
            if failure.code in _NOT_THE_DOCUMENT:
                raise failure from None
        return bulk.details["nInserted"], [*refused]
    except (OperationFailure, DocumentTooLarge, InvalidBSON, AutoReconnect) as error:
        if isinstance(error, OperationFailure) and error.code in _NOT_THE_DOCUMENT:
            raise
        if isinstance(error, AutoReconnect):
            # The server ended the connection. If it answers again at once, it was one of the documents.
            collection.database.client.admin.command("ping")
        # Something in this lot is refused as a whole: find out which document it is.
        if len(documents) == 1:
            return 0, [(documents[0], error)]
        middle = len(documents) // 2
        first, first_refused = _insert_each(collection, documents[:middle])
        second, second_refused = _insert_each(collection, documents[middle:])
        return first + second, first_refused + second_refused


def create_index(settings: Settings) -> str:
    """Create the index that the hourly look for new documents needs on a large collection; returns its name.

    With it, the server answers from the index alone. Creating one that exists is no error.

    Raises:
        ConfigError: MONGO_URI is not set.
        SourceUnavailableError: the server cannot be reached, or refuses.
    """
    with mongo.connect(mongo.required_uri(settings)) as client:
        try:
            return client[settings.mongo_db][settings.mongo_collection].create_index(mongo.INDEX)
        except PyMongoError as error:
            raise _unavailable(settings, error) from error


def watch(settings: Settings, *, every: timedelta = timedelta(seconds=5)) -> Iterator[SyncResult]:
    """Sync again and again; yields each result that did something. Ends with the generator (Ctrl-C).

    What may pass (no server, a full disk) is said once and waited out: transcripts are deleted after 30 days, and
    nobody may be looking.

    Raises:
        ConfigError: a setting is wrong, which no waiting mends.
    """
    said = ""
    while True:
        try:
            result = sync(settings, progress=False)
        except ConfigError:
            raise
        except AnalyticsError as error:
            if str(error) != said:
                said = str(error)
                logger.warning("%s; trying again", said)
        else:
            said = ""
            if result.documents_read:
                yield result
        time.sleep(every.total_seconds())
