"""What the functions of this room read from: the published marts, and the texts of the raw layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from analytics.sessions.documents import Documents
from analytics.settings import Settings
from analytics.warehouse.marts import reading

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

# Of the entries that share a key with those in `mine`, the one that stands, as in the marts (int_later_copies): lines
# are copied into sessions that are carried on or forked.
STANDING = """
    select *
    from staging.stg_entries
    where
        entry_key in (select entry_key from mine)
        and not (is_forked and entry_key in (select line_key from staging.stg_entries where line_key <> entry_key))
    qualify row_number() over (
        partition by entry_key
        order by is_forked, occurred_at nulls last, session_id, source_file nulls last, document_id
    ) = 1
"""


class Reader:
    """Marts and texts.

    Args:
        settings: where both are, and whether texts may be shown (`SHOW_TEXT`).
        rows: runs SQL over the marts with named parameters and gives the rows by column name.
        documents: the texts.
    """

    def __init__(self, settings: Settings, rows: Callable[..., list[Row]], documents: Documents) -> None:
        self.settings, self.rows, self.documents = settings, rows, documents
        self._days: tuple[str, dict[str, dict[date, int]]] = ("", {})

    @property
    def shows_text(self) -> bool:
        """Whether texts of conversations may be shown."""
        return self.settings.show_text

    @property
    def version(self) -> str:
        """The version that is published now."""
        return str(self.settings.published_path.resolve())

    def texts(self, rows: Iterable[Row]) -> dict[str, str]:
        """JSON texts by document id, of rows that say `document_id` and the `date` it is stored under."""
        days: dict[date, list[str]] = {}
        for row in rows:
            days.setdefault(row["date"], []).append(row["document_id"])
        return self.documents.texts(days)

    def days(self) -> dict[str, dict[date, int]]:
        """Entries by session and the day of the raw layer that they are stored under; read once a version."""
        version = self.version
        if self._days[0] != version:
            found: dict[str, dict[date, int]] = {}
            for row in self.rows(
                """
                select entries.session_id, documents.date, count(*) as entry_count
                from staging.stg_entries as entries
                inner join raw.conversations as documents on entries.document_id = documents._id
                where entries.session_id is not null
                group by 1, 2
                """
            ):
                found.setdefault(row["session_id"], {})[row["date"]] = row["entry_count"]
            self._days = (version, found)
        return self._days[1]


def reader_of(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Reader:
    """A reader over a connection to the published marts."""

    def rows(sql: str, parameters: Row | None = None) -> list[Row]:
        return connection.execute(sql, parameters or {}).to_arrow_table().to_pylist()

    return Reader(settings, rows, Documents(settings))


@contextmanager
def open_reader(settings: Settings) -> Iterator[Reader]:
    """A reader for a terminal or a notebook.

    Raises:
        AnalyticsError: nothing is published yet, or by a version with other marts.
    """
    with reading(settings) as connection:
        yield reader_of(connection, settings)
