"""`claude-analytics report`."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from analytics.cli.output import echo
from analytics.cli.reporting import formats, numbers_of, one_format, print_report, print_result, selects
from analytics.settings import load_settings

if TYPE_CHECKING:
    from analytics.reports.report import Report


COMPARES = (
    click.option("--compare", is_flag=True, help="How much more or less than the period before."),
    click.option("--breakdown", is_flag=True, help="A row for each model."),
)


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


def _add(name: str, room: str, told: str, *examples: str, compares: bool = False) -> None:
    """A command that prints the report `name` of a module of `reports`; `compares`: with the options of periods."""

    def command(*, compare: bool = False, breakdown: bool = False, **options: Any) -> None:
        build = getattr(importlib.import_module(f"analytics.reports.{room}"), name)
        print_report(_by_time(name, build, compare, breakdown) if compares else build, **options)

    shown = "".join(f"claude-analytics report {example}\n" for example in examples)
    with_options = selects(command)
    for option in reversed(COMPARES if compares else ()):
        with_options = option(with_options)
    report.command(name, help=f"{told}\n\n\b\n{shown}")(with_options)


_add(
    *("daily", "usage", "Usage by day.", "daily --since 7d", "daily --since today --fresh"),
    "daily --since 2026-04-01 --until 2026-04-30 --csv",
    compares=True,
)
_add("weekly", "usage", "Usage by ISO week, Monday to Sunday.", "weekly --project my-app", compares=True)
_add(
    *("monthly", "usage", "Usage by month.", "monthly --machine laptop --json", "monthly --compare"),
    "monthly --breakdown --sort cost_usd",
    compares=True,
)


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


_add("project", "usage", "Usage by project, the most expensive first.", "project --since 30d")
_add("model", "usage", "Usage by model, the most expensive first.", "model --since 30d")
_add("tool", "tools", "Calls, failures and durations by tool, the most used first.", "tool --project my-app")


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
@formats
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


_add("machine", "usage", "Usage by machine, the most expensive first.", "machine --since 30d")
_add(
    *("person", "usage"),
    "Usage by person, the most expensive first; PEOPLE names a file that says whose a machine is.",
    "person --since 30d",
)
_add("skill", "groups", "Calls and usage by skill.", "skill --since 30d")
_add("plugin", "groups", "Calls of skills and usage by plugin.", "plugin --since 30d")
_add("mcp", "groups", "Calls and usage by MCP server.", "mcp --project my-app")
_add("subagent", "groups", "Usage by type of sub-agent, the most expensive first.", "subagent --since 7d")
_add(
    *("pr", "groups", "What pull requests cost: sessions that made some, the most expensive first."),
    "pr --since 2026-04",
)
_add("waste", "waste", "Usage that was probably avoidable, the most expensive first.", "waste --since 30d")


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
