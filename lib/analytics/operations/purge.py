"""Remove a project, a session or everything before a day, everywhere this workspace keeps it, and keep it out.

What is purged stays purged: `DATA_DIR/purged.json` remembers what may not come back, and every extract and sync leaves
it out, also when the transcripts or the MongoDB server still hold it. Those two are not ours to change: they are
counted and named, with what to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors
from analytics.errors import ConfigError
from analytics.operations import places
from analytics.privacy.tombstones import (
    PREDICATES,
    Tombstone,
    Tombstones,
    mask_dead_letters,
    mask_rows,
    save,
    tombstones,
)
from analytics.settings import Settings


@dataclass(frozen=True)
class PurgeResult:
    """What a purge removed, and the proof: what is left everywhere."""

    kind: str
    value: str
    documents: int
    dead_letters: int
    derived_removed: dict[str, int]  # place -> files and folders removed
    files_deleted: int  # of the raw tables
    left: dict[str, int] = field(default_factory=dict)  # place -> rows or files still matching; all zero
    in_source: str = ""  # what the source still holds

    def __str__(self) -> str:
        gone = ", ".join(f"{count} of {place}" for place, count in self.derived_removed.items() if count)
        lines = [
            f"removed {self.documents:,} documents and {self.dead_letters:,} dead letters, "
            f"{self.files_deleted} files of the raw tables" + (f"; {gone}" if gone else ""),
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
    from analytics.warehouse.marts import open_version

    with open_version(settings.published_path) as connection:
        found = connection.execute(
            """
            select project_id, $value in (project_id, project_label) as is_exact
            from marts.dim_projects
            where $value in (project_id, project_label, project_name, project_path)
            order by project_id
            """,
            {"value": value},
        ).fetchall()
    found = [row for row in found if row[1]] or found
    if len(found) > 1:
        ids = ", ".join(row[0] for row in found)
        raise ConfigError(f"--project {value!r} is the name of {len(found)} projects; give one id: {ids}")
    return found[0][0] if found else value


def count(settings: Settings, kind: str, value: str) -> tuple[int, int]:
    """Documents and dead letters that a purge of this (resolved) selection would remove."""
    from analytics.raw.store import RawStore

    store = RawStore(settings)
    tombstone = Tombstone(kind, value, "")
    documents = sum(
        rows.num_rows - _kept(mask_rows(rows, [tombstone], _untimed_ids(settings, store, tombstone)))
        for rows in _scan(store, store.conversations)
    )
    dead_letters = sum(
        rows.num_rows - _kept(mask_dead_letters(rows, tombstone)) for rows in _scan(store, store.dead_letters)
    )
    return documents, dead_letters


def purge(settings: Settings, kind: str, value: str, *, say: Callable[[str], None] = lambda line: None) -> PurgeResult:
    """Remove everything of a (resolved) selection. First it is remembered, then removed: a purge that was killed is
    repeated with the same command.

    Raises:
        BusyError: a run is active.
        AnalyticsError: something could not be removed; what is already removed stays so.
    """
    from analytics.common.lock import run_lock
    from analytics.quality.validate import validate
    from analytics.raw import rewrite
    from analytics.raw.maintenance import drop_derived
    from analytics.raw.store import RawStore
    from analytics.spark.transform import transform
    from analytics.warehouse import publish
    from analytics.warehouse.load import load

    with run_lock(settings, holder="purge"), disk_errors("purge", settings.data_dir):
        store = RawStore(settings)
        now = utc_now().isoformat(timespec="seconds")
        tombstone = Tombstone(
            kind, value, now, tuple(sorted(_untimed_ids(settings, store, Tombstone(kind, value, now))))
        )
        known = tombstones(settings)
        others = [s for s in (known.all if known else []) if (s.kind, s.value) != (kind, value)]
        before = [s for s in (known.all if known else []) if (s.kind, s.value) == (kind, value)]
        ids = sorted({one for s in (*before, tombstone) for one in s.ids} | _dead_letter_ids(store, tombstone))
        names = _names(store, tombstone, frozenset(ids))
        tombstone = Tombstone(kind, value, now, tuple(ids), is_finished=False)
        save(settings, [*others, tombstone])
        reached("purge.remembered")

        say("raw tables ...")
        documents, files = rewrite.remove(
            store, store.conversations, lambda rows: mask_rows(rows, [tombstone], frozenset(ids))
        )
        dead_letters, dead_letter_files = rewrite.remove(
            store, store.dead_letters, lambda rows: mask_dead_letters(rows, tombstone)
        )
        _purge_sync(settings, tombstone)
        reached("purge.rows")
        say("published data ...")
        removed = {name: places.remove(paths) for name, paths in places.derived(settings).items()}
        removed["the tables that Spark built"] = drop_derived(store)
        load(settings, full_refresh=True)
        transform(settings, full_refresh=True)
        validate(settings)
        publish.publish(settings)
        reached("purge.published")
        # what was the published version until now, and what this build left behind
        for name, paths in places.derived(settings).items():
            removed[name] += places.remove(paths) if name.startswith("older") else 0
        places.remove_broken_links(settings)
        places.clear_messages(settings)
        save(settings, [*others, replace(tombstone, is_finished=True)])
        return PurgeResult(
            kind=kind,
            value=value,
            documents=documents,
            dead_letters=dead_letters,
            derived_removed=removed,
            files_deleted=files + dead_letter_files,
            left=_left(settings, RawStore(settings), tombstone, names),
            in_source=_in_source(settings, tombstone),
        )


def _purge_sync(settings: Settings, tombstone: Tombstone) -> None:
    """Dead letters of a sync that wait for an extract, whichever collection it copies to."""
    from analytics.sources.sync_state import SyncState

    known = Tombstones([tombstone])
    for path in sorted((settings.data_dir / "sync").glob("*.db")):
        with contextlib.closing(SyncState(path)) as state:
            state.purge(lambda name: known.covers_file(name.split("/")[0], name))


def _kept(mask: pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    return pc.sum(mask).as_py() or 0


def _scan(store: Any, table: Any) -> Iterator[pa.Table]:
    """The tables' keys, a file at a time."""
    wanted = {"_id", "session_id", "project_id", "source_file", "cwd", "timestamp"}
    wanted |= {"dead_letter_id", "first_seen_at"}
    yield from store.read_files(table, wanted)


