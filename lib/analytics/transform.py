"""Raw to gold: dbt, run inside this process on the working copy.

One process and one parse cache make a build of the whole project mostly the SQL itself. The cache (and all
else dbt writes) lies under `DATA_DIR/dbt`, so the checkout stays clean and may be read-only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.clock import utc_now
from analytics.errors import AnalyticsError, ConfigError
from analytics.faults import reached
from analytics.files import disk_errors
from analytics.inputs import current_inputs
from analytics.pricing import read_overrides
from analytics.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

DBT_DIR = PROJECT_ROOT / "dbt"
PROJECT_NAME = "claude_code_analytics"

# Transcripts are private: dbt's own switch, and the one other tools agree on.
_ENVIRONMENT = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}

_NO_NETWORK = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self' 'unsafe-inline' "
    "'unsafe-eval' data: blob:\">"
)

# dbt selectors. A working copy holds the JSON of the documents of its load only, so staging, which keeps what
# was parsed of all of them, cannot be rebuilt without loading all of them again; everything after it can.
_STAGING = "path:models/staging"
_AFTER_STAGING = ("path:models/intermediate", "path:models/marts", "path:seeds")


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
    with disk_errors("transform", settings.data_dir):
        return _transform(settings, full_refresh, models, test, as_of)


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
    before = _read_state(settings.build_path)
    arguments = ["build", "--no-write-json", "--vars", json.dumps(variables)]
    kinds = ["model", *(["test"] if test else [])]
    if before.inputs != current_inputs(settings).building:
        kinds.append("seed")
    for kind in kinds:
        arguments += ["--resource-type", kind]
    if models:
        arguments += ["--select", *models.split()]

    results: list[Any] = []
    warnings: list[str] = []
    with dbt_session(settings) as (manifest, invoke):
        now = _State.of(settings, manifest, variables)
        rebuild = full_refresh or before.load_was_full or before.definitions not in (None, now.definitions)
        if not rebuild:
            results += invoke(arguments).results
        elif before.load_was_full:
            results += invoke([*arguments, "--full-refresh"]).results
        else:
            results += invoke([*arguments, "--exclude", *_AFTER_STAGING]).results
            results += invoke([*arguments, "--exclude", _STAGING, "--full-refresh"]).results
    if models and not results:
        raise ConfigError(f"--models {models!r}: selects nothing; `dbt ls` in {DBT_DIR} lists the names")
    if before.reading not in (None, now.reading) and not before.load_was_full:
        warnings.append(
            "documents are read differently since they were loaded: run the pipeline once with --full-refresh"
        )
        now = replace(now, reading=before.reading)
    reached("transform.built")
    if not models:
        _write_state(settings.build_path, now)
    reached("transform.finished")
    return TransformResult(
        models=_with_rows(settings.build_path, [_model_run(result) for result in results]),
        duration_seconds=round(time.perf_counter() - started, 3),
        full_refresh=rebuild,
        warnings=warnings + _warnings(settings.build_path, results),
    )


def docs(settings: Settings, *, serve: bool = True, port: int = 8080) -> Path:
    """Write the dbt documentation as one HTML file; `serve` it on this machine until interrupted.

    Returns the file, `DATA_DIR/dbt/target/static_index.html`. Column types come from the published database
    when there is one, else from the working copy, else from nowhere.

    Raises:
        AnalyticsError: the project does not compile, or the port is taken.
    """
    database = next((path for path in (settings.published_path, settings.build_path) if path.exists()), None)
    arguments = ["docs", "generate", "--static", "--no-compile"]
    if database is None:
        arguments.append("--empty-catalog")
    with dbt_session(settings, database=database, read_only=True) as (_, invoke):
        invoke(arguments)
    page = _target_dir(settings) / "static_index.html"
    # dbt's page carries a usage tracker. It is off (send_anonymous_usage_stats), and now has no way out either.
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("<head>", f"<head>{_NO_NETWORK}", 1), encoding="utf-8")
    if serve:
        _serve(page, port)
    return page


@contextlib.contextmanager
def dbt_session(
    settings: Settings, *, database: Path | None = None, read_only: bool = False
) -> Iterator[tuple[Manifest, Callable[[list[str]], Any]]]:
    """The parsed project and a function that runs a dbt command (a list of arguments) and returns its result.

    The project is parsed first, without variables: the parse cache stays valid from run to run although
    `as_of` changes each time. When the block ends, no connection to the database is left open.

    Raises:
        AnalyticsError: from the function, when the command failed; one line naming the model or test and what
            the engine said. From the block's start, when the project cannot be parsed.
    """
    runner = _import_dbt_runner()
    with _dbt_environment(database or settings.build_path, read_only):
        try:
            parsed = runner().invoke(_options(settings, ["parse", "--no-write-json", *_parse_cache_option(settings)]))
            if not parsed.success:
                raise _parse_error(settings, parsed.exception)
            _parse_cache_mark(settings).write_text(_files_fingerprint())

            def invoke(arguments: list[str]) -> Any:
                outcome = runner(manifest=parsed.result).invoke(_options(settings, arguments))
                if not outcome.success:
                    raise AnalyticsError(_failure(outcome))
                return outcome.result

            yield parsed.result, invoke
        finally:
            _close_connections()


def _import_dbt_runner() -> type[dbtRunner]:
    """`dbtRunner`, without the grammar of international URLs that jsonschema compiles on import (0.8 s)."""
    unneeded = "rfc3987_syntax"
    skip = unneeded not in sys.modules
    if skip:
        sys.modules[unneeded] = None  # type: ignore[assignment]  # an ImportError, which jsonschema expects
    try:
        from dbt.cli.main import dbtRunner
    finally:
        if skip:
            del sys.modules[unneeded]
    return dbtRunner


def _parse_cache_mark(settings: Settings) -> Path:
    return _target_dir(settings) / "parsed_files"


def _parse_cache_option(settings: Settings) -> list[str]:
    """dbt's partial parsing misses some changes (a model added beside its older yml): all or nothing."""
    try:
        unchanged = _parse_cache_mark(settings).read_text() == _files_fingerprint()
    except OSError:
        unchanged = False
    return [] if unchanged else ["--no-partial-parse"]


