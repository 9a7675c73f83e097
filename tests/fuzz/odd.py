"""Odd values, odd entries and damaged bytes, for Hypothesis."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from bson import SON, Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import strategies as st

TIMES = [
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "2026-01-01T10:00:00",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "+10000-01-01T00:00:00Z",
    "-0044-03-15T00:00:00Z",
    "2026-01-01T10:00:00.123456789+99:99",
    "infinity",
    "-infinity",
    "epoch",
    "today",
    "1e400",
    "99999999999999999999",
    *(0, -1, 1e11, 3e14, 1e300, -62135596800, 253402300800000, 1780000000000),
]
TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udc00\ud800",
    "\U0001f600",
    "'; drop table x; --",
    "{{ x }}",
    "%s",
    "é" * 300,
]
NUMBERS = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 1.5, -0.0, 1e308, 5e-324]
SPECIAL = [float("nan"), float("inf"), float("-inf")]
SHAPES = [None, True, False, [], {}, [[]], [None], {"": 0}, {"a.b": 1, "$set": {"$x": 1}}, [{"type": 1}], {"type": []}]


def _nested(depth: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


odd_values = st.one_of(
    st.sampled_from(TIMES),
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(SPECIAL),
    st.sampled_from(SHAPES),
    st.builds(_nested, st.sampled_from([3, 60, 100, 200]), st.sampled_from(["list", "dict"])),
    st.text(max_size=20),
    st.integers(),
)

# Where an entry is read by anything after the raw layer.
PATHS: list[tuple[str | int, ...]] = [
    *((name,) for name in ("type", "subtype", "uuid", "parentUuid", "logicalParentUuid", "sessionId", "timestamp")),
    *((name,) for name in ("projectId", "ingestedAt", "sourceFile", "machine", "_id", "requestId", "isSidechain")),
    *((name,) for name in ("agentId", "version", "cwd", "gitBranch", "message", "toolUseResult", "data", "operation")),
    *((name,) for name in ("isMeta", "isApiErrorMessage", "isCompactSummary", "userType", "entrypoint", "content")),
    *((name,) for name in ("durationMs", "toolUseID", "parentToolUseID", "summary", "leafUuid", "attachment", "level")),
    *(("message", name) for name in ("role", "id", "model", "content", "usage", "stop_reason", "type")),
    *(("message", "usage", name) for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "speed")),
    *(("message", "usage", name) for name in ("cache_creation_input_tokens", "cache_creation", "server_tool_use")),
    *(("message", "usage", "cache_creation", f"ephemeral_{name}_input_tokens") for name in ("5m", "1h")),
    *(("message", "content", 0, name) for name in ("type", "text", "id", "name", "input", "tool_use_id", "content")),
    *(("message", "content", 0, name) for name in ("is_error", "caller")),
    *(("message", "content", 0, "input", name) for name in ("file_path", "command", "content", "old_string", "edits")),
    *(("toolUseResult", name) for name in ("structuredPatch", "filePath", "type", "totalTokens", "usage", "agentId")),
    ("toolUseResult", "structuredPatch", 0),
    ("toolUseResult", "structuredPatch", 0, "lines"),
]


def changed(entry: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """`entry` with `value` at `path`, as far as there is such a place."""
    entry = copy.deepcopy(entry)
    at: Any = entry
    for key in path[:-1]:
        if isinstance(key, int):
            at = at[key] if isinstance(at, list) and len(at) > key else None
        else:
            at = at.get(key) if isinstance(at, dict) else None
    if isinstance(at, dict) or (isinstance(at, list) and at and isinstance(path[-1], int)):
        at[path[-1]] = value
    return entry


def encoded(entry: Any, *, doubled: bool, ascii_only: bool) -> bytes:
    """As a transcript line; `doubled`: with a key that comes twice."""
    text = json.dumps(entry, ensure_ascii=ascii_only)
    if doubled and text.startswith("{") and len(text) > 2:
        text = '{"type":"user","uuid":"twice","message":{},' + text[1:]
    return text.encode("utf-8", "surrogatepass")


def odd_lines(lines: list[bytes]) -> st.SearchStrategy[bytes]:
    """Lines like `lines`, one to three values in each replaced, or their bytes damaged."""
    entries = [json.loads(line) for line in lines]
    values = st.lists(st.tuples(st.sampled_from(PATHS), odd_values), min_size=1, max_size=3)

    def build(entry: dict[str, Any], changes: list[Any], doubled: bool, ascii_only: bool) -> bytes:
        for path, value in changes:
            entry = changed(entry, path, value)
        return encoded(entry, doubled=doubled, ascii_only=ascii_only)

    structured = st.builds(build, st.sampled_from(entries), values, st.booleans(), st.booleans())
    whole = st.builds(lambda v: encoded(v, doubled=False, ascii_only=True), odd_values)
    return st.one_of(structured, structured, damaged(lines), whole)


def damaged(lines: list[bytes]) -> st.SearchStrategy[bytes]:
    """Lines with bytes changed, removed, inserted, repeated; never a newline in them."""
    junk = st.one_of(
        st.binary(min_size=1, max_size=4),
        st.sampled_from(
            [b"\0", b"\xff", b"\xc3", b'"', b"\\", b"{", b"}", b"\\ud800", b"NaN", b"1e999", b"\xef\xbb\xbf"]
        ),
    )

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        line = draw(st.sampled_from(lines))
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, max(0, len(line) - 1)))
            length = draw(st.sampled_from([0, 0, 1, 1, 2, 8, 64]))
            line = line[:start] + draw(st.one_of(st.just(b""), junk)) + line[start + length :]
        if draw(st.integers(0, 9)) == 0:
            line = line + line
        return line.replace(b"\n", b" ")

    return build()


_scalars = st.one_of(
    st.sampled_from(
        [ObjectId("64b5f0c2a1b2c3d4e5f60718"), MinKey(), MaxKey(), None, True, False, Int64(5), Int64(2**62)]
    ),
    st.sampled_from([5, -1, 2**31, 0.0, -0.0, 1.5, 1e308, float("inf"), float("-inf"), float("nan")]),
    st.sampled_from([Decimal128("1.10"), Decimal128("NaN"), Decimal128("Infinity"), Decimal128("9E+6144")]),
    st.sampled_from(
        [datetime(2026, 5, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), DatetimeMS(2**62), DatetimeMS(-(2**62))]
    ),
    st.sampled_from([Binary(b"\0\xff"), Binary(b"x" * 16, 4), b"bytes", Regex("a.*", "i"), Timestamp(1, 2)]),
    st.sampled_from(
        [Code("f()"), Code("f()", {"x": 1}), DBRef("c", 1), "", "\0", "x" * 24, "a" * 24, "{", '"quoted"', "é"]
    ),
)

# What BSON can hold that JSON cannot, and as an `_id`. (An `_id` cannot be an array or a regular expression.)
bson_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b.c", "$d", ""]), inner)
    ),
    max_leaves=5,
)
bson_ids = st.one_of(
    _scalars.filter(lambda value: not isinstance(value, Regex)),
    st.builds(lambda value: SON([("a", value)]), _scalars),
    st.text(alphabet="ab\0{é", max_size=8),
    st.integers(-(2**63), 2**63 - 1),
)
