"""Remove a project, a session or everything before a day, everywhere this workspace keeps it, and keep it out.

What is purged stays purged: `DATA_DIR/purged.json` remembers what may not come back, and every extract and sync leaves
it out, also when the transcripts or the MongoDB server still hold it. Those two are not ours to change: they are
counted and named, with what to do.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.errors import AnalyticsError, ConfigError
from analytics.privacy.tombstones import PREDICATES, Tombstone, Tombstones, mask_letters, mask_rows, save, tombstones
from analytics.settings import Settings


@dataclass(frozen=True)
class PurgeResult:
    """What a purge removed, and the proof: what is left everywhere."""

    kind: str
    value: str
    documents: int
    dead_letters: int
    runs_cleaned: int
    versions_removed: int
    files_deleted: int
    left: dict[str, int] = field(default_factory=dict)  # place -> rows still matching; all zero
    in_source: str = ""  # what the source still holds

    def __str__(self) -> str:
        lines = [
            f"removed {self.documents:,} documents and {self.dead_letters:,} dead letters; "
            f"{self.versions_removed} published versions, "
            f"executed notebooks of {self.runs_cleaned} runs, {self.files_deleted} files of the raw tables",
            "left: " + ", ".join(f"{count} in {place}" for place, count in self.left.items()),
        ]
        if self.in_source:
            lines.append(self.in_source)
        return "\n".join(lines)


def resolve(settings: Settings, kind: str, value: str) -> str:
    """The value as data knows it: a project by id, name or path; a session by id; a day as the instant it begins.

    Raises:
        ConfigError: nothing, or more than one project, goes by that name; or it is no date.
    """
    if kind == "before":
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise ConfigError(f"--before {value!r}: give a day such as 2026-01-31") from None
        # The day as the dashboards show it. To the millisecond, as entries write it.
        begin = datetime.combine(day, time(), settings.tz).astimezone(UTC)
        return begin.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not value.strip():
        raise ConfigError(f"--{kind}: give a name")
    if kind == "session" or not settings.published_path.exists():
        return value
    import duckdb

    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as connection:
        found = connection.execute(
            """
            select project_id
            from marts.dim_projects
            where $value in (project_id, project_name, project_path)
            order by project_id
            """,
            {"value": value},
        ).fetchall()
    if len(found) > 1:
        ids = ", ".join(row[0] for row in found)
        raise ConfigError(f"--project {value!r} is the name of {len(found)} projects; give one id: {ids}")
    return found[0][0] if found else value


def count(settings: Settings, kind: str, value: str) -> tuple[int, int]:
    """Documents and dead letters that a purge of this (resolved) selection would remove."""
    from analytics.raw.store import RawStore

    store = RawStore(settings)
    stone = Tombstone(kind, value, "")
    documents = sum(
        rows.num_rows - _kept(mask_rows(rows, [stone], _untimed_ids(settings, store, stone)))
        for rows in _scan(store, store.conversations)
    )
    letters = sum(rows.num_rows - _kept(mask_letters(rows, stone)) for rows in _scan(store, store.dead_letters))
    return documents, letters


def purge(settings: Settings, kind: str, value: str, *, say: Callable[[str], None] = lambda line: None) -> PurgeResult:
    """Remove everything of a (resolved) selection. First it is remembered, then removed: a purge that was killed is
    repeated with the same command.

    Raises:
        BusyError: a run is active.
        AnalyticsError: something could not be removed; what is already removed stays so.
    """
    from analytics.common.lock import run_lock
    from analytics.quality.validate import validate
    from analytics.raw import maintenance
    from analytics.raw.store import RawStore
    from analytics.warehouse import publish
    from analytics.warehouse.load import load
    from analytics.warehouse.transform import transform

    with run_lock(settings, holder="purge"), disk_errors("purge", settings.data_dir):
        store = RawStore(settings)
        now = utc_now().isoformat(timespec="seconds")
        stone = Tombstone(kind, value, now, tuple(sorted(_untimed_ids(settings, store, Tombstone(kind, value, now)))))
        known = tombstones(settings)
        others = [s for s in (known.stones if known else []) if (s.kind, s.value) != (kind, value)]
        before = [s for s in (known.stones if known else []) if (s.kind, s.value) == (kind, value)]
        ids = sorted({one for s in (*before, stone) for one in s.ids} | _letter_ids(store, stone))
        stone = Tombstone(kind, value, now, tuple(ids), is_finished=False)
        save(settings, [*others, stone])
        reached("purge.remembered")

        say("raw tables ...")
        documents, files = maintenance.remove(
            store, store.conversations, lambda rows: mask_rows(rows, [stone], frozenset(ids))
        )
        letters, letter_files = maintenance.remove(store, store.dead_letters, lambda rows: mask_letters(rows, stone))
        _forget_waiting(settings, stone)
        reached("purge.rows")
        say("published data ...")
        _remove_derived(settings)
        load(settings, full_refresh=True)
        transform(settings, full_refresh=True)
        validate(settings)
        published = publish.publish(settings)
        reached("purge.published")
        versions = _remove_other_versions(settings, published.version)
        runs_cleaned = _clean_runs(settings)
        save(settings, [*others, replace(stone, is_finished=True)])
        return PurgeResult(
            kind=kind,
            value=value,
            documents=documents,
            dead_letters=letters,
            runs_cleaned=runs_cleaned,
            versions_removed=versions,
            files_deleted=files + letter_files,
            left=_left(settings, RawStore(settings), stone),
            in_source=_in_source(settings, stone),
        )


def _kept(mask: pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    return pc.sum(mask).as_py() or 0


def _scan(store: Any, table: Any) -> Iterator[pa.Table]:
    """The tables' keys, a file at a time."""
    wanted = {"_id", "session_id", "project_id", "source_file", "cwd", "timestamp"}
    wanted |= {"dead_letter_id", "first_seen_at"}
    yield from store.read_files(table, wanted)


