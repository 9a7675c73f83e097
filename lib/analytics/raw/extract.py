"""Source -> Iceberg: new documents, each exactly once.

Always: documents read = rows stored + already stored + dead letters. Rows go in by commits of bounded size;
only the last commit of a run moves the watermark, so a run that was killed half-way is simply repeated, and
what it had stored is recognised by `_id`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from analytics.common.ahead import ahead
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.common.progress import Progress, progress_bar
from analytics.raw.intake import COMMIT_BYTES, ExtractResult, Intake
from analytics.settings import Settings
from analytics.sources import nothing_there, open_source

if TYPE_CHECKING:
    from pymongo import MongoClient

    from analytics.sources.batch import Source


def extract(
    settings: Settings,
    *,
    full_backfill: bool = False,
    client: MongoClient[Any] | None = None,
    progress: bool | None = None,
    commit_bytes: int = COMMIT_BYTES,
    intake: type[Intake] = Intake,
) -> ExtractResult:
    """Store new documents of the configured source in `raw.conversations`.

    Args:
        full_backfill: look at every document of the source, not only at recent ones, and add what is missing.
        client: an open connection to the server of MONGO_URI; default: connect.
        progress: show a progress bar; default: on a terminal.
        commit_bytes: JSON text per Iceberg commit.
        intake: how what is new is read and stored.

    Raises:
        ConfigError: a setting is wrong (CLAUDE_PROJECTS_DIR, MONGO_URI).
        SourceUnavailableError: the server cannot be reached or stays away.
        AnalyticsError: the warehouse cannot be written.
    """
    # A full disk, a directory that turned read-only: what was committed stays, the next run goes on from there.
    with disk_errors("extract", settings.data_dir):
        run = intake(settings, full_backfill, commit_bytes)
        reached("extract.started")
        with open_source(settings, client) as source:
            _take(run, source, progress)
            hint = nothing_there(settings) if source.is_empty else ""
            result = run.result(source.name, source.watermark(), hint)
        if full_backfill:
            from analytics.raw.dead_letters import remove_solved

            remove_solved(run.store)
        return result


def _take(run: Intake, source: Source, progress: bool | None) -> None:
    """Everything new of `source`, by commits of bounded size; only the last one says that all was read."""
    bookmarks: list[Any] = []
    bar: Progress | None = None
    with contextlib.ExitStack() as stack:
        for batch in ahead(source.batches(run)):
            if bar is None:
                total, unit = source.total()
                bar = stack.enter_context(progress_bar("extract", total, unit, progress))
            run.absorb(batch)
            bar.advance(batch.bytes if unit == "B" else batch.documents)
            bookmarks += batch.bookmarks
            if not (run.is_full or batch.is_last or batch.is_restart):
                continue
            properties = None
            if source.remembers_early or batch.is_last:
                properties = source.remember(bookmarks, run.newest) or None
            reached("extract.positions")
            committed = run.commit(properties, force=batch.is_last and source.must_commit and run.documents_read > 0)
            source.settle(bookmarks, is_committed=committed)
            bookmarks = []
            if batch.is_restart:
                run.recheck()
