"""dbt, run inside this process.

What dbt parsed, compiled and logged lies under `DATA_DIR/dbt`, so the checkout stays clean and may be read-only.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from analytics.common.process import environment, without_url_grammar
from analytics.common.text import TerminalStream
from analytics.errors import AnalyticsError, ConfigError
from analytics.settings import Settings
from analytics.warehouse import built_with
from analytics.warehouse.built_with import DBT_DIR
from analytics.warehouse.working_copy import MEMORY_LIMIT, chosen_memory_limit

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunner, dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

# Transcripts are private: dbt's own switch, and the one other tools agree on.
_ENVIRONMENT = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


@contextlib.contextmanager
def dbt_session(
    settings: Settings,
    *,
    database: Path | None = None,
    read_only: bool = False,
    vacuum_tasks: int = 0,
    memory_limit: str | None = None,
    starting: Callable[[str], None] | None = None,
    on_sql: Callable[[str, str], None] | None = None,
) -> Iterator[tuple[Manifest, Callable[[list[str]], Any]]]:
    """The parsed project and a function that runs a dbt command (a list of arguments) and returns its result.

    The project is parsed without variables: what was parsed stays valid although `as_of` changes each time. When the
    block ends, no connection to the database is left open.

    Args:
        database: the DuckDB file to work on; default the working copy.
        vacuum_tasks, memory_limit: see `analytics.warehouse.working_copy`.
        starting: told the name of each model, seed and test before it runs.
        on_sql: told the name of the node, and each statement it sends to the database.

    Raises:
        AnalyticsError: from the function, when the command failed; one line naming the model or test and what
            the engine said. From the block's start, when the project cannot be parsed.
    """
    with without_url_grammar():
        from dbt.cli.main import dbtRunner
    database = database or settings.build_path
    variables = {
        **_ENVIRONMENT,
        "ANALYTICS_BUILD_PATH": str(database),
        "ANALYTICS_ACCESS_MODE": "read_only" if read_only else "automatic",
        "ANALYTICS_MEMORY_LIMIT": memory_limit or chosen_memory_limit() or MEMORY_LIMIT,
        "ANALYTICS_MAX_VACUUM_TASKS": str(vacuum_tasks),
    }
    with environment(variables):
        try:
            manifest = _parsed_project(settings, database)

            def tell(event: Any) -> None:
                if starting is not None and event.info.name == "NodeStart":
                    starting(event.data.node_info.node_name)
                if on_sql is not None and event.info.name == "SQLQuery":
                    on_sql(event.data.node_info.node_name, event.data.sql)

            def invoke(arguments: list[str]) -> Any:
                outcome = _outcome(dbtRunner(manifest=manifest, callbacks=[tell]), _options(settings, arguments))
                if not outcome.success:
                    raise AnalyticsError(_failure(settings, outcome))
                return outcome.result

            yield manifest, invoke
        finally:
            _close_connections()


# Commands of dbt that write to the database.
_WRITING = {"run", "build", "seed", "snapshot", "run-operation", "retry", "clone"}


def run_dbt(settings: Settings, arguments: list[str]) -> None:
    """Run a command of dbt as a user typed it, on the working copy, else read-only on the published database.

    Raises:
        AnalyticsError: there is no database that the command could work on, or the command failed (dbt said why).
    """
    with without_url_grammar():
        from dbt.cli.main import dbtRunner
    writes = arguments[0] in _WRITING or arguments[0] == "test"
    published = settings.published_path.resolve()
    database = settings.build_path if writes or settings.build_path.exists() else published
    if writes and not database.exists():
        raise AnalyticsError(f"dbt {arguments[0]} needs a working copy: run `claude-analytics load` first")
    variables = {"analytics_tz": settings.analytics_tz}
    with environment(
        {
            **_ENVIRONMENT,
            "DBT_USE_COLORS": "false",  # they would not get through
            "ANALYTICS_BUILD_PATH": str(database),
            "ANALYTICS_ACCESS_MODE": "automatic" if database == settings.build_path else "read_only",
            "ANALYTICS_MEMORY_LIMIT": chosen_memory_limit() or MEMORY_LIMIT,
        }
    ):
        where = ["--project-dir", str(DBT_DIR), "--profiles-dir", str(DBT_DIR), "--target", settings.dbt_target]
        where += ["--target-path", str(target_dir(settings)), "--log-path", str(settings.data_dir / "dbt" / "logs")]
        if "--vars" not in arguments and arguments[0] not in ("debug", "clean", "deps"):
            where += ["--vars", json.dumps(variables)]
        # `show` prints rows, and they hold what stands in transcripts
        shown = cast("TextIO", TerminalStream(sys.stdout))
        try:
            with contextlib.redirect_stdout(shown):
                outcome = _outcome(dbtRunner(), [*arguments, *where])
        finally:
            _close_connections()
    if not outcome.success:
        said = f": {_reason(settings, outcome.exception)}" if outcome.exception else ""
        raise AnalyticsError(f"dbt {arguments[0]} failed{said}")


def _parsed_project(settings: Settings, database: Path) -> Manifest:
    """The project as dbt parses it, with dbt's own partial parsing as long as no file of it has changed.

    Partial parsing notices the path of the database and misses some changes (a model added beside its older yml).
    """
    from dbt.cli.main import dbtRunner
    from dbt.constants import PARTIAL_PARSE_FILE_NAME
    from dbt.contracts.graph.manifest import Manifest

    parsed_with = target_dir(settings) / "parsed_with"
    now = built_with.current(settings).project
    if not parsed_with.exists() or parsed_with.read_text(encoding="utf-8") != now:
        (target_dir(settings) / PARTIAL_PARSE_FILE_NAME).unlink(missing_ok=True)
    # only the name of the database stands in what was parsed
    with environment({"ANALYTICS_BUILD_PATH": database.name}):
        parsed = _outcome(dbtRunner(), _options(settings, ["parse", "--no-write-json"]))
    manifest = parsed.result
    if not parsed.success or not isinstance(manifest, Manifest):
        raise _parse_error(settings, parsed.exception)
    parsed_with.write_text(now, encoding="utf-8")
    return manifest


def _outcome(runner: dbtRunner, arguments: list[str]) -> dbtRunnerResult:
    """What dbt made of a command. dbt takes Ctrl-C for an error like any other; here it goes on being one."""
    outcome = runner.invoke(arguments)
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        raise outcome.exception
    return outcome


def target_dir(settings: Settings) -> Path:
    """Where dbt writes what it compiled."""
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
        *("--target-path", str(target_dir(settings))),
    ]


def _close_connections() -> None:
    """dbt-duckdb keeps the database open for the process: what follows needs it closed and checkpointed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()


