"""`SOURCE=mongodb`: documents of one collection as JSON text, fetched ahead while the last ones are decoded.

Read rights on the collection are all that is needed: no sort, no index, no other command.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

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
from analytics.sources.batch import Batch, DeadLetter, fingerprint
from analytics.sources.bson_json import CODEC, batch_json, id_text, id_value

SERVER_SELECTION_MS = 5000
# No answer within this long counts as a dead server: the query starts again.
SOCKET_TIMEOUT_MS = 120_000
RETRIES = 5

# Small enough that decoding one batch and fetching the next overlap, large enough that round trips do not
# count.
CURSOR_BATCH = 2000
IDS_PER_QUERY = 1000

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


class MongoSource:
    """The documents of one collection."""

    def __init__(self, client: MongoClient[Any], uri: str, database: str, collection: str) -> None:
        self._uri = uri
        self._collection: Collection[Any] = client[database][collection]

    def undated_ids(self) -> Iterator[pa.Array]:
        """Ids of documents that tell nothing about when they came: always candidates."""
        return self._ids({"_id": {"$not": {"$type": "objectId"}}, "ingestedAt": {"$not": {"$type": "date"}}})

    def all_ids(self) -> Iterator[pa.Array]:
        """Ids of every document."""
        return self._ids({})

    def count(self) -> int:
        """About how many documents there are (metadata only, for progress); 0 when it cannot be told."""
        try:
            return self._collection.estimated_document_count()
        except PyMongoError:
            return 0

    def _ids(self, query: dict[str, Any]) -> Iterator[pa.Array]:
        for raw in self._drain([query], {"_id": 1}):
            if raw is not None:
                yield pa.array([id_text(document["_id"]) for document in decode_all(raw, CODEC)], pa.string())

    def documents(self, filters: list[dict[str, Any]], batch_bytes: int) -> Iterator[Batch]:
        """Documents that match `filters`, one after the other, in batches of about `batch_bytes` of text.

        The last batch is marked (it may be empty), and so is one after which the query had to start again.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        batch = Batch()
        for raw in self._drain(filters, None):
            if raw is None:
                batch.is_restart = True
                yield batch
                batch = Batch()
                continue
            ids, texts, failures = batch_json(raw)
            batch.add(ids, texts)
            batch.add_dead(
                [
                    DeadLetter(
                        dead_letter_id=fingerprint(b"mongodb", (key or "").encode("utf-8", "replace"), original),
                        reason=reason,
                        source="mongodb",
                        original=original,
                        document_id=key,
                    )
                    for key, original, reason in failures
                ]
            )
            # Not needed any more, and large: gone before the next ones are made.
            del raw, texts
            if batch.bytes >= batch_bytes:
                yield batch
                batch = Batch()
        batch.is_last = True
        yield batch

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


def recent_filters(since: datetime | None, read_since: datetime, has_undated: bool) -> list[dict[str, Any]]:
    """Queries for the documents that say themselves that they are recent.

    Args:
        since: smallest `ingestedAt` of interest; None: none was ever seen, so any.
        read_since: documents without an `ingestedAt` date are recent when their ObjectId was made since then.
        has_undated: False: the collection is known to have `ingestedAt` dates everywhere.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    filters: list[dict[str, Any]] = [{"ingestedAt": {"$gte": since or datetime(1, 1, 1, tzinfo=UTC)}}]
    if has_undated:
        oldest = ObjectId.from_datetime(max(read_since, epoch))
        filters.append({"_id": {"$type": "objectId", "$gte": oldest}, "ingestedAt": {"$not": {"$type": "date"}}})
    return filters


def id_filters(ids: list[str]) -> list[dict[str, Any]]:
    """Queries for the documents with these `_id` texts."""
    return [
        {"_id": {"$in": [id_value(text) for text in ids[start : start + IDS_PER_QUERY]]}}
        for start in range(0, len(ids), IDS_PER_QUERY)
    ]


def target_fingerprint(settings: Settings) -> str:
    """Identity of the collection `settings` name: hosts, database and collection, not user or password."""
    if settings.mongo_uri is None:
        hosts = "embedded"
    else:
        netloc = urlsplit(settings.mongo_uri.get_secret_value()).netloc.rpartition("@")[2]
        hosts = ",".join(sorted(netloc.lower().split(",")))
    return fingerprint(hosts.encode(), settings.mongo_db.encode(), settings.mongo_collection.encode())


def newest_ingested_at(rows: pa.Table, not_after: datetime) -> datetime | None:
    """Largest `ingested_at` in `rows`, never later than `not_after`: a wrong clock must hide no documents."""
    import pyarrow.compute as pc

    largest = pc.max(rows["ingested_at"]).as_py() if rows.num_rows else None
    return None if largest is None else min(largest, not_after)
