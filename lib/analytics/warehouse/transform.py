"""Raw to gold: the dbt project, built on the working copy.

dbt builds whatever is new in some way: the first time, after a change of models, prices or time zone, on request. An
hour's documents go through the statements dbt has prepared for that (`analytics.warehouse.plan`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.settings import Settings
from analytics.warehouse.dbt_project import DBT_DIR, dbt_session, one_line, project_fingerprint
from analytics.warehouse.plan import PreparedBuild, PreparedModel, read_prepared
from analytics.warehouse.prices import read_overrides
from analytics.warehouse.working_copy import LARGE_MEMORY_LIMIT, chosen_memory_limit, connect, vacuum_tasks

if TYPE_CHECKING:
    import duckdb
    from dbt.contracts.graph.manifest import Manifest

PROJECT_NAME = "claude_code_analytics"

logger = logging.getLogger(__name__)

# dbt selectors. A working copy holds the JSON of the documents of its load only, so staging, which keeps what
# was parsed of all of them, cannot be rebuilt without loading all of them again; everything after it can.
_STAGING = "path:models/staging"
_AFTER_STAGING = ("path:models/intermediate", "path:models/marts", "path:seeds")
# Views that outlive a build; the others read what publishing drops.
_LASTING_VIEWS = "path:models/staging,config.materialized:view"

# After a build of everything that was loaded; publish asks for it.
_ALL_IS_BUILT = "update raw.load_state set is_built = true"


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
    prepared: bool = False  # the statements dbt had prepared were run, and dbt itself was not
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        built = sum(run.kind == "model" for run in self.models)
        tests = sum(run.kind == "test" for run in self.models)
        kind = "full refresh" if self.full_refresh else "incremental"
        tested = f", {tests} tests" if tests else ""
        return f"{built} models{tested} in {self.duration_seconds:.1f} s ({kind})"


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
        raise AnalyticsError(f"no working copy at {settings.build_path}: run `claude-analytics load` first")
    reached("transform.started")
    variables = {
        "analytics_tz": settings.analytics_tz,
        "as_of": (as_of or utc_now()).astimezone(UTC).isoformat(),
        "pricing_overrides": [row.as_strings() for row in read_overrides(settings.pricing_overrides)],
    }
    with connect(settings.build_path) as connection:
        before = _read_state(connection)
        tasks = vacuum_tasks(connection)
        asks_for_dbt = full_refresh or models or test
        built = None if asks_for_dbt else _run_prepared(connection, settings, before, variables)
    if built is None:
        run_dbt = partial(
            _run_dbt, settings, before, variables, full_refresh=full_refresh, models=models, test=test, tasks=tasks
        )
        try:
            built = run_dbt()
        except _OutOfMemoryError as error:
            if chosen_memory_limit() is not None:
                raise
            # what was built stays as it is, and is built again
            logger.warning("%s; trying again with %s", error, LARGE_MEMORY_LIMIT)
            built = run_dbt(memory_limit=LARGE_MEMORY_LIMIT)
    reached("transform.finished")
    return replace(built, duration_seconds=round(time.perf_counter() - started, 3))


def _run_prepared(
    connection: duckdb.DuckDBPyConnection, settings: Settings, before: _State, variables: dict[str, Any]
) -> TransformResult | None:
    """Run the statements dbt has prepared; None, and nothing done, if there are none for this state."""
    import duckdb

    project = _State.project_of(settings, variables)
    if before.project != project or before.load_was_full:
        return None
    prepared = read_prepared(_prepared_path(settings), project)
    if prepared is None:
        return None
    try:
        done = prepared.run(connection, variables["as_of"], then=_ALL_IS_BUILT)
    except duckdb.Error:
        return None  # dbt will either manage or say which model it is
    reached("transform.built")
    runs = [ModelRun(m.name, m.schema, "model", "success", round(seconds, 3), None) for m, seconds in done]
    return replace(_result(connection, runs, []), prepared=True)


def _run_dbt(
    settings: Settings,
    before: _State,
    variables: dict[str, Any],
    *,
    full_refresh: bool,
    models: str | None,
    test: bool,
    tasks: int,
    memory_limit: str | None = None,
) -> TransformResult:
    """Let dbt build the project, or the selected models, and prepare the next incremental run."""
    results: list[Any] = []
    warnings: list[str] = []
    with _memory_errors(), dbt_session(settings, vacuum_tasks=tasks, memory_limit=memory_limit) as (manifest, invoke):
        now = _State.of(settings, manifest, variables)
        rebuild = full_refresh or before.load_was_full or before.definitions not in (None, now.definitions)
        arguments = ["build", "--no-write-json", "--vars", json.dumps(variables)]
        for kind in ("model", "seed", *(["test"] if test else [])):
            arguments += ["--resource-type", kind]
        if models:
            arguments += ["--select", *models.split()]
        if not rebuild:
            results += invoke(arguments).results
        elif before.load_was_full:
            results += invoke([*arguments, "--full-refresh"]).results
        else:
            results += invoke([*arguments, "--exclude", *_AFTER_STAGING]).results
            results += invoke([*arguments, "--exclude", _STAGING, "--full-refresh"]).results
        if before.reading not in (None, now.reading) and not before.load_was_full:
            warnings.append(
                "documents are read differently since they were loaded: run the pipeline once with --full-refresh"
            )
            # no project: the next run asks dbt, and warns, again
            now = replace(now, reading=before.reading, project=None)
        if not models:
            _prepare(settings, now, variables, invoke)
    if models and not results:
        raise ConfigError(f"--models {models!r}: selects nothing; `dbt ls` in {DBT_DIR} lists the names")
    warnings += [f"{r.node.name}: {one_line(r.message)}" for r in results if str(r.status) == "warn"]
    reached("transform.built")
    with connect(settings.build_path) as connection:
        if not models:
            _write_state(connection, now)
            connection.execute(_ALL_IS_BUILT)
        return _result(connection, [_model_run(result) for result in results], warnings, full_refresh=rebuild)


class _OutOfMemoryError(AnalyticsError):
    """A model needs more memory than DuckDB may use."""


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """dbt's error as one that says which setting to change, when that is what is wrong."""
    try:
        yield
    except AnalyticsError as error:
        what, found, _ = str(error).partition("Out of Memory Error")
        if not found:
            raise
        raise _OutOfMemoryError(f"{what}more memory is needed than ANALYTICS_MEMORY_LIMIT allows; raise it") from None


