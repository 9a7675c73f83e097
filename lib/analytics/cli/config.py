"""`claude-analytics config`."""

from __future__ import annotations

import click

from analytics.settings import load_settings


@click.command()
def config() -> None:
    """Print the effective settings (environment, `.env`, defaults), secrets masked."""
    values = load_settings().masked()
    width = max(map(len, values))
    for name, value in values.items():
        click.echo(f"{name:<{width}}  {value}")
