"""Claude Code's transcript files: which bytes are new, and what each line is.

Shared by `sync` and by `SOURCE=jsonl`, so that a line has the same `_id` whichever way it comes.

A line is normally one JSON object and is taken as it stands. Lines that need help (all of them rare):

| line                                          | becomes |
|---|---|
| blank                                         | nothing, not counted |
| two objects glued together                    | two documents, each with its own offset |
| lone surrogate (`\\ud800`), invalid UTF-8     | stored, U+FFFD in place of what is not text |
| NULs around the object (a crashed write)      | stored without them |
| NUL inside a string or key                    | stored as it is (in MongoDB keys: U+2400) |
| `NaN`, `Infinity`                             | stored as `{"$numberDouble":"NaN"}` |
| last line without newline                     | stored when it is a whole object, else left for next time |
| anything else, and anything not an object     | a dead letter |
"""

from __future__ import annotations

import json
import logging
import math
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from analytics.errors import ConfigError
from analytics.settings import Settings
from analytics.sources.batch import fingerprint

# Files are read in blocks that end at a newline; a longer line is read whole.
BLOCK_BYTES = 8 * 2**20
_HEAD_BYTES = 4096
_BLANK = b" \t\r\n\x0b\x0c"
_BOM = b"\xef\xbb\xbf"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)  # there can be a hundred thousand
class FileState:
    """What is known of a file after it was read: enough to tell appended from replaced."""

    offset: int  # everything before is stored
    size: int
    mtime_ns: int
    head: str  # fingerprint of the first bytes before `offset`
    tail: str  # fingerprint of the last bytes before `offset`
    read_to: int | None = None  # the furthest any version of the file was read; None: not known

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


@dataclass(frozen=True)
class Line:
    """One document of a transcript, or one that cannot be (`reason` set)."""

    offset: int
    text: bytes  # the JSON object; the original bytes when `reason` is set
    original: bytes  # what stands in the file: decides the `_id`
    reason: str | None = None


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
    folders, links = [str(root)], []
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
            if stat.S_ISREG(status.st_mode) and path.endswith(".jsonl"):
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


def read_lines(
    file: PendingFile, check: Callable[[bytes], Any] = orjson.loads
) -> Iterator[tuple[list[tuple[int, bytes, Any]], list[Line], int]]:
    """Blocks of `file` -> (plain lines as (offset, text, check(text)), lines that needed help, next offset).

    `check` parses a line and returns a dict for a plain one; when it raises or returns something else the
    line goes the slow way. Only complete lines are returned, and a last line without newline when it is
    whole. A file that vanished or shrank while being read simply ends.
    """
    position = file.start
    try:
        stream = open(file.path, "rb")  # noqa: SIM115  closed below
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s cannot be read, skipped for now: %s", file.path, error.strerror)
        return
    with stream:
        stream.seek(position)
        rest = b""
        while True:
            wanted = min(BLOCK_BYTES, max(0, file.size - position - len(rest)))
            block = stream.read(wanted) if wanted else b""
            data = rest + block if rest else block
            at_end = len(block) < wanted or not block or position + len(data) >= file.size
            cut = data.rfind(b"\n") + 1
            if not cut and not at_end:
                rest = data
                continue
            rest = data[cut:]
            plain: list[tuple[int, bytes, Any]] = []
            helped: list[Line] = []
            if cut:
                _split(data[:cut], position, check, plain, helped)
                position += cut
            if at_end and rest:
                last: list[tuple[int, bytes, Any]] = []
                odd: list[Line] = []
                _split(rest, position, check, last, odd)
                # Half written lines are left for next time; so are whole ones that are no objects.
                if not any(line.reason for line in odd):
                    plain += last
                    helped += odd
                    position += len(rest)
            if plain or helped or at_end:
                yield plain, helped, position
            if at_end:
                return


def _split(
    data: bytes,
    position: int,
    check: Callable[[bytes], Any],
    plain: list[tuple[int, bytes, Any]],
    helped: list[Line],
) -> None:
    """Sort the lines of `data`, which starts at byte `position` of its file, into plain ones and others."""
    for line in data.split(b"\n"):
        text = line.strip(_BLANK)
        if text:
            offset = position if text is line or line.startswith(text) else position + line.index(text)
            try:
                document = check(text)
            except Exception:
                document = None
            if type(document) is dict:
                plain.append((offset, text, document))
            else:
                helped.extend(rescue(text, offset))
        position += len(line) + 1


class _NotPlain(ValueError):
    pass


def rescue(original: bytes, offset: int) -> list[Line]:
    """What can be made of a line that is not plainly one JSON object: documents, or one dead letter."""
    body = original.strip(b"\0" + _BLANK)
    if body.startswith(_BOM):
        body = body[3:]
    if not body:
        return [Line(offset, original, original, "line of NUL bytes")]
    start = original.index(body)
    text = body.decode("utf-8", "replace")
    found = []
    at = 0
    try:
        decoder = json.JSONDecoder(parse_constant=_constant, parse_float=_number)
        while at < len(text):
            document, end = decoder.raw_decode(text, at)
            if not isinstance(document, dict):
                return [Line(offset, original, original, f"not a JSON object but {_kind(document)}")]
            # Offsets count bytes of the file: with invalid UTF-8 the replaced text is longer, so map back.
            first = len(text[:at].encode()) if text.isascii() or "\ufffd" not in text else at
            piece = text[at:end]
            found.append(Line(offset + start + first, _clean(document, piece), piece.encode("utf-8", "replace")))
            at = end
            while at < len(text) and text[at] in " \t\r\0":
                at += 1
    except RecursionError:
        return [Line(offset, original, original, "nested too deeply")]
    except ValueError as error:
        return [Line(offset, original, original, f"not JSON: {error}")]
    if len(found) == 1:
        # One document in the line: the line itself decides its id.
        return [Line(offset, found[0].text, original)]
    return found


def _kind(value: Any) -> str:
    names = {
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)


class Constant(float):
    """A NaN, an Infinity or a number too large for a double, as read from JSON text."""

    spelling: str


def _constant(name: str) -> Constant:
    value = Constant(name.replace("Infinity", "inf"))
    value.spelling = name
    return value


def _number(text: str) -> float:
    value = float(text)
    if math.isfinite(value):
        return value
    large = Constant(value)
    large.spelling = text
    return large


def parse(text: bytes) -> dict[str, Any]:
    """A rescued document's text as Python values, numbers beyond a double as `Constant`."""
    return json.loads(text, parse_constant=_constant, parse_float=_number)


def _clean(document: dict[str, Any], piece: str) -> bytes:
    """JSON text of `document` for every reader: no lone surrogates, no NaN; untouched if it was fine."""
    try:
        orjson.loads(piece)
        return piece.encode()
    except ValueError:
        return _dump(document).encode("utf-8")


def _dump(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_dump(str(key))}:{_dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    if isinstance(value, str):
        # Well-formed pairs become one character; lone halves U+FFFD.
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return json.dumps(whole, ensure_ascii=False)
    if isinstance(value, Constant):
        if value.spelling in ("NaN", "Infinity", "-Infinity"):
            return f'{{"$numberDouble":"{value.spelling}"}}'
        return value.spelling
    return json.dumps(value)