def _parse_error(settings: Settings, exception: BaseException | None) -> AnalyticsError:
    text = _reason(settings, exception)
    if "does not have a target named" in text:
        return ConfigError(f"DBT_TARGET={settings.dbt_target!r}: not a target of {DBT_DIR / 'profiles.yml'}")
    return AnalyticsError(f"dbt cannot read the project: {text}")


def _reason(settings: Settings, exception: BaseException | None) -> str:
    """What dbt said, and where it said more when that is nothing."""
    text = one_line(exception or "")
    if text:
        return text
    kind = type(exception).__name__ if exception else "no reason given"
    return f"{kind}; log: {settings.data_dir / 'dbt' / 'logs' / 'dbt.log'}"


def _failure(settings: Settings, outcome: Any) -> str:
    """One line: which model or test, what the engine said, how many more."""
    if outcome.result is None or not hasattr(outcome.result, "results"):
        return f"dbt failed: {_reason(settings, outcome.exception)}"
    failed = [r for r in outcome.result.results if str(r.status) in ("error", "fail", "runtime error")]
    if not failed:
        return f"dbt failed: {_reason(settings, outcome.exception)}"
    first = failed[0]
    kind = str(first.node.resource_type).replace("_", " ")
    more = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
    return f"dbt {kind} {first.node.name} failed: {one_line(first.message)}{more}"


def one_line(message: object) -> str:
    """The message without dbt's framing: no line breaks, no repeated node name, no path into the build."""
    text = re.sub(r"\s+", " ", str(message)).strip().partition(" > in macro ")[0]
    return re.sub(r"^(?:Runtime|Compilation|Database|Parsing) Error(?: in \w+ \S+ \([^)]*\))? ?", "", text)