def _untimed_ids(settings: Settings, store: Any, stone: Tombstone) -> set[str]:
    """Documents without a time in transcripts whose last time is before the day."""
    if stone.kind != "before":
        return set()
    limit = datetime.fromisoformat(stone.value.replace("Z", "+00:00"))
    newest: dict[str, datetime] = {}
    untimed: list[tuple[str, str]] = []
    for rows in _scan(store, store.conversations):
        columns = (rows["_id"].to_pylist(), rows["source_file"].to_pylist(), rows["timestamp"].to_pylist())
        for key, name, at in zip(*columns, strict=True):
            if name is None:
                continue
            if at is None:
                untimed.append((key, name))
            elif name not in newest or at > newest[name]:
                newest[name] = at
    return {key for key, name in untimed if name in newest and newest[name] < limit}


def _letter_ids(store: Any, stone: Tombstone) -> set[str]:
    found: set[str] = set()
    for rows in _scan(store, store.dead_letters):
        mask = mask_letters(rows, stone).to_pylist()
        ids = rows["dead_letter_id"].to_pylist()
        found.update(one for one, kept in zip(ids, mask, strict=True) if not kept)
    return found


# Where else it is


def _forget_waiting(settings: Settings, stone: Tombstone) -> None:
    """Dead letters that a sync left for the next extract: they have the bytes of their lines."""
    from analytics.sources.sync_state import SyncState

    known = Tombstones([stone])
    for path in sorted((settings.data_dir / "sync").glob("*.db")):
        with contextlib.closing(SyncState(path)) as state:
            state.purge(lambda name: known.covers_file(name.split("/")[0], name))


def _remove_derived(settings: Settings) -> None:
    """What a run makes anew: data docs, dbt's artifacts, reports."""
    shutil.rmtree(settings.data_docs_dir, ignore_errors=True)
    shutil.rmtree(settings.former_storage_dir, ignore_errors=True)
    shutil.rmtree(settings.data_dir / "dbt", ignore_errors=True)
    for path in settings.data_dir.glob("*.html"):
        path.unlink()


def _remove_other_versions(settings: Settings, current: str) -> int:
    """Every kept version but the current one, and the folders of the marts that only they need."""
    removed = 0
    kept = settings.published_path.resolve()
    for path in settings.versions_dir.glob("*"):
        if path.resolve() != kept:
            removed += path.suffix == ".db"
            path.unlink() if path.is_file() else shutil.rmtree(path)
    current_serving = (settings.serving_dir / "current").resolve()
    for folder in (settings.serving_dir / "versions").glob("*"):
        if folder.resolve() != current_serving:
            shutil.rmtree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink()
    # links to folders that are gone
    for link in settings.serving_dir.rglob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()
    return removed


def _clean_runs(settings: Settings) -> int:
    """Executed notebooks, their pages and logs of all past runs; run.json, which holds counts only, stays."""
    cleaned = 0
    for folder in settings.runs_dir.glob("*/"):
        found = [path for path in folder.iterdir() if path.suffix in {".ipynb", ".html", ".log"}]
        for path in found:
            path.unlink()
        cleaned += bool(found)
        with contextlib.suppress(AnalyticsError, OSError):
            _clear_messages(folder)
    (settings.runs_dir / "index.html").unlink(missing_ok=True)
    return cleaned


def _clear_messages(folder: Path) -> None:
    """An error's message may quote a document."""
    from analytics.runs import history as runs

    run = runs.read(folder)
    if run.error:
        run.error["message"] = "removed by a purge"
        run.save()


# Proof


def _left(settings: Settings, store: Any, stone: Tombstone) -> dict[str, int]:
    """What still matches, place by place."""
    import duckdb

    documents, letters = count(settings, stone.kind, stone.value)
    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        published = connection.execute(
            f"select count(*) from raw.conversations where {PREDICATES[stone.kind]}", {"value": stone.value}
        ).fetchone()[0]
        column = {"project": "project_id = $value", "session": "session_id = $value"}.get(
            stone.kind, "created_at < cast($value as timestamptz)"
        )
        messages = connection.execute(
            f"select count(*) from marts.fct_messages where {column}", {"value": stone.value}
        ).fetchone()[0]
    snapshots = len(store.conversations.metadata.snapshots) - 1
    versions = len(list(settings.versions_dir.glob("*.db"))) - 1
    return {
        "raw.conversations": documents,
        "raw.dead_letters": letters,
        "the published documents": published,
        "the published messages": messages,
        "older snapshots": snapshots,
        "older versions": versions,
    }


def _in_source(settings: Settings, stone: Tombstone) -> str:
    """What the source still holds: it is not ours to change."""
    parts = []
    for root in settings.projects_dirs if stone.kind != "before" else ():
        if not root.is_dir():
            continue
        known = Tombstones([stone])
        names = [path.relative_to(root).as_posix() for path in root.rglob("*.jsonl")]
        found = [name for name in names if known.covers_file(name.split("/")[0], name)]
        if found:
            parts.append(f"{len(found)} transcripts under {root}")
    if settings.mongo_uri is not None:
        parts.append(f"the collection {settings.mongo_db}.{settings.mongo_collection} on MONGO_URI")
    if not parts:
        return ""
    return f"not touched, and left out from now on: {' and '.join(parts)}; delete there what should go there too"
