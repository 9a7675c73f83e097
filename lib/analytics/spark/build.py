"""The plan of dbt's models, run on Spark: Iceberg tables in the namespaces `staging`, `intermediate` and `marts`.

What parses documents (`stg_entries`) runs as DuckDB inside Spark's tasks, on new documents only; everything after it
is translated SQL over all of them. `full_refresh` parses every document again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.common.clock import utc_now
from analytics.raw import envelope
from analytics.raw.maintenance import DERIVED_FROM
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.spark import tasks
from analytics.spark.checks import Tested, run_tests
from analytics.spark.dialect import to_spark
from analytics.spark.raw_tables import DOCUMENTS, Prepared, prepared
from analytics.spark.session import CATALOG, session, told_for
from analytics.spark.types import signed, spark_type
from analytics.warehouse import built_with
from analytics.warehouse.plan import PlannedModel
from analytics.warehouse.prices import models_in

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

# What a table was built from stands in its properties.
SNAPSHOT = DERIVED_FROM
AS_OF = "claude-analytics.as-of"
READING = "claude-analytics.reading"
MODELS = "claude-analytics.models"  # the model ids in the documents

_PROPERTIES = {"format-version": "2", "write.parquet.compression-codec": "zstd", "commit.retry.num-retries": "8"}


@dataclass(frozen=True)
class SparkModel:
    """What one model did."""

    planned: PlannedModel
    columns: dict[str, str]  # DuckDB's type by name
    seconds: float
    rows: int | None  # None for views

    @property
    def name(self) -> str:
        """Its name."""
        return self.planned.name

    @property
    def schema(self) -> str:
        """Its layer."""
        return self.planned.schema


@dataclass(frozen=True)
class SparkBuild:
    """What a build made."""

    models: list[SparkModel]
    seeds: dict[tuple[str, str], pa.Table]  # by schema and name
    build_only: list[str]  # models (`schema.name`) that are of no use without the documents' text
    relations: set[tuple[str, str]]  # schema and name of everything the project makes
    documents: int  # documents that were parsed
    full_refresh: bool
    snapshot_id: int | None  # of raw.conversations
    as_of: datetime
    duration_seconds: float
    tests: int = 0  # of dbt's, that held
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kind = "all" if self.full_refresh else "new"
        tested = f", {self.tests} tests of dbt" if self.tests else ""
        return (
            f"{len(self.models)} models{tested} on Spark in {self.duration_seconds:.1f} s; "
            f"{self.documents:,} {kind} documents parsed"
        )


def build(
    settings: Settings,
    *,
    full_refresh: bool = False,
    test: bool = False,
    as_of: datetime | None = None,
    snapshot_id: int | None = None,
    starting: Callable[[str], None] = lambda name: None,
) -> SparkBuild:
    """Build every model from a snapshot of raw.conversations.

    Args:
        full_refresh: parse every document again instead of those that are new.
        test: run dbt's data tests and unit tests as well.
        as_of: the instant that "today" means; default now.
        snapshot_id: of raw.conversations; default the newest.
        starting: told each model's name before it is built.

    Raises:
        AnalyticsError: a model cannot be translated or fails, or a data test found wrong rows; one line naming it.
        ConfigError: Spark, Java or the jars are missing, or a setting is wrong.
    """
    started = time.perf_counter()
    store = RawStore(settings)
    as_of = as_of or utc_now()
    with (
        prepared(settings, store, as_of, test=test) as ready,
        session(settings, store.catalog.properties) as spark,
    ):
        run = _Run(spark, store, ready, as_of, full_refresh, snapshot_id, built_with.parsing())
        models = [run.model(model, starting) for model in ready.plan.models]
        tested = run_tests(spark, ready, run.relation, starting) if test else Tested()
        result = SparkBuild(
            models=models,
            seeds={name: rows for name, rows in ready.small_tables().items() if name in ready.compiled.relations},
            build_only=ready.compiled.build_only,
            relations=ready.compiled.relations,
            documents=run.documents,
            full_refresh=run.is_full,
            snapshot_id=run.snapshot_id,
            as_of=as_of,
            duration_seconds=round(time.perf_counter() - started, 3),
            tests=tested.held,
            warnings=tested.warned,
        )
    tested.raise_if_failed()
    return result


class _Run:
    """One build."""

    def __init__(
        self,
        spark: SparkSession,
        store: RawStore,
        ready: Prepared,
        as_of: datetime,
        full_refresh: bool,
        snapshot_id: int | None,
        reading: str,
    ) -> None:
        self.spark, self.ready, self.as_of = spark, ready, as_of
        self.store, self.documents = store, 0
        self.reading = reading
        known = {} if full_refresh else self._known()
        self.since = int(known[SNAPSHOT]) if known else None
        self.added = store.files_added_since(self.since, until=snapshot_id)
        self.is_full = self.added.full
        self.snapshot_id = self.added.snapshot_id
        self.models = sorted({*json.loads("[]" if self.is_full else known[MODELS]), *self._models_in_documents()})
        ready.price(store.settings, self.models)
        self.views = {(m.schema, m.name) for m in ready.plan.models if m.materialized in ("view", "working_set")} | set(
            self._register(ready.small_tables())
        )
        for schema in sorted({model.schema for model in ready.plan.models}):
            spark.sql(f"create namespace if not exists {CATALOG}.{schema}")

    def relation(self, schema: str, name: str) -> str:
        """Spark's name of a table or view."""
        return f"{schema}__{name}" if (schema, name) in self.views else f"{CATALOG}.{schema}.{name}"

    def model(self, model: PlannedModel, starting: Callable[[str], None]) -> SparkModel:
        """Build one model."""
        starting(model.name)
        started = time.perf_counter()
        with told_for(f"model {model.name}"):
            rows = self._parse(model) if DOCUMENTS in model.full_sql else self._select(model)
        return SparkModel(model, self.ready.columns(model), round(time.perf_counter() - started, 3), rows)

    def _select(self, model: PlannedModel) -> int | None:
        sql = to_spark(model.full_sql, self.relation, model=model.name)
        if (model.schema, model.name) in self.views:
            self.spark.sql(f"create or replace temporary view {model.schema}__{model.name} as {sql}")
            return None
        columns = self.ready.columns(model)
        chosen = ", ".join(f"cast(`{name}` as {spark_type(kind)}) as `{name}`" for name, kind in columns.items())
        self._replace(model, self.spark.sql(f"select {chosen} from ({sql}) as model"))
        return self._count(model)

    def _parse(self, model: PlannedModel) -> int:
        """The model in tasks, over the documents that are new."""
        arrow = self.ready.connection.execute(f"select * from {model.relation} limit 0").to_arrow_table().schema
        arrow = signed(arrow)
        sql = model.full_sql.replace(DOCUMENTS, tasks.ROWS)
        documents = self._new_documents()
        rows = self._in_tasks(documents, sql, arrow)
        before = 0 if self.is_full else self._count(model)
        if self.is_full:
            self._replace(model, rows)
        else:
            if self.added.files:
                rows.writeTo(self.relation(model.schema, model.name)).append()
            self._note(model)
        self.documents = self._count(model) - before
        return self._count(model)

    def _in_tasks(self, rows: DataFrame, sql: str, schema: pa.Schema) -> DataFrame:
        from pyspark import cloudpickle
        from pyspark.sql.pandas.types import from_arrow_schema

        # a worker has no analytics package: what runs there goes as code
        cloudpickle.register_pickle_by_value(tasks)
        return rows.mapInArrow(tasks.duckdb_in_task(sql, schema), from_arrow_schema(schema))

    def _models_in_documents(self) -> list[str]:
        """The model ids in the new documents."""
        import pyarrow as pa

        if not self.added.files:
            return []
        documents = self._new_documents().select("type", "entry")
        found = self._in_tasks(documents, models_in(tasks.ROWS), pa.schema([("model", pa.string())]))
        return [row[0] for row in found.distinct().collect()]

    def _new_documents(self) -> DataFrame:
        from pyspark.sql import functions as f

        names = list(envelope.SCHEMA.names)
        if self.is_full:
            chosen = {} if self.snapshot_id is None else {"snapshot-id": str(self.snapshot_id)}
            rows = self.spark.read.options(**chosen).table(f"{CATALOG}.raw.conversations")
            load_id = 1
        else:
            # Iceberg reads what was appended between the two, and passes over compactions
            between = {"start-snapshot-id": str(self.since), "end-snapshot-id": str(self.snapshot_id)}
            rows = self.spark.read.format("iceberg").options(**between).load(f"{CATALOG}.raw.conversations")
            newest = self.spark.table(f"{CATALOG}.staging.stg_entries").agg(f.max("load_id")).first()
            load_id = int(newest[0] or 0) + 1 if newest else 1
        return rows.select(*names).withColumn("load_id", f.lit(load_id).cast("bigint"))

    def _replace(self, model: PlannedModel, rows: DataFrame) -> None:
        writer = rows.writeTo(self.relation(model.schema, model.name)).using("iceberg")
        for name, value in {**_PROPERTIES, **self._built_from()}.items():
            writer = writer.tableProperty(name, value)
        writer.createOrReplace()

    def _note(self, model: PlannedModel) -> None:
        escaped = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in self._built_from().items()}
        pairs = ", ".join(f"'{name}' = '{value}'" for name, value in escaped.items())
        self.spark.sql(f"alter table {self.relation(model.schema, model.name)} set tblproperties ({pairs})")

    def _built_from(self) -> dict[str, str]:
        return {
            SNAPSHOT: str(self.snapshot_id),
            AS_OF: self.as_of.isoformat(),
            READING: self.reading,
            MODELS: json.dumps(self.models),
        }

    def _known(self) -> Mapping[str, str]:
        """Of which documents stg_entries holds the rows; nothing when they were parsed in another way."""
        from pyiceberg.exceptions import NoSuchTableError

        try:
            properties: Mapping[str, str] = self.store.catalog.load_table(("staging", "stg_entries")).properties
        except NoSuchTableError:
            return {}
        if properties.get(READING) != self.reading or not properties.get(SNAPSHOT, "").isdigit():
            return {}
        return properties

    def _register(self, tables: Mapping[tuple[str, str], pa.Table]) -> list[tuple[str, str]]:
        """Small tables as views."""
        from pyspark.sql.pandas.types import from_arrow_schema

        for (schema, name), rows in tables.items():
            typed = rows.cast(signed(rows.schema))
            frame = self.spark.createDataFrame(typed, schema=from_arrow_schema(typed.schema))
            frame.createOrReplaceTempView(f"{schema}__{name}")
        return list(tables)

    def _count(self, model: PlannedModel) -> int:
        """Rows of the table, as its snapshot says."""
        snapshot = self.store.catalog.load_table((model.schema, model.name)).current_snapshot()
        return int((snapshot.summary and snapshot.summary["total-records"]) or 0) if snapshot else 0
