"""`claude-analytics dashboards`: check the definition, make the report, set Metabase up."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.group()
def dashboards() -> None:
    """Check, render or provision the dashboards."""


@dashboards.command()
def check() -> None:
    """Check every dashboard against the marts; no server is needed.

    \b
    claude-analytics dashboards check
    """
    from analytics.cards.check import check as run_check
    from analytics.errors import ValidationFailedError

    result = run_check()
    for problem in result.problems:
        echo(problem, err=True)
    if result.problems:
        raise ValidationFailedError(str(result))
    echo(str(result))
    echo("next: claude-analytics dashboards html, or claude-analytics dashboards provision")


@dashboards.command()
def html() -> None:
    """Write all dashboards as one HTML file that needs no server and no network.

    \b
    claude-analytics dashboards html
    """
    from analytics.web.html import render

    path = render(load_settings())
    echo(f"{path.stat().st_size / 1e6:.1f} MB: {path}")
    echo(f"next: open {path.absolute().as_uri()} in a browser; it holds titles and paths, for you only")


@dashboards.command()
@click.option("--dry-run", is_flag=True, help="Print what would change and change nothing.")
def provision(dry_run: bool) -> None:
    """Create or update the dashboards in Metabase (METABASE_URL).

    \b
    claude-analytics dashboards provision --dry-run
    claude-analytics dashboards provision
    """
    from analytics.metabase.provision import provision as run_provision

    echo(str(run_provision(load_settings(), dry_run=dry_run, progress=echo)))
