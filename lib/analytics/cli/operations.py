"""`deploy`, `worker`, `status` and `purge`: what keeps it running, and what removes data."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from analytics.cli.output import echo
from analytics.common.clock import utc_now
from analytics.settings import load_settings


@click.command()
@click.option("--print", "show", is_flag=True, help="Print the crontab's lines and the script; change nothing.")
@click.option("--remove", is_flag=True, help="Take the schedules out of the crontab.")
@click.option("--foreground", is_flag=True, help="Run the schedules here, without cron (same as `worker`).")
@click.option("--make-env", is_flag=True, help="Write .env with random secrets for the containers; keep what is there.")
@click.option(
    "--environment-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read settings from this file at each run, and write it now from the environment, secrets included.",
)
@click.option("--cron-follows", is_flag=True, help="Cron starts afterwards: do not warn that it does not run.")
def deploy(
    show: bool, remove: bool, foreground: bool, make_env: bool, environment_file: Path | None, cron_follows: bool
) -> None:
    """Write the schedules of schedules.yaml into your crontab, between markers.

    \b
    claude-analytics deploy
    claude-analytics deploy --print
    claude-analytics deploy --remove
    """
    from analytics.operations import crontab as cron
    from analytics.operations.schedules import load_schedules

    if make_env:
        from analytics.operations.container_env import write_env
        from analytics.settings import PROJECT_ROOT

        names = write_env()
        path = PROJECT_ROOT / ".env"
        echo(f"{path}: {', '.join(names)} written" if names else f"{path}: complete, nothing changed")
        return
    settings, schedules = load_settings(), load_schedules()
    if foreground:
        _work(None)
    elif show:
        echo(cron.block(settings, schedules), nl=False)
        echo(f"\n{cron.script_path(settings)}:\n{cron.script(settings, environment_file=environment_file, shown=True)}")
    elif remove:
        echo(str(cron.remove(settings)))
    else:
        if environment_file:
            environment_file.write_text(cron.environment())
            environment_file.chmod(0o600)
        result = cron.deploy(settings, schedules, environment_file=environment_file, cron_follows=cron_follows)
        for warning in result.warnings:
            echo(f"warning: {warning}", err=True)
        echo(str(result))
        echo("next: claude-analytics status")


@click.command()
@click.argument("name", required=False)
def worker(name: str | None) -> None:
    """Run deployment NAME now, with retries, alerts and maintenance; without NAME all schedules, in the foreground.

    \b
    claude-analytics worker
    claude-analytics worker daily-full-refresh
    """
    _work(name)


def _work(name: str | None) -> None:
    from analytics.common.process import terminable
    from analytics.operations import crontab as cron
    from analytics.operations.deployments import run_deployment, scheduled_now, work
    from analytics.operations.schedules import load_schedules

    settings, schedules = load_settings(), load_schedules()
    if name is None:
        try:
            with terminable():
                work(settings, schedules, say=_say)
        except KeyboardInterrupt:
            echo("stopped")
        return
    deployment = schedules.deployment(name)
    cron.rotate_log(settings)
    if not sys.stdout.isatty():
        _say(f"{name} started")
    say = echo if sys.stdout.isatty() else _say
    deployment = scheduled_now(settings, schedules, deployment, utc_now().astimezone(), say)
    say(str(run_deployment(settings, deployment, schedules.retry, say=say)))


def _say(line: str) -> None:
    echo(f"{utc_now().astimezone():%Y-%m-%d %H:%M:%S} {line}")
    sys.stdout.flush()


@click.command()
@click.argument("run", required=False)
@click.option("--check", is_flag=True, help="Say nothing when all is well; exit 1 when a schedule fails or is overdue.")
def status(run: str | None, check: bool) -> None:
    """Show the schedules and the last runs, or one RUN.

    \b
    claude-analytics status
    claude-analytics status 20261123T020000Z-daily-full-refresh
    claude-analytics status --check
    """
    from analytics.operations import pages
    from analytics.operations import status as history
    from analytics.operations.schedules import load_schedules

    settings = load_settings()
    if check:
        from analytics.errors import AnalyticsError

        problems = history.problems(settings, load_schedules())
        if problems:
            raise AnalyticsError("; ".join(problems))
        return
    if run is not None:
        echo(history.detail(settings, run))
        return
    if settings.runs_dir.is_dir():
        pages.write_index(settings)
    echo(history.overview(settings))


@click.command()
@click.option("--project", metavar="X", help="A project: its id (folder name), name or path.")
@click.option("--session", metavar="Y", help="A session's id.")
@click.option("--before", metavar="DATE", help="Everything before this day (in ANALYTICS_TZ).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Count what would be removed; change nothing.")
@click.option("--list", "show", is_flag=True, help="What was purged so far.")
@click.option("--forget", is_flag=True, help="Let it come back: lift the purge of the selection given.")
def purge(
    project: str | None, session: str | None, before: str | None, yes: bool, dry_run: bool, show: bool, forget: bool
) -> None:
    """Remove a project, a session or everything before a day, everywhere, and keep it out of later runs.

    \b
    claude-analytics purge --project -home-me-secret --dry-run
    claude-analytics purge --session 3f2504e0-4f89-41d3-9a0c-0305e82c3301
    claude-analytics purge --before 2026-01-01 --yes
    """
    from analytics.errors import AnalyticsError, ConfigError
    from analytics.operations import purge as purging
    from analytics.privacy import tombstones

    settings = load_settings()
    if show:
        known = tombstones.tombstones(settings)
        for tombstone in known.all if known else []:
            state = "purged" if tombstone.is_finished else "not finished, run it again; begun"
            echo(f"{tombstone.kind:8} {tombstone.value}  ({state} {tombstone.purged_at})")
        if known is None:
            echo("nothing was purged")
        return
    chosen = [
        (kind, value)
        for kind, value in (("project", project), ("session", session), ("before", before))
        if value is not None
    ]
    if len(chosen) != 1:
        raise ConfigError("give one of --project, --session and --before")
    kind = chosen[0][0]
    value = purging.resolve(settings, *chosen[0])
    if forget:
        lifted = tombstones.forget(settings, kind, value)
        echo(f"{kind} {value} {'may come back: claude-analytics worker full-backfill' if lifted else 'is not purged'}")
        return
    documents, dead_letters = purging.count(settings, kind, value)
    echo(f"{kind} {value}: {documents:,} documents, {dead_letters:,} dead letters")
    if dry_run:
        return
    if not yes:
        click.confirm("Remove them for good? Kept versions and executed notebooks of past runs go too", abort=True)
    result = purging.purge(settings, kind, value, say=echo)
    echo(str(result))
    if any(result.left.values()):
        raise AnalyticsError("something is left; run the same command again")
    echo("next: claude-analytics purge --list")
