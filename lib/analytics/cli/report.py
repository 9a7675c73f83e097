"""`claude-analytics report`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from analytics.cli.output import echo
from analytics.cli.reporting import numbers_of, one_format, print_report, print_result, selects
from analytics.settings import load_settings

if TYPE_CHECKING:
    from analytics.reports.report import Report


def compares(command: Callable[..., None]) -> Callable[..., None]:
    """The options of reports by time."""
    command = click.option("--breakdown", is_flag=True, help="A row for each model.")(command)
    return click.option("--compare", is_flag=True, help="How much more or less than the period before.")(command)


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
@compares
@selects
def daily(compare: bool, breakdown: bool, **options: Any) -> None:
    """Usage by day.

    \b
    claude-analytics report daily --since 7d
    claude-analytics report daily --since today --fresh
    claude-analytics report daily --since 2026-04-01 --until 2026-04-30 --csv
    """
    from analytics.reports.usage import daily as build

    print_report(_by_time("daily", build, compare, breakdown), **options)


@report.command()
@compares
@selects
def weekly(compare: bool, breakdown: bool, **options: Any) -> None:
    """Usage by ISO week, Monday to Sunday.

    \b
    claude-analytics report weekly --project my-app
    """
    from analytics.reports.usage import weekly as build

    print_report(_by_time("weekly", build, compare, breakdown), **options)


@report.command()
@compares
@selects
def monthly(compare: bool, breakdown: bool, **options: Any) -> None:
    """Usage by month.

    \b
    claude-analytics report monthly --machine laptop --json
    claude-analytics report monthly --compare
    claude-analytics report monthly --breakdown --sort cost_usd
    """
    from analytics.reports.usage import monthly as build

    print_report(_by_time("monthly", build, compare, breakdown), **options)


@report.command()
@click.argument("session_id", required=False, metavar="[ID]")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option("--full", is_flag=True, help="With an ID: everything that was said, as Markdown.")
@selects
def session(session_id: str | None, limit: int | None, full: bool, **options: Any) -> None:
    """Usage by session, the newest last; with days chosen, what happened in it on those days.

    With an ID, or the beginning of one: that session, its turns with their cost and why, and its sub-agents.

    \b
    claude-analytics report session --limit 10
    claude-analytics report session --since yesterday --project my-app
    claude-analytics report session 3f1c
    claude-analytics report session 3f1c --full > session.md
    """
    if session_id is not None:
        _print_session(session_id, full, **options)
        return
    if full:
        raise click.UsageError("--full needs the ID of a session")
    from analytics.reports.usage import session as build

    print_report(partial(build, limit=limit), **options)


@report.command()
@selects
def project(**options: Any) -> None:
    """Usage by project, the most expensive first.

    \b
    claude-analytics report project --since 30d
    """
    from analytics.reports.usage import project as build

    print_report(build, **options)


@report.command()
@selects
def model(**options: Any) -> None:
    """Usage by model, the most expensive first.

    \b
    claude-analytics report model --since 30d
    """
    from analytics.reports.usage import model as build

    print_report(build, **options)


@report.command()
@selects
def tool(**options: Any) -> None:
    """Calls, failures and durations by tool, the most used first.

    \b
    claude-analytics report tool --project my-app
    """
    from analytics.reports.tools import tool as build

    print_report(build, **options)


@report.command()
@click.option("--live", is_flag=True, help="Show the block in progress again and again, until Ctrl-C.")
@click.option("--seconds", type=click.IntRange(min=1), default=30, show_default=True, help="Between two, with --live.")
@selects
def blocks(live: bool, seconds: int, **options: Any) -> None:
    """Five-hour billing blocks that started on these days, and where the one in progress is heading.

    \b
    claude-analytics report blocks --since today
    claude-analytics report blocks --live
    """
    from analytics.reports.blocks import blocks as build

    if not live:
        print_report(build, **options)
        return
    if options["to_json"] or options["to_csv"]:
        raise click.UsageError("--live prints tables only")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            click.clear()  # does nothing where output is no terminal
            print_report(build, **{**options, "since": options["since"] or "yesterday"})
            time.sleep(seconds)


@report.command()
@click.option("--json", "to_json", is_flag=True, help="One JSON object with the rows.")
@click.option("--csv", "to_csv", is_flag=True, help="Comma-separated rows under a header.")
def limits(to_json: bool, to_csv: bool) -> None:
    """How near the five-hour and weekly limits are: as Claude Code reported them, else an estimate.

    \b
    claude-analytics report limits
    """
    from analytics.reports.limits import limits_report
    from analytics.reports.selection import Selection
    from analytics.sessions.reader import open_reader

    one_format(to_json, to_csv)
    settings = load_settings()
    with open_reader(settings) as reader:
        result = limits_report(reader, settings.tz)
    print_result(result, Selection(), settings, to_json=to_json, to_csv=to_csv)


@report.command()
@selects
def machine(**options: Any) -> None:
    """Usage by machine, the most expensive first.

    \b
    claude-analytics report machine --since 30d
    """
    from analytics.reports.usage import machine as build

    print_report(build, **options)


@report.command()
@selects
def person(**options: Any) -> None:
    """Usage by person, the most expensive first; PEOPLE names a file that says whose a machine is.

    \b
    claude-analytics report person --since 30d
    """
    from analytics.reports.usage import person as build

    print_report(build, **options)


@report.command()
@selects
def skill(**options: Any) -> None:
    """Calls and usage by skill.

    \b
    claude-analytics report skill --since 30d
    """
    from analytics.reports.groups import skill as build

    print_report(build, **options)


@report.command()
@selects
def plugin(**options: Any) -> None:
    """Calls of skills and usage by plugin.

    \b
    claude-analytics report plugin --since 30d
    """
    from analytics.reports.groups import plugin as build

    print_report(build, **options)


@report.command()
@selects
def mcp(**options: Any) -> None:
    """Calls and usage by MCP server.

    \b
    claude-analytics report mcp --project my-app
    """
    from analytics.reports.groups import mcp as build

    print_report(build, **options)


@report.command()
@selects
def subagent(**options: Any) -> None:
    """Usage by type of sub-agent, the most expensive first.

    \b
    claude-analytics report subagent --since 7d
    """
    from analytics.reports.groups import subagent as build

    print_report(build, **options)


@report.command()
@selects
def pr(**options: Any) -> None:
    """What pull requests cost: sessions that made some, the most expensive first.

    \b
    claude-analytics report pr --since 2026-04
    """
    from analytics.reports.groups import pr as build

    print_report(build, **options)


@report.command()
@selects
def waste(**options: Any) -> None:
    """Usage that was probably avoidable, the most expensive first.

    \b
    claude-analytics report waste --since 30d
    """
    from analytics.reports.waste import waste as build

    print_report(build, **options)


def _by_time(name: str, build: Callable[..., Report], compare: bool, breakdown: bool) -> Callable[..., Report]:
    from analytics.errors import ConfigError
    from analytics.reports import periods

    if compare and breakdown:
        raise ConfigError("--compare and --breakdown: give one of them")
    if breakdown:
        return periods.breakdown(name)
    return periods.compared(name, build) if compare else build


def _print_session(session_id: str, full: bool, *, to_json: bool, fresh: bool, **options: Any) -> None:
    import shutil

    from analytics.reports.one_session import report_session
    from analytics.sessions.reader import open_reader

    if given := [name for name, value in options.items() if value]:
        raise click.UsageError(f"with the ID of a session there is no --{given[0].removeprefix('to_').rstrip('s')}")
    settings = load_settings()
    width = shutil.get_terminal_size().columns
    with numbers_of(settings, fresh) as numbers, open_reader(numbers) as reader:
        echo(report_session(reader, session_id, settings.analytics_tz, to_json=to_json, full=full, width=width))
