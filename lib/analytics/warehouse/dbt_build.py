"""A build by dbt itself: the first one, after a change of models, prices or time zone, or because it was asked for."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analytics.errors import AnalyticsError, ConfigError
from analytics.settings import Settings
from analytics.warehouse import built_with
from analytics.warehouse.built_with import DBT_DIR, UNKNOWN, BuiltWith, Stale
from analytics.warehouse.dbt_project import dbt_session, one_line
from analytics.warehouse.plan import NotPlainError, Plan, build_only, plan_of, read_plan

logger = logging.getLogger(__name__)

# dbt selectors. A working copy holds the JSON of the documents of its load only, so staging, which keeps what
# was parsed of all of them, cannot be rebuilt without loading all of them again; everything after it can.
_STAGING = "path:models/staging"
_AFTER_STAGING = ("path:models/intermediate", "path:models/marts", "path:seeds")


@dataclass(frozen=True)
class Request:
    """What a build is asked to do."""

    before: BuiltWith  # what the tables were built with
    now: BuiltWith
    load_was_full: bool  # the working copy began empty
    variables: dict[str, Any]  # dbt's, `as_of` among them
    full_refresh: bool = False
    models: str | None = None  # a dbt selector
    test: bool = False


@dataclass(frozen=True)
class DbtBuild:
    """What dbt did."""

    results: list[Any]  # dbt's, one a node
    built_with: BuiltWith  # what the tables are built with now
    build_only: list[str]  # models (`schema.name`) that are of no use without the documents' text
    relations: set[tuple[str, str]]  # schema and name of everything the project makes
    full_refresh: bool
    warnings: list[str] = field(default_factory=list)


class OutOfMemoryError(AnalyticsError):
    """A model needs more memory than DuckDB may use."""


def plan_path(settings: Settings) -> Path:
    """Where the plan of the last build by dbt stands."""
    return settings.data_dir / "dbt" / "plan.json"


def build(
    settings: Settings,
    request: Request,
    *,
    vacuum_tasks: int,
    memory_limit: str | None = None,
    starting: Callable[[str], None] | None = None,
) -> DbtBuild:
    """Let dbt build the project, or the selected models, and keep what it compiled as a plan.

    Args:
        vacuum_tasks, memory_limit: see `analytics.warehouse.working_copy`.
        starting: told each node's name before it runs.

    Raises:
        AnalyticsError: a model or test failed; one line naming it. OutOfMemoryError when it needs more memory.
        ConfigError: a selector that matches nothing, or an unknown DBT_TARGET.
    """
    stale = Stale.NOTHING if request.before == UNKNOWN else request.before.stale(request.now)
    rebuild = request.full_refresh or request.load_was_full or stale >= Stale.SESSIONS
    now, warnings = request.now, []
    if stale == Stale.DOCUMENTS and not request.load_was_full:
        warnings.append(
            "documents are read differently since they were loaded: run the pipeline once with --full-refresh"
        )
        # no project: the next run asks dbt, and warns, again
        now = replace(now, reading=request.before.reading, project="")
    session = dbt_session(settings, vacuum_tasks=vacuum_tasks, memory_limit=memory_limit, starting=starting)
    with _memory_errors(), session as (manifest, invoke):
        results = _build(invoke, request, rebuild)
        models, planned = _models(manifest)
        if not request.models and now.project:
            # what was built in full says itself how
            full = results if request.load_was_full else []
            built = {r.node.unique_id: r.node.compiled_code for r in full if str(r.node.resource_type) == "model"}
            _keep_plan(settings, now.project, request.variables, planned, invoke, built)
    if request.models and not results:
        raise ConfigError(f"--models {request.models!r}: selects nothing; `dbt ls` in {DBT_DIR} lists the names")
    warnings += [f"{r.node.name}: {one_line(r.message)}" for r in results if str(r.status) == "warn"]
    relations = {(node.schema, node.alias) for node in manifest.nodes.values() if node.is_relational}
    return DbtBuild(results, now, build_only(models), relations, rebuild, warnings)


def _build(invoke: Callable[[list[str]], Any], request: Request, rebuild: bool) -> list[Any]:
    arguments = ["build", "--no-write-json", "--vars", json.dumps(request.variables)]
    for kind in ("model", "seed", *(["test"] if request.test else [])):
        arguments += ["--resource-type", kind]
    if request.models:
        arguments += ["--select", *request.models.split()]
    if not rebuild:
        return list(invoke(arguments).results)
    if request.load_was_full:
        return list(invoke([*arguments, "--full-refresh"]).results)
    staging = invoke([*arguments, "--exclude", *_AFTER_STAGING]).results
    return [*staging, *invoke([*arguments, "--exclude", _STAGING, "--full-refresh"]).results]


def _keep_plan(
    settings: Settings,
    fingerprint: str,
    variables: dict[str, Any],
    nodes: list[Any],
    invoke: Callable[[list[str]], Any],
    built: dict[str, str],
) -> None:
    """Compile the models, for the tables that now exist and for none unless that is what was `built`, and keep both."""
    path = plan_path(settings)
    if read_plan(path, fingerprint):
        return

    def compiled(*options: str) -> dict[str, str]:
        arguments = ["compile", "--no-write-json", "--vars", json.dumps(variables), "--indirect-selection", "empty"]
        results = invoke([*arguments, *options, "--select", "resource_type:model"]).results
        return {result.node.unique_id: result.node.compiled_code for result in results}

    try:
        plan = plan_of(fingerprint, variables["as_of"], nodes, built or compiled("--full-refresh"), compiled())
    except NotPlainError as error:
        logger.info("dbt builds every time: %s", error)
        path.unlink(missing_ok=True)
        return
    plan.save(path)


def _models(manifest: Any) -> tuple[list[Any], list[Any]]:
    """The project's models, and all that a plan is made of: seeds too."""
    kept = [node for node in manifest.nodes.values() if str(node.resource_type) in ("model", "seed")]
    return [node for node in kept if str(node.resource_type) == "model"], kept


