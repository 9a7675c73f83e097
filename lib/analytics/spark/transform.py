"""`transform` on the engine that is chosen: DuckDB, or Spark, whose tables then come back into the working copy.

What is published has the same tables whichever engine built them, so notebooks, Metabase, the browser and validation
do not know which it was.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.common.progress import steps
from analytics.common.sql import identifier
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.settings import Settings
from analytics.warehouse import built_with
from analytics.warehouse.transform import ALL_IS_BUILT, ModelRun, TransformResult, drop_all_but, unpriced
from analytics.warehouse.transform import transform as transform_on_duckdb
from analytics.warehouse.working_copy import connect

if TYPE_CHECKING:
    import duckdb

    from analytics.raw.store import RawStore
    from analytics.spark.build import SparkBuild, SparkModel


def transform(
    settings: Settings,
    *,
    engine: str | None = None,
    full_refresh: bool = False,
    models: str | None = None,
    test: bool = False,
    as_of: datetime | None = None,
) -> TransformResult:
    """Build the working copy's models; arguments as of `analytics.warehouse.transform.transform`, and:

    Args:
        engine: duckdb or spark; default the setting TRANSFORM_ENGINE.

    Raises:
        AnalyticsError: no working copy, or a model or test failed; one line naming it.
        ConfigError: Spark is not installed, or `models` is given with it: it builds all of them.
    """
    if engine is not None:
        settings = settings.model_copy(update={"transform_engine": engine})
    if settings.transform_engine == "duckdb":
        return transform_on_duckdb(settings, full_refresh=full_refresh, models=models, test=test, as_of=as_of)
    if models is not None:
        raise ConfigError(f"--models {models!r}: Spark builds every model; leave it out, or use --engine duckdb")
    with disk_errors("transform", settings.data_dir), steps("transform") as starting:
        from analytics.raw.store import RawStore
        from analytics.spark.build import build

        started = time.perf_counter()
        store = RawStore(settings)
        loaded = _loaded_snapshot(settings, store)
        reached("transform.started")
        built = build(
            settings,
            full_refresh=full_refresh,
            test=test,
            as_of=as_of or utc_now(),
            snapshot_id=loaded,
            starting=starting,
        )
        starting("tables come back")
        return _bring_back(settings, store, built, started)


def _loaded_snapshot(settings: Settings, store: RawStore) -> int | None:
    """The snapshot of raw.conversations that the working copy was loaded from: Spark builds from no other."""
    import duckdb

    if not settings.build_path.exists():
        raise AnalyticsError(f"no working copy at {settings.build_path}: run `claude-analytics load` first")
    try:
        with connect(settings.build_path) as connection:
            row = connection.execute("select iceberg_snapshot_id from raw.load_state").fetchone()
    except duckdb.Error as error:
        raise AnalyticsError(
            f"the working copy {settings.build_path} cannot be read: {first_line(error)}: run `claude-analytics load`"
        ) from None
    if row and row[0] is not None and store.conversations.snapshot_by_id(row[0]) is None:
        raise AnalyticsError("the documents that were loaded have expired: run `claude-analytics load` again")
    return row[0] if row else None


def _bring_back(settings: Settings, store: RawStore, built: SparkBuild, started: float) -> TransformResult:
    """Everything that a published version holds, in one transaction."""
    import duckdb

    kept = [model for model in built.models if f"{model.schema}.{model.name}" not in built.build_only]
    try:
        with connect(settings.build_path) as connection:
            connection.execute("begin")
            for schema in sorted({schema for schema, _ in built.relations}):
                connection.execute(f"create schema if not exists {identifier(schema)}")
            for (schema, name), rows in built.seeds.items():
                connection.register("seed_rows", rows)
                connection.execute(
                    f"create or replace table {identifier(schema)}.{identifier(name)} as select * from seed_rows"
                )
                connection.unregister("seed_rows")
            for model in kept:
                _bring(connection, store, built, model)
            gone = drop_all_but(connection, built.relations)
            built_with.write(
                connection,
                built_with.current(settings),
                built.build_only,
                engine="Spark",
                data_tests=built.tests,
            )
            connection.execute(ALL_IS_BUILT)
            connection.execute("commit")
            reached("transform.built")
            warnings = [*built.warnings, *unpriced(connection)]
    except duckdb.Error as error:
        raise AnalyticsError(
            f"what Spark built cannot be brought into {settings.build_path}: {first_line(error)}"
        ) from None
    if gone:
        warnings.append(f"dropped, since no model makes them any more: {', '.join(gone)}")
    reached("transform.finished")
    return TransformResult(
        models=[ModelRun(m.name, m.schema, "model", "success", m.seconds, m.rows) for m in built.models],
        duration_seconds=round(time.perf_counter() - started, 3),
        full_refresh=not built.by_session,
        engine="Spark",
        tests=built.tests,
        warnings=warnings,
    )


def _bring(connection: duckdb.DuckDBPyConnection, store: RawStore, built: SparkBuild, model: SparkModel) -> None:
    """One table from Iceberg, or one view as DuckDB reads it."""
    relation = model.planned.relation
    if model.rows is None:
        connection.execute(f"create or replace view {relation} as (\n{model.planned.full_sql}\n)")
        return
    from analytics.spark.build import AS_OF

    table = store.catalog.load_table((model.schema, model.name))
    if table.properties.get(AS_OF) != built.as_of.isoformat():
        raise AnalyticsError(f"{model.schema}.{model.name} was built again by somebody else meanwhile: run it again")
    connection.register("spark_rows", table.scan().to_arrow_batch_reader())
    # Spark has no unsigned numbers; only hashes are any, and another engine's at that
    columns = ", ".join(
        f"cast({identifier(name)} as {kind}) as {identifier(name)}" if "UBIGINT" not in kind else identifier(name)
        for name, kind in model.columns.items()
    )
    connection.execute(f"create or replace table {relation} as select {columns} from spark_rows")
    connection.unregister("spark_rows")
