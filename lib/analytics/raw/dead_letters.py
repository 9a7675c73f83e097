"""Documents that could not be stored: look at them, take them elsewhere, try again after a fix.

A dead letter keeps its original bytes (secrets replaced) in the Iceberg table `raw.dead_letters`. `replay` reads
them the way `extract` reads a source; what works now becomes rows under the `_id`s it would have had from the
start, and the dead letter goes. Rows first, then the removal: killed in between, the next replay finds the rows
stored and only removes, so every document is always in at least one of the two tables, and in the end in one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from analytics.common.faults import reached
from analytics.common.files import disk_errors, partial_file
from analytics.errors import AnalyticsError, ConfigError
from analytics.raw import envelope
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources.batch import Batch, DeadLetter, fingerprint

if TYPE_CHECKING:
    from analytics.sources.transcripts import Line

# As a reason that a dead letter stays although its bytes can be read.
_NO_OBJECT = "not a JSON object"


@dataclass(frozen=True)
class StoredDeadLetter:
    """One dead letter, without its bytes."""

    dead_letter_id: str
    reason: str
    source: str  # mongodb, jsonl or sync
    document_id: str | None  # `_id` of the MongoDB document
    source_file: str | None
    byte_offset: int | None
    byte_length: int
    first_seen_at: datetime

    @property
    def place(self) -> str:
        """Where the document is, for a person."""
        if self.source_file is not None:
            return self.source_file if self.byte_offset is None else f"{self.source_file} at byte {self.byte_offset}"
        return f"_id {self.document_id}"

    @property
    def row_id(self) -> str:
        """The `_id` of the row it becomes, if it becomes one row."""
        return self.document_id or self.dead_letter_id


@dataclass(frozen=True)
class ReplayResult:
    """What a replay did."""

    tried: int
    solved: int  # dead letters that are rows now, and gone
    documents_stored: int  # new rows; fewer than `solved` where a document was stored already
    remaining: dict[str, str] = field(default_factory=dict)  # dead letter id -> why it stays

    def __str__(self) -> str:
        if not self.tried:
            return "no dead letters"
        return (
            f"{self.solved} of {self.tried} dead letters solved, {self.documents_stored} documents stored, "
            f"{len(self.remaining)} stay"
        )


def stored(settings: Settings) -> list[StoredDeadLetter]:
    """All dead letters, oldest first."""
    store = RawStore(settings)
    names = tuple(StoredDeadLetter.__dataclass_fields__)
    rows = store.dead_letters.scan(selected_fields=names).to_arrow().to_pylist()
    found = [StoredDeadLetter(**row) for row in rows]
    return sorted(found, key=lambda item: (item.first_seen_at, item.source_file or "", item.byte_offset or 0))


def export(settings: Settings, target: Path, ids: Iterable[str] | None = None) -> int:
    """Write dead letters with their bytes to `target`, one JSON object a line; returns how many.

    The bytes are `original` when they are UTF-8 text, else `original_base64`.

    Args:
        ids: dead letter ids, or their first characters; default all.

    Raises:
        ConfigError: an id that no dead letter has.
        AnalyticsError: `target` cannot be written.
    """
    store = RawStore(settings)
    wanted = _chosen(settings, ids)
    count = 0
    try:
        with partial_file(target) as temporary, temporary.open("wb") as stream:
            temporary.chmod(0o600)
            for dead_letter, original in _with_bytes(store, wanted):
                facts: dict[str, Any] = asdict(dead_letter)
                try:
                    facts["original"] = original.decode()
                except UnicodeDecodeError:
                    facts["original_base64"] = base64.b64encode(original).decode()
                stream.write(orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))
                count += 1
    except OSError as error:
        raise AnalyticsError(f"{target} cannot be written: {error.strerror or error}") from error
    return count


def replay(settings: Settings, ids: Iterable[str] | None = None) -> ReplayResult:
    """Read dead letters again and store what can be stored now. Repeating it has no effect.

    What MongoDB could not hold (too large, too deep) goes straight into the raw layer, which can.

    Args:
        ids: dead letter ids, or their first characters; default all.

    Raises:
        ConfigError: an id that no dead letter has.
        AnalyticsError: the warehouse cannot be written.
    """
    with disk_errors("replay", settings.data_dir):
        return _replay(settings, ids)


def _replay(settings: Settings, ids: Iterable[str] | None) -> ReplayResult:
    from analytics.raw.intake import Intake

    wanted = _chosen(settings, ids)
    intake = Intake(settings, full_backfill=False)
    store = intake.store
    solved: list[str] = []
    remaining: dict[str, str] = {}
    for dead_letter, original in _with_bytes(store, wanted):
        if len(store.stored_ids(pa.array([dead_letter.row_id], pa.string()), intake.known_files)):
            solved.append(dead_letter.dead_letter_id)
            continue
        batch, reason = _read(settings, dead_letter, original)
        if batch is None:
            remaining[dead_letter.dead_letter_id] = reason
            continue
        intake.absorb(batch)
        solved.append(dead_letter.dead_letter_id)
        if intake.is_full:
            intake.commit()
    intake.commit()
    reached("replay.stored")
    store.remove_dead_letters(solved)
    reached("replay.removed")
    return ReplayResult(len(wanted), len(solved), intake.stored, remaining)


def remove_solved(store: RawStore) -> int:
    """Remove dead letters whose document is stored meanwhile (read again by a version that can); how many."""
    if store.dead_letters.current_snapshot() is None:
        return 0
    rows = store.dead_letters.scan(selected_fields=("dead_letter_id", "document_id")).to_arrow().to_pylist()
    keys = {row["document_id"] or row["dead_letter_id"]: row["dead_letter_id"] for row in rows}
    solved = store.stored_ids(pa.array(list(keys), pa.string())).to_pylist()
    store.remove_dead_letters([keys[key] for key in solved])
    return len(solved)


def _chosen(settings: Settings, ids: Iterable[str] | None) -> set[str]:
    """Ids of the dead letters meant by `ids`."""
    known = [dead_letter.dead_letter_id for dead_letter in stored(settings)]
    if ids is None:
        return set(known)
    chosen: set[str] = set()
    for prefix in ids:
        found = [key for key in known if prefix and key.startswith(prefix)]
        if not found:
            raise ConfigError(f"no dead letter {prefix!r}; `claude-analytics dead-letters list` shows them")
        chosen.update(found)
    return chosen


def _with_bytes(store: RawStore, wanted: set[str]) -> Iterator[tuple[StoredDeadLetter, bytes]]:
    """The dead letters of these ids with their original bytes, a few in memory at a time."""
    if not wanted:
        return
    names = tuple(StoredDeadLetter.__dataclass_fields__)
    for rows in store.dead_letters.scan(selected_fields=(*names, "original")).to_arrow_batch_reader():
        for position in range(rows.num_rows):
            if rows["dead_letter_id"][position].as_py() in wanted:
                (row,) = rows.slice(position, 1).to_pylist()
                original = row.pop("original")
                yield StoredDeadLetter(**row), original


def _read(settings: Settings, dead_letter: StoredDeadLetter, original: bytes) -> tuple[Batch | None, str]:
    """The documents in `original` -> (batch, ""), or (None, why there are none)."""
    batch = Batch(settings.machine_name, dead_letter.first_seen_at)
    # a document that was JSON text already has a MongoDB id and no BSON
    if dead_letter.source == "mongodb" and int.from_bytes(original[:4], "little") == len(original):
        from analytics.sources.bson_json import batch_json

        batch = Batch()
        found, texts, failures = batch_json(original)
        if failures:
            return None, failures[0][2]
        batch.add(found, texts)
    else:
        lines = _lines(original, dead_letter.byte_offset or 0)
        failed = [line for line in lines if line.reason is not None]
        if len(failed) == len(lines):
            return None, (failed[0].reason if failed else None) or dead_letter.reason
        file = dead_letter.source_file
        project = file.split("/")[0] if file and "/" in file else None
        keys = [dead_letter.row_id]
        if len(lines) > 1:
            keys = [fingerprint((file or "").encode(), b"%d" % line.offset, line.original) for line in lines]
        good = [(key, line.text) for key, line in zip(keys, lines, strict=True) if line.reason is None]
        batch.add([key for key, _ in good], [text for _, text in good], project, file)
        # what is torn of a line that also holds an entry
        batch.add_dead(
            [
                DeadLetter(key, line.reason, dead_letter.source, line.original, None, file, line.offset)
                for key, line in zip(keys, lines, strict=True)
                if line.reason is not None
            ]
        )
    if envelope.invalid_rows(batch.to_arrow()):
        return None, _NO_OBJECT
    return batch, ""


def _lines(original: bytes, offset: int) -> list[Line]:
    """What the bytes of a line hold, read as `extract` reads a transcript."""
    from analytics.sources.transcripts import Line, rescue

    try:
        document = orjson.loads(original)
    except ValueError:
        return rescue(original, offset)
    return [Line(offset, original, original)] if isinstance(document, dict) else rescue(original, offset)
