"""The text of documents: from the raw layer, redacted as it is stored there.

The marts stay without text. What a page, the terminal or a notebook shows of a conversation is read from the Parquet
files of the days it took, and nothing of it is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from analytics.common.engine import engine
from analytics.common.sql import literal
from analytics.raw.catalog import local_path
from analytics.raw.glance import glance
from analytics.raw.store import RawStore
from analytics.settings import Settings

if TYPE_CHECKING:
    import duckdb

# Rows that a search looks at before it asks for more.
BATCH_ROWS = 500


@dataclass(frozen=True)
class _Files:
    """The files of raw.conversations by day, as of a snapshot."""

    snapshot_id: int | None
    by_day: Mapping[date, tuple[str, ...]]


class Documents:
    """Texts of documents by their ids. One object serves all threads of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._files: _Files | None = None

    def list_files(self) -> int:
        """Look at what files there are, which takes seconds the first time; returns how many days they are of."""
        return len(self._known().by_day)

    def texts(self, ids_by_day: Mapping[date, Iterable[str]]) -> dict[str, str]:
        """JSON texts of the documents with these ids, by id; what is no longer stored is missing.

        Args:
            ids_by_day: ids by the day (raw.conversations.date) they are stored under.
        """
        wanted = pa.table({"id": pa.array([name for ids in ids_by_day.values() for name in ids], pa.string())})
        sql = 'select "_id", entry from {files} where "_id" in (select id from wanted)'
        with self._opened(ids_by_day, sql, {}, {"wanted": wanted}) as cursor:
            return dict(cursor.fetchall()) if cursor is not None else {}

    def matching(
        self, days: Iterable[date], pattern: str, escaped: str
    ) -> Iterator[tuple[str, str | None, str | None, str]]:
        """Documents of these days whose JSON text matches `pattern` or `escaped` (RE2), as they are found.

        Args:
            escaped: only looked for where the text escapes a character below U+0100.

        Yields:
            Id, session id and source file as stored, and the JSON text.
        """
        sql = """
            select "_id", session_id, source_file, entry
            from {files}
            where
                regexp_matches(entry, $pattern)
                or (contains(entry, '\\u00') and regexp_matches(entry, $escaped))
        """
        with self._opened(days, sql, {"pattern": pattern, "escaped": escaped}, {}) as cursor:
            while batch := cursor.fetchmany(BATCH_ROWS) if cursor is not None else []:
                yield from batch

    @contextmanager
    def _opened(
        self, days: Iterable[date], sql: str, parameters: Mapping[str, object], tables: Mapping[str, pa.Table]
    ) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A cursor with the rows of `sql`, in which {files} stands for the files of these days; None without files."""
        import duckdb

        chosen = list(days)
        with engine().cursor() as cursor:
            for name, table in tables.items():
                cursor.register(name, table)
            if not (source := self._source(cursor, chosen)):
                yield None
                return
            try:
                cursor.execute(sql.format(files=source), dict(parameters))
            except (duckdb.IOException, FileNotFoundError):
                # compaction put the rows into other files between the look at the table and the reading
                with self._lock:
                    self._files = None
                cursor.execute(sql.format(files=self._source(cursor, chosen)), dict(parameters))
            yield cursor

    def _source(self, cursor: duckdb.DuckDBPyConnection, days: list[date]) -> str:
        files = self._files_of(days)
        paths = [local_path(file) for file in files]
        if all(paths):
            listed = ", ".join(literal(path) for path in paths)
            return f"read_parquet([{listed}], hive_partitioning = false)" if files else ""
        # files that DuckDB cannot open by itself (object stores)
        columns = ["_id", "session_id", "source_file", "entry"]
        cursor.register("stored", pa.concat_tables(RawStore(self._settings).read_paths(files, columns)))
        return "stored"

    def _files_of(self, days: Iterable[date]) -> list[str]:
        by_day = self._known().by_day
        return [file for day in sorted(set(days)) for file in by_day.get(day, ())]

    def _known(self) -> _Files:
        """The files of the newest snapshot; what is known is asked for again when there is another one."""
        with self._lock:
            seen = glance(self._settings)
            now = seen.snapshot_id if seen else None
            if self._files is None or self._files.snapshot_id != now:
                self._files = _Files(now, self._list() if seen else {})
            return self._files

    def _list(self) -> dict[date, tuple[str, ...]]:
        store = RawStore(self._settings)
        found: dict[date, list[str]] = {}
        for file in store.live(store.conversations):
            found.setdefault(_day(file.partition[0]), []).append(file.file_path)
        return {day: tuple(files) for day, files in found.items()}


def _day(value: object) -> date:
    """The day of a partition: PyIceberg gives dates as days since 1970."""
    return value if isinstance(value, date) else date.fromordinal(date(1970, 1, 1).toordinal() + int(str(value)))