@dataclass(frozen=True)
class CompiledTest:
    """A data test as dbt compiled it: a query of the rows that are wrong."""

    name: str
    sql: str
    severity: str  # error or warn


@dataclass(frozen=True)
class Compiled:
    """The project, compiled for an engine other than DuckDB."""

    plan: Plan
    tests: list[CompiledTest]
    build_only: list[str]  # models (`schema.name`) that are of no use without the documents' text
    relations: set[tuple[str, str]]  # schema and name of everything the project makes


def compile_for(settings: Settings, database: Path, variables: dict[str, Any]) -> Compiled:
    """The plan of a full build, and the data tests, compiled on a database that has the raw tables; seeds are laid in.

    For an engine that has no tables in DuckDB: both SQLs of each planned model are those of a full refresh.

    Raises:
        AnalyticsError: the project cannot be compiled, or a model asks for what only dbt does.
    """
    shared = ["--no-write-json", "--vars", json.dumps(variables)]
    with dbt_session(settings, database=database) as (manifest, invoke):
        invoke(["seed", *shared, "--full-refresh"])
        results = invoke(["compile", *shared, "--full-refresh"]).results
        models, planned = _models(manifest)
        relations = {(node.schema, node.alias) for node in manifest.nodes.values() if node.is_relational}
    compiled = {result.node.unique_id: result.node.compiled_code for result in results}
    tests = [
        CompiledTest(result.node.name, result.node.compiled_code, str(result.node.config.severity).lower())
        for result in results
        if str(result.node.resource_type) == "test"
    ]
    try:
        plan = plan_of(built_with.current(settings).project, variables["as_of"], planned, compiled, compiled)
    except NotPlainError as error:
        raise AnalyticsError(f"only dbt can build the project: {error}") from None
    return Compiled(plan, tests, build_only(models), relations)


def compile_increment(settings: Settings, database: Path, variables: dict[str, Any]) -> dict[str, str]:
    """The SQL of an incremental run by model, compiled on a database that has every table the models make.

    Raises:
        AnalyticsError: the project cannot be compiled.
    """
    arguments = ["compile", "--no-write-json", "--vars", json.dumps(variables), "--indirect-selection", "empty"]
    with dbt_session(settings, database=database) as (_, invoke):
        results = invoke([*arguments, "--select", "resource_type:model"]).results
    return {result.node.name: result.node.compiled_code for result in results}


def compile_unit_tests(settings: Settings, database: Path, variables: dict[str, Any]) -> dict[str, str]:
    """The query of each unit test by its name, on a database that has every table the models read and make.

    dbt writes what is given and expected into the query itself, whose last column, `actual_or_expected`, says which a
    row is. There is no way to have it compiled only, so they run on DuckDB here.

    Raises:
        AnalyticsError: one fails on DuckDB.
    """
    found: dict[str, str] = {}

    def keep(name: str, sql: str) -> None:
        if "dbt_internal_unit_test_actual" in sql:
            found[name] = sql.strip().rstrip(";")

    with dbt_session(settings, database=database, on_sql=keep) as (_, invoke):
        invoke(["test", "--no-write-json", "--vars", json.dumps(variables), "--select", "test_type:unit"])
    return found


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """dbt's error as one that says which setting to change, when that is what is wrong."""
    try:
        yield
    except AnalyticsError as error:
        what, found, _ = str(error).partition("Out of Memory Error")
        if not found:
            raise
        raise OutOfMemoryError(f"{what}more memory is needed than ANALYTICS_MEMORY_LIMIT allows; raise it") from None
