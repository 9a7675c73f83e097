"""`claude-analytics prices` and `claude-analytics projects`: what there is, whatever the days."""

from __future__ import annotations

import click

from analytics.cli.reporting import formats, print_report


@click.command()
@formats
def prices(to_json: bool, to_csv: bool) -> None:
    """What the models in the data cost today, in USD per million tokens, and where that stands.

    \b
    claude-analytics prices
    claude-analytics prices --csv
    """
    from analytics.reports.prices import prices as build

    print_report(build, to_json=to_json, to_csv=to_csv)


@click.command()
@formats
def projects(to_json: bool, to_csv: bool) -> None:
    """List the projects as every reader shows them, and propose aliases for folders that were moved.

    \b
    claude-analytics projects
    claude-analytics projects --json

    Proposed are folders with the git remote or the name of another one. What you put into the CSV that PROJECT_ALIASES
    names (path,project) is one project from the next run on.
    """
    from analytics.reports.projects import projects as build

    print_report(build, to_json=to_json, to_csv=to_csv)
