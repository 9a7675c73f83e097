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
from analytics.sources.batch import Batch, Known, Run
from analytics.sources.bson_json import id_value
from analytics.sources.collection import Reader, connect, id_filters, required_uri
from analytics.sources.mongodb_parts import CollectionPart, qualified
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
        return len(known.missing(qualified(self._recent(known), self._prefix))) > 0

    def _recall(self, known: Known) -> None:
        """What earlier runs remembered of this collection."""
        found = known.properties
        self._watermark = _instant(found.get(f"{self._key}.ingested_at"))
        count = found.get(f"{self._key}.count")
        self._counted = int(count) if count is not None else None
        # rows from before there were two collections are those of the collection that is configured now
        self._home = found.get("mongodb.home", self._name)

    @property
    def _prefix(self) -> str | None:
        """What `_id`s of this collection begin with in the tables."""
        return None if self._home == self._name else f"{self._name}/"

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

    def batches(self, known: Run) -> Iterator[Batch]:
        """Documents that are not stored, read whole; ids alone decide which those are, unless nothing is stored yet.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        self._recall(known)
        self._now = known.now
        self.must_commit = f"{self._key}.read_at" not in known.properties
        if self._state is not None and (dead_letters := self._state.waiting_dead_letters()):
            batch = Batch()
            batch.add_dead(dead_letters)
            batch.bookmarks = [[dead_letter.dead_letter_id for dead_letter in dead_letters]]
            yield batch
        before = self._reader.count()
        self.is_empty = not before
        remembered = self._counted
        if known.is_empty:
            self._total, self._counted = before, None
            yield from self._read(known, [{}], counts=True)
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
            yield from self._read(known, [{}])
        else:
            filters = id_filters([id_value(text) for text in wanted.to_pylist()])
            yield from self._read(known, filters, may_repeat=False)

    def _missing(self, known: Known, ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
        """Ids of documents that are not stored, and how many others there were."""
        keys = qualified(ids, self._prefix)
        missing = known.missing(keys)
        wanted = ids if len(missing) == len(ids) else ids.filter(pc.is_in(keys, missing.combine_chunks()))
        return wanted, len(ids) - len(wanted)

    def _read(
        self, known: Run, filters: list[dict[str, Any]], *, may_repeat: bool = True, counts: bool = False
    ) -> Iterator[Batch]:
        """Documents that match `filters`, and the last batch.

        Args:
            counts: these are all documents, so their number is what the server will be asked for next time.
        """
        handed, is_whole = 0, True
        if filters:
            for batch in known.read(CollectionPart(filters, self._prefix, may_repeat, self._reader)):
                handed += batch.documents
                is_whole &= batch.is_exact and not batch.is_restart
                yield batch
        if counts:
            # read twice in part, all of it was seen unless the number changed meanwhile
            self._counted = handed if is_whole else self._total if self._total == self._reader.count() else None
        last = Batch()
        last.is_last = True
        yield last

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
            if self._state is not None:
                self._state.dead_letters_stored(ids)

    def came_from_here(self, rows: pa.Table) -> pa.ChunkedArray:
        """Rows with ids of this collection. Those of our own content may have come by way of files instead."""
        ids = rows["_id"]
        is_foreign = pc.match_substring_regex(ids, "^[^/. ]+[.][^/]+/")
        return pc.invert(is_foreign) if self._home == self._name else pc.starts_with(ids, f"{self._name}/")

    def watermark(self) -> datetime | None:
        """The newest `ingestedAt` that is stored."""
        return self._watermark


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
