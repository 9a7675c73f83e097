"""What is read of a collection, as a whole or by ranges of `_id`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from bson.objectid import ObjectId

from analytics.settings import Settings
from analytics.sources.batch import CONTENT_ID, Batch, DeadLetter, Part, fingerprint
from analytics.sources.bson_json import batch_json, id_text
from analytics.sources.collection import IDS_PER_QUERY, Poison, Reader, connect, required_uri

# Documents that one process reads, about: a hundred megabytes and more.
PART_DOCUMENTS = 100_000
# Sampled `_id`s for each range: its size is then right within a third, mostly.
SAMPLED = 20

# Types of `_id` that are divided into ranges; what has another one is one range of its own.
_RANGED = {str: "string", ObjectId: "objectId", datetime: "date"}


def qualified(texts: pa.ChunkedArray, prefix: str | None) -> pa.ChunkedArray:
    """The `_id`s of rows: ids of our own content are unique as they are, others with their collection as `prefix`."""
    if prefix is None:
        return texts
    return pc.if_else(
        pc.match_substring_regex(texts, CONTENT_ID), texts, pc.binary_join_element_wise(prefix, texts, "")
    )


@dataclass(frozen=True)
class CollectionPart:
    """Documents that match one of `filters`."""

    filters: list[dict[str, Any]]
    prefix: str | None  # of `_id`s, see `qualified`
    may_repeat: bool = True  # some of them may be stored already
    reader: Reader | None = field(default=None, compare=False)  # of the connection that is open in this process

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "reader": None}

    def batches(self, settings: Settings, batch_bytes: int) -> Iterator[Batch]:
        """The documents.

        Raises:
            SourceUnavailableError: the server stays away, or refuses.
        """
        if self.reader is not None:
            yield from self._read(self.reader, batch_bytes)
            return
        uri = required_uri(settings)
        with connect(uri) as client:
            yield from self._read(Reader(client, uri, settings.mongo_db, settings.mongo_collection), batch_bytes)

    def split(self) -> list[Part]:
        """Ranges of `_id` where everything is read, else lots of the ids that are."""
        if self.filters != [{}]:
            lot = max(1, PART_DOCUMENTS // IDS_PER_QUERY)
            lots = [self.filters[start : start + lot] for start in range(0, len(self.filters), lot)]
            return [replace(self, filters=filters) for filters in lots]
        assert self.reader is not None
        number = -(-self.reader.count() // PART_DOCUMENTS)
        if number < 2:
            return [self]
        return [replace(self, filters=[range_]) for range_ in ranges(self.reader.sample(number * SAMPLED), number)]

    def _read(self, reader: Reader, batch_bytes: int) -> Iterator[Batch]:
        def new_batch() -> Batch:
            batch = Batch()
            batch.may_repeat = may_repeat
            return batch

        may_repeat = self.may_repeat
        batch = new_batch()
        for raw in reader.documents(self.filters):
            if raw is None:
                batch.is_restart = may_repeat = True
                yield batch
                batch = new_batch()
                continue
            if isinstance(raw, Poison):
                batch.add_dead([self._dead_letter(id_text(raw.key), b"", "the server ends the connection on it")])
                continue
            ids, texts, failures = batch_json(raw)
            batch.add(qualified(pa.chunked_array([ids], pa.string()), self.prefix).to_pylist(), texts)
            batch.add_dead([self._dead_letter(*failure) for failure in failures])
            # Not needed any more, and large: gone before the next ones are made.
            del raw, texts
            # Half: nothing else works while the first one is fetched, and while the last one is taken in.
            if batch.bytes >= batch_bytes // 2:
                yield batch
                batch = new_batch()
        yield batch

    def _dead_letter(self, key: str | None, original: bytes, reason: str) -> DeadLetter:
        keys = None if key is None else qualified(pa.chunked_array([[key]], pa.string()), self.prefix)
        return DeadLetter(
            dead_letter_id=fingerprint(b"mongodb", (key or "").encode("utf-8", "replace"), original),
            reason=reason,
            source="mongodb",
            original=original,
            document_id=None if keys is None else keys[0].as_py(),
        )


def ranges(sample: list[Any], number: int) -> list[dict[str, Any]]:
    """About `number` queries that divide all documents, whatever their `_id`, by quantiles of sampled `_id`s.

    The sample is in the server's order, which a collation may have changed. A server compares values of one type only:
    each range says its type, and the last one takes all others.
    """
    found: list[dict[str, Any]] = []
    kinds: list[str] = []
    for kind, name in _RANGED.items():
        values = [value for value in sample if type(value) is kind]
        if not values:
            continue
        kinds.append(name)
        count = max(1, round(number * len(values) / len(sample)))
        bounds = list(dict.fromkeys(values[len(values) * position // count] for position in range(1, count)))
        for low, high in zip([None, *bounds], [*bounds, None], strict=True):
            condition: dict[str, Any] = {"$type": name}
            condition |= {} if low is None else {"$gte": low}
            condition |= {} if high is None else {"$lt": high}
            found.append({"_id": condition})
    return [*found, {"$nor": [{"_id": {"$type": name}} for name in kinds]} if kinds else {}]
