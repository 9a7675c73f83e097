"""`claude-analytics sync`, `extract`, `reconcile` and `iceberg`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from analytics.cli.output import echo
from analytics.settings import load_settings

if TYPE_CHECKING:
    from analytics.raw.store import RawStore


@click.command()
@click.option("--watch", is_flag=True, help="Keep running and copy new lines as they are written (Ctrl-C ends it).")
@click.option("--create-index", is_flag=True, help="Create the index that hourly runs on a large collection need.")
@click.option("--every", default=5.0, show_default=True, help="Seconds between looks, with --watch.")
def sync(watch: bool, create_index: bool, every: float) -> None:
    """Copy new transcript lines into the MongoDB collection that MONGO_URI names."""
    from analytics.common.process import terminable
    from analytics.sources import sync as work

    settings = load_settings()
    if create_index:
        name = work.create_index(settings)
        echo(f"index {name} of {settings.mongo_db}.{settings.mongo_collection} is there")
    echo(work.sync(settings))
    if watch:
        echo(f"watching {', '.join(map(str, settings.projects_dirs))}, Ctrl-C ends it")
        try:
            with terminable():
                for result in work.watch(settings, every=timedelta(seconds=every)):
                    echo(result)
        except KeyboardInterrupt:
            echo("stopped; everything copied so far is safe")
    else:
        echo("next: claude-analytics extract")


@click.command()
@click.option("--full-backfill", is_flag=True, help="Look at every document, not only at recent ones.")
@click.option("--engine", type=click.Choice(["python", "spark"]), help="Default: EXTRACT_ENGINE, else python.")
def extract(full_backfill: bool, engine: str | None) -> None:
    """Read new documents from the source into Iceberg."""
    from analytics.common.lock import run_lock
    from analytics.spark import extract as work

    settings = load_settings()
    with run_lock(settings, holder="extract"):
        result = work.extract(settings, engine=engine, full_backfill=full_backfill)
    echo(f"extract: {result}")
    echo("next: claude-analytics load, or claude-analytics iceberg info")


@click.command()
@click.option("--apply", is_flag=True, help="Add what is missing and replace what changed; nothing is removed.")
def reconcile(apply: bool) -> None:
    """Compare every document of the source with what is stored: missing, changed, deleted.

    An extract compares ids only. Deleted documents are counted and kept: `purge` is what removes.
    """
    from analytics.common.lock import run_lock
    from analytics.raw import reconcile as work

    settings = load_settings()
    with run_lock(settings, holder="reconcile"):
        result = work.reconcile(settings, apply=apply)
    echo(result)
    if result.is_same:
        echo("everything in the source is stored as it is there")
    else:
        echo(f"next: claude-analytics {'pipeline' if apply else 'reconcile --apply'}")


@click.group()
def iceberg() -> None:
    """Inspect and maintain the raw Iceberg tables."""


@contextlib.contextmanager
def _store(command: str | None = None) -> Iterator[RawStore]:
    """The raw tables; for a `command` that changes them, while no run is active."""
    from analytics.common.lock import run_lock
    from analytics.raw.store import RawStore

    settings = load_settings()
    with run_lock(settings, holder=f"iceberg {command}") if command else contextlib.nullcontext():
        yield RawStore(settings)


@iceberg.command()
def info() -> None:
    """Rows, files, bytes and days of both tables, and what the newest snapshot remembers."""
    from analytics.raw import maintenance

    with _store() as store:
        for table in maintenance.info(store):
            echo(
                f"{table.name}: {table.rows} rows, {table.days} days, {table.files} files "
                f"({table.small_files} small), {table.bytes / 1e6:.1f} MB, {table.snapshots} snapshots"
            )
            echo(f"  location  {table.location}")
            for key, value in sorted(table.properties.items()):
                echo(f"  {key}  {value}")


@iceberg.command()
def snapshots() -> None:
    """Snapshots of raw.conversations, oldest first."""
    from analytics.raw import maintenance

    with _store() as store:
        for item in maintenance.snapshots(store):
            kind = "compaction" if item.is_compaction else item.operation
            echo(
                f"{item.snapshot_id}  {item.committed_at:%Y-%m-%d %H:%M:%S}Z  {kind:<10}  "
                f"+{item.added_rows} rows, {item.total_rows} in all"
            )


@iceberg.command()
def compact() -> None:
    """Merge the small files of each day."""
    from analytics.raw import maintenance

    with _store("compact") as store:
        echo(maintenance.compact(store))


@iceberg.command()
@click.option("--older-than-days", type=float, help="Default: SNAPSHOT_RETENTION_DAYS.")
@click.option("--grace-hours", type=float, default=24, show_default=True, help="Keep unreachable files this long.")
def expire(older_than_days: float | None, grace_hours: float) -> None:
    """Expire old snapshots and delete files nothing refers to."""
    from analytics.raw import maintenance

    age = None if older_than_days is None else timedelta(days=older_than_days)
    with _store("expire") as store:
        echo(maintenance.expire(store, older_than=age, grace=timedelta(hours=grace_hours)))


@iceberg.command()
def dedupe() -> None:
    """Leave one row of each document, should two writers have stored it twice."""
    from analytics.raw import rewrite

    with _store("dedupe") as store:
        echo(rewrite.dedupe(store))


@iceberg.command()
@click.argument("snapshot_id", type=int)
def rollback(snapshot_id: int) -> None:
    """Go back to an earlier snapshot of raw.conversations (`iceberg snapshots` lists them)."""
    from analytics.raw import rewrite

    with _store("rollback") as store:
        echo(rewrite.rollback(store, snapshot_id))
    echo("next: claude-analytics pipeline, which also reads again what the source still has")