def _result(
    connection: duckdb.DuckDBPyConnection, runs: list[ModelRun], warnings: list[str], *, full_refresh: bool = False
) -> TransformResult:
    return TransformResult(
        models=_with_rows(connection, runs),
        duration_seconds=0.0,
        full_refresh=full_refresh,
        warnings=warnings + _unpriced(connection),
    )


def _prepare(settings: Settings, state: _State, variables: dict[str, Any], invoke: Callable[[list[str]], Any]) -> None:
    """Let dbt write the statements of an incremental run on the tables that now exist."""
    path = _prepared_path(settings)
    if state.project is None or read_prepared(path, state.project):
        return
    arguments = ["run", "--no-write-json", "--vars", json.dumps({**variables, "prepare": True})]
    results = invoke([*arguments, "--exclude", _LASTING_VIEWS]).results
    PreparedBuild(
        fingerprint=state.project,
        as_of=variables["as_of"],
        models=[
            PreparedModel(
                name=r.node.name,
                schema=r.node.schema,
                sql=Path(r.node.build_path).read_text(encoding="utf-8"),
                is_working_set=r.node.config.materialized == "working_set",
            )
            for r in results
        ],
    ).save(path)


def _prepared_path(settings: Settings) -> Path:
    return settings.data_dir / "dbt" / "prepared_build.json"


