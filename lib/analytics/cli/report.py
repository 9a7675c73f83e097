"""`claude-analytics report`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from analytics.cli.output import echo
from analytics.settings import load_settings

if TYPE_CHECKING:
    from analytics.reports.report import Report

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
    click.option("--json", "to_json", is_flag=True, help="One JSON object with rows and totals."),
    click.option("--csv", "to_csv", is_flag=True, help="Comma-separated rows under a header."),
)


def selects(command: Callable[..., None]) -> Callable[..., None]:
    """The options that all reports share."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


class InOrder(click.Group):
    """A group that lists its commands in the order of this file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, invoke_without_command=True)
@click.pass_context
def report(context: click.Context) -> None:
    """Print what the published database says: a summary, or one of the reports below.

    Days are those of ANALYTICS_TZ; costs are list prices of the API.

    \b
    claude-analytics report
    claude-analytics report daily --since 7d
    claude-analytics report project --since 2026-04-01 --until 2026-04-30 --json
    """
    if context.invoked_subcommand is None:
        from analytics.reports.summary import summary

        echo(summary(load_settings()))


@report.command()
@selects
def daily(**options: Any) -> None:
    """Usage by day.

    \b
    claude-analytics report daily --since 7d
    claude-analytics report daily --since 2026-04-01 --until 2026-04-30 --csv
    """
    from analytics.reports.usage import daily as build

    _print(build, **options)


@report.command()
@selects
def weekly(**options: Any) -> None:
    """Usage by ISO week, Monday to Sunday.

    \b
    claude-analytics report weekly --project my-app
    """
    from analytics.reports.usage import weekly as build

    _print(build, **options)


@report.command()
@selects
def monthly(**options: Any) -> None:
    """Usage by month.

    \b
    claude-analytics report monthly --machine laptop --json
    """
    from analytics.reports.usage import monthly as build

    _print(build, **options)


@report.command()
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@selects
def session(limit: int | None, **options: Any) -> None:
    """Usage by session, the newest last; with days chosen, what happened in it on those days.

    \b
    claude-analytics report session --limit 10
    claude-analytics report session --since yesterday --project my-app
    """
    from analytics.reports.usage import session as build

    _print(partial(build, limit=limit), **options)


@report.command()
@selects
def project(**options: Any) -> None:
    """Usage by project, the most expensive first.

    \b
    claude-analytics report project --since 30d
    """
    from analytics.reports.usage import project as build

    _print(build, **options)


@report.command()
@selects
def model(**options: Any) -> None:
    """Usage by model, the most expensive first.

    \b
    claude-analytics report model --since 30d
    """
    from analytics.reports.usage import model as build

    _print(build, **options)


@report.command()
@selects
def tool(**options: Any) -> None:
    """Calls, failures and durations by tool, the most used first.

    \b
    claude-analytics report tool --project my-app
    """
    from analytics.reports.tools import tool as build

    _print(build, **options)


@report.command()
@selects
def blocks(**options: Any) -> None:
    """Five-hour billing blocks that started on these days, and where the one in progress is heading.

    \b
    claude-analytics report blocks --since today
    """
    from analytics.reports.blocks import blocks as build

    _print(build, **options)


@report.command()
@selects
def waste(**options: Any) -> None:
    """Usage that was probably avoidable, the most expensive first.

    \b
    claude-analytics report waste --since 30d
    """
    from analytics.reports.waste import waste as build

    _print(build, **options)


def _print(
    build: Callable[..., Report],
    *,
    since: str | None,
    until: str | None,
    projects: tuple[str, ...],
    machines: tuple[str, ...],
    to_json: bool,
    to_csv: bool,
) -> None:
    from analytics.errors import ConfigError
    from analytics.reports import render
    from analytics.reports.report import days_of_history, published_at, zone_note
    from analytics.reports.selection import select
    from analytics.warehouse import marts

    if to_json and to_csv:
        raise ConfigError("--json and --csv: give one of them")
    settings = load_settings()
    with marts.reading(settings) as connection:
        selection, notes = select(
            connection, settings.tz, since=since, until=until, projects=projects, machines=machines
        )
        selection.apply(connection)
        result = build(connection, selection, settings.tz)
        result.as_of, result.days = published_at(connection), days_of_history(connection)
        result.notes += [*notes, *zone_note(connection, settings.tz)]
    if to_json:
        echo(render.as_json(result, selection, settings.tz))
    elif to_csv:
        echo(render.as_csv(result), nl=False)
    else:
        echo(render.as_text(result, selection, settings.tz, plain=bool(settings.no_color)))