def _untimed_ids(settings: Settings, store: Any, tombstone: Tombstone) -> set[str]:
    """Documents without a time in transcripts whose last time is before the day."""
    if tombstone.kind != "before":
        return set()
    limit = datetime.fromisoformat(tombstone.value.replace("Z", "+00:00"))
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


def _dead_letter_ids(store: Any, tombstone: Tombstone) -> set[str]:
    found: set[str] = set()
    for rows in _scan(store, store.dead_letters):
        mask = mask_dead_letters(rows, tombstone).to_pylist()
        ids = rows["dead_letter_id"].to_pylist()
        found.update(one for one, kept in zip(ids, mask, strict=True) if not kept)
    return found


# Proof


def _names(store: Any, tombstone: Tombstone, ids: frozenset[str]) -> set[str]:
    """Names that stand nowhere any more once it is done: sessions of which everything goes."""
    kept: set[str] = set()
    gone: set[str] = set()
    for rows in _scan(store, store.conversations):
        mask = mask_rows(rows, [tombstone], ids).to_pylist()
        for session, stays in zip(rows["session_id"].to_pylist(), mask, strict=True):
            (kept if stays else gone).add(session or "")
    # short ids are in every file by chance
    return {session for session in gone - kept if len(session) >= 16}


def _left(settings: Settings, store: Any, tombstone: Tombstone, names: set[str]) -> dict[str, int]:
    """What still matches, place by place."""
    from analytics.raw.maintenance import derived_tables, is_derived_from
    from analytics.warehouse.marts import open_version

    documents, dead_letters = count(settings, tombstone.kind, tombstone.value)
    with open_version(settings.published_path) as connection:
        published = connection.execute(
            f"select count(*) from raw.conversations where {PREDICATES[tombstone.kind]}", {"value": tombstone.value}
        ).fetchall()[0][0]
        column = {"project": "project_id = $value", "session": "session_id = $value"}.get(
            tombstone.kind, "created_at < cast($value as timestamptz)"
        )
        messages = connection.execute(
            f"select count(*) from marts.fct_messages where {column}", {"value": tombstone.value}
        ).fetchall()[0][0]
    snapshots = [len(table.metadata.snapshots) for table in (store.conversations, store.dead_letters)]
    older = places.derived(settings)
    return {
        "raw.conversations": documents,
        "raw.dead_letters": dead_letters,
        "the published documents": published,
        "the published messages": messages,
        "older snapshots": sum(max(0, number - 1) for number in snapshots),
        # with TRANSFORM_ENGINE=spark there are new ones by now
        "tables that Spark built": sum(
            not is_derived_from(table, store.current_snapshot_id()) or len(table.metadata.snapshots) > 1
            for table in derived_tables(store)
        ),
        "older versions": len(older["older versions"]) + len(older["older serving copies"]),
        "files that name its sessions": len(places.files_with(settings, names)),
    }


def _in_source(settings: Settings, tombstone: Tombstone) -> str:
    """What the source still holds: it is not ours to change."""
    parts = []
    for root in settings.projects_dirs if tombstone.kind != "before" else ():
        if not root.is_dir():
            continue
        known = Tombstones([tombstone])
        names = [path.relative_to(root).as_posix() for path in root.rglob("*.jsonl")]
        found = [name for name in names if known.covers_file(name.split("/")[0], name)]
        if found:
            parts.append(f"{len(found)} transcripts under {root}")
    if settings.mongo_uri is not None:
        parts.append(f"the collection {settings.mongo_db}.{settings.mongo_collection} on MONGO_URI")
    if not parts:
        return ""
    return f"not touched, and left out from now on: {' and '.join(parts)}; delete there what should go there too"
