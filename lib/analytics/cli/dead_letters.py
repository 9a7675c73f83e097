"""`claude-analytics dead-letters`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from analytics.cli.output import echo
from analytics.common.text import one_line
from analytics.settings import load_settings


@click.group()
def dead_letters() -> None:
    """Documents that could not be stored: list, export, try again."""


@dead_letters.command(name="list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show so many, newest first.")
def list_(limit: int) -> None:
    """Reason, place and size of each."""
    from analytics.raw import dead_letters as work

    found = work.stored(load_settings())
    for dead_letter in found[: -limit - 1 : -1]:
        echo(
            f"{dead_letter.dead_letter_id[:12]}  {dead_letter.first_seen_at:%Y-%m-%d %H:%M}Z  "
            f"{dead_letter.byte_length:>9,} B  {one_line(dead_letter.place)}: {one_line(dead_letter.reason)}"
        )
    if not found:
        echo("no dead letters")
        return
    echo(f"{len(found)} dead letters")
    for reason, count in Counter(dead_letter.reason.split(":")[0] for dead_letter in found).most_common():
        echo(f"  {count}  {one_line(reason)}")
    echo("next: claude-analytics dead-letters export FILE, or replay once the cause is fixed")


@dead_letters.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--id", "ids", multiple=True, help="Only this one (its first characters do); repeatable.")
def export(file: Path, ids: tuple[str, ...]) -> None:
    """Write them with their original bytes to FILE, one JSON object a line."""
    from analytics.raw import dead_letters as work

    count = work.export(load_settings(), file, ids or None)
    echo(f"{count} dead letters written to {file}")


@dead_letters.command()
@click.option("--id", "ids", multiple=True, help="Only this one (its first characters do); repeatable.")
def replay(ids: tuple[str, ...]) -> None:
    """Read their bytes again; store what can be stored now."""
    from analytics.common.lock import run_lock
    from analytics.raw import dead_letters as work

    settings = load_settings()
    with run_lock(settings, holder="dead-letters replay"):
        result = work.replay(settings, ids or None)
    for key, reason in result.remaining.items():
        echo(f"{key[:12]}  {one_line(reason)}")
    echo(f"replay: {result}")
    if result.solved:
        echo("next: claude-analytics pipeline")
