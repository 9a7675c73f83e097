"""What the reports on the command line share: their options, which numbers they read, and how they print."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from analytics.cli.output import echo
from analytics.settings import load_settings

if TYPE_CHECKING:
    from analytics.reports.report import Report
    from analytics.reports.selection import Selection
    from analytics.settings import Settings

OPTIONS = (
    click.option("--since", metavar="DAY", help="First day: YYYY-MM-DD, YYYY-MM, today, tuesday, 7d …"),
    click.option("--until", metavar="DAY", help="Last day, itself included."),
    click.option(
        "--project",
        "projects",
        metavar="X",
        multiple=True,
        help="Its id, name, path or printed label; repeatable.",
    ),
    click.option("--machine", "machines", metavar="HOST", multiple=True, help="Where sessions ran; repeatable."),
    click.option("--sort", metavar="FIELD", help="Order by a field, as --json calls it: the largest first."),
    click.option("--fresh", is_flag=True, help="With what was written since the last run; takes some seconds."),
)
FORMATS = (
    click.option("--json", "to_json", is_flag=True, help="One JSON object with rows and totals."),
    click.option("--csv", "to_csv", is_flag=True, help="Comma-separated rows under a header."),
)


def formats(command: Callable[..., None]) -> Callable[..., None]:
    """The options of everything that is printed as rows."""
    for option in reversed(FORMATS):
        command = option(command)
    return command


def selects(command: Callable[..., None]) -> Callable[..., None]:
    """The options that all reports share."""
    command = formats(command)
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def numbers_of(settings: Settings, fresh: bool) -> contextlib.AbstractContextManager[Settings]:
    """Settings that read what is published, or what the next run would publish."""
    if not fresh:
        return contextlib.nullcontext(settings)
    from analytics.runs.fresh import fresh as bring_in

    return bring_in(settings)


def print_report(
    build: Callable[..., Report],
    *,
    to_json: bool,
    to_csv: bool,
    since: str | None = None,
    until: str | None = None,
    projects: tuple[str, ...] = (),
    machines: tuple[str, ...] = (),
    sort: str | None = None,
    fresh: bool = False,
) -> None:
    """Build a report of the chosen days and print it as a table, JSON or CSV.

    Args:
        fresh: with what was written since the last run.

    Raises:
        ConfigError: an option's value says nothing that could be selected or sorted by.
    """
    from analytics.reports import periods
    from analytics.reports.report import days_of_history, published_at, zone_note
    from analytics.reports.selection import select
    from analytics.warehouse import marts

    one_format(to_json, to_csv)
    settings = load_settings()
    with numbers_of(settings, fresh) as numbers, marts.reading(numbers) as connection:
        selection, notes = select(
            connection, settings.tz, since=since, until=until, projects=projects, machines=machines
        )
        selection.apply(connection)
        result = build(connection, selection, settings.tz)
        if sort:
            periods.sort(result, sort)
        result.as_of, result.days = published_at(connection), days_of_history(connection)
        result.notes += [*notes, *zone_note(connection, settings.tz)]
    print_result(result, selection, settings, to_json=to_json, to_csv=to_csv)


def one_format(to_json: bool, to_csv: bool) -> None:
    """Before anything is read.

    Raises:
        ConfigError: both formats are asked for.
    """
    from analytics.errors import ConfigError

    if to_json and to_csv:
        raise ConfigError("--json and --csv: give one of them")


def print_result(result: Report, selection: Selection, settings: Settings, *, to_json: bool, to_csv: bool) -> None:
    """Print a report as a table, JSON or CSV."""
    from analytics.reports import render

    if to_json:
        echo(render.as_json(result, selection, settings.tz))
    elif to_csv:
        echo(render.as_csv(result), nl=False)
    else:
        echo(render.as_text(result, selection, settings.tz, plain=bool(settings.no_color)))
