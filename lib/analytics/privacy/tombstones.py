"""What was purged stays purged: `DATA_DIR/purged.json` remembers it, and every extract and sync leaves it out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.common.engine import engine
from analytics.common.files import partial_file
from analytics.errors import AnalyticsError
from analytics.settings import Settings

TOMBSTONES_FILE = "purged.json"

KINDS = ("project", "session", "before")

# raw.conversations rows that belong to one tombstone; `$value` is its value. The project is the models' project.
PREDICATES = {
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


class Tombstones:
    """Everything that was purged, as extract and sync ask for it."""

    def __init__(self, listed: list[Tombstone]) -> None:
        self.all = listed
        self.ids = frozenset(one for tombstone in listed for one in tombstone.ids)
        self._projects = {tombstone.value for tombstone in listed if tombstone.kind == "project"}
        self._sessions = {tombstone.value for tombstone in listed if tombstone.kind == "session"}
        self._before = max((tombstone.value for tombstone in listed if tombstone.kind == "before"), default="")

    def keep(self, rows: pa.Table) -> pa.ChunkedArray:
        """Mask over `rows` (columns of raw.conversations): True where nothing of it was purged."""
        return mask_rows(rows, self.all, self.ids)

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
        listed = [Tombstone(**{**item, "ids": tuple(item.get("ids", ()))}) for item in json.loads(path.read_text())]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise AnalyticsError(
            f"{path} cannot be read ({error}); it says what was purged. Restore it, or remove it to let all of that "
            "come back"
        ) from None
    return Tombstones(listed) if listed else None


def forget(settings: Settings, kind: str, value: str) -> bool:
    """Let what was purged come back with the next full backfill; returns whether there was such a tombstone."""
    known = tombstones(settings)
    listed = known.all if known else []
    kept = [tombstone for tombstone in listed if (tombstone.kind, tombstone.value) != (kind, value)]
    if len(kept) != len(listed):
        save(settings, kept)
    return len(kept) != len(listed)


def _path(settings: Settings) -> Path:
    return settings.data_dir / TOMBSTONES_FILE


def save(settings: Settings, listed: list[Tombstone]) -> None:
    """Remember exactly these."""
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path, durable=True) as temporary:
        temporary.write_text(json.dumps([asdict(tombstone) for tombstone in listed], indent=1) + "\n")


def mask_rows(rows: pa.Table, listed: list[Tombstone], ids: frozenset[str] | set[str]) -> pa.ChunkedArray:
    """True where no tombstone covers the row."""
    mask = pc.invert(pc.is_in(rows["_id"], pa.array(ids, pa.string())))
    keys = rows.select(["session_id", "project_id", "source_file", "cwd", "timestamp"])
    with engine().cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.register("purge_rows", keys.append_column("position", pa.array(range(keys.num_rows), pa.int64())))
        for tombstone in listed:
            found = cursor.execute(
                f"select not coalesce({PREDICATES[tombstone.kind]}, false) as kept from purge_rows order by position",
                {"value": tombstone.value},
            )
            mask = pc.and_(mask, found.to_arrow_table()["kept"])
    return mask


def mask_dead_letters(rows: pa.Table, tombstone: Tombstone) -> pa.ChunkedArray:
    """True where a dead letter stays. They have no time of their own: what was first seen before the day goes."""
    if tombstone.kind == "before":
        limit = datetime.fromisoformat(tombstone.value.replace("Z", "+00:00"))
        mask = [seen is None or seen >= limit for seen in rows["first_seen_at"].to_pylist()]
    else:
        known = Tombstones([tombstone])
        mask = [
            not known.covers_file((name or "").split("/")[0] or None, name) for name in rows["source_file"].to_pylist()
        ]
    return pa.chunked_array([pa.array(mask, pa.bool_())])
