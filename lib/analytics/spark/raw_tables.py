"""The small tables that models read beside the documents: made in a DuckDB of their own, as `load` makes them.

The same database, without a row of the documents, says what type each column of each model has: DuckDB's answer is
Spark's order.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analytics.raw.store import RawStore, own_properties
from analytics.settings import Settings
from analytics.warehouse.dbt_build import Compiled, compile_for, compile_increment, compile_unit_tests
from analytics.warehouse.documents import lay_documents, load_dead_letters, load_redactions
from analytics.warehouse.mappings import write_mappings
from analytics.warehouse.plan import Plan, PlannedModel
from analytics.warehouse.prices import PriceList, note_models, write_model_prices
from analytics.warehouse.working_copy import LARGE_MEMORY_LIMIT, chosen_memory_limit, connect

if TYPE_CHECKING:
    import duckdb

WORK_FOLDER = "spark.tmp"  # below DATA_DIR, while a build or comparison runs

# The relation that holds the documents' text; models that read it run in Spark's tasks.
DOCUMENTS = '"analytics"."raw"."new_documents"'


@dataclass(frozen=True)
class Prepared:
    """What a build needs beside the documents."""

    compiled: Compiled
    unit_tests: dict[str, str]  # queries by name, when they were asked for
    connection: duckdb.DuckDBPyConnection  # to a database that has every table of the build, marts without rows

    @property
    def plan(self) -> Plan:
        """The models."""
        return self.compiled.plan

    def small_tables(self) -> dict[tuple[str, str], pa.Table]:
        """Rows of each table that is there before the first model: raw ones and seeds."""
        built = {(model.schema, model.name) for model in self.plan.models}
        named = self.connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return {
            (schema, name): self.connection.execute(f'select * from "{schema}"."{name}"').to_arrow_table()
            for schema, name in named
            if (schema, name) not in built and name != "new_documents"
        }

    def price(self, settings: Settings, models: list[str]) -> None:
        """Lay in the prices of these model ids."""
        known = {model for (model,) in self.connection.execute("select model from raw.models").fetchall()}
        if new := [[model] for model in models if model not in known]:
            self.connection.executemany("insert into raw.models values (?)", new)
        write_model_prices(self.connection, PriceList.of(settings))

    def columns(self, model: PlannedModel) -> dict[str, str]:
        """DuckDB's type by column, in the order of the table."""
        rows = self.connection.execute(f"describe {model.relation}").fetchall()
        return {row[0]: row[1] for row in rows}


@contextmanager
def prepared(
    settings: Settings,
    store: RawStore,
    as_of: datetime,
    *,
    files: list[str] | None = None,
    at: tuple[int | None, int | None] = (None, None),
    increment: bool = False,
    test: bool = False,
) -> Iterator[Prepared]:
    """Compile the project and lay in what is small.

    Args:
        files: Parquet files of raw.conversations to build from in DuckDB as well; default none.
        at: snapshots of raw.conversations and raw.dead_letters; default the newest.
        increment: compile the SQL of an incremental run too; else the plan has that of a full one twice.
        test: compile dbt's unit tests too.

    Raises:
        AnalyticsError: the project cannot be compiled.
    """
    variables: dict[str, Any] = {
        "analytics_tz": settings.analytics_tz,
        "as_of": as_of.isoformat(),
    }
    with _folder(settings) as folder:
        database = folder / "analytics.db"
        with connect(database) as connection:
            connection.execute("create schema raw")
            lay_documents(connection, store, files or [], 1)
            snapshot_id, dead_letters_id = at
            documents = store.conversations
            known = documents.snapshot_by_id(snapshot_id) if snapshot_id is not None else documents.current_snapshot()
            load_redactions(connection, own_properties(known))
            load_dead_letters(connection, store, snapshot_id=dead_letters_id)
            note_models(connection)
            write_model_prices(connection, PriceList.of(settings))
            write_mappings(connection, settings)
        compiled = compile_for(settings, database, variables)
        # a reference to compare with is built here, and whole marts are laid beside others
        memory_limit = chosen_memory_limit() or LARGE_MEMORY_LIMIT
        with connect(database, memory_limit=memory_limit) as connection:
            for model in compiled.plan.models:
                connection.execute(f"create schema if not exists {model.schema}")
                kind = "view" if model.materialized in ("view", "working_set") else "table"
                connection.execute(f"create {kind} {model.relation} as {model.full_sql}")
        if increment:
            sql = compile_increment(settings, database, variables)
            models = [replace(model, sql=sql[model.name]) for model in compiled.plan.models]
            compiled = replace(compiled, plan=replace(compiled.plan, models=models))
        unit_tests = compile_unit_tests(settings, database, variables) if test else {}
        with connect(database, memory_limit=memory_limit) as connection:
            yield Prepared(compiled, unit_tests, connection)


@contextmanager
def _folder(settings: Settings) -> Iterator[Path]:
    """An empty folder; what a killed run left in it is gone, and purge looks for it too."""
    folder = settings.data_dir / WORK_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