def _files_fingerprint() -> str:
    """Hash of every file dbt reads from the project."""
    digest = hashlib.sha256()
    for path in sorted(DBT_DIR.rglob("*")):
        if path.suffix in {".sql", ".yml", ".csv", ".md"} and "target" not in path.parts:
            digest.update(f"{path.relative_to(DBT_DIR)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class _State:
    """What the tables of a working copy were built with; one row in `raw.transform_state`."""

    definitions: str | None  # fingerprint of models, prices and time zone after staging
    reading: str | None  # fingerprint of staging
    inputs: str | None  # `Inputs.building`; when it changes, the seeds are written again
    load_was_full: bool = False

    @classmethod
    def of(cls, settings: Settings, manifest: Manifest, variables: dict[str, Any]) -> _State:
        """The state a build of this project with these variables leaves behind."""
        constant = {name: value for name, value in variables.items() if name != "as_of"}
        prices = [n.checksum.checksum for n in manifest.nodes.values() if n.name == "model_pricing"]
        return cls(
            definitions=_fingerprint(manifest, ("intermediate", "marts"), json.dumps([constant, prices])),
            reading=_fingerprint(manifest, ("staging",), ""),
            inputs=current_inputs(settings).building,
        )


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
    models = {key: node for key, node in manifest.nodes.items() if node.resource_type == "model"}
    waiting = [key for key, node in models.items() if node.config.materialized == "incremental"]
    found: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in models and key not in found:
            found.add(key)
            waiting += models[key].depends_on.nodes
    return [models[key] for key in sorted(found)]


def _read_state(database: Path) -> _State:
    """What the working copy was built with, and whether its load brought every document."""
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:

        def row(query: str) -> tuple[Any, ...] | None:
            try:
                return connection.execute(query).fetchone()
            except (duckdb.CatalogException, duckdb.BinderException):
                return None

        built_with = row("select definitions, reading, inputs from raw.transform_state") or (None, None, None)
        (full,) = row("select full_refresh from raw.load_state") or (False,)
    return _State(*built_with, load_was_full=bool(full))


def _write_state(database: Path, state: _State) -> None:
    import duckdb

    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema if not exists raw")
        connection.execute(
            "create or replace table raw.transform_state as"
            " select ?::varchar as definitions, ?::varchar as reading, ?::varchar as inputs",
            [state.definitions, state.reading, state.inputs],
        )


def _target_dir(settings: Settings) -> Path:
    return settings.data_dir / "dbt" / "target"


def _options(settings: Settings, arguments: list[str]) -> list[str]:
    return [
        "--quiet",
        "--no-version-check",
        *("--log-level", "none", "--log-level-file", "info"),
        *("--log-path", str(settings.data_dir / "dbt" / "logs")),
        *arguments,
        *("--project-dir", str(DBT_DIR)),
        *("--profiles-dir", str(DBT_DIR)),
        *("--target", settings.dbt_target),
        *("--target-path", str(_target_dir(settings))),
    ]


@contextlib.contextmanager
def _dbt_environment(database: Path, read_only: bool) -> Iterator[None]:
    """The variables dbt/profiles.yml reads, for the time of one session."""
    values = {
        **_ENVIRONMENT,
        "ANALYTICS_BUILD_PATH": str(database),
        "ANALYTICS_ACCESS_MODE": "read_only" if read_only else "automatic",
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _close_connections() -> None:
    """dbt-duckdb keeps the database open for the process: what follows needs it closed and checkpointed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()


def _parse_error(settings: Settings, exception: BaseException | None) -> AnalyticsError:
    text = _one_line(exception)
    if "does not have a target named" in text:
        return ConfigError(f"DBT_TARGET={settings.dbt_target!r}: not a target of {DBT_DIR / 'profiles.yml'}")
    return AnalyticsError(f"dbt cannot read the project: {text}")


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


def _with_rows(database: Path, runs: list[ModelRun]) -> list[ModelRun]:
    """The same runs with the number of rows each table holds now."""
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:
        tables = set(connection.sql("select schema_name, table_name from duckdb_tables()").fetchall())
        named = [(run.schema, run.name) for run in runs if (run.schema, run.name) in tables]
        if not named:
            return runs
        counts = connection.sql(
            " union all ".join(f"select {i}, count(*) from {s}.{t}" for i, (s, t) in enumerate(named))
        ).fetchall()
    rows = {named[i]: count for i, count in counts}
    return [replace(run, rows=rows.get((run.schema, run.name))) for run in runs]


def _warnings(database: Path, results: list[Any]) -> list[str]:
    """Tests that warned, and models without a price."""
    import duckdb

    found = [f"{r.node.name}: {_one_line(r.message)}" for r in results if str(r.status) == "warn"]
    with duckdb.connect(str(database), read_only=True) as connection:
        try:
            unpriced = connection.execute(
                "select model, count(*) from marts.fct_messages"
                " where message_kind = 'response' and not is_priced group by model order by model"
            ).fetchall()
        except duckdb.CatalogException:  # not built yet
            return found
    return found + [
        f"no price for model {model}: {count} responses have no cost; add it to PRICING_OVERRIDES"
        for model, count in unpriced
    ]


def _failure(outcome: Any) -> str:
    """One line: which model or test, what the engine said, how many more."""
    if outcome.result is None or not hasattr(outcome.result, "results"):
        return f"dbt failed: {_one_line(outcome.exception)}"
    failed = [r for r in outcome.result.results if str(r.status) in ("error", "fail", "runtime error")]
    if not failed:
        return f"dbt failed: {_one_line(outcome.exception)}"
    first = failed[0]
    kind = str(first.node.resource_type).replace("_", " ")
    more = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
    return f"dbt {kind} {first.node.name} failed: {_one_line(first.message)}{more}"


def _one_line(message: object) -> str:
    """The message without dbt's framing: no line breaks, no repeated node name, no path into the build."""
    text = re.sub(r"\s+", " ", str(message)).strip().partition(" > in macro ")[0]
    return re.sub(r"^(?:Runtime|Compilation|Database|Parsing) Error(?: in \w+ \S+ \([^)]*\))? ?", "", text)


def _serve(page: Path, port: int) -> None:
    """Serve the one page on the loopback interface until Ctrl-C."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    body = page.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise AnalyticsError(f"cannot serve the docs on port {port}: {error.strerror}; choose another port") from None
    with server:
        print(f"dbt docs: http://127.0.0.1:{port}/ (Ctrl-C stops)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
