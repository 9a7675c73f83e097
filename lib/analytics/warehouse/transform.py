"""Raw to gold: the dbt project, built on the working copy.

dbt builds whatever is new in some way: after a change of models, prices or time zone, on request. An hour's documents
go through the plan that dbt's last build left (`analytics.warehouse.plan`), and so does a history that is loaded from
its beginning.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.common.progress import steps
from analytics.common.sql import identifier
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.settings import Settings
from analytics.warehouse import built_with
from analytics.warehouse.built_with import BuiltWith
from analytics.warehouse.dbt_build import OutOfMemoryError, Request, build, plan_path
from analytics.warehouse.measures import unpriced_models
from analytics.warehouse.plan import Plan, PlannedModel, PlannedSeed, read_plan, run_full_plan, run_plan
from analytics.warehouse.prepared_plan import prepared_path
from analytics.warehouse.prices import PriceList, write_model_prices
from analytics.warehouse.working_copy import (
    LARGE_MEMORY_LIMIT,
    MEMORY_LIMIT,
    chosen_memory_limit,
    connect,
    vacuum_tasks,
)

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

# After a build of everything that was loaded; publish asks for it.
ALL_IS_BUILT = "update raw.load_state set is_built = true"


@dataclass(frozen=True)
class ModelRun:
    """What one node of the dbt graph did."""

    name: str
    schema: str
    kind: str  # model, seed or test
    status: str  # success, pass, warn, skipped
    seconds: float
    rows: int | None  # rows in the table after the run; None for tests and views


@dataclass(frozen=True)
class TransformResult:
    """What dbt built, and what a person should hear about it."""

    models: list[ModelRun]
    duration_seconds: float
    full_refresh: bool  # every session was rebuilt: asked for, or prices, time zone or models had changed
    by_plan: bool = False  # the plan of an earlier build was run, and dbt itself was not
    warnings: list[str] = field(default_factory=list)
    engine: str = "DuckDB"
    tests: int = 0  # tests of dbt that held on another engine than DuckDB

    def __str__(self) -> str:
        built = sum(run.kind == "model" for run in self.models)
        tests = self.tests or sum(run.kind == "test" for run in self.models)
        where = "" if self.engine == "DuckDB" else f" on {self.engine}"
        kind = "full refresh" if self.full_refresh else "incremental"
        tested = f", {tests} tests" if tests else ""
        return f"{built} models{tested}{where} in {self.duration_seconds:.1f} s ({kind})"


def transform(
    settings: Settings,
    *,
    full_refresh: bool = False,
    models: str | None = None,
    test: bool = False,
    as_of: datetime | None = None,
) -> TransformResult:
    """Build the dbt project on the working copy (`settings.build_path`).

    Only the sessions touched since the last run are processed, unless something all sessions depend on
    (prices, ANALYTICS_TZ, the models themselves) is not what the working copy was built with: then everything
    after staging is rebuilt.

    Args:
        full_refresh: rebuild the incremental models from everything that was loaded.
        models: a dbt selector such as `+fct_messages`; default everything.
        test: run the data tests after each model as well.
        as_of: the instant that "today" and "current" mean in the marts; default now.

    Raises:
        AnalyticsError: no working copy, or a model or test failed; one line naming it.
        ConfigError: wrong prices in PRICING_OVERRIDES, unknown DBT_TARGET or a selector that matches nothing.
    """
    import duckdb

    if models is not None and any(word.startswith("-") for word in models.split()):
        raise ConfigError(f"--models {models!r}: names and selectors of dbt only, no options")
    with disk_errors("transform", settings.data_dir):
        try:
            return _transform(settings, full_refresh, models, test, as_of)
        except duckdb.Error as error:
            raise AnalyticsError(
                f"the working copy {settings.build_path} cannot be built: {first_line(error)}"
            ) from None


def _transform(
    settings: Settings, full_refresh: bool, models: str | None, test: bool, as_of: datetime | None
) -> TransformResult:
    started = time.perf_counter()
    if not settings.build_path.exists():
        raise AnalyticsError(
            f"no working copy at {settings.build_path}: run `claude-analytics load` first, "
            "or load --full-refresh when it has nothing new"
        )
    reached("transform.started")
    variables: dict[str, Any] = {
        "analytics_tz": settings.analytics_tz,
        "as_of": (as_of or utc_now()).astimezone(UTC).isoformat(),
    }
    now = built_with.current(settings)
    with steps("transform") as starting:
        with connect(settings.build_path) as connection:
            write_model_prices(connection, PriceList.of(settings))
            before, load_was_full = built_with.read(connection), _load_was_full(connection)
            tasks = vacuum_tasks(connection)
            result = None
            if not (models or test) and (load_was_full or (before == now and not full_refresh)):
                result = _run_plan(connection, settings, now, variables["as_of"], load_was_full, starting)
        if result is None:
            request = Request(before, now, load_was_full, variables, full_refresh, models, test)
            result = _run_dbt(settings, request, tasks, starting)
    reached("transform.finished")
    return replace(result, duration_seconds=round(time.perf_counter() - started, 3))


def look(settings: Settings, otherwise: Callable[[Settings], object]) -> duckdb.DuckDBPyConnection:
    """A connection that reads what `transform` would build, and does not commit it: writing takes a third of the time.

    `otherwise` builds what the plan cannot.
    """
    import duckdb

    connection, now = connect(settings.build_path), built_with.current(settings)
    fits = settings.transform_engine == "duckdb" and built_with.read(connection) == now
    plan = _plan(settings, now) if fits and not _load_was_full(connection) else None
    with steps("transform") as starting, contextlib.suppress(duckdb.Error):
        if plan is not None:
            run_plan(plan, connection, utc_now().isoformat(), then=None, starting=starting)
            return connection
    connection.close()
    otherwise(settings)
    return connect(settings.build_path)


def _load_was_full(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the working copy began empty."""
    (full,) = connection.execute("select full_refresh from raw.load_state").fetchall()[0]
    return bool(full)


