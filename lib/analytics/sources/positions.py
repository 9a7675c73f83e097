"""Transcript files: where they are, how far each was read, and what of them may be new."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytics.errors import ConfigError
from analytics.settings import Settings
from analytics.sources.batch import fingerprint

logger = logging.getLogger(__name__)

_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)  # there can be a hundred thousand
class FileState:
    """What is known of a file after it was read: enough to tell appended from replaced."""

    offset: int  # everything before is stored
    size: int
    mtime_ns: int
    head: str  # fingerprint of the first bytes before `offset`
    tail: str  # fingerprint of the last bytes before `offset`
    read_to: int | None  # the furthest any version of the file was read; None: not known

    def to_list(self) -> list[Any]:
        """As a JSON-ready list."""
        return [self.offset, self.size, self.mtime_ns, self.head, self.tail, self.read_to]


def position_key(source_file: str) -> str:
    """A fingerprint in place of a file's name: names can hold what was purged, or a secret."""
    return fingerprint(source_file.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A transcript with something possibly new in it."""

    path: str
    source_file: str  # relative to the projects directory, POSIX slashes
    project_id: str | None  # directory name under the projects directory
    start: int
    size: int
    mtime_ns: int
    read_to: int | None = 0  # the furthest any version of it was read before; None: not known

    @property
    def key(self) -> str:
        """What its position is kept under."""
        return position_key(self.source_file)

    @property
    def may_repeat(self) -> bool:
        """Whether what is read now may have been read before: the file shrank, was replaced, or grew again."""
        return self.read_to is None or self.start < self.read_to


def projects_dirs(settings: Settings) -> list[Path]:
    """The folders of CLAUDE_PROJECTS_DIR, checked; without the setting those of Claude Code that exist.

    Each is given once, and none that is inside another.

    Raises:
        ConfigError: one does not exist, is no directory or cannot be read; or none was found: each place is named.
    """
    advice = "point CLAUDE_PROJECTS_DIR at Claude Code's projects folder, or try `make demo` for a generated history"
    if settings.claude_projects_dir is None:
        found = [path for path in settings.projects_dirs if path.is_dir()]
        if not found:
            places = ", ".join(map(str, settings.projects_dirs))
            raise ConfigError(f"no transcripts: none of {places} exists; {advice}")
    else:
        found = list(settings.projects_dirs)
    real = [_readable(path, advice).resolve() for path in found]
    return [
        path
        for number, path in enumerate(found)
        if real[number] not in real[:number]
        and not any(real[number] != other and real[number].is_relative_to(other) for other in real)
    ]


def no_transcripts(settings: Settings) -> str:
    """What to say where there is no transcript in any projects folder."""
    places = " or ".join(map(str, settings.projects_dirs))
    return f"no transcripts in {places}: use Claude Code first, or set CLAUDE_PROJECTS_DIR to where its projects are"


def _readable(path: Path, advice: str) -> Path:
    if not path.exists():
        raise ConfigError(f"CLAUDE_PROJECTS_DIR={path} does not exist; {advice}")
    if not path.is_dir():
        raise ConfigError(f"CLAUDE_PROJECTS_DIR={path} is not a directory; {advice}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise ConfigError(f"CLAUDE_PROJECTS_DIR={path} cannot be read (permissions); {advice}")
    return path


def _list_files(root: Path) -> list[tuple[int, str, int]]:
    """(mtime in ns, path, size) of all `*.jsonl` under `root`, oldest change first, so that days stay together.

    A folder is read once, by whatever names links give it: they may lead back up. A link that leaves `root` is followed
    only where it is a project's folder itself.
    """
    found = []
    real_root = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    folders, links = [str(root)], list[str]()
    while folders or links:
        # what is there itself before links to it: a file keeps its own name
        path = folders.pop() if folders else links.pop(0)
        try:
            status = os.stat(path)
        except OSError:
            continue  # deleted meanwhile: Claude Code cleans up after itself
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if not stat.S_ISDIR(status.st_mode):
            if stat.S_ISREG(status.st_mode) and path.endswith(".jsonl") and not _is_journal(path[len(str(root)) :]):
                found.append((status.st_mtime_ns, path, status.st_size))
            continue
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        for entry in entries:
            if not entry.is_symlink():
                if entry.is_dir(follow_symlinks=False) or entry.name.endswith(".jsonl"):
                    folders.append(entry.path)
            elif _is_below(entry.path, real_root) or (path == str(root) and _is_project(entry.path)):
                links.append(entry.path)
    return sorted(found)


def _is_journal(path: str) -> bool:
    """Whether it is what a workflow notes of itself, beside its agents' transcripts: rows that are no entries."""
    return os.path.basename(path) == "journal.jsonl" and f"{os.sep}workflows{os.sep}" in path


def _is_below(path: str, real_root: str) -> bool:
    return os.path.realpath(path).startswith(real_root + os.sep)


def _is_project(path: str) -> bool:
    """Whether it is a folder with transcripts in it; `/` or a home folder is none."""
    try:
        return any(entry.name.endswith(".jsonl") for entry in os.scandir(path))
    except OSError:
        return False


def pending(root: Path, states: dict[str, FileState]) -> list[PendingFile]:
    """Files under `root` that may hold something not yet read, and from which byte on.

    A file that shrank or whose known part changed is read from its start: ids decide what is new in it.

    Args:
        states: by `position_key`.
    """
    found = []
    for mtime_ns, path, size in _list_files(root):
        relative = path[len(str(root)) :].lstrip(os.sep).replace(os.sep, "/")
        source_file = relative.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        project = source_file.split("/")[0] if "/" in source_file else None
        state = states.get(position_key(source_file))
        start = 0
        if state is not None:
            if state.size == size and state.mtime_ns == mtime_ns:
                continue
            if size >= state.offset and _marks(path, state.offset) == (state.head, state.tail):
                start = state.offset
        elif size == 0:
            continue
        read_to = 0 if state is None else state.read_to
        found.append(PendingFile(path, source_file, project, start, size, mtime_ns, read_to))
    return found


def _marks(path: str, offset: int) -> tuple[str, str]:
    """Fingerprints of the first and of the last bytes before `offset`; empty when the file cannot be read."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(min(_HEAD_BYTES, offset))
            stream.seek(max(0, offset - _HEAD_BYTES))
            tail = stream.read(min(_HEAD_BYTES, offset))
    except OSError:
        return "", ""
    return fingerprint(head), fingerprint(tail)


def state_after(file: PendingFile, offset: int, *, at_end: bool = True) -> FileState:
    """The state to remember once everything of `file` before `offset` is stored.

    Not `at_end`: the size is remembered as one that never matches, so that the next run looks again.
    """
    head, tail = _marks(file.path, offset)
    # A file that cannot be read (permissions) is looked at again, too.
    size = file.size if at_end and head else -1
    read_to = None if file.read_to is None else max(file.read_to, offset)
    return FileState(offset, size, file.mtime_ns, head, tail, read_to)
