"""Raw to gold: dbt, run inside this process on the working copy.

One process and one parse cache make a build of the whole project mostly the SQL itself. The cache (and everything else
dbt writes) lies under `DATA_DIR/dbt`, so the checkout stays clean and may be read-only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.errors import AnalyticsError, ConfigError
from analytics.pricing import read_overrides
from analytics.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

DBT_DIR = PROJECT_ROOT / "dbt"

# Transcripts are private: dbt's own switches, and the one other tools agree on.
_ENVIRONMENT = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class ModelRun:
    """What one node of the dbt graph did."""

    name: str
    schema: str
    kind: str  # model, seed or test
    status: str  # success, pass, warn, skipped
    seconds: float
    rows: int | None  # rows in the table after the run; null for tests


@dataclass(frozen=True)
class TransformResult:
    """What dbt built, and what a person should hear about it."""

    models: list[ModelRun]
    duration_seconds: float
    full_refresh: bool
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

    Args:
        full_refresh: rebuild the incremental models from everything that was loaded.
        models: a dbt selector such as `+fct_messages`; default everything.
        test: run the data tests after each model as well.
        as_of: the instant that "today" and "current" mean in the marts; default now.

    Raises:
        AnalyticsError: no working copy, or a model or test failed; one line naming it.
        ConfigError: wrong prices in PRICING_OVERRIDES, unknown DBT_TARGET or a selector that matches nothing.
    """
    started = time.perf_counter()
    if not settings.build_path.exists():
        raise AnalyticsError(f"no working copy at {settings.build_path}: run `claude-analytics load` first")
    variables = {
        "analytics_tz": settings.analytics_tz,
        "as_of": (as_of or datetime.now(UTC)).astimezone(UTC).isoformat(),
        "pricing_overrides": [row.as_strings() for row in read_overrides(settings.pricing_overrides)],
    }
    arguments = ["build", "--vars", json.dumps(variables)]
    arguments += ["--exclude-resource-type", "unit_test"]
    if not test:
        arguments += ["--exclude-resource-type", "test"]
    if full_refresh:
        arguments.append("--full-refresh")
    if models:
        arguments += ["--select", *models.split()]
    outcome = run_dbt(settings, arguments)
    runs = [_model_run(result) for result in outcome.result.results]
    if models and not runs:
        raise ConfigError(f"--models {models!r}: selects no model of {DBT_DIR}")
    runs = _with_rows(settings.build_path, runs)
    return TransformResult(
        models=runs,
        duration_seconds=round(time.perf_counter() - started, 3),
        full_refresh=full_refresh,
        warnings=_warnings(settings.build_path, outcome.result.results),
    )


def docs(settings: Settings, *, serve: bool = True, port: int = 8080) -> Path:
    """Write the dbt documentation as one HTML file; `serve` it on this machine until interrupted.

    Returns the file, `DATA_DIR/dbt/target/static_index.html`. Column types and row counts come from the published
    database when there is one, else from the working copy.

    Raises:
        AnalyticsError: the project does not compile.
    """
    database = settings.published_path if settings.published_path.exists() else settings.build_path
    arguments = ["docs", "generate", "--static", "--no-compile"]
    if not database.exists():
        arguments.append("--empty-catalog")
    run_dbt(settings, arguments, database=database)
    page = _target_dir(settings) / "static_index.html"
    if serve:
        _serve(page, port)
    return page


def run_dbt(settings: Settings, arguments: list[str], *, database: Path | None = None) -> Any:
    """Run one dbt command in this process and return its `dbtRunnerResult`.

    The project is parsed first, without variables: the parse cache stays valid from run to run although `as_of`
    changes each time. When this returns, no connection to the database is left open.

    Raises:
        AnalyticsError: the command failed; one line naming the model or test and what the engine said.
    """
    from dbt.cli.main import dbtRunner

    with _dbt_environment(settings, database or settings.build_path):
        try:
            parsed = dbtRunner().invoke(_options(settings, ["parse"]))
            if not parsed.success:
                raise AnalyticsError(f"dbt cannot read the project: {_one_line(parsed.exception)}")
            manifest: Manifest = parsed.result
            outcome = dbtRunner(manifest=manifest).invoke(_options(settings, arguments))
        finally:
            _close_connections()
    if not outcome.success:
        raise AnalyticsError(_failure(outcome))
    return outcome


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
def _dbt_environment(settings: Settings, database: Path) -> Iterator[None]:
    """The variables dbt/profiles.yml reads, for the time of one command."""
    values = {**_ENVIRONMENT, "ANALYTICS_BUILD_PATH": str(database)}
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
    """dbt-duckdb keeps the database open for the process: validate and publish need it closed and checkpointed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()


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
    return [ModelRun(**{**vars(run), "rows": rows.get((run.schema, run.name))}) for run in runs]


def _warnings(database: Path, results: list[Any]) -> list[str]:
    """Tests that warned, and models without a price."""
    import duckdb

    found = [f"{r.node.name}: {_one_line(r.message)}" for r in results if str(r.status) == "warn"]
    with duckdb.connect(str(database), read_only=True) as connection:
        try:
            unpriced = connection.sql(
                "select model, response_count from marts.dim_models where not is_priced order by model"
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
    text = re.sub(r"\s+", " ", str(message)).strip()
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
        raise AnalyticsError(
            f"cannot serve the docs on port {port}: {error.strerror}; choose another port"
        ) from None
    with server:
        print(f"dbt docs: http://127.0.0.1:{port}/ (Ctrl-C stops)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
