"""`SOURCE=jsonl`: transcript files straight into the raw layer.

What was read is remembered in a file named after a token, and the token is a property of the Iceberg commit
that holds the rows: both become true at the same moment. The file only saves time; when it is missing or
belongs to another token, everything is read again and the ids decide what is new.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import orjson

from analytics.settings import Settings
from analytics.sources.batch import Batch, DeadLetter, fingerprint
from analytics.sources.transcripts import (
    FileState,
    Line,
    PendingFile,
    pending,
    projects_dir,
    read_lines,
    state_after,
)


class ReadPositions:
    """What is stored of each transcript file, tied to the commit that stored it."""

    def __init__(self, settings: Settings, properties: dict[str, str]) -> None:
        """`properties`: what the newest snapshot remembers (RawStore.properties())."""
        self.root = projects_dir(settings)
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
            return {name: FileState(*values) for name, values in orjson.loads(path.read_bytes()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # lost or damaged: it only costs time

    def are_exact(self, properties: dict[str, str]) -> bool:
        """Whether nothing beyond these positions can be stored: they are not lost, and nobody else stored anything."""
        sources = {key for key in properties if key.startswith(("jsonl.", "mongodb."))}
        return bool(self._states) and sources == {self.key}

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


def batches(
    files: list[PendingFile], machine: str, now: datetime, batch_bytes: int, *, positions_are_exact: bool = False
) -> Iterator[tuple[Batch, dict[str, FileState]]]:
    """Documents of `files` -> batches of about `batch_bytes`, each with the file positions it brings.

    `positions_are_exact`: only of files that were read further before anything can be stored already.
    """

    def new_batch() -> Batch:
        batch = Batch(machine, now)
        batch.may_repeat = not positions_are_exact
        return batch

    batch = new_batch()
    states: dict[str, FileState] = {}
    for file in files:
        batch.may_repeat |= file.may_repeat
        prefix = file.source_file.encode()
        offset = file.start
        for plain, helped, offset in read_lines(file):
            ids = [fingerprint(prefix, b"%d" % start, text) for start, text, _ in plain]
            batch.add(ids, [text for _, text, _ in plain], file.project_id, file.source_file)
            for line in helped:
                key = fingerprint(prefix, b"%d" % line.offset, line.original)
                if line.reason is None:
                    batch.add([key], [line.text], file.project_id, file.source_file)
                else:
                    batch.add_dead([_dead_letter(key, file, line)])
            if batch.bytes >= batch_bytes:
                states[file.source_file] = state_after(file, offset, at_end=False)
                yield batch, states
                batch = new_batch()
                batch.may_repeat |= file.may_repeat
                states = {}
        states[file.source_file] = state_after(file, offset)
    batch.is_last = True
    yield batch, states


def _dead_letter(key: str, file: PendingFile, line: Line) -> DeadLetter:
    return DeadLetter(
        dead_letter_id=key,
        reason=line.reason or "",
        source="jsonl",
        original=line.original,
        source_file=file.source_file,
        byte_offset=line.offset,
    )
