"""The raw layer: Iceberg tables `raw.conversations` (one row per document) and `raw.dead_letters`.

Append-only. What a run must remember (watermarks, resume tokens, running totals) travels as properties of the
very snapshot that adds the rows, and every later snapshot carries all of it on, so that a crash can neither
lose nor repeat and expiring old snapshots forgets nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tenacity

from analytics.common.engine import engine
from analytics.common.faults import reached
from analytics.common.sql import literal
from analytics.errors import AnalyticsError, first_line
from analytics.raw import envelope
from analytics.raw.catalog import COMMIT_ATTEMPTS, DEAD_LETTER_SCHEMA, local_path, open_catalog, open_table, retrying
from analytics.raw.parquet import write_files
from analytics.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

# Snapshot properties of ours start with this and are carried from snapshot to snapshot.
PREFIX = "claude-analytics."
COMPACTION = "compaction"  # set on snapshots that rewrote files without changing rows; never carried on


@dataclass(frozen=True)
class FilesAdded:
    """Parquet files that hold what a reader has not seen."""

    files: list[str]
    snapshot_id: int | None  # where to continue from next time; null when the table has no snapshot
    full: bool  # True: `files` is everything and the reader must start from nothing


class RawStore:
    """The two raw tables in the configured catalog; created when missing.

    The catalog is the one PyIceberg's own configuration calls `default` (`.pyiceberg.yaml`,
    `PYICEBERG_CATALOG__DEFAULT__…`), else SQLite beside a warehouse under `DATA_DIR/iceberg`.
    https://py.iceberg.apache.org/configuration/
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    # Tables

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog.

        Raises:
            ConfigError: the configured catalog cannot be opened.
        """
        return open_catalog(self.settings)

    @cached_property
    def conversations(self) -> Table:
        """`raw.conversations`, partitioned by day."""
        return open_table(self.catalog, "conversations", envelope.SCHEMA, self.settings, by_date=True)

    @cached_property
    def dead_letters(self) -> Table:
        """`raw.dead_letters`, unpartitioned."""
        return open_table(self.catalog, "dead_letters", DEAD_LETTER_SCHEMA, self.settings, by_date=False)

    def refresh(self) -> None:
        """See commits of other processes."""
        self.conversations.refresh()
        self.dead_letters.refresh()

    # Snapshots

    def current_snapshot_id(self) -> int | None:
        """Newest snapshot of raw.conversations; None when nothing was ever stored."""
        snapshot = self.conversations.current_snapshot()
        return snapshot.snapshot_id if snapshot else None

    def properties(self) -> dict[str, str]:
        """What the newest snapshot remembers, without the prefix (watermarks, tokens, totals)."""
        return own_properties(self.conversations.current_snapshot())

    def append(
        self,
        rows: pa.Table | None = None,
        *,
        dead_letters: pa.Table | None = None,
        properties: Mapping[str, str] | Callable[[dict[str, str]], Mapping[str, str]] | None = None,
        files: Sequence[DataFile] = (),
        dead_letter_files: Sequence[DataFile] = (),
    ) -> int | None:
        """Add rows (envelope.SCHEMA) and dead letters (DEAD_LETTER_SCHEMA), one commit per table.

        `properties` (or a function of the current ones) update what the snapshot remembers, in the same
        commit as the rows. Dead letters go first: they are idempotent by id, so a crash between the two
        commits repeats nothing. `files` and `dead_letter_files` are written already (`analytics.raw.staging`).

        Returns: the id of the new snapshot of raw.conversations, None when neither rows nor properties were
        given.
        """
        if dead_letters is not None and dead_letters.num_rows:
            self.commit(
                self.dead_letters,
                lambda table: table.append(dead_letters, snapshot_properties=carried(table, {})),
            )
            reached("extract.dead_letters")
        if dead_letter_files:
            self.commit(self.dead_letters, lambda table: add_files(table, dead_letter_files, {}))
        if (rows is None or not rows.num_rows) and properties is None:
            return None
        new_rows: pa.Table = envelope.SCHEMA.empty_table() if rows is None else rows
        written: list[DataFile] = []
        given = list(files)
        base = self.current_snapshot_id()

        def commit(table: Table) -> None:
            nonlocal new_rows, base, given
            if (now := self.current_snapshot_id()) != base:
                # another writer was faster, and may have read the same source
                there = self.stored_ids(new_rows["_id"], self.data_files())
                if given:
                    others = self.files_added_since(base).files
                    given = [kept for file in given for kept in self._without(file, others)]
                base = now
                if len(there):
                    new_rows = new_rows.filter(keep_new(new_rows["_id"], there))
                    written.clear()
            new = properties(own_properties(table.current_snapshot())) if callable(properties) else properties or {}
            if not written and new_rows.num_rows:
                written.extend(write_files(table, new_rows))
                reached("extract.files")
            add_files(table, [*given, *written], new)

        self.commit(self.conversations, commit)
        reached("extract.committed")
        return self.current_snapshot_id()

    def _without(self, file: DataFile, others: list[str]) -> list[DataFile]:
        """`file`, or what is left of it without the documents that are in `others`, in files of its own."""
        table = self.conversations
        there = self.stored_ids(self.read_file(table, file, {"_id"})["_id"], others)
        if not len(there):
            return [file]
        rows = self.read_file(table, file)
        rows = rows.filter(keep_new(rows["_id"], there))
        return write_files(table, rows) if rows.num_rows else []

    def remove_dead_letters(self, ids: list[str]) -> None:
        """Remove the dead letters with these ids, in one commit."""
        from pyiceberg.expressions import In

        if ids:
            # its types know pydantic's constructor only
            which = In("dead_letter_id", ids)  # type: ignore[misc, call-arg, arg-type]
            self.commit(
                self.dead_letters,
                lambda table: table.delete(which, snapshot_properties=carried(table, {})),
            )

    def commit(self, table: Table, action: Callable[[Table], None]) -> None:
        """Run `action` on fresh metadata until no other writer got in between.

        Raises:
            AnalyticsError: that happened COMMIT_ATTEMPTS times, or the table cannot be written.
        """
        from pyiceberg.exceptions import RESTError

        def refresh(_: tenacity.RetryCallState) -> None:
            table.refresh()

        name = ".".join(table.name())
        retry = retrying(refresh)
        try:
            retry(action, table)
        except tenacity.RetryError as error:
            reason = error.last_attempt.exception()
            raise AnalyticsError(
                f"{name} could not be committed after {COMMIT_ATTEMPTS} attempts: {first_line(reason or error)}; "
                "another writer holds the catalog: try again when it is done"
            ) from reason
        except (OSError, RESTError) as error:
            raise AnalyticsError(f"{name} could not be written: {first_line(error)}") from error

    # Reading

    def data_files(self, snapshot_id: int | None = None, *, table: Table | None = None) -> list[str]:
        """Paths of all live Parquet files of raw.conversations (or `table`), at a snapshot or now."""
        return [entry.file_path for entry in self.live(table or self.conversations, snapshot_id)]

    def live(self, table: Table, snapshot_id: int | None = None) -> Iterator[DataFile]:
        """Live data files, one manifest's at a time: with their statistics, thousands fill hundreds of megabytes."""
        from pyiceberg.manifest import DataFileContent

        snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else table.current_snapshot()
        if snapshot is None:
            return
        for manifest in snapshot.manifests(table.io):
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                # Everything here reads data files as they are: a delete file would bring deleted rows back.
                if entry.data_file.content != DataFileContent.DATA:
                    raise AnalyticsError(
                        f"{'.'.join(table.name())} holds delete files (another engine wrote them); "
                        "rewrite the table without them (Spark: call system.rewrite_data_files)"
                    )
                yield entry.data_file

    def files_added_since(self, snapshot_id: int | None, *, until: int | None = None) -> FilesAdded:
        """Files with the rows that were added after `snapshot_id`, up to `until` (default: the newest).

        `full` is True, and `files` is everything, when `snapshot_id` is None, no longer known (expired,
        another table) or when rows were removed since (a purge).
        """
        from pyiceberg.manifest import ManifestEntryStatus

        table = self.conversations
        current = table.snapshot_by_id(until) if until is not None else table.current_snapshot()
        if current is None:
            return FilesAdded([], None, full=True)
        added: list[str] = []
        walk: Snapshot | None = current
        while walk is not None and walk.snapshot_id != snapshot_id:
            operation = walk.summary.operation.value if walk.summary else "unknown"
            if operation == "append":
                for manifest in walk.manifests(table.io):
                    if manifest.added_snapshot_id == walk.snapshot_id:
                        added[:0] = [
                            entry.data_file.file_path
                            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                            if entry.status == ManifestEntryStatus.ADDED
                        ]
            elif not is_compaction(walk):
                break
            parent = walk.parent_snapshot_id
            walk = table.snapshot_by_id(parent) if parent is not None else None
        if snapshot_id is not None and walk is not None and walk.snapshot_id == snapshot_id:
            return FilesAdded(added, current.snapshot_id, full=False)
        return FilesAdded(self.data_files(current.snapshot_id), current.snapshot_id, full=True)

    def stored_ids(self, candidates: pa.Array | pa.ChunkedArray, files: list[str] | None = None) -> pa.ChunkedArray:
        """Those of `candidates` (`_id` texts) that raw.conversations already holds.

        The stored ids are streamed past the candidates, so memory follows the candidates, not the history.
        """
        files = self.data_files() if files is None else files
        return self._stored(self.conversations, "_id", candidates, files)

    def stored_dead_letter_ids(self, candidates: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
        """Those of `candidates` (dead letter ids) that raw.dead_letters already holds."""
        return self._stored(self.dead_letters, "dead_letter_id", candidates, self.data_files(table=self.dead_letters))

    def _stored(
        self, table: Table, column: str, candidates: pa.Array | pa.ChunkedArray, files: list[str]
    ) -> pa.ChunkedArray:
        if not files or not len(candidates):
            return pa.chunked_array([], pa.string())
        paths = [local_path(file) for file in files]
        with engine().cursor() as cursor:
            cursor.register("candidates", pa.table({"id": candidates}))
            if all(paths):
                stored = f"read_parquet([{', '.join(literal(path) for path in paths)}])"
            else:
                cursor.register("stored_rows", table.scan(selected_fields=(column,)).to_arrow_batch_reader())
                stored = "stored_rows"
            found = cursor.execute(
                f"""
                select distinct "{column}" as id
                from {stored}
                where "{column}" in (select id from candidates)
                """
            ).to_arrow_table()
        return found["id"]

    def read_files(self, table: Table, columns: set[str] | None = None) -> Iterator[pa.Table]:
        """The rows of `table`, one live file at a time; `columns` narrows them (those it has)."""
        for file in self.live(table):
            yield self.read_file(table, file, columns)

    def read_paths(self, files: list[str], columns: list[str]) -> Iterator[pa.Table]:
        """Columns of data files of raw.conversations, a file at a time, through the catalog's own file access."""
        import pyarrow.parquet as pq

        for file in files:
            with self.conversations.io.new_input(file).open() as stream:
                rows = pq.read_table(stream, columns=columns)
            yield rows

    def read_file(self, table: Table, file: DataFile, columns: set[str] | None = None) -> pa.Table:
        """The rows of one file; columns that it does not have yet are null."""
        import pyarrow.parquet as pq
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        with table.io.new_input(file.file_path).open() as stream:
            parquet = pq.ParquetFile(stream)
            there = [name for name in schema.names if name in parquet.schema_arrow.names]
            rows = parquet.read(columns=there)
        for field in schema:
            if field.name not in rows.column_names:
                rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
        return rows.select(schema.names).cast(schema)


def add_files(table: Table, files: Sequence[DataFile], new: Mapping[str, str]) -> None:
    """Append Parquet files, in one snapshot whose properties are the ones `table` has and `new`."""
    with (
        table.transaction() as transaction,
        transaction.update_snapshot(snapshot_properties=carried(table, new)).fast_append() as update,
    ):
        for file in files:
            update.append_data_file(file)


def own_properties(snapshot: Snapshot | None) -> dict[str, str]:
    """Our properties of `snapshot`, without the prefix."""
    if snapshot is None or snapshot.summary is None:
        return {}
    return {
        key.removeprefix(PREFIX): value
        for key, value in snapshot.summary.additional_properties.items()
        if key.startswith(PREFIX)
    }


def carried(table: Table, new: Mapping[str, str]) -> dict[str, str]:
    """Properties for the next snapshot of `table`: the ones it has, `new` ones on top."""
    kept = own_properties(table.current_snapshot())
    kept.pop(COMPACTION, None)
    return {PREFIX + key: value for key, value in {**kept, **new}.items()}


def is_compaction(snapshot: Snapshot) -> bool:
    return COMPACTION in own_properties(snapshot)


def keep_new(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    """Boolean mask over `ids`: True where the id is not in `known` and not a repetition inside `ids`."""
    if not len(known) and pc.count_distinct(ids, mode="all").as_py() == len(ids):
        return pa.chunked_array([pa.repeat(True, len(ids))])
    position = np.arange(len(ids))
    first = pa.table({"id": ids, "position": position}).group_by("id").aggregate([("position", "min")])
    if len(known):
        first = first.filter(pc.invert(pc.is_in(first["id"], value_set=known.combine_chunks())))
    mask = np.zeros(len(ids), dtype=bool)
    mask[first["position_min"].to_numpy()] = True
    return pa.chunked_array([pa.array(mask)])
