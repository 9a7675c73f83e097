"""`claude-analytics statusline`: called all the time, so it imports next to nothing."""

from __future__ import annotations

import sys

import click

from analytics.cli.output import echo


@click.command()
def statusline() -> None:
    """Print one line for Claude Code's status line; reads Claude Code's JSON on standard input.

    Put it into ~/.claude/settings.json:

    \b
    {"statusLine": {"type": "command", "command": "claude-analytics statusline"}}

    What Claude Code says of your limits is kept in DATA_DIR, for `claude-analytics report limits`.
    """
    from analytics.sessions.statusline import INPUT_BYTES, data_dir
    from analytics.sessions.statusline import statusline as line

    given = "" if sys.stdin.isatty() else sys.stdin.buffer.read(INPUT_BYTES).decode("utf-8", "replace")
    echo(line(given, data_dir()))
