"""The marts for readers that keep their connection open, such as Metabase.

DuckDB caches an open database by path, so a process that holds `analytics.db` open never sees that it was
replaced. Views over Parquet files have no such memory: every query opens the files anew. Hence one Parquet
file per mart, and `serving.duckdb`, which holds only views with named columns and is rewritten only when a
column changes. No lock, no restart.

    serving.duckdb
    current -> versions/<id>                       swapped by one rename for all marts
    versions/<id>/<id>/<mart>.parquet              this publish
    versions/<id>/<older> -> ../<older>/<older>    the ones before, for queries that began before the swap
    versions/<id>/** -> <id>                       for queries that are looking for their file during the swap

The views read `current/**/<mart>.parquet`. A file is never replaced under its path: DuckDB opens it again in
every scan and caches its blocks by path, so a query on the old file would spoil the new one's cache
(docs/decisions.md, "One new path for every publish"). Here every publish has a path of its own, and as `**`
does not follow linked folders, only the newest file matches while the older paths can still be opened. A query
that lists `current` before the swap and looks at what it listed after it sees only links and finds nothing;
DuckDB then takes the pattern for a path, which the link called `**` makes true.

Without symbolic links (FAT, some network shares) `current` is a folder that two renames replace. Paths are new
with every publish there too, but a query that runs at that moment may fail, and a kill between the two renames
leaves readers without files until the next publish.

The views name the folder by absolute path: a reader must see it at the same path as the publisher (mount it
there), and mount the folder, not single files. Files get the folder's permission bits without `x`: to let the
group read, `chmod 750` the folder once; the next publish follows.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import re
import secrets
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analytics.common.faults import reached
from analytics.common.files import PARTIAL, flush_file, flush_folder, partial_file
from analytics.common.sql import identifier, literal
from analytics.errors import AnalyticsError
from analytics.settings import Settings
from analytics.warehouse.marts import SCHEMA, Mart, marts_of, open_to_export, open_version

SERVING_FILE = "serving.duckdb"

# Key in every Parquet file's metadata: the published version whose rows it holds.
_VERSION_KEY = "published_version"

# A dictionary of a column with ever new values (keys, times) is given up after so many: by default each row group tries
# 24,576 of them first, a quarter of the time that writing takes. Files are smaller, too.
_PARQUET = "compression zstd, compression_level 1, dictionary_size_limit 1000"

# For so many publishes the files of an earlier one stay, for queries that still read them.
GRACE_PUBLISHES = 3

# Folders under versions/: a number that rises, so that they can be ordered whatever the clock says.
_ID = re.compile(r"(\d{6,})-.+")

# In a folder of files that were written before the publish: which database they were written from.
_WRITTEN_FROM = "written-from.json"

# The mart in which a publish writes its own time.
_PUBLISHED_AT = "agg_data_quality"

# What file systems answer that have no symbolic links (symlink(2); FUSE answers ENOSYS).
_NO_SYMLINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


@dataclass(frozen=True)
class ServingResult:
    """What was written for open readers."""

    folder: Path
    tables: int
    size_bytes: int
    views_rewritten: bool  # the columns changed: open readers keep the old views until they reconnect
    written_ahead: bool  # all but one file were there before the publish began
    duration_seconds: float


@dataclass
class ServingUpdate:
    """Parquet files that are written but not yet visible to readers."""

    folder: Path
    marts: list[Mart]
    id: str  # of the new folder under versions/
    size_bytes: int
    written_ahead: bool
    seconds: float

    def commit(self) -> ServingResult:
        """Make all files visible by one rename, rewrite the views if a column changed, remove what is too old.

        Raises:
            OSError, duckdb.Error: the folder cannot be written; the next publish repairs it.
        """
        started = time.perf_counter()
        _swap(self.folder, self.id)
        reached("publish.serving")
        rewritten = _write_views(self.folder, self.marts)
        remove_unserved(self.folder)
        return ServingResult(
            folder=self.folder,
            tables=len(self.marts),
            size_bytes=self.size_bytes,
            views_rewritten=rewritten,
            written_ahead=self.written_ahead,
            duration_seconds=round(self.seconds + time.perf_counter() - started, 3),
        )


def write_ahead(settings: Settings, database: Path, version: str) -> None:
    """Write every mart of a closed `database` as Parquet, for a publish as `version` that may follow.

    Raises:
        OSError, duckdb.Error: the folder cannot be written, or the database cannot be read.
    """
    folder = settings.serving_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    remove_unserved(folder)
    name = _new_name(_served(folder), version)
    state = _state(database)
    # a second thread would only take from the stage beside it what it saves here
    _write_marts(folder, name, database, version, threads=1)
    (folder / "versions" / name / _WRITTEN_FROM).write_text(json.dumps(state))


def written_ahead(settings: Settings, database: Path) -> tuple[str, str] | None:
    """The folder that `write_ahead` filled from `database` as it is now, and the version; None: there is none."""
    for path in settings.serving_dir.glob(f"versions/*/{_WRITTEN_FROM}"):
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_bytes()) == _state(database):
                name = path.parent.name
                return name, name.split("-")[1]
    return None


def _state(database: Path) -> list[int]:
    """Another one after every change of the file."""
    found = database.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _new_name(served: list[str], version: str) -> str:
    """A folder's name that never was: a version can be served twice (rollback), a path cannot."""
    number = 1 + max((_number(name) for name in served), default=0)
    return f"{number:06d}-{version}-{secrets.token_hex(3)}"


