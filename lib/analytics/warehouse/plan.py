"""The plan: what dbt compiled, as data, and its runner on DuckDB.

dbt needs seconds to find out that its models say what they said an hour ago, and an hour's work is a few tenths of a
second of SQL. So after a build the compiled models are kept in `DATA_DIR/dbt/plan.json`, in the order of the graph,
and hold as long as what they were compiled from (`analytics.warehouse.built_with`). A plan knows plain tables, views,
incremental models and working sets, and nothing of an engine; a model that asks for more (hooks, indexes, comments,
constraints …) makes no plan, and dbt builds every time.

An empty database is built by a plan as well (`run_full_plan`), seeds included: a history that is loaded anew, or the
first one, where `analytics.warehouse.prepared_plan` has left a plan.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.files import partial_file
from analytics.common.sql import literal
from analytics.warehouse.marts import BY_NUMBER

if TYPE_CHECKING:
    import duckdb

_STRATEGIES = {"append", "touched_sessions"}
_MATERIALIZATIONS = {"table", "view", "incremental", "working_set"}

# Models of a full build that run at the same time, as dbt has them (dbt/profiles.yml).
_THREADS = 2


class NotPlainError(Exception):
    """A model asks for something that only dbt does."""


@dataclass(frozen=True)
class PlannedModel:
    """One model as dbt compiled it."""

    name: str
    schema: str
    relation: str  # its quoted name, as dbt writes it
    materialized: str  # table, view, incremental, or working_set: a table of this run that is gone when it ends
    strategy: str | None  # of an incremental model: append, or touched_sessions (its sessions' rows give way)
    day_column: str | None  # DATE the rows are clustered by
    columns: list[str]  # names in the order of the contract; empty without one: as the SQL gives them
    full_sql: str  # all rows
    sql: str  # the rows of an incremental run
    reads: list[str]  # names of the models it reads


@dataclass(frozen=True)
class PlannedSeed:
    """A table that a CSV file of the project fills."""

    name: str
    schema: str
    relation: str  # its quoted name, as dbt writes it
    path: str
    column_types: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """The models of the project, each after those it reads."""

    fingerprint: str  # of all that decides the SQL
    as_of: str  # the instant the SQL was compiled with, ISO 8601: it stands in it as a literal
    models: list[PlannedModel]
    seeds: list[PlannedSeed]
    build_only: list[str]  # models (`schema.name`) that are of no use without the documents' text

    @property
    def relations(self) -> set[tuple[str, str]]:
        """Schema and name of everything the project makes."""
        return {(model.schema, model.name) for model in self.models} | {(seed.schema, seed.name) for seed in self.seeds}

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        with partial_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def read_plan(path: Path, fingerprint: str) -> Plan | None:
    """The plan at `path` if it is one with this fingerprint."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["fingerprint"] != fingerprint:
            return None
        models = [PlannedModel(**model) for model in content["models"]]
        seeds = [PlannedSeed(**seed) for seed in content["seeds"]]
        return Plan(fingerprint, content["as_of"], models, seeds, content["build_only"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def plan_of(
    fingerprint: str, as_of: str, nodes: Iterable[Any], full_sql: Mapping[str, str], sql: Mapping[str, str]
) -> Plan:
    """The plan of dbt's model and seed nodes.

    Args:
        nodes: of these kinds only.
        full_sql, sql: compiled SQL by unique id, of a full refresh and of an incremental run.

    Raises:
        NotPlainError: naming the model and what it asks for.
    """
    nodes = list(nodes)
    by_id = {node.unique_id: node for node in nodes if str(node.resource_type) == "model"}
    order = TopologicalSorter(
        {key: sorted(other for other in by_id[key].depends_on.nodes if other in by_id) for key in sorted(by_id)}
    )
    models = []
    for key in order.static_order():
        node, config = by_id[key], by_id[key].config
        if asks_for := _more_than_plain(node):
            raise NotPlainError(f"{node.name}: {asks_for}")
        models.append(
            PlannedModel(
                name=node.name,
                schema=node.schema,
                relation=node.relation_name,
                materialized=config.materialized,
                strategy=config.incremental_strategy if config.materialized == "incremental" else None,
                day_column=config.get("cluster_by"),
                columns=list(node.columns) if config.contract.enforced else [],
                full_sql=full_sql[key],
                sql=sql[key],
                reads=sorted(by_id[other].name for other in node.depends_on.nodes if other in by_id),
            )
        )
    seeds = [_planned_seed(node) for node in nodes if str(node.resource_type) == "seed"]
    return Plan(fingerprint, as_of, models, seeds, build_only(by_id.values()))


def build_only(models: Iterable[Any]) -> list[str]:
    """Working sets, and the views that read them, of dbt's model nodes."""
    models = list(models)
    found = {node.unique_id for node in models if node.config.materialized == "working_set"}
    size = 0
    while size != len(found):
        size = len(found)
        found |= {
            node.unique_id
            for node in models
            if node.config.materialized == "view" and found & set(node.depends_on.nodes)
        }
    return sorted(f"{node.schema}.{node.name}" for node in models if node.unique_id in found)


def _planned_seed(node: Any) -> PlannedSeed:
    types = dict(node.config.column_types)
    if asks_for := ", ".join(name for name in ("pre_hook", "post_hook", "grants") if getattr(node.config, name)):
        raise NotPlainError(f"{node.name}: {asks_for}")
    if not types or types.keys() != node.columns.keys():
        raise NotPlainError(f"{node.name}: columns without a type")
    return PlannedSeed(
        name=node.name,
        schema=node.schema,
        relation=node.relation_name,
        path=str(Path(node.root_path) / node.original_file_path),
        column_types=types,
    )


def _more_than_plain(node: Any) -> str:
    """What the model asks for that a plan does not do; empty when nothing."""
    config = node.config
    if node.language != "sql":
        return f"language {node.language}"
    if config.materialized not in _MATERIALIZATIONS:
        return f"materialized {config.materialized}"
    if config.materialized == "incremental" and config.incremental_strategy not in _STRATEGIES:
        return f"incremental_strategy {config.incremental_strategy}"
    asked = {
        "pre_hook": config.pre_hook,
        "post_hook": config.post_hook,
        "unique_key": config.unique_key,
        "grants": config.grants,
        "persist_docs": any(config.persist_docs.values()),
        "indexes": config.get("indexes"),
        "sql_header": config.get("sql_header"),
        "incremental_predicates": config.get("incremental_predicates"),
        "alias": node.alias != node.name,
        "constraints": node.constraints or any(column.constraints for column in node.columns.values()),
    }
    return ", ".join(name for name, value in asked.items() if value)


def run_plan(
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    as_of: str,
    *,
    then: str | None,
    starting: Callable[[str], None] = lambda name: None,
) -> list[tuple[PlannedModel, float]]:
    """Run the models of an incremental run, and the statement `then`, in one transaction.

    Args:
        then: without it the transaction stays open, for whoever reads on this connection what was built.
        starting: told each model's name before it is built.

    Returns:
        Each model and the seconds it took.

    Raises:
        duckdb.Error: a statement failed; nothing has changed.
    """
    done = []
    for setting, value in BY_NUMBER.items():
        connection.execute(f"set {setting} = {value}")
    connection.execute("begin")
    try:
        for model in plan.models:
            starting(model.name)
            started = time.perf_counter()
            for statement in statements(plan, model):
                connection.execute(statement.replace(f"'{plan.as_of}'", f"'{as_of}'"))
            done.append((model, time.perf_counter() - started))
        if then is None:
            return done
        for model in plan.models:
            if model.materialized == "working_set":
                connection.execute(f"drop table {model.relation}")
        connection.execute(then)
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(Exception):
            connection.execute("rollback")
        raise
    return done


def run_full_plan(
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    as_of: str,
    *,
    starting: Callable[[str], None] = lambda name: None,
) -> list[tuple[PlannedModel | PlannedSeed, float]]:
    """Build everything in a database that holds the raw tables only; dbt would run the same SQL.

    Tables of a few row groups keep one core busy: models that do not wait for each other run at the same time.

    Args:
        starting: told each model's name before it is built.

    Returns:
        Each seed and model and the seconds it took.

    Raises:
        duckdb.Error: a statement failed; what was built before stays.
    """
    # that of every commit is none for a build of many
    connection.execute("set checkpoint_threshold = '16MB'")
    for schema in sorted({schema for schema, _ in plan.relations}):
        connection.execute(f'create schema if not exists "{schema}"')
    done: list[tuple[PlannedModel | PlannedSeed, float]] = []

    def make(planned: PlannedModel | PlannedSeed, to_run: list[str]) -> tuple[PlannedModel | PlannedSeed, float]:
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            for statement in to_run:
                cursor.execute(statement.replace(f"'{plan.as_of}'", f"'{as_of}'"))
        return planned, time.perf_counter() - started

    done += [make(seed, _seed_statements(seed)) for seed in plan.seeds]
    by_name = {model.name: model for model in plan.models}
    order = TopologicalSorter({model.name: model.reads for model in plan.models})
    order.prepare()
    running: set[Future[tuple[PlannedModel | PlannedSeed, float]]] = set()
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            while order.is_active():
                for name in order.get_ready():
                    starting(name)
                    running.add(pool.submit(make, by_name[name], [full_statement(by_name[name])]))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    done.append(future.result())
                    order.done(done[-1][0].name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def full_statement(model: PlannedModel) -> str:
    """DuckDB's statement for one model of a full build."""
    if model.materialized in ("view", "working_set"):
        return f"create or replace view {model.relation} as (\n{model.full_sql}\n)"
    return _create_table(model, model.full_sql)


def _seed_statements(seed: PlannedSeed) -> list[str]:
    columns = ", ".join(f'"{name}" {kind}' for name, kind in seed.column_types.items())
    return [
        f"create or replace table {seed.relation} ({columns})",
        f"copy {seed.relation} from {literal(seed.path)} (format csv, header true, delimiter ',')",
    ]


def _create_table(model: PlannedModel, sql: str) -> str:
    rows = sql
    if model.columns:
        rows = f"select {', '.join(model.columns)}\nfrom (\n{sql}\n) as model_subq"
    return f"create or replace table {model.relation} as (\n{rows}\n)"


def statements(plan: Plan, model: PlannedModel) -> list[str]:
    """DuckDB's statements for one model of an incremental run, as dbt's materializations have them."""
    if model.materialized == "view":
        return [f"create or replace view {model.relation} as (\n{model.sql}\n)"]
    if model.materialized != "incremental":
        return [_create_table(model, model.sql)]
    delete = _delete_touched_sessions(plan, model) if model.strategy == "touched_sessions" else []
    return [*delete, f"insert into {model.relation} by name (\n{model.sql}\n)"]


def _delete_touched_sessions(plan: Plan, model: PlannedModel) -> list[str]:
    """What the macro of this name writes in dbt; a test holds that it is the same to the letter."""
    relations = {other.name: other.relation for other in plan.models}
    touched = f"select session_id from {relations['int_touched_sessions']} where is_touched"
    day, delete = model.day_column, f"delete from {model.relation}\n        where"
    if day is None:
        return [f"{delete} session_id in ({touched})"]
    days = relations["int_touched_days"]
    without_day = f"exists (select 1 from {days} where date_key is null)"
    return [
        f"{delete} {day} in (select date_key from {days}) and session_id in ({touched})",
        f"{delete} {day} is null and session_id in ({touched} and {without_day})",
    ]
