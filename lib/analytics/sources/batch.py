"""Where documents come from. Every source yields `Batch`es; everything after is the same for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from analytics.privacy.redact import redact_bytes, redact_text
from analytics.settings import Settings

PACK_BYTES = 4 * 2**20

_TIMESTAMP = pa.timestamp("us", tz="UTC")

# What a source hands over: text plus the metadata it knows without parsing (null: look into the text).
BATCH_SCHEMA = pa.schema(
    [
        ("_id", pa.string()),
        ("entry", pa.string()),
        ("project_id", pa.string()),
        ("source_file", pa.string()),
        ("machine", pa.string()),
        ("ingested_at", _TIMESTAMP),
    ]
)


@dataclass(frozen=True)
class DeadLetter:
    """A document that cannot be stored: why, where it was, and its original bytes."""

    dead_letter_id: str
    reason: str
    source: str  # mongodb, jsonl or sync
    original: bytes
    document_id: str | None = None
    source_file: str | None = None
    byte_offset: int | None = None


def without_secrets(dead_letter: DeadLetter) -> DeadLetter:
    """`dead_letter` with secrets in its bytes and in its file's name replaced; its id stays."""
    name = dead_letter.source_file
    return replace(
        dead_letter,
        original=redact_bytes(dead_letter.original),
        source_file=name if name is None else redact_text(name),
    )


class Batch:
    """Documents of one source, on their way to raw.conversations.

    Texts are packed into Arrow a few megabytes at a time: millions of small objects that live long would cost
    more memory than the text itself.
    """

    def __init__(self, machine: str | None = None, ingested_at: datetime | None = None) -> None:
        """`machine` and `ingested_at`: of every document, where the source knows better than the text."""
        self.machine = machine
        self.ingested_at = ingested_at
        self.dead: list[DeadLetter] = []
        self.bytes = 0  # of JSON text and of dead letters
        self.is_last = False  # the source has nothing after it
        self.is_restart = False  # after it, documents may come a second time
        self.is_exact = True  # no document in it came before in this run
        self.may_repeat = True  # some of it may be stored already
        self.recognised = 0  # documents that the source looked at by their ids alone, and that are stored
        self.bookmarks: list[Any] = []  # what the source wants to be told once the batch is stored
        self.taken: Any = None  # what another process has made of it already, instead of documents
        self._packed: list[pa.Table] = []
        self._ids: list[str] = []
        self._texts: list[bytes] = []
        self._projects: list[str | None] = []
        self._files: list[str | None] = []
        self._loose = 0
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def documents(self) -> int:
        """How many documents were read for it."""
        return self._rows + len(self.dead) + (self.taken.read if self.taken is not None else 0)

    def add(
        self,
        ids: list[str],
        texts: list[bytes],
        project_id: str | None = None,
        source_file: str | None = None,
    ) -> None:
        """More documents: `_id` texts and JSON texts (UTF-8), of one project and file if that is known."""
        self._ids += ids
        self._texts += texts
        self._projects += [project_id] * len(ids)
        self._files += [source_file] * len(ids)
        self._rows += len(ids)
        size = sum(map(len, texts))
        self.bytes += size
        self._loose += size
        if self._loose >= PACK_BYTES:
            self._pack()

    def add_dead(self, dead_letters: list[DeadLetter]) -> None:
        """Documents that cannot be stored."""
        self.dead += dead_letters
        self.bytes += sum(len(dead_letter.original) for dead_letter in dead_letters)

    def _pack(self) -> None:
        size = len(self._ids)
        if not size:
            return
        self._packed.append(
            pa.Table.from_arrays(
                [
                    pa.array(self._ids, pa.string()),
                    text_array(self._texts),
                    pa.array(self._projects, pa.string()),
                    pa.array(self._files, pa.string()),
                    pa.repeat(pa.scalar(self.machine, pa.string()), size),
                    pa.repeat(pa.scalar(self.ingested_at, pa.timestamp("us", tz="UTC")), size),
                ],
                schema=BATCH_SCHEMA,
            )
        )
        self._ids, self._texts, self._projects, self._files, self._loose = [], [], [], [], 0

    def to_arrow(self) -> pa.Table:
        """As Arrow (BATCH_SCHEMA), `entry` still to be redacted.

        Raises:
            pa.ArrowInvalid: a text is not UTF-8.
        """
        self._pack()
        return pa.concat_tables(self._packed) if self._packed else BATCH_SCHEMA.empty_table()


def text_array(texts: list[bytes]) -> pa.Array:
    """UTF-8 `texts` as one Arrow string array, each byte copied once.

    Raises:
        pa.ArrowInvalid: a text is not UTF-8.
    """
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.binary(), len(texts), buffers).cast(pa.string())


def fingerprint(*parts: bytes) -> str:
    """16-byte BLAKE2b over `parts` joined by NUL, as 32 hex digits."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()


# An `_id` of our own: a fingerprint, the same whatever way a line comes.
CONTENT_ID = "^[0-9a-f]{32}$"


class Part(Protocol):
    """What a source is going to read. It can be pickled: another process may read it, or a part of it."""

    def batches(self, settings: Settings, batch_bytes: int) -> Iterator[Batch]:
        """Its documents, about `batch_bytes` of text at once."""

    def split(self) -> list[Part]:
        """The same in parts, each worth a process of its own; no `_id` is in two of them."""


class Known(Protocol):
    """What a source may know of what is stored already."""

    properties: dict[str, str]  # what the newest commit remembers: watermarks, read positions, counts
    now: datetime  # when this run began
    full_backfill: bool  # look at every document, not only at those that seem to be new

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored at all."""

    @property
    def batch_bytes(self) -> int:
        """How much text to hand over at once."""

    def missing(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Those of `ids` (`_id` texts) that are not stored."""


class Run(Known, Protocol):
    """An extract, on its way."""

    def read(self, part: Part) -> Iterator[Batch]:
        """The batches of `part`: read here, or by others."""


class Source(Protocol):
    """A place that documents come from. A new one is a file with such a class, and a line in `sources.open_source`.

    It is a context manager: what it holds open is closed at the end.
    """

    name: str  # as in SOURCE
    must_commit: bool  # what it remembers has to be committed even when nothing is new
    is_empty: bool  # known once `batches` began: there is nothing in it at all
    remembers_early: bool  # also a commit before the last one may say how far was read

    def __enter__(self) -> Source: ...

    def __exit__(self, *error: object) -> None: ...

    def has_news(self, known: Known) -> bool:
        """A quick look: whether `batches` may find something. Reads no document."""

    def batches(self, known: Run) -> Iterator[Batch]:
        """What is new, and perhaps more: documents that are stored already are recognised by `_id`.

        The last batch has `is_last`, also when it is empty.
        """

    def total(self) -> tuple[int, str]:
        """About how much `batches` hands over, and its unit (`B` or documents), for a progress bar; 0: not known."""

    def remember(self, bookmarks: list[Any], newest: datetime | None) -> dict[str, str]:
        """Properties for the commit that stores the batches with these bookmarks.

        Args:
            newest: the largest `ingestedAt` of this run.
        """

    def settle(self, bookmarks: list[Any], *, is_committed: bool) -> None:
        """Those batches are stored, with what was remembered if `is_committed`."""

    def came_from_here(self, rows: pa.Table) -> pa.ChunkedArray:
        """Mask over stored rows (`_id`, `machine`): those that this source gave, as far as can be told."""

    def watermark(self) -> datetime | None:
        """The newest `ingestedAt` that is stored, where the source has one."""
