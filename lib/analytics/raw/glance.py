"""What the raw tables hold, at a glance: whether there is anything to do, and whether all of it was loaded.

Opening a table with PyIceberg imports it, and SQLAlchemy: a second and more, every hour, to learn two numbers. In our
own SQLite catalog they are a row and a JSON file, both with published formats. A catalog that a user configured is
opened with PyIceberg.

https://iceberg.apache.org/spec/#table-metadata-fields
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from analytics.common.clock import utc_now
from analytics.raw.catalog import CATALOG_NAME, NAMESPACE, is_elsewhere, local_path
from analytics.raw.store import COMPACTION, PREFIX, RawStore
from analytics.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class _Snapshot:
    snapshot_id: int
    parent_id: int | None
    summary: Mapping[str, str]


class Glance:
    """The newest snapshots of the raw tables; a `Known` for the quick look of a source."""

    full_backfill = False
    batch_bytes = 0  # no batch is asked for

    def __init__(self, settings: Settings, conversations: list[_Snapshot], dead_letter_snapshot_id: int | None) -> None:
        """`conversations`: its snapshots, the current one first."""
        self._settings = settings
        self._snapshots = {snapshot.snapshot_id: snapshot for snapshot in conversations}
        self.snapshot_id = conversations[0].snapshot_id
        self.dead_letter_snapshot_id = dead_letter_snapshot_id
        self.properties = {
            key.removeprefix(PREFIX): value for key, value in conversations[0].summary.items() if key.startswith(PREFIX)
        }
        self.is_empty = False
        self.now: datetime = utc_now().replace(microsecond=0)

    def missing(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Those of `ids` that are not stored; opens the table when there is one to look for."""
        return self._intake.missing(ids) if len(ids) else ids

    @cached_property
    def _intake(self) -> Any:
        from analytics.raw.intake import Intake

        return Intake(self._settings, full_backfill=False)

    def rows(self, snapshot_id: int) -> int | None:
        """Rows of raw.conversations in that snapshot; None when it has expired."""
        snapshot = self._snapshots.get(snapshot_id)
        return None if snapshot is None else int(snapshot.summary.get("total-records") or 0)

    def has_rows_since(self, snapshot_id: int | None) -> bool:
        """Whether rows may have been added after that snapshot; compactions after it add none."""
        at: int | None = self.snapshot_id
        while at != snapshot_id:
            snapshot = self._snapshots.get(at) if at is not None else None
            if snapshot is None or snapshot.summary.get(PREFIX + COMPACTION) is None:
                return True
            at = snapshot.parent_id
        return False


def glance(settings: Settings) -> Glance | None:
    """A look at the raw tables; None when nothing is stored, or they cannot be seen at a glance."""
    if _is_configured():
        store = RawStore(settings)
        conversations = _of_table(store.conversations)
        dead_letters = _of_table(store.dead_letters)
    else:
        found = _own_catalog(settings.warehouse_dir / "catalog.db")
        conversations, dead_letters = found.get("conversations", []), found.get("dead_letters", [])
    if not conversations:
        return None
    return Glance(settings, conversations, dead_letters[0].snapshot_id if dead_letters else None)


def _is_configured() -> bool:
    """Whether PyIceberg's own configuration may name another catalog than ours: where it looks for it."""
    if any(name.upper().startswith("PYICEBERG_CATALOG__") for name in os.environ):
        return True
    folders = [os.environ.get("PYICEBERG_HOME"), Path.home(), Path.cwd()]
    return any(Path(folder, ".pyiceberg.yaml").exists() for folder in folders if folder)


def _of_table(table: Any) -> list[_Snapshot]:
    current = table.current_snapshot()
    if current is None:
        return []
    others = [snapshot for snapshot in table.snapshots() if snapshot.snapshot_id != current.snapshot_id]
    return [
        _Snapshot(item.snapshot_id, item.parent_snapshot_id, item.summary.additional_properties if item.summary else {})
        for item in (current, *others)
    ]


def _own_catalog(path: Path) -> dict[str, list[_Snapshot]]:
    """Snapshots by table; empty when the catalog, or a file that it names, is not there or not as expected."""
    if not path.exists():
        return {}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as catalog:
            rows = catalog.execute(
                "select table_name, metadata_location from iceberg_tables"
                " where catalog_name = ? and table_namespace = ?",
                [CATALOG_NAME, NAMESPACE],
            ).fetchall()
        if any(is_elsewhere(location, path.parent) for _, location in rows):
            return {}
        return {name: _in_metadata(location) for name, location in rows}
    except (sqlite3.Error, OSError, ValueError, KeyError, TypeError):
        return {}


def _in_metadata(location: str) -> list[_Snapshot]:
    path = local_path(location)
    if path is None:
        raise ValueError(f"{location} is no local file")
    metadata = orjson.loads(path.read_bytes())
    current = metadata.get("current-snapshot-id")
    snapshots = [
        _Snapshot(item["snapshot-id"], item.get("parent-snapshot-id"), item.get("summary") or {})
        for item in metadata.get("snapshots") or []
    ]
    return sorted(
        (snapshot for snapshot in snapshots if current not in (None, -1)),
        key=lambda snapshot: snapshot.snapshot_id != current,
    )