@dataclass(frozen=True)
class _State:
    """What the tables of a working copy were built with; one row in `raw.transform_state`."""

    definitions: str | None  # fingerprint of models, prices and time zone after staging
    reading: str | None  # fingerprint of staging
    project: str | None  # fingerprint of all of the project, its variables and its engine; dbt has built it
    load_was_full: bool = False

    @classmethod
    def of(cls, settings: Settings, manifest: Manifest, variables: dict[str, Any]) -> _State:
        """The state a build of this project with these variables leaves behind."""
        prices = [n.checksum.checksum for n in manifest.nodes.values() if n.name == "model_pricing"]
        # another engine may know other time zones, and rows are looked for by their day
        constant = json.dumps([_constant(variables), prices, version("duckdb")])
        return cls(
            definitions=_fingerprint(manifest, ("intermediate", "marts"), constant),
            reading=_fingerprint(manifest, ("staging",), ""),
            project=cls.project_of(settings, variables),
        )

    @staticmethod
    def project_of(settings: Settings, variables: dict[str, Any]) -> str:
        """What `project` is, found out without dbt."""
        text = project_fingerprint(settings) + json.dumps(_constant(variables))
        return hashlib.sha256(text.encode()).hexdigest()


def _constant(variables: dict[str, Any]) -> dict[str, Any]:
    """The variables without the instant of the run."""
    return {name: value for name, value in variables.items() if name != "as_of"}


def _fingerprint(manifest: Manifest, layers: tuple[str, ...], extra: str) -> str:
    """Hash of the SQL that decides the rows of some layers' incremental models, and of `extra`.

    That is their own, that of the models they read, and that of the project's macros both use. Other models are made
    anew by every run.
    """
    nodes = [node for node in _read_by_incremental_models(manifest) if node.fqn[1] in layers]
    own = {key: macro for key, macro in manifest.macros.items() if macro.package_name == PROJECT_NAME}
    used: set[str] = set()
    waiting = [key for node in nodes for key in node.depends_on.macros]
    while waiting:
        key = waiting.pop()
        if key in own and key not in used:
            used.add(key)
            waiting += own[key].depends_on.macros
            # adapter.dispatch finds <engine>__<name> at run time
            waiting += [other for other, macro in own.items() if macro.name.endswith(f"__{own[key].name}")]
    parts = sorted(f"{node.unique_id}\n{node.raw_code}" for node in nodes)
    parts += sorted(f"{key}\n{own[key].macro_sql}" for key in used)
    return hashlib.sha256("\0".join([*parts, extra]).encode()).hexdigest()


def _read_by_incremental_models(manifest: Manifest) -> list[Any]:
    """The incremental models and every model upstream of one."""
    models: dict[str, Any] = {key: node for key, node in manifest.nodes.items() if str(node.resource_type) == "model"}
    waiting = [key for key, node in models.items() if node.config.materialized == "incremental"]
    found: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in models and key not in found:
            found.add(key)
            waiting += models[key].depends_on.nodes
    return [models[key] for key in sorted(found)]


def _read_state(connection: duckdb.DuckDBPyConnection) -> _State:
    """What the working copy was built with, and whether its load brought every document."""
    import duckdb

    def row(query: str) -> tuple[Any, ...] | None:
        try:
            return connection.execute(query).fetchone()
        except (duckdb.CatalogException, duckdb.BinderException):
            return None

    built_with = row("select definitions, reading, project from raw.transform_state") or (None, None, None)
    (full,) = row("select full_refresh from raw.load_state") or (False,)
    definitions, reading, project = built_with
    return _State(definitions, reading, project, load_was_full=bool(full))


def _write_state(connection: duckdb.DuckDBPyConnection, state: _State) -> None:
    connection.execute("create schema if not exists raw")
    connection.execute(
        "create or replace table raw.transform_state as"
        " select ?::varchar as definitions, ?::varchar as reading, ?::varchar as project",
        [state.definitions, state.reading, state.project],
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


def _unpriced(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A warning for each model without a price."""
    import duckdb

    try:
        unpriced = connection.execute(
            "select model, cast(sum(unpriced_response_count) as bigint) from marts.agg_session_hours"
            " where unpriced_response_count > 0 group by model order by model"
        ).fetchall()
    except duckdb.CatalogException:  # not built yet
        return []
    return [
        f"no price for model {model}: {count} responses have no cost; add it to PRICING_OVERRIDES"
        for model, count in unpriced
    ]