def prepare(settings: Settings, database: Path, version: str, *, written: str | None = None) -> ServingUpdate:
    """Write every mart of a closed `database` as Parquet beside the files that readers use now.

    Args:
        written: the folder of `written_ahead`; what a publish changed since is written again.

    Returns an update whose `commit()` makes them visible. Nothing changes for readers before.

    Raises:
        AnalyticsError: the views would show a mart twice.
        OSError, duckdb.Error: the folder cannot be written, or the database cannot be read.
    """
    started = time.perf_counter()
    folder = settings.serving_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = _served(folder)
    name = written or _new_name(before, version)
    remove_unserved(folder, but=name)
    try:
        (folder / "versions" / name / _WRITTEN_FROM).unlink(missing_ok=True)
        marts, size = _write_marts(folder, name, database, version)
        _link(folder, name, before[:GRACE_PUBLISHES])
        _check_one_file_each(folder / "versions" / name, marts)
        for level in (folder / "versions" / name, folder / "versions"):
            flush_folder(level)
    except BaseException:
        shutil.rmtree(folder / "versions" / name, ignore_errors=True)
        raise
    return ServingUpdate(folder, marts, name, size, written is not None, time.perf_counter() - started)


def is_current(settings: Settings, database: Path, version: str) -> bool:
    """Whether readers of the serving folder see all of `version`, whose database file is given."""
    folder = settings.serving_dir
    try:
        with open_version(database) as connection:
            marts = marts_of(connection)
        with duckdb.connect() as connection:
            for mart in marts:
                found = connection.execute(
                    "select decode(value) from parquet_kv_metadata(?) where decode(key) = ?",
                    [_files(folder / "current", mart.name), _VERSION_KEY],
                ).fetchall()
                if found != [(version,)]:
                    return False
        return _stored_views(folder) == _expected_views(marts)
    except duckdb.Error:
        return False


def _write_marts(
    folder: Path, name: str, database: Path, version: str, *, threads: int | None = None
) -> tuple[list[Mart], int]:
    """Write the files of one publish that are not on the disk; returns what is there, and the bytes."""
    target = folder / "versions" / name / name
    mode = stat.S_IMODE(folder.stat().st_mode)
    for level in (target.parents[1], target.parent, target):
        level.mkdir(exist_ok=True, mode=0o700)
        level.chmod(mode)
    size = 0
    with open_to_export(database, target, threads=threads) as connection:
        marts = marts_of(connection)
        for mart in marts:
            path = target / f"{mart.name}.parquet"
            if mart.name == _PUBLISHED_AT or not path.exists():
                connection.execute(
                    f"copy {SCHEMA}.{identifier(mart.name)} to {literal(path)} (format parquet,"
                    f" {_PARQUET}, kv_metadata {{{_VERSION_KEY}: {literal(version)}}})"
                )
                path.chmod(mode & 0o666)
                flush_file(path)
            size += path.stat().st_size
    flush_folder(target)
    return marts, size


def _link(folder: Path, name: str, earlier: list[str]) -> None:
    """Let queries that began on an earlier publish open its files again, by the path they know, and let those
    that began during the swap find the new ones (LocalGlobResult::ExpandNextPath, "last ditch effort", in
    https://github.com/duckdb/duckdb/blob/main/src/common/local_file_system.cpp)."""
    links = {"**": name}
    for older in earlier:
        if (folder / "versions" / older / older).is_dir():  # it is not when it was published without links
            links[older] = f"../{older}/{older}"
    for link, target in links.items():
        try:
            os.symlink(target, folder / "versions" / name / link)
        except OSError as error:
            if error.errno not in _NO_SYMLINKS:
                raise
            return


