"""Are Spark's marts DuckDB's? Both directions, row by row, and the types.

DuckDB builds from the very documents, and for the very instant, that Spark's tables were built from; nothing that is
published is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa

from analytics.common.text import excerpt
from analytics.errors import AnalyticsError, first_line
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.spark.build import AS_OF, BUILDING, DEAD_LETTERS, SNAPSHOT, built_with_now
from analytics.spark.raw_tables import prepared
from analytics.warehouse.marts import SCHEMA

SHOWN_ROWS = 3


@dataclass(frozen=True)
class Difference:
    """How one mart differs."""

    mart: str
    types: list[str]  # columns whose types differ, in words
    only_duckdb: int
    only_spark: int
    rows: list[str]  # the first that differ

    def __str__(self) -> str:
        counts = f"{self.only_duckdb:,} rows only on DuckDB, {self.only_spark:,} only on Spark"
        return "\n".join([f"{self.mart}: {counts}", *(f"  {line}" for line in (*self.types, *self.rows))])


@dataclass(frozen=True)
class Comparison:
    """What was compared."""

    marts: dict[str, int]  # rows by mart
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        equal = len(self.marts) - len(self.differences)
        lines = [str(difference) for difference in self.differences]
        return "\n".join([*lines, f"{equal} of {len(self.marts)} marts equal, {sum(self.marts.values()):,} rows"])

    def raise_if_different(self) -> None:
        """Raises AnalyticsError when a mart differs."""
        if self.differences:
            raise AnalyticsError(f"marts differ: {', '.join(difference.mart for difference in self.differences)}")


def compare(settings: Settings) -> Comparison:
    """Compare every mart.

    Raises:
        AnalyticsError: Spark has not built them, its tables are of several builds, the snapshot has expired, or they
            are too large for this machine.
    """
    store = RawStore(settings)
    snapshot_id, dead_letters_id, as_of = _built_from(settings, store)
    files = store.data_files(snapshot_id) if snapshot_id is not None else []
    with _errors(), prepared(settings, store, as_of, files=files, at=(snapshot_id, dead_letters_id)) as reference:
        found, rows = [], {}
        for model in reference.plan.models:
            if model.schema == SCHEMA:
                spark = store.catalog.load_table((SCHEMA, model.name)).scan().to_arrow()
                reference.connection.register("on_spark", spark)
                rows[model.name] = spark.num_rows
                if difference := _difference(reference.connection, model.name, model.relation, spark):
                    found.append(difference)
                reference.connection.unregister("on_spark")
    return Comparison(rows, found)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise AnalyticsError(f"the marts cannot be compared on this machine: {first_line(error)}") from error


def _built_from(settings: Settings, store: RawStore) -> tuple[int | None, int | None, datetime]:
    """The snapshots of raw.conversations and raw.dead_letters, and the instant, that Spark's marts were built for."""
    names = store.catalog.list_tables(SCHEMA) if store.catalog.namespace_exists(SCHEMA) else []
    tables = [store.catalog.load_table(name) for name in names]
    built = [table.properties for table in tables if SNAPSHOT in table.properties]
    if not built:
        raise AnalyticsError("Spark has built no marts yet: run `claude-analytics spark build` first")
    if len({(properties[SNAPSHOT], properties[AS_OF]) for properties in built}) > 1:
        raise AnalyticsError("Spark's marts are of several builds: run `claude-analytics spark build` again")
    if built[0].get(BUILDING) != built_with_now(settings)[1]:
        raise AnalyticsError("models, prices or settings have changed since: run `claude-analytics spark build` again")
    found = []
    for name, table in ((SNAPSHOT, store.conversations), (DEAD_LETTERS, store.dead_letters)):
        said = built[0].get(name, "")
        found.append(int(said) if said.isdigit() else None)
        if found[-1] is not None and table.snapshot_by_id(found[-1]) is None:
            raise AnalyticsError(
                "the documents Spark's marts were built from have expired: run `claude-analytics spark build`"
            )
    return found[0], found[1], datetime.fromisoformat(built[0][AS_OF])


def _difference(connection: duckdb.DuckDBPyConnection, name: str, relation: str, spark: pa.Table) -> Difference | None:
    query = connection.execute
    ours = {row[0]: row[1] for row in query(f"describe {relation}").fetchall()}
    theirs = {row[0]: row[1] for row in query("describe on_spark").fetchall()}
    types = [
        f"column {column}: {ours.get(column, 'missing')} on DuckDB, {theirs.get(column, 'missing')} on Spark"
        for column in dict.fromkeys((*ours, *theirs))
        if ours.get(column) != theirs.get(column)
    ]
    shared = ", ".join(f'"{column}"' for column in ours if column in theirs)
    sides = {"DuckDB": (relation, "on_spark"), "Spark": ("on_spark", relation)}
    counts, lines = [], []
    for side, (here, there) in sides.items():
        only = f"select {shared} from {here} except all select {shared} from {there}"
        counts.append(query(f"select count(*) from ({only})").fetchall()[0][0])
        for row in query(f"select * from ({only}) order by all limit {SHOWN_ROWS}").fetchall():
            lines.append(excerpt(f"only on {side}: {row}", 500))
    if not types and not any(counts):
        return None
    return Difference(name, types, counts[0], counts[1], lines)
