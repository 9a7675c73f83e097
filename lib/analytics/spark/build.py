"""The plan of dbt's models, run on Spark: Iceberg tables in the namespaces `staging`, `intermediate` and `marts`.

What parses documents (`stg_entries`) runs as DuckDB inside Spark's tasks, on new documents only. Everything after it is
translated SQL: of the sessions that the new documents touch, as on DuckDB, unless something all sessions depend on has
changed. `full_refresh` parses every document again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.clock import utc_now
from analytics.errors import ConfigError
from analytics.raw import envelope
from analytics.raw.maintenance import DERIVED_FROM, derived_tables
from analytics.raw.store import FilesAdded, RawStore
from analytics.settings import Settings
from analytics.spark import tasks
from analytics.spark.branches import TOUCHED, Branches, settle
from analytics.spark.checks import Tested, run_tests
from analytics.spark.dialect import to_spark
from analytics.spark.raw_tables import DOCUMENTS, Prepared, prepared
from analytics.spark.session import CATALOG, session, told_for
from analytics.spark.types import signed
from analytics.warehouse import built_with
from analytics.warehouse.plan import PlannedModel
from analytics.warehouse.prices import models_in

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

# What a table was built from stands in its properties.
SNAPSHOT = DERIVED_FROM
AS_OF = "claude-analytics.as-of"
DEAD_LETTERS = "claude-analytics.dead-letters-snapshot"
READING = "claude-analytics.reading"
BUILDING = "claude-analytics.building"
MODELS = "claude-analytics.models"  # the model ids in the documents


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
    full_refresh: bool  # every document was parsed
    by_session: bool  # only touched sessions were computed
    snapshot_id: int | None  # of raw.conversations
    as_of: datetime
    duration_seconds: float
    tests: int = 0  # of dbt's, that held
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kind = "all" if self.full_refresh else "new"
        tested = f", {self.tests} tests of dbt" if self.tests else ""
        sessions = "touched" if self.by_session else "all"
        return (
            f"{len(self.models)} models{tested} on Spark in {self.duration_seconds:.1f} s; "
            f"{self.documents:,} {kind} documents parsed, {sessions} sessions computed"
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
    settle(store)
    state = _State.of(settings, store, full_refresh, snapshot_id)
    with (
        prepared(settings, store, as_of, at=state.at, increment=state.by_session, test=test) as ready,
        session(settings, store.catalog.properties) as spark,
    ):
        run = _Run(spark, store, ready, state)
        models = [run.model(model, starting) for model in ready.plan.models]
        tested = run_tests(spark, ready, run.relation, starting) if test else Tested()
        tested.raise_if_failed()
        run.tables.publish(run.built_from(as_of))
        return SparkBuild(
            models=models,
            seeds={name: rows for name, rows in ready.small_tables().items() if name in ready.compiled.relations},
            build_only=ready.compiled.build_only,
            relations=ready.compiled.relations,
            documents=run.documents,
            full_refresh=state.added.full,
            by_session=state.by_session,
            snapshot_id=state.added.snapshot_id,
            as_of=as_of,
            duration_seconds=round(time.perf_counter() - started, 3),
            tests=tested.held,
            warnings=tested.warned,
        )


@dataclass(frozen=True)
class _State:
    """What the tables hold, and what there is to do."""

    added: FilesAdded  # of raw.conversations since the last build
    since: int | None  # the snapshot that stg_entries holds the documents of; None when all are parsed again
    by_session: bool  # whether sessions that are not touched stay as they are
    models: list[str]  # model ids of the documents that are parsed already
    reading: str  # how documents are parsed
    building: str  # everything else that decides numbers
    at: tuple[int | None, int | None]  # the snapshots of raw.conversations and raw.dead_letters

    @classmethod
    def of(cls, settings: Settings, store: RawStore, full_refresh: bool, snapshot_id: int | None) -> _State:
        """Of a catalog."""
        reading, building = built_with_now(settings)
        tables = {table.name(): table.properties for table in derived_tables(store)}
        known = tables.get(("staging", "stg_entries"), {})
        if full_refresh or known.get(READING) != reading or not known.get(SNAPSHOT, "").isdigit():
            known = {}
        since = int(known[SNAPSHOT]) if known else None
        added = store.files_added_since(since, until=snapshot_id)
        if added.full:
            known, since = {}, None
        # a table that another build left, or somebody else, is none to go on from
        by_session = bool(known) and all(
            (properties.get(BUILDING), properties.get(SNAPSHOT)) == (building, known[SNAPSHOT])
            for properties in tables.values()
        )
        at = (added.snapshot_id, store.dead_letters.metadata.current_snapshot_id)
        return cls(added, since, by_session, json.loads(known.get(MODELS, "[]")), reading, building, at)


def built_with_now(settings: Settings) -> tuple[str, str]:
    """Hashes of how documents are parsed, and of everything that decides numbers.

    Raises:
        ConfigError: Spark is not installed.
    """
    now = built_with.current(settings.model_copy(update={"transform_engine": "spark"}))
    files = [Path(__file__).with_name(f"{name}.py") for name in ("dialect", "regex", "rules", "selects", "types")]
    try:
        versions = [f"{name} {version(name)}" for name in ("pyspark", "sqlglot")]
    except PackageNotFoundError:
        raise ConfigError("Spark is not installed: run `make setup-spark`") from None
    translation = " ".join([*versions, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)])
    return now.reading, hashlib.sha256(f"{now.building} {translation}".encode()).hexdigest()


class _Run:
    """One build."""

    def __init__(self, spark: SparkSession, store: RawStore, ready: Prepared, state: _State) -> None:
        self.spark, self.ready, self.state = spark, ready, state
        self.tables = Branches(spark, store)
        self.documents = 0
        self.models = sorted({*state.models, *self._models_in_documents()})
        ready.price(store.settings, self.models)
        self.views = {(m.schema, m.name) for m in ready.plan.models if m.materialized in ("view", "working_set")} | set(
            self._register(ready.small_tables())
        )
        for schema in sorted({model.schema for model in ready.plan.models}):
            spark.sql(f"create namespace if not exists {CATALOG}.{schema}")

    def relation(self, schema: str, name: str) -> str:
        """Spark's name of a table or view."""
        return f"{schema}__{name}" if (schema, name) in self.views else self.tables.relation(schema, name)

    def model(self, model: PlannedModel, starting: Callable[[str], None]) -> SparkModel:
        """Build one model."""
        starting(model.name)
        started = time.perf_counter()
        with told_for(f"model {model.name}"):
            rows = self._parse(model) if DOCUMENTS in model.full_sql else self._select(model)
        return SparkModel(model, self.ready.columns(model), round(time.perf_counter() - started, 3), rows)

    def built_from(self, as_of: datetime) -> dict[str, str]:
        """What stands in every table's properties."""
        return {
            SNAPSHOT: str(self.state.added.snapshot_id),
            DEAD_LETTERS: str(self.state.at[1]),
            AS_OF: as_of.isoformat(),
            READING: self.state.reading,
            BUILDING: self.state.building,
            MODELS: json.dumps(self.models),
        }

    def _select(self, model: PlannedModel) -> int | None:
        name = (model.schema, model.name)
        by_session = self.state.by_session and (model.materialized != "incremental" or name in self.tables)
        sql = to_spark(model.sql if by_session else model.full_sql, self.relation, model=model.name)
        if name in self.views:
            rows = self.spark.sql(sql)
            if by_session and model.materialized == "working_set":  # small, and read by many models
                rows = rows.persist()
            rows.createOrReplaceTempView(f"{model.schema}__{model.name}")
            return None
        columns = self.ready.columns(model)
        if not by_session or model.materialized != "incremental":
            self.tables.replace(*name, columns, self.spark.sql(sql), model.day_column)
        elif model.strategy == "append":
            self.tables.append(*name, self.spark.sql(sql).select(*columns))
        else:
            touched = self.relation("intermediate", "int_touched_sessions")
            sessions = f"select session_id as {TOUCHED} from {touched} where is_touched"
            self.tables.merge(*name, columns, sql, sessions, self._on_touched_days(model.day_column))
        return self.tables.rows(*name)

    def _on_touched_days(self, day: str | None) -> str:
        """Condition that holds for every row of a touched session, and for no file of other days."""
        if day is None:
            return "true"
        rows = self.spark.table(self.relation("intermediate", "int_touched_days")).limit(1000).collect()
        days = sorted({f"date '{row[0]}'" for row in rows if row[0] is not None})
        if len(rows) == 1000:
            return "true"
        listed = f"old.{day} in ({', '.join(days)}) or " if days else ""
        return f"({listed}old.{day} is null)"

    def _parse(self, model: PlannedModel) -> int:
        """The model in tasks, over the documents that are new."""
        name, columns = (model.schema, model.name), self.ready.columns(model)
        arrow = self.ready.connection.execute(f"select * from {model.relation} limit 0").to_arrow_table().schema
        arrow = signed(arrow)
        sql = model.full_sql.replace(DOCUMENTS, tasks.ROWS)
        rows = self._in_tasks(self._new_documents(), sql, arrow)
        if self.state.since is None:
            self.tables.replace(*name, columns, rows, None)
            self.documents = self.tables.rows(*name)
            return self.documents
        before = self.tables.rows(*name)
        if self.state.added.files:
            self.tables.append(*name, rows)
        else:
            self.tables.keep(*name)
        self.documents = self.tables.rows(*name) - before
        return before + self.documents

    def _in_tasks(self, rows: DataFrame, sql: str, schema: pa.Schema) -> DataFrame:
        from pyspark import cloudpickle
        from pyspark.sql.pandas.types import from_arrow_schema

        # a worker has no analytics package: what runs there goes as code
        cloudpickle.register_pickle_by_value(tasks)
        return rows.mapInArrow(tasks.duckdb_in_task(sql, schema), from_arrow_schema(schema))

    def _models_in_documents(self) -> list[str]:
        """The model ids in the new documents."""
        import pyarrow as pa

        if not self.state.added.files:
            return []
        documents = self._new_documents().select("type", "entry")
        found = self._in_tasks(documents, models_in(tasks.ROWS), pa.schema([("model", pa.string())]))
        return [row[0] for row in found.distinct().collect()]

    def _new_documents(self) -> DataFrame:
        from pyspark.sql import functions as f

        names = list(envelope.SCHEMA.names)
        until = self.state.added.snapshot_id
        if self.state.since is None:
            chosen = {} if until is None else {"snapshot-id": str(until)}
            rows = self.spark.read.options(**chosen).table(f"{CATALOG}.raw.conversations")
            load_id = 1
        else:
            # Iceberg reads what was appended between the two, and passes over compactions
            between = {"start-snapshot-id": str(self.state.since), "end-snapshot-id": str(until)}
            rows = self.spark.read.format("iceberg").options(**between).load(f"{CATALOG}.raw.conversations")
            newest = self.spark.table(f"{CATALOG}.staging.stg_entries").agg(f.max("load_id")).first()
            load_id = int(newest[0] or 0) + 1 if newest else 1
        return rows.select(*names).withColumn("load_id", f.lit(load_id).cast("bigint"))

    def _register(self, tables: Mapping[tuple[str, str], pa.Table]) -> list[tuple[str, str]]:
        """Small tables as views."""
        from pyspark.sql.pandas.types import from_arrow_schema

        for (schema, name), rows in tables.items():
            typed = rows.cast(signed(rows.schema))
            frame = self.spark.createDataFrame(typed, schema=from_arrow_schema(typed.schema))
            frame.createOrReplaceTempView(f"{schema}__{name}")
        return list(tables)