def _check_one_file_each(version: Path, marts: list[Mart]) -> None:
    """A DuckDB that followed linked folders would show rows of several publishes."""
    with duckdb.connect() as connection:
        for mart in marts:
            query = "select count(*) from glob(?)"
            (found,) = connection.execute(query, [_files(version, mart.name)]).fetchall()[0]
            if found != 1:
                raise AnalyticsError(
                    f"DuckDB {duckdb.__version__} finds {found} files for {_files(version, mart.name)}, not 1;"
                    " install the DuckDB version that pyproject.toml names"
                )


def _swap(folder: Path, name: str) -> None:
    """Make `current` lead to the files of one publish."""
    current = folder / "current"
    fresh = folder / f".current{PARTIAL}"
    fresh.unlink(missing_ok=True)
    try:
        os.symlink(f"versions/{name}", fresh)
    except OSError as error:
        if error.errno not in _NO_SYMLINKS:
            raise
        fresh = folder / "versions" / name
    if not fresh.is_symlink() or not current.is_symlink():
        # Only a link can replace a link in one step. No reader finds files between the two renames: it gets an
        # error, which is better than the rows of both publishes.
        with contextlib.suppress(FileNotFoundError):
            os.rename(current, folder / f".replaced{PARTIAL}")
    os.replace(fresh, current)
    flush_folder(folder)


def _served(folder: Path) -> list[str]:
    """Publishes whose files can be opened below `current`, newest first."""
    try:
        names = [path.name for path in (folder / "current").iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((name for name in names if _ID.fullmatch(name)), key=_number, reverse=True)


def _number(name: str) -> int:
    return int(name.partition("-")[0])


def remove_unserved(folder: Path, *, but: str = "") -> None:
    """Remove what a kill left, and the files that cannot be opened below `current` any more, `but` for one folder's."""
    served = {*_served(folder), but}
    unserved = [path for path in folder.glob("versions/*") if path.name not in served]
    for path in (*folder.glob(f"*{PARTIAL}*"), *unserved):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _files(folder: Path, mart: str) -> str:
    """The pattern that finds a mart's file in `current` or in a folder of versions/, and only the one."""
    return f"{glob.escape(str(folder))}/**/{mart}.parquet"


def _write_views(folder: Path, marts: list[Mart]) -> bool:
    """Replace serving.duckdb when it is not what the marts need; returns whether it was."""
    target = folder / SERVING_FILE
    mode = folder.stat().st_mode & 0o666
    if _stored_views(folder) == _expected_views(marts):
        target.chmod(mode)
        return False
    with partial_file(target, durable=True) as temporary:
        with duckdb.connect(str(temporary)) as connection:
            connection.execute(f"create schema {SCHEMA}")
            for mart in marts:
                listed = ", ".join(identifier(column) for column, _ in mart.columns)
                # the same SQL runs here and on the published file; `main` stays for what users wrote before 0.2
                for schema in (SCHEMA, "main"):
                    connection.execute(
                        f"create view {schema}.{identifier(mart.name)} as select {listed}"
                        f" from read_parquet({literal(_files(folder / 'current', mart.name))})"
                    )
        temporary.chmod(mode)
    return True


# (schema, name) -> whether the view reads its file, and its columns
_Views = dict[tuple[str, str], tuple[bool, tuple[tuple[str, str], ...]]]


def _expected_views(marts: list[Mart]) -> _Views:
    return {(schema, mart.name): (True, mart.columns) for schema in (SCHEMA, "main") for mart in marts}


def _stored_views(folder: Path) -> _Views | None:
    """Views of serving.duckdb: whether each reads its file in `folder`, and its stored columns."""
    # a copy: within one process DuckDB answers from an instance that some connection keeps open under this path
    copied = folder / f"{SERVING_FILE}.compared{PARTIAL}"
    try:
        shutil.copyfile(folder / SERVING_FILE, copied)
        with open_version(copied) as connection:
            views = connection.execute(
                "select schema_name, view_name, sql from duckdb_views() where not internal"
            ).fetchall()
            columns = connection.execute(
                "select schema_name, table_name, column_name, data_type from duckdb_columns()"
                " where database_name = current_database() and not internal order by table_name, column_index"
            ).fetchall()
    except (FileNotFoundError, duckdb.Error):  # none yet, damaged, or written by a newer DuckDB
        return None
    finally:
        copied.unlink(missing_ok=True)
    return {
        (schema, view): (
            literal(_files(folder / "current", view)) in sql,
            tuple((column, kind) for place, table, column, kind in columns if (place, table) == (schema, view)),
        )
        for schema, view, sql in views
    }
