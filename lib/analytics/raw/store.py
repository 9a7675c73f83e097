"""The raw layer: Iceberg tables `raw.conversations` (one row per document) and `raw.dead_letters`.

Append-only. What a run must remember (watermarks, resume tokens, running totals) travels as properties of the
very snapshot that adds the rows, and every later snapshot carries all of it on, so that a crash can neither
lose nor repeat and expiring old snapshots forgets nothing.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.errors import AnalyticsError, ConfigError
from analytics.raw import envelope
from analytics.settings import Settings, mask_uri

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionKey
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

NAMESPACE = "raw"
CATALOG_NAME = "default"

# Snapshot properties of ours start with this and are carried from snapshot to snapshot.
PREFIX = "claude-analytics."
COMPACTION = "compaction"  # set on snapshots that rewrote files without changing rows; never carried on

DEAD_LETTER_SCHEMA = pa.schema(
    [
        pa.field("dead_letter_id", pa.string(), nullable=False),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("document_id", pa.string()),
        ("source_file", pa.string()),
        ("byte_offset", pa.int64()),
        ("byte_length", pa.int64()),
        ("first_seen_at", pa.timestamp("us", tz="UTC")),
        ("original", pa.large_binary()),
    ]
)

# Level 3 makes files 8 % smaller and takes twice as long.
COMPRESSION_LEVEL = 1

_TABLE_PROPERTIES = {
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": str(COMPRESSION_LEVEL),
    # Statistics on the document text would bloat manifests and help nobody.
    "write.metadata.metrics.column.entry": "none",
    # Old metadata files go as new ones are written; files that nothing refers to are `expire`'s.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    # PyIceberg's own retry would commit the properties of the first attempt over those of whoever was faster.
    "commit.retry.num-retries": "0",
}

# Every reader opens every manifest, and each day leaves some: compaction merges them when there are this many.
_MANIFEST_PROPERTIES = {"commit.manifest-merge.enabled": "true", "commit.manifest.min-count-to-merge": "8"}

# Compaction merges the files of a day smaller than this into files of about this size.
TARGET_FILE_BYTES = 32 * 2**20

# A reader parallelises by row group and holds one per thread.
ROW_GROUP_ROWS = 16_384

# Columns with few values per file get a dictionary; columns of bulk get no statistics.
_REPEATING = {
    *(
        "type",
        "session_id",
        "project_id",
        "ingested_at",
        "extracted_at",
        "source_file",
        "machine",
        "message_role",
    ),
    *("agent_id", "version", "cwd", "git_branch", "date", "reason", "source", "first_seen_at"),
}
_BULK = {"entry", "original"}

# A file that no snapshot refers to may still be read, or be about to be committed: it is deleted this much
# later.
GRACE = timedelta(hours=24)


@dataclass(frozen=True)
class FilesAdded:
    """Parquet files that hold what a reader has not seen."""

    files: list[str]
    snapshot_id: int | None  # where to continue from next time; null when the table has no snapshot
    full: bool  # True: `files` is everything and the reader must start from nothing


@dataclass(frozen=True)
class TableInfo:
    """State of one Iceberg table."""

    name: str
    location: str
    rows: int
    files: int
    bytes: int
    snapshots: int
    days: int
    small_files: int  # files that compaction would merge
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SnapshotInfo:
    """One Iceberg snapshot."""

    snapshot_id: int
    parent_id: int | None
    committed_at: datetime
    operation: str
    added_rows: int
    total_rows: int
    is_compaction: bool
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CompactResult:
    """What compaction did."""

    days: int
    files_before: int
    files_after: int
    duration_seconds: float

    def __str__(self) -> str:
        if not self.days:
            return "nothing to compact"
        return (
            f"{self.files_before} files of {self.days} days merged into {self.files_after} "
            f"in {self.duration_seconds:.1f} s"
        )


@dataclass(frozen=True)
class ExpireResult:
    """What expiry did."""

    snapshots_expired: int
    files_deleted: int
    bytes_deleted: int

    def __str__(self) -> str:
        return (
            f"{self.snapshots_expired} snapshots expired, "
            f"{self.files_deleted} unreachable files ({self.bytes_deleted / 1e6:.1f} MB) deleted"
        )


def _iceberg_schema(arrow: pa.Schema) -> Any:
    """The Iceberg schema of `arrow`, fields numbered in order."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import (
        BinaryType,
        BooleanType,
        DateType,
        LongType,
        NestedField,
        StringType,
        TimestamptzType,
    )

    kinds = {
        pa.string(): StringType(),
        pa.bool_(): BooleanType(),
        pa.date32(): DateType(),
        pa.int64(): LongType(),
        pa.large_binary(): BinaryType(),
        pa.timestamp("us", tz="UTC"): TimestamptzType(),
    }
    return Schema(
        *(
            NestedField(number, column.name, kinds[column.type], required=not column.nullable)
            for number, column in enumerate(arrow, start=1)
        )
    )


