"""Remove a project, a session or everything before a day, everywhere this workspace keeps it, and keep it out.

What is purged stays purged: `DATA_DIR/purged.json` remembers what may not come back, and every extract and sync leaves
it out, also when the transcripts or the MongoDB server still hold it. Those two are not ours to change: they are
counted and named, with what to do.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analytics.common.clock import utc_now
from analytics.common.faults import reached
from analytics.common.files import disk_errors, partial_file
from analytics.errors import AnalyticsError, ConfigError
from analytics.raw import envelope
from analytics.settings import Settings

if TYPE_CHECKING:
    from pymongo.collection import Collection

KINDS = ("project", "session", "before")

# raw.conversations rows that belong to one tombstone; `$value` is its value. The project is the models' project.
_PREDICATES = {
    "project": """
        coalesce(project_id, regexp_replace(cwd, '[^A-Za-z0-9]', '-', 'g'), 'unknown') = $value
        or starts_with(coalesce(source_file, ''), $value || '/')
    """,
    "session": """
        coalesce(session_id, '') = $value
        or list_contains(string_split(regexp_replace(coalesce(source_file, ''), '[.]jsonl$', ''), '/'), $value)
    """,
    "before": "timestamp < cast($value as timestamptz)",
}


@dataclass(frozen=True)
class Tombstone:
    """What was purged: a project's id, a session's id, or an instant (ISO 8601, UTC) before which nothing is kept."""

    kind: str
    value: str
    purged_at: str
    ids: tuple[str, ...] = ()  # documents without a time of their own that went with it
    is_finished: bool = True  # False: that purge was killed, and what it was to remove may still be there

    def option(self, tz: tzinfo) -> str:
        """The option of `purge` that means this selection, days in `tz`."""
        if self.kind == "before":
            return f"--before {datetime.fromisoformat(self.value).astimezone(tz):%Y-%m-%d}"
        return f"--{self.kind} {self.value}"


@dataclass(frozen=True)
class PurgeResult:
    """What a purge removed, and the proof: what is left everywhere."""

    kind: str
    value: str
    documents: int
    dead_letters: int
    embedded_documents: int
    runs_cleaned: int
    versions_removed: int
    files_deleted: int
    left: dict[str, int] = field(default_factory=dict)  # place -> rows still matching; all zero
    in_source: str = ""  # what the source still holds

    def __str__(self) -> str:
        lines = [
            f"removed {self.documents:,} documents and {self.dead_letters:,} dead letters; "
            f"{self.embedded_documents:,} from the embedded MongoDB, {self.versions_removed} published versions, "
            f"executed notebooks of {self.runs_cleaned} runs, {self.files_deleted} files of the raw tables",
            "left: " + ", ".join(f"{count} in {place}" for place, count in self.left.items()),
        ]
        if self.in_source:
            lines.append(self.in_source)
        return "\n".join(lines)


class Tombstones:
    """Everything that was purged, as extract and sync ask for it."""

    def __init__(self, stones: list[Tombstone]) -> None:
        self.stones = stones
        self.ids = frozenset(one for stone in stones for one in stone.ids)
        self._projects = {stone.value for stone in stones if stone.kind == "project"}
        self._sessions = {stone.value for stone in stones if stone.kind == "session"}
        self._before = max((stone.value for stone in stones if stone.kind == "before"), default="")

    def keep(self, rows: pa.Table) -> pa.ChunkedArray:
        """Mask over `rows` (columns of raw.conversations): True where nothing of it was purged."""
        return _mask(rows, self.stones, self.ids)

    def covers_document(self, document: dict[str, Any], project_id: str | None, source_file: str | None) -> bool:
        """Whether a transcript's line was purged."""
        timestamp = document.get("timestamp")
        return (
            self.covers_file(project_id, source_file)
            or document.get("sessionId") in self._sessions
            or (bool(self._before) and isinstance(timestamp, str) and "0" < timestamp < self._before)
        )

    def covers_file(self, project_id: str | None, source_file: str | None) -> bool:
        """Whether everything in a transcript was purged: its project, or the session it is named by."""
        parts = (source_file or "").removesuffix(".jsonl").split("/")
        return project_id in self._projects or parts[0] in self._projects or not self._sessions.isdisjoint(parts)


