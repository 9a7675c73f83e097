"""`claude-analytics pipeline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analytics.cli.output import echo
from analytics.settings import load_settings

if TYPE_CHECKING:
    from analytics.runs.history import Run


@click.command()
@click.option("--full-backfill", is_flag=True, help="Read every document of the source again; add what is missing.")
@click.option("--full-refresh", is_flag=True, help="Load every document again and rebuild every model.")
@click.option(
    "--deployment",
    metavar="NAME",
    default="adhoc-analytics",
    help="Name of the run folder and in the history.",
)
def pipeline(full_backfill: bool, full_refresh: bool, deployment: str) -> None:
    """Run all stages as one Ploomber build and print what it found.

    \b
    claude-analytics pipeline
    claude-analytics pipeline --full-refresh
    claude-analytics pipeline --full-backfill --deployment full-backfill
    """
    from analytics.reports.summary import summary
    from analytics.runs.pipeline import run

    def tell(killed: Run) -> None:
        from analytics.operations.deployments import alert_killed

        alert_killed(settings, killed)

    settings = load_settings()
    outcome = run(
        settings,
        full_backfill=full_backfill,
        full_refresh=full_refresh,
        deployment=deployment,
        say=echo,
        on_killed=tell,
    )
    from analytics.operations.alerts import report_success

    # as for scheduled runs: one that works ends what an earlier one, killed under the same name, left open
    report_success(settings, deployment, outcome)
    echo(f"{outcome}\n")
    echo(summary(settings))