def _run_plan(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    now: BuiltWith,
    as_of: str,
    load_was_full: bool,
    starting: Callable[[str], None],
) -> TransformResult | None:
    """Build what was loaded by the plan, if that is everything in full; None if there is no plan for this state, or it
    fails."""
    import duckdb

    plan = _plan(settings, now)
    if plan is None:
        return None
    done: Sequence[tuple[PlannedModel | PlannedSeed, float]]
    try:
        if load_was_full:
            done = _run_full_plan(plan, connection, as_of, starting)
        else:
            done = run_plan(plan, connection, as_of, then=ALL_IS_BUILT, starting=starting)
    except duckdb.Error as error:
        # dbt will either manage or say which model it is
        logger.info("dbt builds, the plan cannot: %s", first_line(error))
        return None
    reached("transform.built")
    warnings = _all_is_built(connection, now, plan.build_only, plan.relations) if load_was_full else []
    result = _result(connection, [_planned_run(*ran) for ran in done], warnings)
    return replace(result, by_plan=True, full_refresh=load_was_full)


def _run_full_plan(
    plan: Plan, connection: duckdb.DuckDBPyConnection, as_of: str, starting: Callable[[str], None]
) -> list[tuple[PlannedModel | PlannedSeed, float]]:
    """Run all of the plan, with more memory when it must and may."""
    import duckdb

    try:
        return run_full_plan(plan, connection, as_of, starting=starting)
    except duckdb.OutOfMemoryException:
        if chosen_memory_limit() is not None:
            raise
        logger.warning("more memory is needed than %s; trying again with %s", MEMORY_LIMIT, LARGE_MEMORY_LIMIT)
        connection.execute(f"set memory_limit = '{LARGE_MEMORY_LIMIT}'")
        return run_full_plan(plan, connection, as_of, starting=starting)


def _plan(settings: Settings, now: BuiltWith) -> Plan | None:
    """The plan of dbt's last build here, or of the installation, if it is one for this state."""
    return read_plan(plan_path(settings), now.project) or read_plan(prepared_path(), now.project)


