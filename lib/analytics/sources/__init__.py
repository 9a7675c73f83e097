"""Where documents come from. Every source yields `Batch`es; everything after is the same for all of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from analytics.envelope import BATCH_SCHEMA


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


@dataclass
class Batch:
    """Documents of one source, on their way to raw.conversations.

    `text` is one JSON object each. Metadata columns are null where the text itself has to be asked.
    """

    ids: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    projects: list[str | None] = field(default_factory=list)
    files: list[str | None] = field(default_factory=list)
    machine: str | None = None
    ingested_at: datetime | None = None
    dead: list[DeadLetter] = field(default_factory=list)
    bytes: int = 0
    is_last: bool = False  # the source has nothing after it
    is_restart: bool = False  # after it, documents may come a second time

    def __len__(self) -> int:
        return len(self.ids)

    def to_arrow(self) -> pa.Table:
        """As Arrow, `entry` still to be redacted.

        Raises:
            pa.ArrowInvalid: a text is not UTF-8.
        """
        size = len(self.ids)
        return pa.Table.from_arrays(
            [
                pa.array(self.ids, pa.string()),
                pa.array(self.texts, pa.binary()).cast(pa.string()),
                pa.array(self.projects, pa.string()) if self.projects else pa.nulls(size, pa.string()),
                pa.array(self.files, pa.string()) if self.files else pa.nulls(size, pa.string()),
                pa.repeat(pa.scalar(self.machine, pa.string()), size),
                pa.repeat(pa.scalar(self.ingested_at, pa.timestamp("us", tz="UTC")), size),
            ],
            schema=BATCH_SCHEMA,
        )


def fingerprint(*parts: bytes) -> str:
    """16-byte BLAKE2b over `parts` joined by NUL, as 32 hex digits."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
