"""Looking after the raw tables: what they hold, fewer and larger files, old snapshots, what is removed for good."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.raw.catalog import local_path
from analytics.raw.parquet import write_files
from analytics.raw.store import COMPACTION, RawStore, carried, is_compaction, own_properties

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

# Every reader opens every manifest, and each day leaves some: compaction merges them when there are this many.
_MANIFEST_PROPERTIES = {"commit.manifest-merge.enabled": "true", "commit.manifest.min-count-to-merge": "8"}

# Compaction merges the files of a day smaller than this into files of about this size.
TARGET_FILE_BYTES = 32 * 2**20

# A file that no snapshot refers to may still be read, or be about to be committed: it is deleted this much
# later.
GRACE = timedelta(hours=24)

# Manifests hold a day as a number of days since 1970.
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class TableInfo:
    """State of one Iceberg table."""

    name: str
    location: str
    rows: int
    files: int
    bytes: int
    snapshots: int
    rows_by_day: dict[date, int]
    small_files: int  # files that compaction would merge
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def days(self) -> int:
        """Number of days with rows."""
        return len(self.rows_by_day)


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


# What another engine builds from the raw tables, in the same catalog: made anew at any time (analytics.spark).
DERIVED_NAMESPACES = ("staging", "intermediate", "marts")


def derived_tables(store: RawStore) -> list[Table]:
    """Tables that were built from the raw ones."""
    catalog = store.catalog
    return [
        catalog.load_table(name)
        for namespace in DERIVED_NAMESPACES
        if catalog.namespace_exists(namespace)
        for name in catalog.list_tables(namespace)
    ]


# The property of such a table that says from which snapshot of raw.conversations.
DERIVED_FROM = "claude-analytics.snapshot"


def is_derived_from(table: Table, snapshot_id: int | None) -> bool:
    """Whether the table was built from that snapshot of raw.conversations."""
    return table.properties.get(DERIVED_FROM) == str(snapshot_id)


def drop_derived(store: RawStore) -> int:
    """Drop them with every snapshot and file; returns how many tables went.

    Raises:
        AnalyticsError: a file cannot be deleted.
    """
    tables = derived_tables(store)
    with disk_errors("drop", store.settings.data_dir):
        for table in tables:
            root = local_path(table.location())
            if root is None:
                store.catalog.purge_table(table.name())
            else:
                store.catalog.drop_table(table.name())
                shutil.rmtree(root, ignore_errors=False)
        # and what a killed build left that no table was made of
        warehouse = local_path(str(store.catalog.properties.get("warehouse", "s3:")))
        for namespace in DERIVED_NAMESPACES:
            if warehouse is not None and (left := warehouse / namespace).exists():
                shutil.rmtree(left)
    return len(tables)


def info(store: RawStore) -> list[TableInfo]:
    """State of both tables."""
    found = []
    for table in (store.conversations, store.dead_letters):
        files = list(store.live(table))
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
                rows_by_day={
                    date.fromordinal(_EPOCH + day): sum(file.record_count for file in group)
                    for day, group in per_day.items()
                    if day is not None
                },
                small_files=sum(len(group) for groups in per_day.values() for group in _groups(groups)),
                properties=own_properties(table.current_snapshot()),
            )
        )
    return found


def snapshots(store: RawStore) -> list[SnapshotInfo]:
    """Snapshots of raw.conversations, oldest first."""
    found = []
    for snapshot in store.conversations.metadata.snapshots:
        summary = snapshot.summary
        found.append(
            SnapshotInfo(
                snapshot_id=snapshot.snapshot_id,
                parent_id=snapshot.parent_snapshot_id,
                committed_at=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
                operation=summary.operation.value if summary else "",
                added_rows=int((summary and summary.get("added-records")) or 0),
                total_rows=int((summary and summary.get("total-records")) or 0),
                is_compaction=is_compaction(snapshot),
                properties=own_properties(snapshot),
            )
        )
    return sorted(found, key=lambda item: item.committed_at)


def compact(store: RawStore) -> CompactResult:
    """Merge the small files of each day. Rows do not change; `files_added_since` does not notice."""
    started = time.monotonic()
    days, before, after = 0, 0, 0
    with disk_errors("compact", store.settings.data_dir):
        for table in (store.conversations, store.dead_letters, *derived_tables(store)):
            per_day: dict[Any, list[DataFile]] = {}
            for file in store.live(table):
                per_day.setdefault(_day(file), []).append(file)
            for files in per_day.values():
                groups = _groups(files)
                days += bool(groups)
                for group in groups:
                    before += len(group)
                    after += _merge(store, table, group)
            _merge_manifests(store, table)
    return CompactResult(days, before, after, time.monotonic() - started)


def _merge(store: RawStore, table: Table, group: list[DataFile]) -> int:
    """Replace `group` by one file in one commit; returns the number of files written."""
    parts = [store.read_file(table, file) for file in group]
    rows = pa.concat_tables(parts).combine_chunks()
    written: list[DataFile] = []

    def commit(current: Table) -> None:
        with (
            current.transaction() as transaction,
            transaction.update_snapshot(
                snapshot_properties=carried(current, {COMPACTION: "true"})
            ).overwrite() as update,
        ):
            if not written:
                written.extend(write_files(current, rows))
                reached("compact.files")
            for file in group:
                update.delete_data_file(file)
            for file in written:
                update.append_data_file(file)

    store.commit(table, commit)
    reached("compact.committed")
    return len(written)


def _merge_manifests(store: RawStore, table: Table) -> None:
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
            properties = carried(current, {COMPACTION: "true"})
            with transaction.update_snapshot(snapshot_properties=properties).merge_append():
                pass

    store.commit(table, commit)


def expire(store: RawStore, *, older_than: timedelta | None = None, grace: timedelta = GRACE) -> ExpireResult:
    """Expire snapshots replaced more than `older_than` ago (default: the setting), delete unreachable files.

    A file is deleted when no remaining snapshot refers to it and it has not been written to for `grace`:
    a reader that planned a scan before, and a writer that has not committed yet, keep their files.
    """
    if older_than is None:
        # what a compaction has only just replaced is no day old, whatever the setting
        older_than = max(timedelta(days=store.settings.snapshot_retention_days), grace)
    expired = deleted = freed = 0
    with disk_errors("expire", store.settings.data_dir):
        for table in (store.conversations, store.dead_letters, *derived_tables(store)):
            table.refresh()
            before = len(table.metadata.snapshots)
            obsolete = _obsolete_snapshots(table, utc_now() - older_than)
            referred_before: dict[str, int] = {}
            if obsolete:
                if local_path(table.location()) is None:
                    referred_before = _referred(table)
                table.maintenance.expire_snapshots().by_ids(obsolete).commit()
                table.refresh()
            reached("expire.expired")
            expired += before - len(table.metadata.snapshots)
            files, size = _delete_unreachable(table, grace, referred_before)
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


def _referred(table: Table) -> dict[str, int]:
    """Every file that the metadata of `table` lead to, at its location -> bytes (metadata: 0)."""
    found = dict.fromkeys((table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)), 0)
    for snapshot in table.metadata.snapshots:
        found[snapshot.manifest_list] = 0
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in found:
                continue
            found[manifest.manifest_path] = manifest.manifest_length
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                found[entry.data_file.file_path] = entry.data_file.file_size_in_bytes
    return found


def _delete_unreachable(table: Table, grace: timedelta, referred_before: dict[str, int]) -> tuple[int, int]:
    """Delete the files of `table` that nothing refers to any more -> (files, bytes).

    In an object store these are the files that something referred to before. What a killed writer left there is for the
    store's lifecycle rules, or an engine with orphan removal: listing a bucket is not ours to do.
    """
    reachable = _referred(table)
    root = local_path(table.location())
    if root is None:
        gone = referred_before.keys() - reachable.keys()
        for location in gone:
            table.io.delete(location)
        return len(gone), sum(referred_before[location] for location in gone)
    paths = {str(local_path(location)) for location in reachable}
    horizon = time.time() - grace.total_seconds()
    count = size = 0
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if path in paths:
                continue
            status = os.stat(path)
            if status.st_mtime < horizon:
                os.unlink(path)
                reached("expire.deleted")
                count += 1
                size += status.st_size
    return count, size