def tombstones(settings: Settings) -> Tombstones | None:
    """What was purged so far; None when nothing was.

    Raises:
        AnalyticsError: the file that says so is damaged: going on could bring purged data back.
    """
    path = _path(settings)
    try:
        stones = [Tombstone(**{**item, "ids": tuple(item.get("ids", ()))}) for item in json.loads(path.read_text())]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise AnalyticsError(
            f"{path} cannot be read ({error}); it says what was purged. Restore it, or remove it to let all of that "
            "come back"
        ) from None
    return Tombstones(stones) if stones else None


def forget(settings: Settings, kind: str, value: str) -> bool:
    """Let what was purged come back with the next full backfill; returns whether there was such a tombstone."""
    known = tombstones(settings)
    stones = known.stones if known else []
    kept = [stone for stone in stones if (stone.kind, stone.value) != (kind, value)]
    if len(kept) != len(stones):
        _save(settings, kept)
    return len(kept) != len(stones)


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
        rows.num_rows - _kept(_mask(rows, [stone], _untimed_ids(settings, store, stone)))
        for rows in _scan(store, store.conversations)
    )
    letters = sum(rows.num_rows - _kept(_mask_letters(rows, stone)) for rows in _scan(store, store.dead_letters))
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
        _save(settings, [*others, stone])
        reached("purge.remembered")

        say("raw tables ...")
        documents, files = store.remove(store.conversations, lambda rows: _mask(rows, [stone], frozenset(ids)))
        letters, letter_files = store.remove(store.dead_letters, lambda rows: _mask_letters(rows, stone))
        reached("purge.rows")
        say("embedded MongoDB ...")
        embedded = _purge_embedded(settings, stone)
        say("published data ...")
        _remove_derived(settings)
        load(settings, full_refresh=True)
        transform(settings, full_refresh=True)
        validate(settings)
        published = publish.publish(settings)
        reached("purge.published")
        versions = _remove_other_versions(settings, published.version)
        runs_cleaned = _clean_runs(settings)
        _save(settings, [*others, replace(stone, is_finished=True)])
        return PurgeResult(
            kind=kind,
            value=value,
            documents=documents,
            dead_letters=letters,
            embedded_documents=embedded,
            runs_cleaned=runs_cleaned,
            versions_removed=versions,
            files_deleted=files + letter_files,
            left=_left(settings, RawStore(settings), stone),
            in_source=_in_source(settings, stone),
        )


def _path(settings: Settings) -> Path:
    return settings.data_dir / "purged.json"


def _save(settings: Settings, stones: list[Tombstone]) -> None:
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path, durable=True) as temporary:
        temporary.write_text(json.dumps([asdict(stone) for stone in stones], indent=1) + "\n")


# Which rows


def _mask(rows: pa.Table, stones: list[Tombstone], ids: frozenset[str] | set[str]) -> pa.ChunkedArray:
    """True where no tombstone covers the row."""
    keys = rows.select(["_id", "session_id", "project_id", "source_file", "cwd", "timestamp"])
    with envelope.engine().cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        numbered = keys.append_column("position", pa.array(range(keys.num_rows), pa.int64()))
        cursor.register("purge_rows", numbered)
        dropped = pa.array([], pa.int64())
        for stone in stones:
            found = cursor.execute(
                f"select position from purge_rows where {_PREDICATES[stone.kind]}", {"value": stone.value}
            ).to_arrow_table()["position"]
            dropped = pa.concat_arrays([dropped, *found.chunks])
        cursor.unregister("purge_rows")
    mask = [True] * keys.num_rows
    for position in dropped.to_pylist():
        mask[position] = False
    if ids:
        mask = [kept and one not in ids for kept, one in zip(mask, keys["_id"].to_pylist(), strict=True)]
    return pa.chunked_array([pa.array(mask, pa.bool_())])


