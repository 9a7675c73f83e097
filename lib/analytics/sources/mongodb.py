"""`SOURCE=mongodb`: documents of one collection as JSON text, fetched ahead while the last ones are decoded.

Read rights on the collection are all that is needed: no sort, no index, no other command.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from bson import decode_all
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from analytics.errors import ConfigError, SourceUnavailableError
from analytics.settings import Settings, mask_uri
from analytics.sources.batch import Batch, DeadLetter, Known, fingerprint, is_content_id
from analytics.sources.bson_json import CODEC, batch_json, id_text
from analytics.sources.sync_state import SyncState, state_path, target_fingerprint

SERVER_SELECTION_MS = 5000
# No answer within this long counts as a dead server: the query starts again.
SOCKET_TIMEOUT_MS = 120_000
RETRIES = 5

# Small enough that decoding one batch and fetching the next overlap, large enough that round trips do not
# count.
CURSOR_BATCH = 2000
IDS_PER_QUERY = 1000
# Reading single documents by `_id` beats reading everything while fewer than this share is missing.
FEW_MISSING = 0.3

_TRANSIENT = (AutoReconnect, CursorNotFound, ExecutionTimeout)


def connect(uri: str, *, server_selection_ms: int = SERVER_SELECTION_MS) -> MongoClient[Any]:
    """A client for `uri`, reachable.

    Raises:
        ConfigError: the URI is malformed.
        SourceUnavailableError: nothing answers, or it refuses these credentials; the password is masked.
    """
    shown = mask_uri(uri)
    try:
        client: MongoClient[Any] = MongoClient(
            uri,
            serverSelectionTimeoutMS=server_selection_ms,
            connectTimeoutMS=server_selection_ms,
            socketTimeoutMS=SOCKET_TIMEOUT_MS,
            appname="claude-analytics",
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise ConfigError(f"MONGO_URI={shown}: {_one_line(error)}") from None
    try:
        client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        raise unavailable(uri, error) from None
    return client


def unavailable(uri: str, error: Exception) -> SourceUnavailableError:
    """The error a user sees when the server of `uri` cannot be used."""
    if isinstance(error, OperationFailure) and not isinstance(error, _TRANSIENT):
        hint = "check user, password and rights in MONGO_URI"
    else:
        hint = "check MONGO_URI, and that the server is running"
    return SourceUnavailableError(f"MongoDB at {mask_uri(uri)} cannot be read: {_one_line(error)}; {hint}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(", Timeout:")[0].split(", full error:")[0][:200]


class Reader:
    """The documents of one collection, as they lie there."""

    def __init__(self, client: MongoClient[Any], uri: str, database: str, collection: str) -> None:
        self._uri = uri
        self._collection: Collection[Any] = client[database][collection]

    def count(self) -> int:
        """How many documents there are, as the server's metadata say (no document is read for it).

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        try:
            return self._collection.estimated_document_count()
        except PyMongoError as error:
            raise unavailable(self._uri, error) from error

    def ids(self, filters: list[dict[str, Any]]) -> Iterator[Any]:
        """The `_id`s of the documents that match `filters`; no document is read.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        for raw in self._drain(filters, {"_id": 1}):
            if raw is not None:
                yield from (document["_id"] for document in decode_all(raw, CODEC))

    def documents(self, filters: list[dict[str, Any]]) -> Iterator[bytes | None]:
        """Raw batches of the documents that match `filters`; None: documents may come a second time from here on.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        yield from self._drain(filters, None)

    def _drain(self, filters: list[dict[str, Any]], projection: dict[str, int] | None) -> Iterator[bytes | None]:
        """Raw batches of all `filters`, fetched ahead by a thread; None: that filter starts again.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        ahead: queue.Queue[Any] = queue.Queue(maxsize=2)
        stop = threading.Event()

        def put(item: Any) -> bool:
            while not stop.is_set():
                try:
                    ahead.put(item, timeout=0.2)
                    return True
                except queue.Full:
                    continue
            return False

        def fetch() -> None:
            failures = 0
            try:
                for query in filters:
                    furthest = 0
                    while True:
                        try:
                            cursor = self._collection.find_raw_batches(query, projection, batch_size=CURSOR_BATCH)
                            with cursor:
                                for number, raw in enumerate(cursor, start=1):
                                    if raw and not put(raw):
                                        return
                                    # Only progress counts: a cursor that always breaks at the same place ends the run.
                                    if number > furthest:
                                        furthest, failures = number, 0
                            break
                        except _TRANSIENT as error:
                            failures += 1
                            if failures > RETRIES:
                                raise
                            if isinstance(error, ConnectionFailure):
                                time.sleep(min(0.2 * 2**failures, 5))
                            if not put(None):
                                return
                put(StopIteration)
            except Exception as error:
                put(error)

        thread = threading.Thread(target=fetch, name="mongodb-fetch", daemon=True)
        thread.start()
        try:
            while True:
                item = ahead.get()
                if item is StopIteration:
                    return
                if isinstance(item, PyMongoError):
                    raise unavailable(self._uri, item) from item
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stop.set()
            thread.join(timeout=10)


class MongoSource:
    """One collection.

    `ingestedAt` is only the quick way to what is new: documents may come late, with any stamp, or none. So a run knows
    how many documents it has seen; when the collection has another number than those and the new ones, all ids are
    compared. Only documents that are missing are read.
    """

    name = "mongodb"
    remembers_early = False

    def __init__(self, settings: Settings, client: MongoClient[Any] | None = None) -> None:
        """`client`: an open connection to use; default: connect to MONGO_URI.

        Raises:
            ConfigError: MONGO_URI is not set.
        """
        if settings.mongo_uri is None:
            raise ConfigError("MONGO_URI is not set: without a server the transcript files are read (SOURCE=jsonl)")
        self._settings = settings
        self._uri = settings.mongo_uri.get_secret_value()
        self._client = client
        self._is_ours = client is None
        self._reader: Reader
        self._state: SyncState | None = None
        self._key = f"mongodb.{target_fingerprint(settings)}"
        self._name = f"{settings.mongo_db}.{settings.mongo_collection}"
        self._home = self._name
        self._watermark: datetime | None = None
        self._counted: int | None = None  # the server's count of what this run knows or reads
        self._total = 0
        self.must_commit = False

    def __enter__(self) -> MongoSource:
        """Connect.

        Raises:
            ConfigError: the URI is malformed.
            SourceUnavailableError: nothing answers.
        """
        if self._client is None:
            self._client = connect(self._uri)
        self._reader = Reader(self._client, self._uri, self._settings.mongo_db, self._settings.mongo_collection)
        if state_path(self._settings).exists():
            self._state = SyncState(state_path(self._settings))
        return self

    def __exit__(self, *error: object) -> None:
        """Disconnect."""
        if self._state is not None:
            self._state.close()
        if self._is_ours and self._client is not None:
            self._client.close()

    def has_news(self, known: Known) -> bool:
        """Whether the count differs, or a document is stamped later than the newest that is stored."""
        if known.full_backfill or (self._state is not None and self._state.has_dead_letters()):
            return True
        self._recall(known)
        if self._counted is None or self._reader.count() != self._counted:
            return True
        return len(known.missing(self._texts(self._recent(known)))) > 0

    def _recall(self, known: Known) -> None:
        """What earlier runs remembered of this collection."""
        found = known.properties
        self._watermark = _instant(found.get(f"{self._key}.ingested_at"))
        count = found.get(f"{self._key}.count")
        self._counted = int(count) if count is not None else None
        # rows from before there were two collections are those of the collection that is configured now
        self._home = found.get("mongodb.home", self._name)

    def _qualified(self, text: str) -> str:
        """The `_id` of a row. Ids of our own are those of their content; others are unique in their collection only."""
        return text if self._home == self._name or is_content_id(text) else f"{self._name}/{text}"

    def _texts(self, ids: Iterable[Any]) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array((self._qualified(id_text(one)) for one in ids), pa.string())])

    def _recent(self, known: Known) -> Iterator[Any]:
        """Ids of documents that say themselves that they are new."""
        newest = self._watermark and min(self._watermark, known.now)
        filters: list[dict[str, Any]] = [{"ingestedAt": {"$gt": newest} if newest else {"$type": "date"}}]
        if read_at := _instant(known.properties.get(f"{self._key}.read_at")):
            overlap = timedelta(minutes=self._settings.extract_overlap_minutes)
            oldest = ObjectId.from_datetime(max(min(read_at, known.now) - overlap, datetime(1970, 1, 1, tzinfo=UTC)))
            filters.append({"_id": {"$type": "objectId", "$gte": oldest}, "ingestedAt": {"$not": {"$type": "date"}}})
        return self._reader.ids(filters)

    def total(self) -> tuple[int, str]:
        """Documents that are going to be read."""
        return self._total, "documents"

    def batches(self, known: Known) -> Iterator[Batch]:
        """Documents that are not stored, read whole; ids alone decide which those are, unless nothing is stored yet.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        self._recall(known)
        self._now = known.now
        self.must_commit = f"{self._key}.read_at" not in known.properties
        if self._state is not None and (letters := self._state.waiting_dead_letters()):
            batch = Batch()
            batch.add_dead(letters)
            batch.bookmark = [letter.dead_letter_id for letter in letters]
            yield batch
        before = self._reader.count()
        remembered = self._counted
        if known.is_empty:
            self._total, self._counted = before, None
            yield from self._read([{}], known.batch_bytes, counts=True)
            return
        wanted: list[Any] = []
        recognised = 0
        if not known.full_backfill and remembered is not None:
            wanted, recognised = self._missing(known, self._recent(known))
            self._counted = remembered + len(wanted)
        if known.full_backfill or remembered is None or not before <= self._counted <= self._reader.count():
            wanted, recognised = self._missing(known, self._reader.ids([{}]))
            # a count that the server gets wrong in the same way every time is as good as a right one
            after = self._reader.count()
            self._counted = before if before == after else len(wanted) + recognised
        self.must_commit |= self._counted != remembered
        first = Batch()
        first.recognised = recognised
        yield first
        self._total = len(wanted)
        if wanted and len(wanted) > FEW_MISSING * (len(wanted) + recognised):
            yield from self._read([{}], known.batch_bytes)
        else:
            yield from self._read(id_filters(wanted), known.batch_bytes)

    def _missing(self, known: Known, ids: Iterator[Any]) -> tuple[list[Any], int]:
        """Ids of documents that are not stored, and how many others there were."""
        found = list(ids)
        texts = self._texts(found)
        missing = set(known.missing(texts).to_pylist())
        wanted = [one for one, text in zip(found, texts.to_pylist(), strict=True) if text in missing]
        return wanted, len(found) - len(wanted)

    def _read(self, filters: list[dict[str, Any]], batch_bytes: int, *, counts: bool = False) -> Iterator[Batch]:
        """Documents that match `filters`.

        Args:
            counts: these are all documents, so their number is what the server will be asked for next time.
        """
        batch = Batch()
        handed, is_whole = 0, True
        for raw in self._reader.documents(filters) if filters else ():
            if raw is None:
                is_whole = False
                batch.is_restart = True
                yield batch
                batch = Batch()
                continue
            ids, texts, failures = batch_json(raw)
            handed += len(ids) + len(failures)
            batch.add([self._qualified(one) for one in ids], texts)
            batch.add_dead([self._dead_letter(*failure) for failure in failures])
            # Not needed any more, and large: gone before the next ones are made.
            del raw, texts
            if batch.bytes >= batch_bytes:
                yield batch
                batch = Batch()
        if counts and is_whole:
            self._counted = handed
        batch.is_last = True
        yield batch

    def _dead_letter(self, key: str | None, original: bytes, reason: str) -> DeadLetter:
        return DeadLetter(
            dead_letter_id=fingerprint(b"mongodb", (key or "").encode("utf-8", "replace"), original),
            reason=reason,
            source="mongodb",
            original=original,
            document_id=None if key is None else self._qualified(key),
        )

    def remember(self, bookmarks: list[Any], newest: datetime | None) -> dict[str, str]:
        """When the collection was read, its newest stamp, and how many documents are known."""
        self._watermark = max(filter(None, (self._watermark, newest)), default=None)
        found = {f"{self._key}.read_at": self._now.isoformat(), "mongodb.home": self._home}
        if self._watermark is not None:
            found[f"{self._key}.ingested_at"] = min(self._watermark, self._now).isoformat()
        if self._counted is not None:
            found[f"{self._key}.count"] = str(self._counted)
        return found

    def settle(self, bookmarks: list[Any], *, is_committed: bool) -> None:
        """Dead letters that waited since a sync are stored."""
        for ids in bookmarks:
            if ids and self._state is not None:
                self._state.dead_letters_stored(ids)

    def watermark(self) -> datetime | None:
        """The newest `ingestedAt` that is stored."""
        return self._watermark


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def id_filters(ids: list[Any]) -> list[dict[str, Any]]:
    """Queries for the documents with these `_id`s."""
    return [{"_id": {"$in": ids[start : start + IDS_PER_QUERY]}} for start in range(0, len(ids), IDS_PER_QUERY)]