def _planned_run(planned: PlannedModel | PlannedSeed, seconds: float) -> ModelRun:
    kind = "model" if isinstance(planned, PlannedModel) else "seed"
    return ModelRun(planned.name, planned.schema, kind, "success", round(seconds, 3), None)


def _run_dbt(settings: Settings, request: Request, tasks: int, starting: Callable[[str], None]) -> TransformResult:
    """Let dbt build, with more memory when it must and may."""
    starting("dbt reads the project")
    try:
        done = build(settings, request, vacuum_tasks=tasks, starting=starting)
    except OutOfMemoryError as error:
        if chosen_memory_limit() is not None:
            raise
        # what was built stays as it is, and is built again
        logger.warning("%s; trying again with %s", error, LARGE_MEMORY_LIMIT)
        done = build(settings, request, vacuum_tasks=tasks, memory_limit=LARGE_MEMORY_LIMIT, starting=starting)
    reached("transform.built")
    with connect(settings.build_path) as connection:
        if not request.models:
            done.warnings.extend(_all_is_built(connection, done.built_with, done.build_only, done.relations))
        runs = [_model_run(result) for result in done.results]
        return replace(_result(connection, runs, done.warnings), full_refresh=done.full_refresh)


def _all_is_built(
    connection: duckdb.DuckDBPyConnection, now: BuiltWith, build_only: list[str], relations: set[tuple[str, str]]
) -> list[str]:
    """Say what the tables are built with, and drop what is none of them; returns warnings."""
    built_with.write(connection, now, build_only)
    connection.execute(ALL_IS_BUILT)
    gone = drop_all_but(connection, relations)
    return [f"dropped, since no model makes them any more: {', '.join(gone)}"] if gone else []


def drop_all_but(connection: duckdb.DuckDBPyConnection, relations: set[tuple[str, str]]) -> list[str]:
    """Drop what models made that were removed or renamed, in the schemas of those there are; returns the names."""
    found = connection.execute(
        """
        select 'view', schema_name, view_name from duckdb_views() where not internal
        union all
        select 'table', schema_name, table_name from duckdb_tables()
        order by all
        """
    ).fetchall()
    schemas = {schema for schema, _ in relations}
    gone = [row for row in found if row[1] in schemas and (row[1], row[2]) not in relations]
    for kind, schema, name in gone:
        connection.execute(f"drop {kind} {identifier(schema)}.{identifier(name)}")
    return [f"{schema}.{name}" for _, schema, name in gone]


def _result(connection: duckdb.DuckDBPyConnection, runs: list[ModelRun], warnings: list[str]) -> TransformResult:
    return TransformResult(
        models=_with_rows(connection, runs),
        duration_seconds=0.0,
        full_refresh=False,
        warnings=warnings + unpriced(connection),
    )


def _model_run(result: Any) -> ModelRun:
    node = result.node
    return ModelRun(
        name=node.name,
        schema=node.schema,
        kind=str(node.resource_type),
        status=str(result.status),
        seconds=round(result.execution_time, 3),
        rows=None,
    )


def _with_rows(connection: duckdb.DuckDBPyConnection, runs: list[ModelRun]) -> list[ModelRun]:
    """The same runs with the number of rows each table holds now."""
    tables = set(connection.execute("select schema_name, table_name from duckdb_tables()").fetchall())
    named = [(run.schema, run.name) for run in runs if (run.schema, run.name) in tables]
    if not named:
        return runs
    counts = connection.execute(
        " union all ".join(f"select {i}, count(*) from {s}.{t}" for i, (s, t) in enumerate(named))
    ).fetchall()
    rows = {named[i]: count for i, count in counts}
    return [replace(run, rows=rows.get((run.schema, run.name))) for run in runs]


def unpriced(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A warning for each model without a price."""
    import duckdb

    try:
        found = unpriced_models(connection, "marts.agg_session_hours")
    except duckdb.CatalogException:  # not built yet
        return []
    return [
        f"no price for model {model}: {count} responses have no cost; add it to PRICING_OVERRIDES"
        for model, count in found
    ]
