"""Claude Code's transcript files: what each line is.

Shared by `sync` and by `SOURCE=jsonl`, so that a line has the same `_id` whichever way it comes.

A line is normally one JSON object and is taken as it stands. Lines that need help (all of them rare):

| line                                          | becomes |
|---|---|
| blank                                         | nothing, not counted |
| two objects glued together                    | two documents, each with its own offset |
| a torn line, a whole entry glued to it        | a dead letter and a document, each with its own offset |
| lone surrogate (`\\ud800`), invalid UTF-8     | stored, U+FFFD in place of what is not text |
| NULs around the object (a crashed write)      | stored without them |
| NUL inside a string or key                    | stored as it is (in MongoDB keys: U+2400) |
| `NaN`, `Infinity`                             | stored as `{"$numberDouble":"NaN"}` |
| last line without newline                     | stored when it is a whole object, else left for next time |
| longer than 256 MB (a sparse file)            | a dead letter with its first bytes |
| anything else, and anything not an object     | a dead letter |
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from analytics.sources.positions import PendingFile

# Files are read in blocks that end at a newline; a longer line is read whole.
BLOCK_BYTES = 8 * 2**20
# No line of Claude Code's is near this; one that is would be held in memory whole. Of it so much is kept.
LONGEST_LINE_BYTES = 256 * 2**20
_KEPT_BYTES = 2**16
_BLANK = b" \t\r\n\x0b\x0c"
_BOM = b"\xef\xbb\xbf"

# With what an entry may begin. Looked for where a line is torn; a line with more of it is not Claude Code's.
_ENTRY_START = re.compile(
    r'\{\s*"(?:parentUuid|logicalParentUuid|isSidechain|userType|cwd|sessionId|type|uuid|timestamp|leafUuid|messageId)"'
    r"\s*:"
)
_MOST_CANDIDATES = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """One document of a transcript, or one that cannot be (`reason` set)."""

    offset: int
    text: bytes  # the JSON object; the original bytes when `reason` is set
    original: bytes  # what stands in the file: decides the `_id`
    reason: str | None = None


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
        rest: list[bytes] = []  # what is held back of a line that has not ended yet
        held = 0
        while True:
            wanted = min(BLOCK_BYTES, max(0, file.size - position - held))
            block = stream.read(wanted) if wanted else b""
            held += len(block)
            at_end = len(block) < wanted or not block or position + held >= file.size
            if b"\n" not in block and not at_end:
                rest.append(block)
                if held > LONGEST_LINE_BYTES:
                    end = _end_of_line(stream.fileno(), position + held, file.size)
                    kept = b"".join(rest[: _KEPT_BYTES // BLOCK_BYTES + 1])[:_KEPT_BYTES]
                    yield [], [Line(position, kept, kept, f"a line of {end - position:,} bytes")], end
                    position, rest, held = end, [], 0
                    stream.seek(position)
                continue
            data = b"".join([*rest, block]) if rest else block
            cut = data.rfind(b"\n") + 1
            last_line = data[cut:]
            rest, held = [last_line] if last_line else [], len(last_line)
            plain: list[tuple[int, bytes, Any]] = []
            helped: list[Line] = []
            if cut:
                _split(data[:cut], position, check, plain, helped)
                position += cut
            if at_end and last_line:
                last: list[tuple[int, bytes, Any]] = []
                odd: list[Line] = []
                _split(last_line, position, check, last, odd)
                # Half written lines are left for next time; so are whole ones that are no objects.
                if not any(line.reason for line in odd):
                    plain += last
                    helped += odd
                    position += len(last_line)
            if plain or helped or at_end:
                yield plain, helped, position
            if at_end:
                return


def _end_of_line(descriptor: int, position: int, size: int) -> int:
    """Where the line that goes on at `position` ends; holes of a sparse file are not read."""
    while position < size:
        try:
            position = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return size
        block = os.pread(descriptor, min(BLOCK_BYTES, max(0, size - position)), position)
        found = block.find(b"\n")
        if found >= 0:
            return position + found + 1
        if not block:
            break
        position += len(block)
    return size


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


def rescue(original: bytes, offset: int) -> list[Line]:
    """What can be made of a line that is not plainly one JSON object: documents, dead letters, or both."""
    body = original.strip(b"\0" + _BLANK)
    if body.startswith(_BOM):
        body = body[3:]
    if not body:
        return [Line(offset, original, original, "line of NUL bytes")]
    start = original.index(body)
    text = body.decode("utf-8", "replace")
    # Offsets count bytes of the file: with invalid UTF-8 the replaced text is longer, so map back.
    in_bytes = text.isascii() or "\ufffd" not in text
    found: list[Line] = []
    are_entries = True
    at = 0
    while at < len(text):
        document, end, reason = _object_at(text, at)
        if document is None:
            # Behind a torn line, the next one may stand whole: what was cut off took its line break along.
            end = _next_entry(text, at + 1)
        piece = text[at:end]
        first = len(text[:at].encode()) if in_bytes else at
        piece_bytes = piece.encode("utf-8", "replace")
        if document is None:
            found.append(Line(offset + start + first, piece_bytes, piece_bytes, reason))
        else:
            found.append(Line(offset + start + first, _clean(document, piece), piece_bytes))
            are_entries &= _is_entry(document)
        at = end
        while at < len(text) and text[at] in " \t\r\0":
            at += 1
    reasons = [line.reason for line in found if line.reason is not None]
    if len(found) == len(reasons) or (reasons and not are_entries):
        return [Line(offset, original, original, reasons[0])]
    if len(found) == 1:
        # One document in the line: the line itself decides its id.
        return [Line(offset, found[0].text, original)]
    return found


def _object_at(text: str, at: int) -> tuple[dict[str, Any] | None, int, str]:
    """The JSON object that begins at `at` -> (object, where it ends, ""), or (None, at, why there is none)."""
    try:
        document, end = _DECODER.raw_decode(text, at)
    except RecursionError:
        return None, at, "nested too deeply"
    except ValueError as error:
        return None, at, f"not JSON: {error}"
    if not isinstance(document, dict):
        return None, at, f"not a JSON object but {_kind(document)}"
    return document, end, ""


def _next_entry(text: str, at: int) -> int:
    """Where the next whole entry begins; the end of `text` when there is none."""
    for number, match in enumerate(_ENTRY_START.finditer(text, at)):
        if number == _MOST_CANDIDATES:
            break
        document, _, _ = _object_at(text, match.start())
        if document is not None and _is_entry(document):
            return match.start()
    return len(text)


def _is_entry(document: dict[str, Any]) -> bool:
    """Whether it is an entry of its own, and not an object inside one."""
    kind = document.get("type")
    return isinstance(kind, str) and (
        "sessionId" in document or "leafUuid" in document or kind == "file-history-snapshot"
    )


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


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_number)


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
