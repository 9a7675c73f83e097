"""Rows that change or go: removed for good, doubled, replaced by a newer version; and going back to a snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.engine import engine
from analytics.common.files import disk_errors
from analytics.errors import ConfigError
from analytics.raw.catalog import local_path
from analytics.raw.maintenance import expire, snapshots
from analytics.raw.parquet import write_files
from analytics.raw.store import RawStore, carried

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table


@dataclass(frozen=True)
class DedupeResult:
    """What was stored more than once."""

    documents: int  # rows removed, of each id all but one
    dead_letters: int

    def __str__(self) -> str:
        if not self.documents and not self.dead_letters:
            return "nothing is stored twice"
        return (
            f"removed {self.documents:,} doubled documents and {self.dead_letters:,} doubled dead letters; "
            "the next pipeline run loads everything again"
        )


@dataclass(frozen=True)
class RollbackResult:
    """Where raw.conversations went back to."""

    snapshot_id: int
    committed_at: datetime
    rows_before: int
    rows: int

    def __str__(self) -> str:
        return (
            f"raw.conversations is snapshot {self.snapshot_id} of {self.committed_at:%Y-%m-%d %H:%M:%S}Z again: "
            f"{self.rows:,} rows instead of {self.rows_before:,}; the next run adds what the source still has"
        )


def rewrite(
    store: RawStore,
    table: Table,
    keep: Callable[[pa.Table], pa.ChunkedArray],
    columns: set[str] | None = None,
    added: pa.Table | None = None,
) -> tuple[int, list[DataFile]]:
    """Leave out the rows where `keep` (rows -> mask) is false, and add rows, in one commit. A file at a time.

    Args:
        columns: what `keep` needs to see; default: all.
        added: rows to add in the same commit.

    Returns: rows removed, the files that held them. Older snapshots still do.
    """
    replaced: list[DataFile] = []
    written: list[DataFile] = []
    removed = 0
    for file in store.live(table):
        rows = store.read_file(table, file, columns)
        mask = keep(rows)
        if pc.all(mask).as_py():
            continue
        kept = (rows if columns is None else store.read_file(table, file)).filter(mask)
        removed += rows.num_rows - kept.num_rows
        replaced.append(file)
        if kept.num_rows:
            written += write_files(table, kept)
    if added is not None and added.num_rows:
        written += write_files(table, added)

    def commit(current: Table) -> None:
        with (
            current.transaction() as transaction,
            transaction.update_snapshot(snapshot_properties=carried(current, {})).overwrite() as update,
        ):
            for file in replaced:
                update.delete_data_file(file)
            for file in written:
                update.append_data_file(file)

    if replaced or written:
        store.commit(table, commit)
    return removed, replaced


def remove(store: RawStore, table: Table, keep: Callable[[pa.Table], pa.ChunkedArray]) -> tuple[int, int]:
    """Remove the rows where `keep` (rows -> mask) is false, for good: no snapshot and no file holds them any more.

    Every older snapshot goes, and what only they referred to.

    Returns: rows removed, files deleted.
    """
    removed, replaced = rewrite(store, table, keep)
    deleted = expire(store, older_than=timedelta(0), grace=timedelta(0)).files_deleted
    if local_path(table.location()) is None:
        for file in replaced:
            table.io.delete(file.file_path)
        deleted += len(replaced)
    return removed, deleted


def dedupe(store: RawStore) -> DedupeResult:
    """Leave one row of each document and of each dead letter: the one that was stored first.

    Raises:
        AnalyticsError: the tables cannot be written.
    """
    with disk_errors("iceberg dedupe", store.settings.data_dir):
        return DedupeResult(
            documents=_without_doubles(store, store.conversations, "_id", "extracted_at"),
            dead_letters=_without_doubles(store, store.dead_letters, "dead_letter_id", "first_seen_at"),
        )


def _without_doubles(store: RawStore, table: Table, key: str, at: str) -> int:
    """Rows removed."""
    with engine().cursor() as cursor:
        cursor.execute("create temp table stored (id varchar, stored_at timestamptz)")
        for rows in store.read_files(table, {key, at}):
            cursor.register("found", rows.select([key, at]))
            cursor.execute("insert into stored select * from found")
            cursor.unregister("found")
        twice = cursor.execute("select id, min(stored_at) from stored group by id having count(*) > 1").fetchall()
    first = dict(twice)

    def keep(rows: pa.Table) -> pa.ChunkedArray:
        mask = []
        for one, when in zip(rows[key].to_pylist(), rows[at].to_pylist(), strict=True):
            is_kept = one not in first or (one not in taken and when == first[one])
            if is_kept and one in first:
                taken.add(one)
            mask.append(is_kept)
        return pa.chunked_array([pa.array(mask, pa.bool_())])

    taken: set[str] = set()
    return rewrite(store, table, keep, {key, at})[0] if first else 0


def rollback(store: RawStore, snapshot_id: int) -> RollbackResult:
    """Make an earlier snapshot of raw.conversations the newest again, watermarks and read positions included.

    What was stored since is not deleted before `expire`; dead letters stay as they are.

    Raises:
        ConfigError: there is no such snapshot, or it is none that the newest one came from.
    """
    table = store.conversations
    before = {item.snapshot_id: item for item in snapshots(store)}
    current = store.current_snapshot_id()
    if snapshot_id not in before:
        raise ConfigError(f"no snapshot {snapshot_id}: claude-analytics iceberg snapshots lists them")

    def commit(table: Table) -> None:
        with table.manage_snapshots() as update:
            update.rollback_to_snapshot(snapshot_id)

    if snapshot_id != current:
        try:
            store.commit(table, commit)
        except ValueError:
            raise ConfigError(
                f"snapshot {snapshot_id} is not one that the newest, {current}, came from: it was rolled back before"
            ) from None
    found = before[snapshot_id]
    rows_before = before[current].total_rows if current is not None else 0
    return RollbackResult(snapshot_id, found.committed_at, rows_before, found.total_rows)