def local_path(location: str) -> Path | None:
    """`location` as a path when it is on a local file system, else None."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        # As PyIceberg reads it: the path as it is, nothing in it encoded.
        return Path(location.removeprefix("file:").removeprefix("//"))
    return Path(location) if not parts.scheme or len(parts.scheme) == 1 else None


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
        from pyiceberg.catalog import load_catalog
        from pyiceberg.utils.config import Config

        if configured := Config().get_catalog_config(CATALOG_NAME):
            try:
                return load_catalog(CATALOG_NAME, **configured)
            except Exception as error:
                shown = mask_uri(str(configured.get("uri", configured.get("type", ""))))
                raise ConfigError(
                    f"the Iceberg catalog 'default' ({shown}) cannot be opened: {type(error).__name__}"
                ) from error
        directory = self.settings.warehouse_dir
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return load_catalog(
                CATALOG_NAME,
                type="sql",
                uri=f"sqlite:///{directory / 'catalog.db'}",
                warehouse=f"file://{directory}",  # PyIceberg does not decode %20
            )
        except Exception as error:
            raise AnalyticsError(f"the Iceberg warehouse {directory} cannot be opened: {error}") from error

    def _table(self, name: str, schema: pa.Schema, *, by_date: bool) -> Table:
        from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
        from pyiceberg.partitioning import PartitionField, PartitionSpec
        from pyiceberg.transforms import IdentityTransform

        identifier = (NAMESPACE, name)
        try:
            return self.catalog.load_table(identifier)
        except NoSuchTableError:
            pass
        spec = PartitionSpec()
        if by_date:
            source = schema.get_field_index("date") + 1
            spec = PartitionSpec(PartitionField(source, 1000, IdentityTransform(), "date"))
        try:
            self.catalog.create_namespace_if_not_exists(NAMESPACE)
            return self.catalog.create_table(
                identifier, _iceberg_schema(schema), partition_spec=spec, properties=_TABLE_PROPERTIES
            )
        except TableAlreadyExistsError:
            return self.catalog.load_table(identifier)
        except OSError as error:
            raise AnalyticsError(f"the Iceberg table {NAMESPACE}.{name} cannot be created: {error}") from error

    @cached_property
    def conversations(self) -> Table:
        """`raw.conversations`, partitioned by day."""
        return self._table("conversations", envelope.SCHEMA, by_date=True)

    @cached_property
    def dead_letters(self) -> Table:
        """`raw.dead_letters`, unpartitioned."""
        return self._table("dead_letters", DEAD_LETTER_SCHEMA, by_date=False)

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
        return _own_properties(self.conversations.current_snapshot())

    def append(
        self,
        rows: pa.Table | None = None,
        *,
        dead_letters: pa.Table | None = None,
        properties: Mapping[str, str] | Callable[[dict[str, str]], Mapping[str, str]] | None = None,
    ) -> int | None:
        """Add rows (envelope.SCHEMA) and dead letters (DEAD_LETTER_SCHEMA), one commit per table.

        `properties` (or a function of the current ones) update what the snapshot remembers, in the same
        commit as the rows. Dead letters go first: they are idempotent by id, so a crash between the two
        commits repeats nothing.

        Returns: the id of the new snapshot of raw.conversations, None when neither rows nor properties were
        given.
        """
        if dead_letters is not None and dead_letters.num_rows:
            self._commit(
                self.dead_letters,
                lambda table: table.append(dead_letters, snapshot_properties=_carried(table, {})),
            )
            reached("extract.dead_letters")
        if (rows is None or not rows.num_rows) and properties is None:
            return None
        rows = envelope.SCHEMA.empty_table() if rows is None else rows
        written: list[DataFile] = []

        def commit(table: Table) -> None:
            new = properties(_own_properties(table.current_snapshot())) if callable(properties) else properties or {}
            with (
                table.transaction() as transaction,
                transaction.update_snapshot(snapshot_properties=_carried(table, new)).fast_append() as update,
            ):
                if not written and rows.num_rows:
                    written.extend(_write_files(table, rows))
                    reached("extract.files")
                for data_file in written:
                    update.append_data_file(data_file)

        self._commit(self.conversations, commit)
        reached("extract.committed")
        return self.current_snapshot_id()

    def remove_dead_letters(self, ids: list[str]) -> None:
        """Remove the dead letters with these ids, in one commit."""
        from pyiceberg.expressions import In

        if ids:
            self._commit(
                self.dead_letters,
                lambda table: table.delete(In("dead_letter_id", ids), snapshot_properties=_carried(table, {})),
            )

    def _commit(self, table: Table, action: Callable[[Table], None], attempts: int = 8) -> None:
        """Run `action` on fresh metadata until no other writer got in between."""
        from pyiceberg.exceptions import CommitFailedException
        from sqlalchemy.exc import OperationalError

        for attempt in range(attempts):
            try:
                action(table)
                return
            except (CommitFailedException, OperationalError) as error:
                if attempt + 1 == attempts:
                    raise AnalyticsError(
                        f"{'.'.join(table.name())} could not be committed after {attempts} attempts: {error}"
                    ) from error
                time.sleep(0.05 * 2**attempt)
                table.refresh()
            except OSError as error:
                raise AnalyticsError(f"{'.'.join(table.name())} could not be written: {error}") from error

    # Reading

    def data_files(self, snapshot_id: int | None = None, *, table: Table | None = None) -> list[str]:
        """Paths of all live Parquet files of raw.conversations (or `table`), at a snapshot or now."""
        return [entry.file_path for entry in self._live(table or self.conversations, snapshot_id)]

    def _live(self, table: Table, snapshot_id: int | None = None) -> Iterator[DataFile]:
        """One manifest's files at a time: with their statistics, thousands fill hundreds of megabytes."""
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

    def files_added_since(self, snapshot_id: int | None) -> FilesAdded:
        """Files with the rows that were added after `snapshot_id`.

        `full` is True, and `files` is everything, when `snapshot_id` is None, no longer known (expired,
        another table) or when rows were removed since (a purge).
        """
        from pyiceberg.manifest import ManifestEntryStatus

        table = self.conversations
        current = table.current_snapshot()
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
            elif not _is_compaction(walk):
                break
            parent = walk.parent_snapshot_id
            walk = table.snapshot_by_id(parent) if parent is not None else None
        if snapshot_id is not None and walk is not None and walk.snapshot_id == snapshot_id:
            return FilesAdded(added, current.snapshot_id, full=False)
        return FilesAdded(self.data_files(), current.snapshot_id, full=True)

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
        with envelope.engine().cursor() as cursor:
            cursor.register("candidates", pa.table({"id": candidates}))
            if all(paths):
                stored = f"read_parquet({[str(path) for path in paths]!r})"
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
        for file in self._live(table):
            yield self._read_file(table, file, columns)

    def _read_file(self, table: Table, file: DataFile, columns: set[str] | None = None) -> pa.Table:
        import pyarrow.parquet as pq
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        with table.io.new_input(file.file_path).open() as stream:
            return pq.read_table(stream, columns=schema.names, partitioning=None).select(schema.names).cast(schema)

    def remove(self, table: Table, keep: Callable[[pa.Table], pa.ChunkedArray]) -> tuple[int, int]:
        """Remove the rows where `keep` (rows -> mask) is false, for good: no snapshot and no file holds them any more.

        A file at a time, one commit. Every older snapshot goes, and what only they referred to.

        Returns: rows removed, files deleted.
        """
        replaced: list[DataFile] = []
        written: list[DataFile] = []
        removed = 0
        for file in self._live(table):
            rows = self._read_file(table, file)
            mask = keep(rows)
            if pc.all(mask).as_py():
                continue
            kept = rows.filter(mask)
            removed += rows.num_rows - kept.num_rows
            replaced.append(file)
            if kept.num_rows:
                written += _write_files(table, kept)

        def commit(current: Table) -> None:
            with (
                current.transaction() as transaction,
                transaction.update_snapshot(snapshot_properties=_carried(current, {})).overwrite() as update,
            ):
                for file in replaced:
                    update.delete_data_file(file)
                for file in written:
                    update.append_data_file(file)

        if replaced:
            self._commit(table, commit)
        deleted = self.expire(older_than=timedelta(0), grace=timedelta(0)).files_deleted
        if local_path(table.location()) is None:
            for file in replaced:
                table.io.delete(file.file_path)
            deleted += len(replaced)
        return removed, deleted

    # Maintenance

    def info(self) -> list[TableInfo]:
        """State of both tables."""
        found = []
        for table in (self.conversations, self.dead_letters):
            files = list(self._live(table))
            per_day: dict[Any, list[DataFile]] = {}
            for file in files:
                per_day.setdefault(_day(file), []).append(file)
            found.append(
                TableInfo(
                    name=".".join(table.name()),
                    location=table.location(),
                    rows=sum(file.record_count for file in files),
                    files=len(files),
                    bytes=sum(file.file_size_in_bytes for file in files),
                    snapshots=len(table.metadata.snapshots),
                    days=len(per_day),
                    small_files=sum(len(group) for groups in per_day.values() for group in _groups(groups)),
                    properties=_own_properties(table.current_snapshot()),
                )
            )
        return found

    def snapshots(self) -> list[SnapshotInfo]:
        """Snapshots of raw.conversations, oldest first."""
        found = []
        for snapshot in self.conversations.metadata.snapshots:
            summary = snapshot.summary
            found.append(
                SnapshotInfo(
                    snapshot_id=snapshot.snapshot_id,
                    parent_id=snapshot.parent_snapshot_id,
                    committed_at=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
                    operation=summary.operation.value if summary else "",
                    added_rows=int((summary and summary.get("added-records")) or 0),
                    total_rows=int((summary and summary.get("total-records")) or 0),
                    is_compaction=_is_compaction(snapshot),
                    properties=_own_properties(snapshot),
                )
            )
        return sorted(found, key=lambda item: item.committed_at)

    def compact(self) -> CompactResult:
        """Merge the small files of each day. Rows do not change; `files_added_since` does not notice."""
        started = time.monotonic()
        days, before, after = 0, 0, 0
        with disk_errors("compact", self.settings.data_dir):
            for table in (self.conversations, self.dead_letters):
                per_day: dict[Any, list[DataFile]] = {}
                for file in self._live(table):
                    per_day.setdefault(_day(file), []).append(file)
                for files in per_day.values():
                    groups = _groups(files)
                    days += bool(groups)
                    for group in groups:
                        before += len(group)
                        after += self._merge(table, group)
                self._merge_manifests(table)
        return CompactResult(days, before, after, time.monotonic() - started)

    def _merge(self, table: Table, group: list[DataFile]) -> int:
        """Replace `group` by one file in one commit; returns the number of files written."""
        parts = [self._read_file(table, file) for file in group]
        rows = pa.concat_tables(parts).combine_chunks()
        written: list[DataFile] = []

        def commit(current: Table) -> None:
            with (
                current.transaction() as transaction,
                transaction.update_snapshot(
                    snapshot_properties=_carried(current, {COMPACTION: "true"})
                ).overwrite() as update,
            ):
                if not written:
                    written.extend(_write_files(current, rows))
                    reached("compact.files")
                for file in group:
                    update.delete_data_file(file)
                for file in written:
                    update.append_data_file(file)

        self._commit(table, commit)
        reached("compact.committed")
        return len(written)

    def _merge_manifests(self, table: Table) -> None:
        """Have one manifest name the files of many days, in a commit that adds nothing."""
        limit = int(_MANIFEST_PROPERTIES["commit.manifest.min-count-to-merge"])
        snapshot = table.current_snapshot()
        if snapshot is None or len(snapshot.manifests(table.io)) < limit:
            return

        def commit(current: Table) -> None:
            with current.transaction() as transaction:
                # tables of an earlier version do not have them
                if not _MANIFEST_PROPERTIES.items() <= current.properties.items():
                    transaction.set_properties(_MANIFEST_PROPERTIES)
                properties = _carried(current, {COMPACTION: "true"})
                with transaction.update_snapshot(snapshot_properties=properties).merge_append():
                    pass

        self._commit(table, commit)

    def expire(self, *, older_than: timedelta | None = None, grace: timedelta = GRACE) -> ExpireResult:
        """Expire snapshots replaced more than `older_than` ago (default: the setting), delete unreachable files.

        A file is deleted when no remaining snapshot refers to it and it has not been written to for `grace`:
        a reader that planned a scan before, and a writer that has not committed yet, keep their files.
        """
        if older_than is None:
            # what a compaction has only just replaced is no day old, whatever the setting
            older_than = max(timedelta(days=self.settings.snapshot_retention_days), grace)
        expired = deleted = freed = 0
        with disk_errors("expire", self.settings.data_dir):
            for table in (self.conversations, self.dead_letters):
                table.refresh()
                before = len(table.metadata.snapshots)
                obsolete = _obsolete_snapshots(table, utc_now() - older_than)
                if obsolete:
                    table.maintenance.expire_snapshots().by_ids(obsolete).commit()
                    table.refresh()
                reached("expire.expired")
                expired += before - len(table.metadata.snapshots)
                files, size = _delete_unreachable(table, grace)
                deleted += files
                freed += size
        return ExpireResult(expired, deleted, freed)


