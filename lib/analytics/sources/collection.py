"""One MongoDB collection on its server: connecting, and reading raw batches that are fetched ahead by a thread.

Read rights on the collection are all that is needed: no sort, no index, no other command.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from bson import decode_all
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

from analytics.common.ahead import ahead
from analytics.common.text import excerpt
from analytics.errors import ConfigError, SourceUnavailableError
from analytics.settings import Settings, mask_uri
from analytics.sources.bson_json import CODEC, id_text

logger = logging.getLogger(__name__)

SERVER_SELECTION_MS = 5000
# No answer within this long counts as a dead server: the query starts again. `socketTimeoutMS` in the URI wins.
SOCKET_TIMEOUT_MS = 120_000
RETRIES = 5

# Small enough that decoding one batch and fetching the next overlap, large enough that round trips do not
# count.
CURSOR_BATCH = 2000
IDS_PER_QUERY = 1000
# What answers the hourly look for new documents without reading one.
INDEX = [("ingestedAt", 1), ("_id", 1)]
# Documents that are read as one lot once it is known that one among them ends the connection.
LOT = 16

# unauthorized, authentication failed, and what Atlas says instead
_NO_RIGHTS = {13, 18, 8000}
# no such command, not supported, not implemented
_NOT_SUPPORTED = {59, 115, 238}
_TRANSIENT = (AutoReconnect, CursorNotFound, ExecutionTimeout)


def connect(uri: str, *, server_selection_ms: int = SERVER_SELECTION_MS) -> MongoClient[Any]:
    """A client for `uri`, reachable.

    Raises:
        ConfigError: the URI is malformed.
        SourceUnavailableError: nothing answers, or it refuses these credentials; the password is masked.
    """
    shown = mask_uri(uri)
    patience: dict[str, Any] = {
        "serverSelectionTimeoutMS": server_selection_ms,
        "connectTimeoutMS": server_selection_ms,
        "socketTimeoutMS": SOCKET_TIMEOUT_MS,
    }
    # what stands in the URI is meant
    patience = {name: value for name, value in patience.items() if f"{name}=".lower() not in uri.lower()}
    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            client: MongoClient[Any] = MongoClient(
                uri,
                appname="claude-analytics",
                **patience,
            )
    except (InvalidURI, ConfigurationError, ValueError, OSError) as error:
        raise ConfigError(f"MONGO_URI={shown}: {_one_line(error)}") from None
    for item in (item for item in noted if issubclass(item.category, UserWarning)):
        # an option with a typing error in it, say
        logger.warning("MONGO_URI=%s: %s", shown, _one_line(item.message))
    try:
        client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        raise unavailable(uri, error) from None
    return client


def required_uri(settings: Settings) -> str:
    """MONGO_URI.

    Raises:
        ConfigError: it is not set.
    """
    if settings.mongo_uri is None:
        raise ConfigError("MONGO_URI is not set: it names your MongoDB server; without one `sync` is not needed")
    return settings.mongo_uri.get_secret_value()


def unavailable(uri: str, error: Exception, done: str = "read") -> SourceUnavailableError:
    """The error a user sees when the server of `uri` cannot be used.

    Args:
        done: what was to be done with it: read, or written.
    """
    hint = "check MONGO_URI, and that the server is running"
    if isinstance(error, OperationFailure) and not isinstance(error, _TRANSIENT):
        if error.code in _NO_RIGHTS:
            hint = "check user, password and rights in MONGO_URI"
        elif error.code in _NOT_SUPPORTED:
            hint = "this server cannot do that: it needs MongoDB 4.2 or newer, or one that speaks its protocol as well"
        else:
            hint = f"that is what the server answers (code {error.code}); its log may say more"
    return SourceUnavailableError(f"MongoDB at {mask_uri(uri)} cannot be {done}: {_one_line(error)}; {hint}")


def _one_line(error: object) -> str:
    text = " ".join(str(error).split())
    return excerpt(text.split(", Timeout:")[0].split(", full error:")[0], 200)


@dataclass(frozen=True)
class Poison:
    """A document on which the server ends the connection."""

    key: Any


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

    def ids(self, filters: list[dict[str, Any]]) -> pa.ChunkedArray:
        """The `_id`s, as text, of the documents that match `filters`, each once; no document is read.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        chunks = [
            pa.array([id_text(document["_id"]) for document in decode_all(raw, CODEC)], pa.string())
            for raw in self._drain(filters, {"_id": 1})
            if isinstance(raw, bytes)
        ]
        return pa.chunked_array([pa.chunked_array(chunks, pa.string()).unique()])

    def sample(self, size: int) -> list[Any]:
        """The `_id`s of `size` documents taken at random, in the server's order.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        try:
            stages = [{"$sample": {"size": size}}, {"$project": {"_id": 1}}, {"$sort": {"_id": 1}}]
            found = self._collection.aggregate(stages)
            return [document["_id"] for document in found]
        except PyMongoError as error:
            raise unavailable(self._uri, error) from error

    def documents(self, filters: list[dict[str, Any]]) -> Iterator[bytes | Poison | None]:
        """Raw batches of the documents that match `filters`; None: documents may come a second time from here on.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        yield from self._drain(filters, None)

    def _drain(
        self, filters: list[dict[str, Any]], projection: dict[str, int] | None
    ) -> Iterator[bytes | Poison | None]:
        """Raw batches of all `filters`, fetched ahead by a thread; None: that filter starts again.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        try:
            yield from ahead(self._fetch(filters, projection), 2)
        except PyMongoError as error:
            raise unavailable(self._uri, error) from error

    def _fetch(
        self, filters: list[dict[str, Any]], projection: dict[str, int] | None
    ) -> Iterator[bytes | Poison | None]:
        """The same, one after the other; the server's own errors are raised."""
        failures = 0
        for query in filters:
            furthest = 0
            while True:
                try:
                    with self._collection.find_raw_batches(query, projection, batch_size=CURSOR_BATCH) as cursor:
                        for number, raw in enumerate(cursor, start=1):
                            if raw:
                                yield raw
                            # Only progress counts: a cursor that always breaks at the same place ends the run.
                            if number > furthest:
                                furthest, failures = number, 0
                    break
                except _TRANSIENT as error:
                    failures += 1
                    if failures > RETRIES:
                        if projection is not None or not isinstance(error, AutoReconnect):
                            raise
                        # The server may be well, and one of the documents too much for it.
                        yield None
                        yield from self._apart(query)
                        failures = 0
                        break
                    if isinstance(error, ConnectionFailure):
                        time.sleep(min(0.2 * 2**failures, 5))
                    yield None

    def _apart(self, query: dict[str, Any]) -> Iterator[bytes | Poison]:
        """The documents of `query` in small lots, so that one which ends the connection is found and left out.

        Raises:
            PyMongoError: the server does not answer at all.
        """
        found = self._collection.find_raw_batches(query, {"_id": 1})
        keys = [document["_id"] for raw in found for document in decode_all(raw, CODEC)]
        for start in range(0, len(keys), LOT):
            yield from self._lot(keys[start : start + LOT])

    def _lot(self, keys: list[Any]) -> Iterator[bytes | Poison]:
        try:
            raws = list(self._collection.find_raw_batches({"_id": {"$in": keys}}))
        except AutoReconnect:
            self._collection.database.client.admin.command("ping")
            if len(keys) == 1:
                yield Poison(keys[0])
                return
            for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                yield from self._lot(half)
        else:
            yield from raws


def id_filters(ids: list[Any]) -> list[dict[str, Any]]:
    """Queries for the documents with these `_id`s."""
    return [{"_id": {"$in": ids[start : start + IDS_PER_QUERY]}} for start in range(0, len(ids), IDS_PER_QUERY)]
