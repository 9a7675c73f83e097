"""`SOURCE=mongodb`: documents of one collection as JSON text, fetched ahead while the last ones are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from bson.objectid import ObjectId
from pymongo import MongoClient

from analytics.settings import Settings
from analytics.sources.batch import CONTENT_ID, Batch, DeadLetter, Known, fingerprint
from analytics.sources.bson_json import batch_json, id_text, id_value
from analytics.sources.collection import Poison, Reader, connect, id_filters, required_uri
from analytics.sources.sync_state import SyncState, state_path, target_fingerprint

# Reading single documents by `_id` beats reading everything while fewer than this share is missing.
FEW_MISSING = 0.3


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
        self._settings = settings
        self._uri = required_uri(settings)
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
        self.is_empty = False

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
        return len(known.missing(self._qualified(self._recent(known)))) > 0

    def _recall(self, known: Known) -> None:
        """What earlier runs remembered of this collection."""
        found = known.properties
        self._watermark = _instant(found.get(f"{self._key}.ingested_at"))
        count = found.get(f"{self._key}.count")
        self._counted = int(count) if count is not None else None
        # rows from before there were two collections are those of the collection that is configured now
        self._home = found.get("mongodb.home", self._name)

    def _qualified(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """The `_id`s of rows. Ids of our own are those of their content; others are unique in their collection only."""
        if self._home == self._name:
            return texts
        prefixed = pc.binary_join_element_wise(f"{self._name}/", texts, "")
        return pc.if_else(pc.match_substring_regex(texts, CONTENT_ID), texts, prefixed)

    def _qualified_all(self, texts: list[str]) -> list[str]:
        return self._qualified(pa.chunked_array([texts], pa.string())).to_pylist()

    def _recent(self, known: Known) -> pa.ChunkedArray:
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
        self.is_empty = not before
        remembered = self._counted
        if known.is_empty:
            self._total, self._counted = before, None
            yield from self._read([{}], known.batch_bytes, counts=True)
            return
        wanted = pa.chunked_array([], pa.string())
        recognised = 0
        if not known.full_backfill and remembered is not None:
            wanted, recognised = self._missing(known, self._recent(known))
            self._counted = remembered + len(wanted)
        expected = self._counted
        if known.full_backfill or expected is None or not before <= expected <= self._reader.count():
            wanted, recognised = self._missing(known, self._reader.ids([{}]))
            # a count that the server gets wrong in the same way every time is as good as a right one
            after = self._reader.count()
            self._counted = before if before == after else len(wanted) + recognised
        self.must_commit |= self._counted != remembered
        first = Batch()
        first.recognised = recognised
        yield first
        self._total = len(wanted)
        if len(wanted) > FEW_MISSING * (len(wanted) + recognised):
            yield from self._read([{}], known.batch_bytes)
        else:
            yield from self._read(id_filters([id_value(text) for text in wanted.to_pylist()]), known.batch_bytes)

    def _missing(self, known: Known, ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
        """Ids of documents that are not stored, and how many others there were."""
        qualified = self._qualified(ids)
        missing = known.missing(qualified)
        wanted = ids if len(missing) == len(ids) else ids.filter(pc.is_in(qualified, missing.combine_chunks()))
        return wanted, len(ids) - len(wanted)

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
            if isinstance(raw, Poison):
                handed += 1
                batch.add_dead([self._dead_letter(id_text(raw.key), b"", "the server ends the connection on it")])
                continue
            ids, texts, failures = batch_json(raw)
            handed += len(ids) + len(failures)
            batch.add(self._qualified_all(ids), texts)
            batch.add_dead([self._dead_letter(*failure) for failure in failures])
            # Not needed any more, and large: gone before the next ones are made.
            del raw, texts
            if batch.bytes >= batch_bytes:
                yield batch
                batch = Batch()
        if counts:
            # read twice in part, all of it was seen unless the number changed meanwhile
            self._counted = handed if is_whole else self._total if self._total == self._reader.count() else None
        batch.is_last = True
        yield batch

    def _dead_letter(self, key: str | None, original: bytes, reason: str) -> DeadLetter:
        return DeadLetter(
            dead_letter_id=fingerprint(b"mongodb", (key or "").encode("utf-8", "replace"), original),
            reason=reason,
            source="mongodb",
            original=original,
            document_id=None if key is None else self._qualified_all([key])[0],
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

    def came_from_here(self, rows: pa.Table) -> pa.ChunkedArray:
        """Rows with ids of this collection. Those of our own content may have come by way of files instead."""
        ids = rows["_id"]
        qualified = pc.match_substring_regex(ids, "^[^/. ]+[.][^/]+/")
        return pc.invert(qualified) if self._home == self._name else pc.starts_with(ids, f"{self._name}/")

    def watermark(self) -> datetime | None:
        """The newest `ingestedAt` that is stored."""
        return self._watermark


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