def _obsolete_snapshots(table: Table, horizon: datetime) -> list[int]:
    """Snapshots that a newer one had replaced before `horizon`, branch and tag heads never.

    What counts is until when a snapshot was the newest, not when it was made: after quiet weeks the newest one is old,
    and a reader may have begun on it a moment before a compaction replaced it.
    """
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
    replaced_ms = {s.parent_snapshot_id: s.timestamp_ms for s in table.metadata.snapshots}
    limit_ms = horizon.timestamp() * 1000
    return [
        s.snapshot_id
        for s in table.metadata.snapshots
        if s.snapshot_id not in heads and replaced_ms.get(s.snapshot_id, s.timestamp_ms) < limit_ms
    ]


def _own_properties(snapshot: Snapshot | None) -> dict[str, str]:
    """Our properties of `snapshot`, without the prefix."""
    if snapshot is None or snapshot.summary is None:
        return {}
    return {
        key.removeprefix(PREFIX): value
        for key, value in snapshot.summary.additional_properties.items()
        if key.startswith(PREFIX)
    }


def _carried(table: Table, new: Mapping[str, str]) -> dict[str, str]:
    """Properties for the next snapshot of `table`: the ones it has, `new` ones on top."""
    kept = _own_properties(table.current_snapshot())
    kept.pop(COMPACTION, None)
    return {PREFIX + key: value for key, value in {**kept, **new}.items()}


