"""`load` and `transform`: from Iceberg to the gold marts, in the working copy."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.command()
@click.option("--stats", "show_stats", is_flag=True, help="Only print what the published database holds.")
@click.option("--full-refresh", is_flag=True, help="Load every document again instead of the new ones.")
def load(show_stats: bool, full_refresh: bool) -> None:
    """Load new Iceberg snapshots into the working DuckDB copy.

    \b
    claude-analytics load
    claude-analytics load --stats
    """
    from analytics.common.lock import run_lock
    from analytics.warehouse.load import load as run_load
    from analytics.warehouse.load import stats

    settings = load_settings()
    if show_stats:
        echo(stats(settings.published_path))
        return
    with run_lock(settings, holder="load"):
        result = run_load(settings, full_refresh=full_refresh)
    echo(str(result))
    if not result.nothing_new:
        echo("next: claude-analytics transform")


@click.command()
@click.option(
    "--models",
    metavar="SELECTOR",
    help='A dbt selector such as "+fct_messages"; default everything, without which nothing is published.',
)
@click.option("--full-refresh", is_flag=True, help="Rebuild every model instead of the sessions that changed.")
@click.option("--test", is_flag=True, help="Run the dbt data tests as well.")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), help="Default: TRANSFORM_ENGINE, else duckdb.")
def transform(models: str | None, full_refresh: bool, test: bool, engine: str | None) -> None:
    """Build the models of the working copy.

    \b
    claude-analytics transform
    claude-analytics transform --models "+fct_messages"
    claude-analytics transform --full-refresh --test
    claude-analytics transform --engine spark
    """
    from analytics.common.lock import run_lock
    from analytics.spark.transform import transform as run_transform

    settings = load_settings()
    with run_lock(settings, holder="transform"):
        result = run_transform(settings, engine=engine, full_refresh=full_refresh, models=models, test=test)
    for run in result.models:
        if run.kind != "test":
            rows = "" if run.rows is None else f"{run.rows:>12,} rows"
            echo(f"{run.status:8} {run.seconds:6.2f} s  {run.schema}.{run.name:30}{rows}")
    for warning in result.warnings:
        echo(f"warning: {warning}", err=True)
    echo(str(result))
    echo("next: claude-analytics validate")