def _mask_letters(rows: pa.Table, stone: Tombstone) -> pa.ChunkedArray:
    """True where a dead letter stays. They have no time of their own: what was first seen before the day goes."""
    if stone.kind == "before":
        limit = datetime.fromisoformat(stone.value.replace("Z", "+00:00"))
        mask = [seen is None or seen >= limit for seen in rows["first_seen_at"].to_pylist()]
    else:
        known = Tombstones([stone])
        mask = [
            not known.covers_file((name or "").split("/")[0] or None, name) for name in rows["source_file"].to_pylist()
        ]
    return pa.chunked_array([pa.array(mask, pa.bool_())])


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
        mask = _mask_letters(rows, stone).to_pylist()
        ids = rows["dead_letter_id"].to_pylist()
        found.update(one for one, kept in zip(ids, mask, strict=True) if not kept)
    return found


# Where else it is


def _query(stone: Tombstone) -> dict[str, Any]:
    """The same selection for MongoDB."""
    literal = re.escape(stone.value)
    if stone.kind == "project":
        return {"$or": [{"projectId": stone.value}, {"sourceFile": {"$regex": f"^{literal}/"}}]}
    if stone.kind == "session":
        return {"$or": [{"sessionId": stone.value}, {"sourceFile": {"$regex": f"(^|/){literal}(/|[.]jsonl$)"}}]}
    return {"$or": [{"timestamp": {"$gt": "0", "$lt": stone.value}}, {"_id": {"$in": list(stone.ids)}}]}


def _purge_embedded(settings: Settings, stone: Tombstone) -> int:
    """Remove from our own server's storage, which is then written anew: deleted documents stay in its files."""
    from analytics.sources import mongodb
    from analytics.sources.embedded import FORMER, embedded_mongo, replace_storage
    from analytics.sources.sync import open_state

    embedded = settings.model_copy(update={"mongo_uri": None})
    if not any((embedded.mongo_storage_dir / name).exists() for name in ("storage", FORMER)):
        return 0
    fresh = embedded.model_copy(update={"data_dir": settings.data_dir / "mongo.new"})
    # there from before the first deletion until nothing deleted is left in a file
    unfinished = fresh.data_dir.exists()
    shutil.rmtree(fresh.data_dir, ignore_errors=True)
    fresh.data_dir.mkdir()
    with open_state(embedded) as state:
        state.purge(lambda source_file: Tombstones([stone]).covers_file(source_file.split("/")[0], source_file))
    with embedded_mongo(embedded) as uri, mongodb.connect(uri) as client:
        source = client[settings.mongo_db][settings.mongo_collection]
        removed = source.delete_many(_query(stone)).deleted_count
        reached("purge.deleted")
        if removed or unfinished:
            with embedded_mongo(fresh) as fresh_uri, mongodb.connect(fresh_uri) as fresh_client:
                _copy_documents(source, fresh_client[settings.mongo_db][settings.mongo_collection])
            reached("purge.copied")
    if removed or unfinished:
        replace_storage(embedded, fresh.mongo_storage_dir / "storage")
    shutil.rmtree(fresh.data_dir)
    return removed


def _copy_documents(source: Collection[Any], target: Collection[Any]) -> None:
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument

    raw = CodecOptions(document_class=RawBSONDocument)
    waiting: list[RawBSONDocument] = []
    size = 0
    for document in source.with_options(codec_options=raw).find({}):
        waiting.append(document)
        size += len(document.raw)
        if len(waiting) >= 1000 or size > 8 * 2**20:
            target.insert_many(waiting, ordered=False)
            waiting, size = [], 0
    if waiting:
        target.insert_many(waiting, ordered=False)


def _remove_derived(settings: Settings) -> None:
    """What a run makes anew: data docs, dbt's artifacts, reports."""
    shutil.rmtree(settings.data_docs_dir, ignore_errors=True)
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
            f"select count(*) from raw.conversations where {_PREDICATES[stone.kind]}", {"value": stone.value}
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
    if settings.claude_projects_dir.is_dir() and stone.kind != "before":
        known = Tombstones([stone])
        root = settings.claude_projects_dir
        names = [path.relative_to(root).as_posix() for path in root.rglob("*.jsonl")]
        found = [name for name in names if known.covers_file(name.split("/")[0], name)]
        if found:
            parts.append(f"{len(found)} transcripts under {root}")
    if settings.mongo_uri is not None:
        parts.append(f"the collection {settings.mongo_db}.{settings.mongo_collection} on MONGO_URI")
    if not parts:
        return ""
    return f"not touched, and left out from now on: {' and '.join(parts)}; delete there what should go there too"
