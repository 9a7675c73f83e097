"""`claude-analytics config`."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.common.text import one_line
from analytics.settings import load_settings


@click.command()
def config() -> None:
    """Print the effective settings (environment, `.env`, defaults), secrets masked."""
    values = load_settings().masked()
    width = max(map(len, values))
    for name, value in values.items():
        echo(f"{name:<{width}}  {one_line(value)}")
