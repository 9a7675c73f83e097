"""Repair the default Iceberg catalog after DATA_DIR was moved or copied.

Iceberg writes absolute paths everywhere: in the catalog, in table metadata, in manifests. Nothing of the data has
changed, so the tables are made again at the new place from the same Parquet files, in one snapshot each that remembers
what the last one did (watermarks, totals). Older snapshots are gone; the next load reads everything once.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytics.common.lock import run_lock
from analytics.errors import AnalyticsError
from analytics.raw.catalog import NAMESPACE, is_elsewhere
from analytics.settings import Settings


@dataclass(frozen=True)
class RepairResult:
    """What was repaired."""

    moved_from: str | None  # None: nothing had moved
    files: int = 0
    rows: int = 0

    def __str__(self) -> str:
        if self.moved_from is None:
            return "nothing to repair: the Iceberg catalog is where it says"
        return f"Iceberg tables moved from {self.moved_from}: {self.rows:,} rows in {self.files} files are back"


def moved_tables(settings: Settings) -> dict[str, str]:
    """Raw table -> metadata file the default catalog names and that is not in DATA_DIR; empty when all is well."""
    catalog = settings.warehouse_dir / "catalog.db"
    if not catalog.exists():
        return {}
    with contextlib.closing(sqlite3.connect(f"{catalog.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "select table_name, metadata_location from iceberg_tables where table_namespace = ?", [NAMESPACE]
        ).fetchall()
    return {name: location for name, location in rows if is_elsewhere(location, settings.warehouse_dir)}


def repair(settings: Settings) -> RepairResult:
    """Make the catalog's tables point at DATA_DIR.

    What Spark built is not repaired but removed: it is built anew.

    The old catalog stays as `catalog.db.moved` until the new one is complete.

    Raises:
        AnalyticsError: files of a table are missing at the new place too, or another engine added delete files.
        BusyError: a run is active.
    """
    from analytics.raw.maintenance import drop_derived
    from analytics.raw.store import RawStore

    with run_lock(settings, holder="doctor --repair"):
        tables = moved_tables(settings)
        if not tables:
            return RepairResult(None)
        catalog = settings.warehouse_dir / "catalog.db"
        old = {name: _old_table(settings, name, location) for name, location in tables.items()}
        aside = catalog.with_name("catalog.db.moved")
        catalog.replace(aside)
        try:
            store = RawStore(settings)
            files = rows = 0
            for name, table in (("conversations", store.conversations), ("dead_letters", store.dead_letters)):
                if name in old:
                    _adopt(table, *old[name])
                    files += len(old[name][0])
                    rows += sum(file.record_count for file in old[name][0])
        except BaseException:
            aside.replace(catalog)
            raise
        aside.unlink()
        drop_derived(store)
        root = next(iter(tables.values())).removeprefix("file://").rpartition("/raw/")[0]
        return RepairResult(root, files, rows)


def _old_table(settings: Settings, name: str, location: str) -> tuple[list[Any], dict[str, str]]:
    """Data files of the table's newest snapshot, with their new paths, and what that snapshot remembers."""
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.manifest import DataFileContent
    from pyiceberg.serializers import FromInputFile

    before, found, _ = location.rpartition(f"/raw/{name}/")
    if not found:
        raise AnalyticsError(f"raw.{name}: {location} is not where this project puts its tables")
    new_root = f"file://{settings.warehouse_dir}"

    class Moved(PyArrowFileIO):
        """Reads a file at its new place by its old name."""

        def new_input(self, location: str) -> Any:
            return super().new_input(_moved(location, before, new_root))

    io = Moved()
    try:
        metadata = FromInputFile.table_metadata(io.new_input(location))
        snapshot = metadata.snapshot_by_id(metadata.current_snapshot_id) if metadata.current_snapshot_id else None
        files = []
        for manifest in snapshot.manifests(io) if snapshot else ():
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                file = entry.data_file
                if file.content != DataFileContent.DATA:
                    raise AnalyticsError(f"raw.{name} holds delete files of another engine; rewrite it there first")
                files.append(_with_path(file, _moved(file.file_path, before, new_root)))
    except FileNotFoundError as error:
        raise AnalyticsError(
            f"raw.{name} cannot be repaired: {error.filename or error} is missing at the new place too; copy all of "
            f"the old DATA_DIR to {settings.data_dir}"
        ) from None
    missing = [file.file_path for file in files if not Path(file.file_path.removeprefix("file://")).exists()]
    if missing:
        raise AnalyticsError(f"raw.{name} cannot be repaired: {len(missing)} files are missing, such as {missing[0]}")
    kept = dict(snapshot.summary.additional_properties) if snapshot and snapshot.summary else {}
    return files, kept


def _moved(location: str, before: str, after: str) -> str:
    """`location` below `before`, as it is now: below `after`."""
    return after + location.removeprefix(before) if location.startswith(f"{before}/") else location


def _with_path(file: Any, path: str) -> Any:
    """The same data file at another path."""
    from pyiceberg.manifest import DATA_FILE_TYPE, DataFile

    facts: dict[str, Any] = {field.name: getattr(file, field.name) for field in DATA_FILE_TYPE[2].fields}
    facts |= {"file_path": path, "spec_id": file.spec_id}
    return DataFile.from_args(**facts)


def _adopt(table: Any, files: list[Any], properties: dict[str, str]) -> None:
    """Put `files` into the new table, in one snapshot that remembers `properties` of ours."""
    from analytics.raw.store import COMPACTION, PREFIX

    kept = {key: value for key, value in properties.items() if key.startswith(PREFIX) and key != PREFIX + COMPACTION}
    with (
        table.transaction() as transaction,
        transaction.update_snapshot(snapshot_properties=kept).fast_append() as update,
    ):
        for file in files:
            update.append_data_file(file)
