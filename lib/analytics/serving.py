"""The marts for readers that keep their connection open, such as Metabase.

DuckDB caches an open database by path, so a process that holds `analytics.db` open never sees that it was
replaced. Views over Parquet files have no such memory: every query opens the files anew. Hence one Parquet
file per mart, each replaced atomically by a publish, and `serving.duckdb`, which holds only views with named
columns and is rewritten only when a column changes. No lock, no restart.

The views name the files by absolute path: a reader must see the folder at the same path as the publisher
(mount it there), and mount the folder, not single files. Files get the folder's permission bits without `x`:
to let the group read, `chmod 750` the folder once.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.faults import reached
from analytics.files import PARTIAL, partial_file, sync_file, sync_folder
from analytics.settings import Settings

if TYPE_CHECKING:
    import duckdb

SERVING_FILE = "serving.duckdb"
MARTS_SCHEMA = "marts"

# Key in every Parquet file's metadata: the published version whose rows it holds.
_VERSION_KEY = "published_version"


@dataclass(frozen=True)
class Mart:
    """One table of the marts schema."""

    name: str
    columns: tuple[tuple[str, str], ...]  # name and DuckDB type, in order
    rows: int


@dataclass(frozen=True)
class ServingResult:
    """What was written for open readers."""

    folder: Path
    tables: int
    size_bytes: int
    views_rewritten: bool  # the columns changed: open readers keep the old views until they reconnect
    duration_seconds: float


@dataclass
class ServingUpdate:
    """Parquet files that are written but not yet visible to readers."""

    folder: Path
    marts: list[Mart]
    version: str
    seconds: float = 0.0
    _written: list[tuple[Path, Path]] = field(default_factory=list)

    def commit(self) -> ServingResult:
        """Make the files visible, one atomic rename each, and rewrite the views if a column changed."""
        started = time.perf_counter()
        size = sum(temporary.stat().st_size for temporary, _ in self._written)
        for temporary, target in self._written:
            os.replace(temporary, target)
            reached("publish.serving")
        sync_folder(self.folder)
        rewritten = _write_views(self.folder, self.marts)
        expected = {f"{mart.name}.parquet" for mart in self.marts}
        for path in self.folder.glob("*.parquet"):
            if path.name not in expected:
                path.unlink()
        return ServingResult(
            folder=self.folder,
            tables=len(self.marts),
            size_bytes=size,
            views_rewritten=rewritten,
            duration_seconds=round(self.seconds + time.perf_counter() - started, 3),
        )


def prepare(settings: Settings, database: Path, version: str) -> ServingUpdate:
    """Write every mart of a closed `database` as Parquet beside the files that readers use now.

    Returns an update whose `commit()` makes them visible. Nothing changes for readers before.

    Raises:
        OSError, duckdb.Error: the folder cannot be written, or the database cannot be read.
    """
    import duckdb

    started = time.perf_counter()
    folder = settings.serving_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in folder.glob(f"*{PARTIAL}*"):
        leftover.unlink()
    with duckdb.connect(str(database), read_only=True) as connection:
        # nothing relies on the order of rows, and large files need less memory
        connection.execute("set preserve_insertion_order = false")
        update = ServingUpdate(folder, marts_of(connection), version)
        mode = folder.stat().st_mode & 0o666
        for mart in update.marts:
            target = folder / f"{mart.name}.parquet"
            temporary = Path(f"{target}{PARTIAL}")
            connection.execute(
                f"copy {MARTS_SCHEMA}.{_name(mart.name)} to {_text(temporary)} (format parquet,"
                f" compression zstd, kv_metadata {{{_VERSION_KEY}: {_text(version)}}})"
            )
            temporary.chmod(mode)
            sync_file(temporary)
            update._written.append((temporary, target))
    update.seconds = time.perf_counter() - started
    return update


def is_current(settings: Settings, database: Path, version: str) -> bool:
    """Whether readers of the serving folder see all of `version`, whose database file is given."""
    import duckdb

    folder = settings.serving_dir
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            marts = marts_of(connection)
        with duckdb.connect() as connection:
            for mart in marts:
                found = connection.execute(
                    "select decode(value) from parquet_kv_metadata(?) where decode(key) = ?",
                    [str(folder / f"{mart.name}.parquet"), _VERSION_KEY],
                ).fetchone()
                if found != (version,):
                    return False
        return _stored_views(folder) == _expected_views(marts)
    except duckdb.Error:
        return False


def marts_of(connection: duckdb.DuckDBPyConnection) -> list[Mart]:
    """Tables of the marts schema with their columns and numbers of rows, by name."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and schema_name = ? and not internal"
        " order by table_name, column_index",
        [MARTS_SCHEMA],
    ).fetchall():
        columns.setdefault(table, []).append((column, kind))
    marts = []
    for table, described in columns.items():
        count = connection.execute(f"select count(*) from {MARTS_SCHEMA}.{_name(table)}").fetchone()
        assert count is not None
        marts.append(Mart(table, tuple(described), count[0]))
    return marts


def _write_views(folder: Path, marts: list[Mart]) -> bool:
    """Replace serving.duckdb when it is not what the marts need; returns whether it was."""
    import duckdb

    if _stored_views(folder) == _expected_views(marts):
        return False
    target = folder / SERVING_FILE
    with partial_file(target, durable=True) as temporary:
        with duckdb.connect(str(temporary)) as connection:
            for mart in marts:
                listed = ", ".join(_name(column) for column, _ in mart.columns)
                connection.execute(
                    f"create view {_name(mart.name)} as select {listed}"
                    f" from read_parquet({_text(folder / f'{mart.name}.parquet')})"
                )
        temporary.chmod(folder.stat().st_mode & 0o666)
    return True


_Views = dict[str, tuple[bool, tuple[tuple[str, str], ...]]]


def _expected_views(marts: list[Mart]) -> _Views:
    return {mart.name: (True, mart.columns) for mart in marts}


def _stored_views(folder: Path) -> _Views | None:
    """Views of serving.duckdb: whether each reads its file in `folder`, and its stored columns."""
    import duckdb

    # a copy: within one process DuckDB answers from an instance that some connection keeps open under this path
    copied = folder / f"{SERVING_FILE}.compared{PARTIAL}"
    try:
        shutil.copyfile(folder / SERVING_FILE, copied)
        with duckdb.connect(str(copied), read_only=True) as connection:
            views = connection.execute(
                "select view_name, sql from duckdb_views() where not internal and schema_name = 'main'"
            ).fetchall()
            columns = connection.execute(
                "select table_name, column_name, data_type from duckdb_columns()"
                " where database_name = current_database() and not internal order by table_name, column_index"
            ).fetchall()
    except (FileNotFoundError, duckdb.Error):  # none yet, damaged, or written by a newer DuckDB
        return None
    finally:
        copied.unlink(missing_ok=True)
    return {
        view: (
            _text(folder / f"{view}.parquet") in sql,
            tuple((column, kind) for table, column, kind in columns if table == view),
        )
        for view, sql in views
    }


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
