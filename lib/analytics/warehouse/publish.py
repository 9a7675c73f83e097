"""Swap a validated working copy in as the published database, keep the last versions, go back to one.

Order of a publish: finish the working copy (drop what only the build needs, checkpoint, close), write the marts as
Parquet beside those in use (a run did while it validated), move the file to `versions/`, swap the link, make the
Parquet files visible, prune. The link is swapped by one rename. A kill before it changes nothing for readers; after
it only the serving folder and the pruning are behind, and the next publish catches up, also when it has nothing new.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import partial_file, remove_database
from analytics.common.lock import run_lock
from analytics.common.sql import identifier, literal
from analytics.errors import AnalyticsError, first_line
from analytics.settings import Settings
from analytics.warehouse import serving
from analytics.warehouse.built_with import build_only
from analytics.warehouse.figures import write_figures
from analytics.warehouse.marts import Mart, marts_of, open_version
from analytics.warehouse.versions import (
    current_version,
    lead_to,
    move_in,
    next_version,
    order,
    prune,
    version_path,
    versions,
)
from analytics.warehouse.working_copy import connect

# DuckDB fills the free blocks of one run with the next, and a run that builds each table anew before it drops the old
# one leaves less than half of the file free, however often: rewriting it (10 s per GB and more) would gain nothing.
# More than half is free only after something shrank for good.
_COMPACT_FREE_SHARE = 1 / 2
_COMPACT_FREE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class PublishResult:
    """What readers see now."""

    nothing_new: bool  # there was no working copy: the published version stays
    version: str  # such as 20261123T115858.0
    path: Path  # the immutable file
    published_path: Path  # the name readers open
    link: str  # how the name leads to the file: symlink, hard link or copy
    size_bytes: int
    compacted: bool  # free blocks were given back by rewriting the file
    rows: dict[str, int]  # rows of every mart
    previous: str | None  # the version that was published before
    kept: list[str]  # versions there are now, newest first
    pruned: list[str]
    serving: serving.ServingResult | None  # None: the serving folder was up to date
    duration_seconds: float

    def __str__(self) -> str:
        if self.nothing_new:
            again = " (serving folder written again)" if self.serving else ""
            return f"nothing new: version {self.version} stays published{again}"
        return (
            f"published version {self.version}: {len(self.rows)} marts, {sum(self.rows.values()):,} rows, "
            f"{self.size_bytes / 1e6:.1f} MB in {self.duration_seconds:.1f} s"
        )


def publish(settings: Settings) -> PublishResult:
    """Make the working copy the published database.

    Without a working copy the published version stays, and the serving folder is brought up to date if a kill
    left it behind.

    Raises:
        AnalyticsError: nothing to publish, the working copy is open elsewhere, or the disk is full. The
            published database is as it was.
        BusyError: another run is active.
    """
    with run_lock(settings, holder="publish"), _clear_errors(settings):
        started = time.perf_counter()
        _refuse_foreign_file(settings)
        previous = current_version(settings)
        if not settings.build_path.exists():
            return _nothing_new(settings, previous, started)
        written, version = serving.written_ahead(settings, settings.build_path) or (None, next_version(settings))
        compacted = _finish(settings.build_path)
        reached("publish.finished")
        update = serving.prepare(settings, settings.build_path, version, written=written)
        reached("publish.prepared")
        path = move_in(settings, version)
        reached("publish.moved")
        link = lead_to(settings, path)
        reached("publish.swapped")
        served = update.commit()
        reached("publish.served")
        _write_figures(settings)
        pruned = prune(settings, version, since=previous)
        reached("publish.pruned")
        return _result(
            settings, started, version, previous, update.marts, link, compacted=compacted, pruned=pruned, served=served
        )


def _write_figures(settings: Settings) -> None:
    """A status line that shows the figures of before is no reason to fail."""
    with contextlib.suppress(OSError, duckdb.Error):
        write_figures(settings)


def rollback(settings: Settings) -> PublishResult:
    """Publish the version before the current one again, serving folder included.

    The version left stays on disk until the next publish. The next run builds on what is published then, so
    it loads everything since that version again.

    Raises:
        AnalyticsError: there is no older version.
        BusyError: another run is active.
    """
    with run_lock(settings, holder="publish --rollback"), _clear_errors(settings):
        started = time.perf_counter()
        _refuse_foreign_file(settings)
        current = current_version(settings)
        kept = versions(settings)
        older = [name for name in kept if current is not None and order(name) < order(current)]
        if not older:
            raise AnalyticsError(
                f"no version before {current or 'the published one'} to go back to"
                f" (in {settings.versions_dir}: {', '.join(kept) or 'none'})"
            )
        version = older[0]
        path = version_path(settings, version)
        # a working copy was made from the version that is left
        remove_database(settings.build_path)
        update = serving.prepare(settings, path, version)
        link = lead_to(settings, path)
        served = update.commit()
        _write_figures(settings)
        return _result(settings, started, version, current, update.marts, link, served=served)


def _nothing_new(settings: Settings, version: str | None, started: float) -> PublishResult:
    path = settings.published_path.resolve()
    if version is None or not path.exists():
        raise AnalyticsError(
            f"nothing to publish: no working copy at {settings.build_path}; run `claude-analytics pipeline`"
        )
    with open_version(path) as connection:
        marts = marts_of(connection)
    served = None
    if not serving.is_current(settings, path, version):
        served = serving.prepare(settings, path, version).commit()
    pruned = prune(settings, version, since=None)
    link = "symlink" if settings.published_path.is_symlink() else "file"
    result = _result(settings, started, version, version, marts, link, pruned=pruned, served=served)
    return replace(result, nothing_new=True)


def _result(
    settings: Settings,
    started: float,
    version: str,
    previous: str | None,
    marts: list[Mart],
    link: str,
    *,
    compacted: bool = False,
    pruned: Sequence[str] = (),
    served: serving.ServingResult | None = None,
) -> PublishResult:
    """What readers see of the version that is published now."""
    path = settings.published_path.resolve()
    return PublishResult(
        nothing_new=False,
        version=version,
        path=path,
        published_path=settings.published_path,
        link=link,
        size_bytes=path.stat().st_size,
        compacted=compacted,
        rows={mart.name: mart.rows for mart in marts},
        previous=previous,
        kept=versions(settings),
        pruned=list(pruned),
        serving=served,
        duration_seconds=round(time.perf_counter() - started, 3),
    )


@contextlib.contextmanager
def _clear_errors(settings: Settings) -> Iterator[None]:
    """What the disk or DuckDB says, as one line that names the file."""
    try:
        yield
    except OSError as error:
        where = f" {error.filename2 or error.filename}" if error.filename else ""
        hint = "free some space" if error.errno == errno.ENOSPC else "check DATA_DIR and DUCKDB_PATH"
        raise AnalyticsError(f"cannot publish{where}: {error.strerror or error}; {hint}") from None
    except duckdb.Error as error:
        raise AnalyticsError(f"cannot publish {settings.build_path}: {first_line(error)}") from None


def _refuse_foreign_file(settings: Settings) -> None:
    """A regular file under the published name is only replaced if a publish put it there."""
    published = settings.published_path
    if published.is_symlink() or not published.exists():
        return
    if published.is_file():
        with contextlib.suppress(duckdb.Error), open_version(published) as connection:
            connection.execute("select 1 from raw.load_state")
            return
    raise AnalyticsError(
        f"DUCKDB_PATH={published}: exists and is no published database; move it away or choose another path"
    )


def _finish(database: Path) -> bool:
    """Drop what only the build needs, checkpoint, close, compact; returns whether the file was rewritten."""
    with connect(database) as connection:
        _refuse_partial_build(connection, database)
        connection.execute("begin")
        for kind, schema, name in connection.execute(
            """
            select 'view', schema_name, view_name from duckdb_views()
            where list_contains($build_only, schema_name || '.' || view_name)
            union all
            select 'table', schema_name, table_name from duckdb_tables()
            where list_contains($build_only, schema_name || '.' || table_name)
            """,
            # the documents' text, and what is computed anew for the sessions of each run
            {"build_only": ["raw.new_documents", *build_only(connection)]},
        ).fetchall():
            connection.execute(f"drop {kind} {identifier(schema)}.{identifier(name)} cascade")
        write_published_at(connection)
        connection.execute("commit")
        connection.execute("checkpoint")
        (used,) = connection.execute(
            "select block_size * used_blocks from pragma_database_size() where database_name = current_database()"
        ).fetchall()[0]
    wal = Path(f"{database}.wal")
    if wal.exists():
        raise AnalyticsError(f"{wal} exists: another connection has the working copy open; close it")
    # compared with the file itself: closing it has cut off what was free at its end
    size = database.stat().st_size
    if size - used < max(_COMPACT_FREE_BYTES, size * _COMPACT_FREE_SHARE):
        return False
    _compact(database)
    return True


def _refuse_partial_build(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """What was loaded and not built would be missing in every version from now on: the next load counts it as done."""
    (built,) = connection.execute("select bool_and(is_built) from raw.load_state").fetchall()[0]
    if not built:
        raise AnalyticsError(
            f"the working copy {database} is not built from all it holds: run `claude-analytics transform`, without"
            " --models"
        )


def write_published_at(connection: duckdb.DuckDBPyConnection) -> None:
    """The data-quality row `published_at`, if there is one."""
    if connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'marts' and table_name = 'agg_data_quality'"
    ).fetchone():
        now = utc_now()
        connection.execute(
            "update marts.agg_data_quality set check_value = ?, check_text = ? where check_name = 'published_at'",
            [now.timestamp(), f"{now:%Y-%m-%d %H:%M:%S} UTC"],
        )


def _compact(database: Path) -> None:
    """Rewrite the file without its free blocks."""
    with partial_file(database) as temporary, duckdb.connect() as connection:
        connection.execute("set preserve_insertion_order = false")
        connection.execute(f"attach {literal(database)} as source_database (read_only)")
        connection.execute(f"attach {literal(temporary)} as compact_database")
        connection.execute("copy from database source_database to compact_database")
        connection.execute("detach compact_database")
