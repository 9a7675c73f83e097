"""The one way of text to standard output and standard error."""

from __future__ import annotations

import click

from analytics.common.text import for_terminal


def echo(message: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print `message`. Of what a terminal obeys only line breaks and bold get through: most of what is printed is,
    or quotes, somebody else's text."""
    click.echo(for_terminal(str(message)), err=err, nl=nl)
