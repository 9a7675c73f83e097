"""`SOURCE=jsonl`: transcript files straight into the raw layer.

What was read is remembered in a file named after a token, and the token is a property of the Iceberg commit
that holds the rows: both become true at the same moment. The file only saves time; when it is missing or
belongs to another token, everything is read again and the ids decide what is new.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from analytics.settings import Settings
from analytics.sources.batch import CONTENT_ID, Batch, DeadLetter, Known, Part, Run, fingerprint
from analytics.sources.positions import FileState, PendingFile, pending, position_key, projects_dirs, state_after
from analytics.sources.transcripts import Line, read_lines


class ReadPositions:
    """What is stored of each transcript file, tied to the commit that stored it."""

    def __init__(self, settings: Settings, root: Path, properties: dict[str, str]) -> None:
        """`properties`: what the newest snapshot remembers (RawStore.properties())."""
        self.root = root
        owner = fingerprint(settings.machine_name.encode(), os.fsencode(self.root))
        self.key = f"jsonl.{owner}"
        self.token = properties.get(self.key)
        self._directory = settings.data_dir / "jsonl"
        self._prefix = f"positions-{owner[:8]}"
        self._states = self._load(self._path(self.token)) if self.token else {}

    def _path(self, token: str) -> Path:
        return self._directory / f"{self._prefix}-{token}.json"

    @staticmethod
    def _load(path: Path) -> dict[str, FileState]:
        try:
            found = orjson.loads(path.read_bytes())
            # version 0.1 kept names
            return {
                position_key(name) if name.endswith(".jsonl") else name: FileState(*values)
                for name, values in found.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # lost or damaged: it only costs time

    @property
    def are_known(self) -> bool:
        """Whether positions were saved and are not lost."""
        return bool(self._states)

    @property
    def keys(self) -> Iterable[str]:
        """Keys of the files that were read."""
        return self._states.keys()

    def pending(self, *, everything: bool = False) -> list[PendingFile]:
        """Files with something possibly new; `everything`: all files from their start."""
        return pending(self.root, {} if everything else self._states)

    def prepare(self, updates: dict[str, FileState]) -> str:
        """Save `updates` on top of what is known, for the commit that will carry the returned token."""
        self._states.update(updates)
        token = secrets.token_hex(8)
        self._save(token)
        return token

    def settle(self, token: str | None) -> None:
        """`token` is what the table says now: the new one, or still the old one if nothing was new."""
        if token is not None and token == self.token:
            self._save(token)
        self.token = token
        for path in self._directory.glob(f"{self._prefix}-*"):
            if token is None or path != self._path(token):
                path.unlink(missing_ok=True)

    def _save(self, token: str) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path(token)
        partial = path.with_suffix(".partial")
        partial.write_bytes(orjson.dumps({name: state.to_list() for name, state in self._states.items()}))
        partial.replace(path)


class JsonlSource:
    """The transcript files under every projects folder."""

    name = "jsonl"
    remembers_early = True

    def __init__(self, settings: Settings) -> None:
        """Raises: ConfigError: no folder with transcripts can be read."""
        self._settings = settings
        self._roots = projects_dirs(settings)
        self._positions: list[ReadPositions] = []
        self._tokens: dict[str, str | None] = {}
        self._files: list[tuple[ReadPositions, list[PendingFile]]] = []
        self.must_commit = False
        self.is_empty = False

    def __enter__(self) -> JsonlSource:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""

    def _look(self, known: Known) -> None:
        """Which files have something new, by size and time of change."""
        self._positions = [ReadPositions(self._settings, root, known.properties) for root in self._roots]
        self._files = [(item, item.pending(everything=known.full_backfill)) for item in self._positions]
        self.is_empty = not any(files or item.are_known for item, files in self._files)
        self.must_commit = any(item.token is None and files for item, files in self._files)

    def has_news(self, known: Known) -> bool:
        """Whether a file was added or written to."""
        self._look(known)
        return any(files for _, files in self._files)

    def total(self) -> tuple[int, str]:
        """Bytes of what is new."""
        return sum(file.size - file.start for _, files in self._files for file in files), "B"

    def batches(self, known: Run) -> Iterator[Batch]:
        """New lines, in batches that also say how far each file was read."""
        self._look(known)
        ours = {item.key for item in self._positions}
        sources = {key for key in known.properties if key.startswith(("jsonl.", "mongodb."))}
        # nothing beyond these positions can be stored: they are not lost, and nobody else stored anything
        are_exact = sources == ours and all(item.are_known for item in self._positions) and not known.full_backfill
        folders = [(item.key, files) for item, files in self._with_repeated_names() if files]
        if folders:
            yield from known.read(FilesPart(folders, known.now, are_exact))
        last = Batch(self._settings.machine_name, known.now)
        last.is_last = True
        yield last

    def _with_repeated_names(self) -> list[tuple[ReadPositions, list[PendingFile]]]:
        """Pending files by folder; one that another folder has too may repeat what that one holds.

        A projects folder may have been copied: the same line of the same file has the same id in both.
        """
        if len(self._files) == 1:
            return self._files
        times = Counter(key for item, files in self._files for key in {*item.keys, *(file.key for file in files)})
        return [
            (item, [replace(file, read_to=None) if times[file.key] > 1 else file for file in files])
            for item, files in self._files
        ]

    def remember(self, bookmarks: list[Any], newest: datetime | None) -> dict[str, str]:
        """A token for each folder of which something was read.

        Positions are saved first, under the name of a commit that does not exist yet: they count only if it succeeds.
        """
        self._tokens = {}
        for item in self._positions:
            read: dict[str, FileState] = {}
            for bookmark in bookmarks:
                if bookmark[0] == item.key:
                    read.update(bookmark[1])
            if read:
                self._tokens[item.key] = item.prepare(read)
        return {key: token for key, token in self._tokens.items() if token}

    def settle(self, bookmarks: list[Any], *, is_committed: bool) -> None:
        """Positions hold under the new token, or go on under the former one where nothing had to be committed."""
        for item in self._positions:
            if item.key in self._tokens:
                item.settle(self._tokens[item.key] if is_committed else item.token)
        self._tokens = {}

    def came_from_here(self, rows: pa.Table) -> pa.ChunkedArray:
        """Rows of this machine whose ids are those of their content."""
        ours = pc.fill_null(pc.equal(rows["machine"], self._settings.machine_name), False)
        return pc.and_(ours, pc.match_substring_regex(rows["_id"], CONTENT_ID))

    def watermark(self) -> datetime | None:
        """Files have read positions instead."""
        return None


# Files that one process reads, at least.
PART_BYTES = 128 * 2**20


@dataclass(frozen=True)
class FilesPart:
    """Files to read, by the folder (its key) that they are in."""

    folders: list[tuple[str, list[PendingFile]]]
    now: datetime
    positions_are_exact: bool

    def batches(self, settings: Settings, batch_bytes: int) -> Iterator[Batch]:
        """New lines, in batches that also say how far each file was read."""
        machine = settings.machine_name
        for number, (key, files) in enumerate(self.folders):
            if number and any(file.read_to is None for file in files):
                # what the folders before hold has to be stored before it is looked for
                border = Batch(machine, self.now)
                border.is_restart = True
                yield border
            yield from _batches(
                key, files, machine, self.now, batch_bytes, positions_are_exact=self.positions_are_exact
            )

    def split(self) -> list[Part]:
        """Files in their order, PART_BYTES to a part: days stay together; so do files of one name, whose ids repeat."""
        groups: list[dict[str, list[PendingFile]]] = []
        group_of: dict[str, int] = {}
        size = PART_BYTES
        for folder, files in self.folders:
            for file in files:
                if file.key not in group_of:
                    if size >= PART_BYTES:
                        groups.append({})
                        size = 0
                    group_of[file.key] = len(groups) - 1
                    size += file.size - file.start
                groups[group_of[file.key]].setdefault(folder, []).append(file)
        return [replace(self, folders=list(group.items())) for group in groups]


def _batches(
    folder: str,
    files: list[PendingFile],
    machine: str,
    now: datetime,
    batch_bytes: int,
    *,
    positions_are_exact: bool,
) -> Iterator[Batch]:
    """Documents of `files` in batches of about `batch_bytes`, each with the file positions it brings.

    Args:
        positions_are_exact: only of files that were read further before anything can be stored already.
    """

    def new_batch() -> Batch:
        batch = Batch(machine, now)
        batch.may_repeat = not positions_are_exact
        batch.bookmarks = [(folder, {})]
        return batch

    batch = new_batch()
    for file in files:
        batch.may_repeat |= file.may_repeat
        prefix = file.source_file.encode()
        offset = file.start
        for plain, helped, offset in read_lines(file, _is_object):
            ids = [fingerprint(prefix, b"%d" % start, text) for start, text, _ in plain]
            batch.add(ids, [text for _, text, _ in plain], file.project_id, file.source_file)
            for line in helped:
                key = fingerprint(prefix, b"%d" % line.offset, line.original)
                if line.reason is None:
                    batch.add([key], [line.text], file.project_id, file.source_file)
                else:
                    batch.add_dead([_dead_letter(key, file, line)])
            if batch.bytes >= batch_bytes:
                batch.bookmarks[0][1][file.key] = state_after(file, offset, at_end=False)
                yield batch
                batch = new_batch()
                batch.may_repeat |= file.may_repeat
        batch.bookmarks[0][1][file.key] = state_after(file, offset)
    yield batch


def _is_object(text: bytes) -> dict[str, Any] | None:
    """An object without what is in it: that is dropped at once, while it is still in the processor's cache."""
    return {} if type(orjson.loads(text)) is dict else None


def _dead_letter(key: str, file: PendingFile, line: Line) -> DeadLetter:
    return DeadLetter(
        dead_letter_id=key,
        reason=line.reason or "",
        source="jsonl",
        original=line.original,
        source_file=file.source_file,
        byte_offset=line.offset,
    )