def _is_compaction(snapshot: Snapshot) -> bool:
    return COMPACTION in _own_properties(snapshot)


def _day(file: DataFile) -> Any:
    return file.partition[0] if len(file.partition) else None


def _groups(files: list[DataFile]) -> list[list[DataFile]]:
    """Small files of one day in groups worth merging, each about TARGET_FILE_BYTES."""
    groups: list[list[DataFile]] = [[]]
    size = 0
    for file in sorted(files, key=lambda item: item.file_path):
        if file.file_size_in_bytes >= TARGET_FILE_BYTES / 2:
            continue
        if size + file.file_size_in_bytes > TARGET_FILE_BYTES and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.file_size_in_bytes
    return [group for group in groups if len(group) > 1]


def _write_files(table: Table, rows: pa.Table) -> list[DataFile]:
    """Write `rows` as Parquet files of `table`, one per partition, nothing committed yet.

    PyIceberg's own writer cannot be told which columns are worth a dictionary or statistics: with text as
    large as `entry` that is most of the time a write takes.
    """
    from pyiceberg.partitioning import PartitionFieldValue, PartitionKey

    spec = table.spec()
    schema = pa.schema(
        [
            field.with_metadata({b"PARQUET:field_id": str(table.schema().find_field(field.name).field_id).encode()})
            for field in rows.schema
        ]
    )
    rows = rows.cast(schema)
    if spec.is_unpartitioned():
        return [_write_file(table, None, rows)]
    days = pc.unique(rows["date"])

    def write(day: pa.Scalar) -> DataFile:
        key = PartitionKey([PartitionFieldValue(spec.fields[0], day.as_py())], spec, table.schema())
        # A copy: made when its turn comes, lest all rows exist twice.
        return _write_file(table, key, rows if len(days) == 1 else rows.filter(pc.equal(rows["date"], day)))

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(write, days))


