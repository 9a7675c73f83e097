"""Does the working copy hold together? Great Expectations suites over every layer, before anything is published.

The suites, what they run on and the checkpoint are the file context `gx/`. Great Expectations takes seconds to
import, so it is imported here and only when it runs.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.common.process import environment
from analytics.common.progress import steps
from analytics.common.text import excerpt
from analytics.errors import AnalyticsError, ConfigError, ValidationFailedError, first_line
from analytics.quality import data_docs
from analytics.quality.result import Check, ValidationResult
from analytics.settings import PROJECT_ROOT, Settings
from analytics.warehouse.marts import open_version

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.data_context import AbstractDataContext

GX_DIR = PROJECT_ROOT / "gx"
CHECKPOINT = "analytics_checkpoint"

# Runs kept in the data docs; each is a page per layer, and all of them are listed on the index.
KEEP_RUNS = 10


def validate(
    settings: Settings,
    *,
    checkpoint: str = CHECKPOINT,
    build_docs: bool = True,
    raise_on_failure: bool = True,
) -> ValidationResult:
    """Run a checkpoint on the working copy, or on the published database when there is none.

    Args:
        checkpoint: a checkpoint of gx/checkpoints.
        build_docs: write the data docs (HTML) to `settings.data_docs_dir`.
        raise_on_failure: False returns failures as well, to show them; `raise_if_failed()` of the result ends it.

    Raises:
        ValidationFailedError: a critical expectation failed; one line with expectation, table and rows.
        ConfigError: no such checkpoint.
        AnalyticsError: there is no database, or it cannot be read, or the results cannot be written.
    """
    with disk_errors("validate", settings.data_dir), steps("validate") as starting:
        result = _validate(settings, checkpoint, build_docs, starting)
    if raise_on_failure:
        result.raise_if_failed()
    return result


def _validate(
    settings: Settings, checkpoint: str, build_docs: bool, starting: Callable[[str], None]
) -> ValidationResult:
    started = time.perf_counter()
    known = sorted(path.stem for path in (GX_DIR / "checkpoints").glob("*.json"))
    if checkpoint not in known:
        raise ConfigError(f"--checkpoint {checkpoint!r}: not in {GX_DIR / 'checkpoints'}; there is {', '.join(known)}")
    database = settings.build_path if settings.build_path.exists() else settings.published_path.resolve()
    if not database.exists():
        raise AnalyticsError(f"nothing to validate at {settings.build_path}: run `claude-analytics load` first")
    reached("validate.started")
    snapshot_id, loaded, engine, data_tests = _loaded(database)
    documents, notes = _documents_in_iceberg(settings, snapshot_id, loaded)

    starting("Great Expectations starts")
    with _gx_environment(settings, database), _gx_context(starting) as context:
        from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier

        outcome = _run(context, checkpoint, documents)
        reached("validate.checked")
        if build_docs:
            _remove_broken_results(settings)
            _prune_runs(settings)
            starting("data docs")
            # the pages of earlier runs are as they were
            suites = [ExpectationSuiteIdentifier(result.suite_name) for result in outcome.run_results.values()]
            context.build_data_docs(resource_identifiers=[*suites, *outcome.run_results], build_index=False)
    # layer -> the table of its batch, `select * from it` in great_expectations.yml
    layers = {
        definition.name: definition.asset.query.split()[-1]
        for definition in outcome.checkpoint_config.validation_definitions
    }
    by_layer = {result.suite_name: result.results for result in outcome.run_results.values()}
    result = ValidationResult(
        database=database,
        checks=[_check(layer, batch, item) for layer, batch in layers.items() for item in by_layer[layer]],
        docs_path=settings.data_docs_dir / "index.html" if build_docs else None,
        duration_seconds=round(time.perf_counter() - started, 3),
        notes=notes,
        engine=engine,
        data_tests=data_tests,
    )
    if build_docs:
        data_docs.finish(settings.data_docs_dir, result, GX_DIR / "plugins")
    reached("validate.finished")
    return result


def _loaded(database: Path) -> tuple[int | None, int, str, int]:
    """The Iceberg snapshot that was loaded, documents said to be loaded, and what built the models: its name, and how
    many tests of dbt held there."""
    import duckdb

    from analytics.warehouse.built_with import engine_of

    try:
        with open_version(database) as connection:
            state = connection.sql("select iceberg_snapshot_id, documents from raw.load_state").fetchone()
            snapshot_id, documents = state or (None, 0)
            return snapshot_id, documents, *engine_of(connection)
    except duckdb.Error as error:
        raise AnalyticsError(f"{database} cannot be validated: {first_line(error)}") from None


def _documents_in_iceberg(settings: Settings, snapshot_id: int | None, loaded: int) -> tuple[int, list[str]]:
    """Documents in the Iceberg snapshot that was loaded, and what a person should know about it."""
    if snapshot_id is None:
        return loaded, []
    try:
        from analytics.raw.glance import glance

        seen = glance(settings)
    except Exception as error:
        # a catalog out of reach must not stop a run that has loaded already
        return loaded, [f"rows were not compared with Iceberg: {first_line(error)}"]
    documents = None if seen is None else seen.rows(snapshot_id)
    if seen is None or documents is None:
        return loaded, ["rows were not compared with Iceberg: the loaded snapshot has expired"]
    behind = (seen.rows(seen.snapshot_id) or 0) - documents
    return documents, [f"documents in Iceberg that are not loaded yet: {behind:,}"] if behind else []


@contextlib.contextmanager
def _gx_environment(settings: Settings, database: Path) -> Iterator[None]:
    """The variables of gx/great_expectations.yml, for the time of one run."""
    from analytics.quality.gx_duckdb import read_only_url

    values = {
        "GX_ANALYTICS_ENABLED": "false",
        "ANALYTICS_GX_DATABASE": read_only_url(database),
        "ANALYTICS_GX_RESULTS": str(_results_dir(settings)),
        "ANALYTICS_GX_DATA_DOCS": str(settings.data_docs_dir),
    }
    with environment(values):
        yield


def _results_dir(settings: Settings) -> Path:
    return settings.data_docs_dir / "results"


@contextlib.contextmanager
def _gx_context(starting: Callable[[str], None]) -> Iterator[AbstractDataContext]:
    """The file context with its expectations registered; the database is closed when the block ends.

    `starting` is told the first table of each query.
    """
    from sqlalchemy import event

    from analytics.quality.great import gx

    context = gx.get_context(mode="file", context_root_dir=GX_DIR)
    import analytics_expectations  # noqa: F401  # in gx/plugins, which the context put on the path

    data_docs.escape_texts()

    source = context.data_sources.get("analytics")

    def tell(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if table := re.search(r"\bfrom (\w+\.\w+)", statement, re.IGNORECASE):
            starting(table[1])

    event.listen(source.get_execution_engine().engine, "before_cursor_execute", tell)
    try:
        yield context
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()


def _run(context: AbstractDataContext, checkpoint: str, documents: int) -> Any:
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.exceptions import GreatExpectationsError

    now = utc_now()
    try:
        return context.checkpoints.get(checkpoint).run(
            expectation_parameters={"iceberg_documents": documents},
            run_id=RunIdentifier(run_name=f"{now:%Y%m%dT%H%M%S.%f}Z", run_time=now),
        )
    except GreatExpectationsError as error:
        raise ValidationFailedError(f"validation failed, nothing is published: {first_line(error)}") from None


def _remove_broken_results(settings: Settings) -> None:
    """What a kill or a full disk left half written: the documentation is built from all results there are."""
    for path in _results_dir(settings).rglob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            path.unlink()


def _prune_runs(settings: Settings) -> None:
    """Keep the last runs; `results/<layer>/<run>/` and `validations/<layer>/<run>/` are named alike."""
    for layer in _results_dir(settings).glob("*"):
        for run in sorted(layer.iterdir(), reverse=True)[KEEP_RUNS:]:
            shutil.rmtree(run)
            shutil.rmtree(settings.data_docs_dir / "validations" / layer.name / run.name, ignore_errors=True)


def _check(layer: str, batch: str, item: ExpectationValidationResult) -> Check:
    config = item.expectation_config
    result = item.result or {}
    examples = (result.get("details") or {}).get("unexpected_rows") or []
    observed = result.get("observed_value")
    if "value" in config.kwargs and isinstance(observed, int):  # a row count that should have been another
        failing = abs(observed - config.kwargs["value"]) if isinstance(config.kwargs["value"], int) else observed
    else:
        failing = observed or 0
    tables = list(dict.fromkeys(row["table_name"] for row in examples if row.get("table_name")))
    return Check(
        layer=layer,
        expectation=config.type,
        description=config.description or "",
        severity=str(getattr(config.severity, "value", config.severity) or "critical"),
        success=bool(item.success),
        tables=tables or [batch],
        failing_rows=0 if item.success else int(failing),
        examples=[dict(row) for row in examples],
        error=_exception(item.exception_info),
    )


def _exception(info: Any) -> str | None:
    """The first line of what was raised; GX nests it by metric, or not."""
    if not isinstance(info, dict):
        return None
    if info.get("raised_exception"):
        message = str(info.get("exception_message") or "unknown error")
        return excerpt(" ".join(message.split()), 300)
    for nested in info.values():
        found = _exception(nested)
        if found:
            return found
    return None
