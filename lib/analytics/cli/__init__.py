"""The command line: `claude-analytics COMMAND` or `python -m analytics.cli COMMAND`.

Every command lives in a module of its own theme and is imported only when it is called: start-up is part of
how fast an hourly run is.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

import click

from analytics.cli.output import echo
from analytics.common.process import rarely_look_for_cycles
from analytics.errors import AnalyticsError, first_line

# command name -> (module, one line for --help). The attribute in the module is the command's name with - as _.
COMMANDS: dict[str, tuple[str, str]] = {
    "config": ("analytics.cli.config", "Print the effective settings, secrets masked."),
    "sync": ("analytics.cli.ingest", "Copy new transcript lines into MongoDB."),
    "extract": ("analytics.cli.ingest", "Read new documents from the source into Iceberg."),
    "reconcile": ("analytics.cli.ingest", "Compare every document of the source with what is stored."),
    "iceberg": ("analytics.cli.ingest", "Inspect and maintain the raw Iceberg tables."),
    "dead-letters": ("analytics.cli.dead_letters", "List, export and replay documents that could not be stored."),
    "load": ("analytics.cli.warehouse", "Load new Iceberg snapshots into the working DuckDB copy."),
    "transform": ("analytics.cli.warehouse", "Run dbt on the working copy."),
    "spark": ("analytics.cli.spark", "Build the models on Apache Spark, and compare."),
    "validate": ("analytics.cli.quality", "Run Great Expectations on the working copy."),
    "publish": ("analytics.cli.quality", "Swap the working copy in as the published database."),
    "pipeline": ("analytics.cli.pipeline", "Run all stages as one Ploomber build."),
    "report": ("analytics.cli.report", "Print usage: a summary, or by day, session, project, model, tool."),
    "statusline": ("analytics.cli.statusline", "Print one line for Claude Code's status line."),
    "prices": ("analytics.cli.lists", "What the models in the data cost, and where that stands."),
    "projects": ("analytics.cli.lists", "List the projects, and which of them are probably one."),
    "demo": ("analytics.cli.demo", "Generate a synthetic history."),
    "dashboards": ("analytics.cli.dashboards", "Show, check, send or provision the dashboards."),
    "docs": ("analytics.cli.dbt", "Write and serve the documentation of every table and column."),
    "dbt": ("analytics.cli.dbt", "Run a dbt command on the right database."),
    "deploy": ("analytics.cli.operations", "Install the schedules in your crontab."),
    "worker": ("analytics.cli.operations", "Run one deployment now, or all schedules in the foreground."),
    "status": ("analytics.cli.operations", "Show schedules and past runs."),
    "doctor": ("analytics.cli.doctor", "Look for gaps, unpriced models and unknown entries."),
    "purge": ("analytics.cli.operations", "Remove data for good."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when first used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name][0])
        return getattr(module, name.replace("-", "_"))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's error, with the command that was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            meant = get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}{f': did you mean {meant[0]}?' if meant else '.'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list from COMMANDS itself: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="claude-code-analytics")
def cli() -> None:
    """Understand your Claude Code usage: cost, activity, failures, results."""


def main() -> None:
    """Entry point. Known errors end as one line on stderr and their exit code (1 failed, 2 usage, 3 busy)."""
    os.umask(0o077)  # transcripts are private: what is written is for its owner only
    rarely_look_for_cycles()
    try:
        cli()
    except AnalyticsError as error:
        echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        # only loaded when a command opened a database
        duckdb = sys.modules.get("duckdb")
        if duckdb is None or not isinstance(error, (duckdb.IOException, duckdb.SerializationException)):
            raise
        echo(f"error: {first_line(error)}; docs/runbook.md says how to mend a damaged database", err=True)
        sys.exit(1)
    finally:
        # what is left goes with the process: Python would look through all of it once more for cycles
        gc.freeze()