def _write_file(table: Table, key: PartitionKey | None, rows: pa.Table) -> DataFile:
    import pyarrow.parquet as pq
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    path = table.location_provider().new_data_location(f"{uuid.uuid4()}.parquet", key)
    output = table.io.new_output(path)
    names = set(rows.column_names)
    with output.create() as stream:
        writer = pq.ParquetWriter(
            stream,
            rows.schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=sorted(_REPEATING & names),
            write_statistics=sorted(names - _BULK),
        )
        with writer:
            writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=writer.writer.metadata,
        stats_columns=compute_statistics_plan(table.schema(), table.metadata.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(table.schema()),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=key.partition if key else Record(),
        file_size_in_bytes=len(output),
        sort_order_id=None,
        spec_id=table.metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def _delete_unreachable(table: Table, grace: timedelta) -> tuple[int, int]:
    """Delete files under the table's location that nothing refers to -> (files, bytes)."""
    root = local_path(table.location())
    if root is None:
        # Object stores have lifecycle rules and engines with orphan removal; listing a bucket is not ours to
        # do.
        return 0, 0
    reachable = {str(local_path(table.metadata_location))}
    reachable.update(str(local_path(entry.metadata_file)) for entry in table.metadata.metadata_log)
    manifests_seen: set[str] = set()
    for snapshot in table.metadata.snapshots:
        reachable.add(str(local_path(snapshot.manifest_list)))
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in manifests_seen:
                continue
            manifests_seen.add(manifest.manifest_path)
            reachable.add(str(local_path(manifest.manifest_path)))
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                reachable.add(str(local_path(entry.data_file.file_path)))
    horizon = time.time() - grace.total_seconds()
    count = size = 0
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if path in reachable:
                continue
            status = os.stat(path)
            if status.st_mtime < horizon:
                os.unlink(path)
                reached("expire.deleted")
                count += 1
                size += status.st_size
    return count, size


def keep_new(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    """Boolean mask over `ids`: True where the id is not in `known` and not a repetition inside `ids`."""
    position = np.arange(len(ids))
    first = pa.table({"id": ids, "position": position}).group_by("id").aggregate([("position", "min")])
    if len(known):
        first = first.filter(pc.invert(pc.is_in(first["id"], value_set=known.combine_chunks())))
    mask = np.zeros(len(ids), dtype=bool)
    mask[first["position_min"].to_numpy()] = True
    return pa.chunked_array([pa.array(mask)])
