"""What a build writes stands on a branch of each table until all of it is there; only then does `main` move.

Readers of the tables, in whatever engine, see the former build as long as a build runs, and for good when it is killed.
The last step moves `main` of one table after the other, which is a commit without data; the next build ends it if it
was killed there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from analytics.common.faults import reached
from analytics.raw.maintenance import DERIVED_FROM, derived_tables
from analytics.raw.store import RawStore
from analytics.spark.session import CATALOG
from analytics.spark.types import spark_type

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import DataFrame, SparkSession

BRANCH = "claude_analytics_build"
_PUBLISHING = "claude-analytics.publishing"
_ANCHOR = ("staging", "stg_entries")  # the table that says that all others are written
# Iceberg keeps one schema for all branches: what a model of other columns makes waits in a table of its own
_NEXT = "__next"
_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "commit.retry.num-retries": "8",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}

# The column that says, of a row that is merged, whose rows give way; null in a row that is added.
TOUCHED = "touched_session_id"


def settle(store: RawStore) -> None:
    """End the publishing of a build that was killed there, and forget a build that was killed before."""
    anchor = next((table for table in derived_tables(store) if table.name() == _ANCHOR), None)
    if anchor is not None and (said := anchor.properties.get(_PUBLISHING)):
        _publish(store, **json.loads(said))
    for table in derived_tables(store):
        if table.name()[1].endswith(_NEXT):
            store.catalog.purge_table(table.name())
        elif BRANCH in table.metadata.refs:
            store.commit(table, _forget)


def _forget(table: Table) -> None:
    with table.manage_snapshots() as snapshots:
        snapshots.remove_branch(BRANCH)


def _publish(store: RawStore, facts: Mapping[str, str], tables: list[str]) -> None:
    from pyiceberg.table.update.snapshot import ManageSnapshots

    def move(table: Table) -> None:
        with table.transaction() as transaction:
            if BRANCH in table.metadata.refs:
                with ManageSnapshots(transaction) as snapshots:
                    snapshots.set_current_snapshot(ref_name=BRANCH).remove_branch(BRANCH)
            transaction.set_properties(dict(facts))
            if _PUBLISHING in table.properties:
                transaction.remove_properties(_PUBLISHING)

    # the table that says so comes last
    for table in sorted(derived_tables(store), key=lambda table: table.name() == _ANCHOR):
        if ".".join(table.name()) in tables:
            store.commit(table, move)
            reached("spark.moved")
        elif DERIVED_FROM in table.properties:  # of a model that is no more
            store.catalog.purge_table(table.name())


class Branches:
    """The tables of one build."""

    def __init__(self, spark: SparkSession, store: RawStore) -> None:
        self.spark, self.store = spark, store
        self._written: dict[tuple[str, str], str] = {}
        self._there = {table.name() for table in derived_tables(store)}

    def __contains__(self, name: tuple[str, str]) -> bool:
        return name in self._there

    def relation(self, schema: str, name: str) -> str:
        """Spark's name of a table as this build sees it: what it has written itself, else the former build's."""
        return self._written.get((schema, name), f"{CATALOG}.{schema}.{name}")

    def replace(self, schema: str, name: str, columns: Mapping[str, str], rows: DataFrame, day: str | None) -> None:
        """All rows anew.

        Args:
            columns: DuckDB's type by name.
            day: column by which rows lie together in files.
        """
        from pyspark.sql import functions as f

        kinds = {column: spark_type(kind) for column, kind in columns.items()}
        chosen = rows.select(*(f.col(f"`{column}`").cast(kind) for column, kind in kinds.items()))
        if day is not None:  # an increment then rewrites the files of its days only
            chosen = chosen.repartitionByRange(f.col(day)).sortWithinPartitions(day)
        chosen.writeTo(self._branch(schema, name, kinds)).overwrite(f.lit(True))

    def keep(self, schema: str, name: str) -> None:
        """Nothing of it changes: it belongs to this build as it is."""
        self._written[schema, name] = f"{CATALOG}.{schema}.{name}"

    def append(self, schema: str, name: str, rows: DataFrame) -> None:
        """More rows."""
        rows.writeTo(self._branch(schema, name)).append()

    def merge(self, schema: str, name: str, columns: Mapping[str, str], rows: str, touched: str, where: str) -> None:
        """The rows of touched sessions anew, in one commit.

        Args:
            columns: of the table.
            rows: query of the new rows.
            touched: query of the sessions whose rows give way.
            where: condition on the table, `old`, that holds for all of these rows.
        """
        listed = ", ".join(f"`{column}`" for column in columns)
        typed = ", ".join(f"cast(`{column}` as {spark_type(kind)}) as `{column}`" for column, kind in columns.items())
        empty = ", ".join(f"cast(null as {spark_type(kind)}) as `{column}`" for column, kind in columns.items())
        added = ", ".join(f"new.`{column}`" for column in columns)
        self.spark.sql(
            f"merge into {self._branch(schema, name)} as old\n"
            f"using (\n"
            f"select cast(null as string) as {TOUCHED}, {typed} from (\n{rows}\n) as made\n"
            f"union all\n"
            f"select {TOUCHED}, {empty} from (\n{touched}\n) as touched\n"
            f") as new\n"
            f"on {where} and old.session_id = new.{TOUCHED}\n"
            f"when matched then delete\n"
            f"when not matched and new.{TOUCHED} is null then insert ({listed}) values ({added})"
        )

    def rows(self, schema: str, name: str) -> int:
        """Rows of a table, as its newest snapshot says."""
        known = self._written.get((schema, name), "")
        stored = self.store.catalog.load_table((schema, f"{name}{_NEXT}" if known.endswith(_NEXT) else name))
        snapshot = stored.snapshot_by_name(BRANCH) or stored.current_snapshot()
        return int((snapshot.summary and snapshot.summary["total-records"]) or 0) if snapshot else 0

    def publish(self, facts: Mapping[str, str]) -> None:
        """Let `main` of every table say what was built, and from what.

        Args:
            facts: properties of each.
        """
        for (schema, name), relation in self._written.items():
            if relation.endswith(_NEXT):
                self._take_next(schema, name, relation)
        tables = [".".join(name) for name in self._written]
        said = json.dumps({"facts": dict(facts), "tables": tables})

        def say(table: Table) -> None:
            with table.transaction() as transaction:
                transaction.set_properties({_PUBLISHING: said})

        self.store.commit(self.store.catalog.load_table(_ANCHOR), say)
        reached("spark.written")
        _publish(self.store, facts, tables)

    def _branch(self, schema: str, name: str, kinds: Mapping[str, str] | None = None) -> str:
        """The branch to write to; with `kinds`, of a table that has these columns."""
        if (schema, name) in self._written:
            return self._written[schema, name]
        table = f"{CATALOG}.{schema}.{name}"
        if kinds is not None and (schema, name) in self._there:
            now = {field.name: field.dataType.simpleString() for field in self.spark.table(table).schema.fields}
            if now != self._types(kinds):
                name = f"{name}{_NEXT}"
                return self._made(schema, name, kinds, of=(schema, name.removesuffix(_NEXT)))
        if (schema, name) not in self._there:
            assert kinds is not None, name
            return self._made(schema, name, kinds, of=(schema, name))
        self.spark.sql(f"alter table {table} create or replace branch {BRANCH}")
        self._written[schema, name] = f"{table}.branch_{BRANCH}"
        return self._written[schema, name]

    def _made(self, schema: str, name: str, kinds: Mapping[str, str], *, of: tuple[str, str]) -> str:
        table = f"{CATALOG}.{schema}.{name}"
        columns = ", ".join(f"`{column}` {kind}" for column, kind in kinds.items())
        properties = ", ".join(f"'{key}' = '{value}'" for key, value in _PROPERTIES.items())
        self.spark.sql(f"create table {table} ({columns}) using iceberg tblproperties ({properties})")
        self._written[of] = table  # nothing stands on `main` that would have to stay
        return table

    def _types(self, kinds: Mapping[str, str]) -> dict[str, str]:
        made = self.spark.sql(
            f"select {', '.join(f'cast(null as {kind}) as `{name}`' for name, kind in kinds.items())}"
        )
        return {field.name: field.dataType.simpleString() for field in made.schema.fields}

    def _take_next(self, schema: str, name: str, relation: str) -> None:
        rows = self.spark.table(relation)
        writer = rows.writeTo(f"{CATALOG}.{schema}.{name}").using("iceberg")
        for key, value in _PROPERTIES.items():
            writer = writer.tableProperty(key, value)
        writer.createOrReplace()
        self.spark.sql(f"drop table {CATALOG}.{schema}.{name}{_NEXT} purge")
