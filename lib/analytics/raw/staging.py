"""A part of a source, taken in by another process: files of the raw tables that no commit names yet.

The code is that of every extract. What differs is `append`: who started this process commits all files at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.faults import reached
from analytics.privacy.tombstones import Tombstones
from analytics.raw.intake import Intake, Taken
from analytics.raw.parquet import write_files
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources.batch import Part

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

# JSON text that a process collects before it writes files: few of them, for a gigabyte of memory.
STAGED_BYTES = 128 * 2**20

_NOTHING = pa.schema([("id", pa.string())]).empty_table()


@dataclass(frozen=True)
class Order:
    """What a process has to know beside its part; it can be pickled."""

    settings: Settings
    tables: list[tuple[str, dict[str, str]]]  # metadata file and file system's properties of both raw tables
    now: datetime
    tombstones: Tombstones | None
    staged_bytes: int

    @classmethod
    def of(cls, run: Intake) -> Order:
        """For the parts of `run`."""
        tables = [run.store.conversations, run.store.dead_letters]
        where = [(table.metadata_location, dict(table.io.properties)) for table in tables]
        return cls(run.settings, where, run.now, run.tombstones, STAGED_BYTES)

    def take(self, part: Part) -> Taken:
        """Store what is new in `part` in files.

        Raises:
            SourceUnavailableError: the source cannot be read.
        """
        store = _Staging(self)
        run = Intake(self.settings, False, self.staged_bytes, store)
        run.now, run.tombstones = self.now, self.tombstones
        size, is_exact, bookmarks = 0, True, list[Any]()
        for batch in part.batches(self.settings, run.batch_bytes):
            size += batch.bytes
            bookmarks += batch.bookmarks
            run.absorb(batch)
            if run.is_full or batch.is_restart:
                run.commit()
            is_exact &= not batch.is_restart
        run.commit()
        return Taken(
            files=store.files,
            dead_letter_files=store.dead_letter_files,
            read=run.documents_read,
            stored=run.stored,
            skipped=run.skipped,
            dead=run.dead,
            bytes=size,
            is_exact=is_exact,
            newest=run.newest,
            redacted=run.redacted,
            bookmarks=bookmarks,
        )


class _Staging(RawStore):
    """The raw tables as they were when the run began, and what was written since then."""

    def __init__(self, order: Order) -> None:
        from pyiceberg.table import StaticTable

        super().__init__(order.settings)
        self.conversations, self.dead_letters = (
            StaticTable.from_metadata(location, properties) for location, properties in order.tables
        )
        self.files: list[DataFile] = []
        self.dead_letter_files: list[DataFile] = []
        self._ids: dict[str, list[pa.ChunkedArray]] = {"_id": [], "dead_letter_id": []}

    def append(
        self,
        rows: pa.Table | None = None,
        *,
        dead_letters: pa.Table | None = None,
        properties: Mapping[str, str] | Callable[[dict[str, str]], Mapping[str, str]] | None = None,
        files: Sequence[DataFile] = (),
        dead_letter_files: Sequence[DataFile] = (),
    ) -> None:
        """Write files; nothing is committed, and `properties` are the committer's."""
        if dead_letters is not None and dead_letters.num_rows:
            self.dead_letter_files += write_files(self.dead_letters, dead_letters)
            self._ids["dead_letter_id"].append(dead_letters["dead_letter_id"])
        if rows is not None and rows.num_rows:
            self.files += write_files(self.conversations, rows)
            self._ids["_id"].append(rows["_id"])
            reached("extract.files")

    def _stored(
        self, table: Table, column: str, candidates: pa.Array | pa.ChunkedArray, files: list[str]
    ) -> pa.ChunkedArray:
        before = super()._stored(table, column, candidates, files)
        written = pa.concat_tables([pa.table({"id": ids}) for ids in self._ids[column]] or [_NOTHING])["id"]
        again = pa.table({"id": candidates}).filter(pc.is_in(candidates, value_set=written))
        return pa.concat_tables([pa.table({"id": before}), again])["id"]
