"""`claude-analytics dashboards`: check the definition, make the report, set Metabase up."""

from __future__ import annotations

from pathlib import Path

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.group()
def dashboards() -> None:
    """Show, check, send or provision the dashboards."""


@dashboards.command()
@click.option("--port", default=8889, show_default=True, help="On the loopback interface; the next free one if taken.")
@click.option("--browser/--no-browser", default=True, help="Open a browser at the first page.")
def serve(port: int, browser: bool) -> None:
    """Serve the dashboards to the browsers of this machine, behind a token.

    \b
    claude-analytics dashboards serve
    claude-analytics dashboards serve --port 9000 --no-browser
    """
    from analytics.web.serve import serve as run_server

    run_server(port, open_browser=browser)


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
@click.option("--since", "since", metavar="DAY", help="First day.")
@click.option("--until", "until", metavar="DAY", help="Last day.")
@click.option("--project", help="A project's id, label or path.")
@click.option("--model", help="A model.")
@click.option("--dashboard", "keys", multiple=True, help="One of them only (may be repeated); default: all.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: DATA_DIR/dashboards/index.html."
)
def html(
    since: str | None,
    until: str | None,
    project: str | None,
    model: str | None,
    keys: tuple[str, ...],
    output: Path | None,
) -> None:
    """Write the dashboards as one file to send or print: charts and tables as they are now, no script.

    \b
    claude-analytics dashboards html
    claude-analytics dashboards html --since 2026-11-01 --project my-app --dashboard cost --output november.html
    """
    from analytics.web.snapshot import write

    words = {"from": since, "to": until, "project": project, "model": model}
    chosen = {name: value for name, value in words.items() if value}
    path = write(load_settings(), chosen, keys=keys, target=output)
    echo(f"{path.stat().st_size / 1e6:.1f} MB: {path}")
    echo(f"next: open {path.absolute().as_uri()} in a browser; it holds titles and paths: look before you send it")


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
