"""`claude-analytics spark`: the same models on Apache Spark."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.group()
def spark() -> None:
    """Build the models on Apache Spark, and compare them with DuckDB's (docs/scaling.md)."""


@spark.command()
@click.option("--full-refresh", is_flag=True, help="Parse every document again instead of the new ones.")
@click.option("--test", is_flag=True, help="Run the dbt data tests on Spark as well.")
def build(full_refresh: bool, test: bool) -> None:
    """Build every model as an Iceberg table.

    \b
    claude-analytics spark build
    claude-analytics spark build --full-refresh --test
    """
    from analytics.common.lock import run_lock
    from analytics.common.progress import steps
    from analytics.spark.build import build as run_build

    settings = load_settings()
    with run_lock(settings, holder="spark build"), steps("spark build") as starting:
        result = run_build(settings, full_refresh=full_refresh, test=test, starting=starting)
    for model in result.models:
        rows = "" if model.rows is None else f"{model.rows:>12,} rows"
        echo(f"{model.seconds:6.2f} s  {model.schema}.{model.name:30}{rows}")
    echo(str(result))
    echo("next: claude-analytics spark compare")


@spark.command()
def compare() -> None:
    """Build the marts with DuckDB too and compare every row and type; exit code 1 when they differ."""
    from analytics.common.lock import run_lock
    from analytics.spark.compare import compare as run_compare

    settings = load_settings()
    with run_lock(settings, holder="spark compare"):
        result = run_compare(settings)
    echo(str(result))
    result.raise_if_different()
