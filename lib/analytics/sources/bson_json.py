"""BSON to JSON text, and any `_id` to text and back.

How BSON types that JSON does not have are written (everything else is plain JSON):

| BSON                          | JSON text                                                              |
|-------------------------------|------------------------------------------------------------------------|
| ObjectId                      | its 24 hex digits as a string                                          |
| date                          | ISO 8601, UTC, milliseconds, `Z`; outside years 1..9999: `{"$date":…}` |
| Decimal128                    | a JSON number with all its digits                                      |
| NaN, Infinity                 | `{"$numberDouble":"NaN"}`, `"Infinity"`, `"-Infinity"`                 |
| binary, regex, timestamp, ... | canonical MongoDB Extended JSON, `{"$binary":…}`, `{"$timestamp":…}`   |

https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

from __future__ import annotations

import base64
import gc
import json
import logging
import math
import re
import struct
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

import bson
import numpy as np
import orjson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.json_util import CANONICAL_JSON_OPTIONS
from bson.json_util import default as canonical
from bson.objectid import ObjectId

# Dates without a time zone, which are UTC: with one, a fifth of the time that decoding takes goes there.
CODEC: CodecOptions[Any] = CodecOptions(tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO)

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
logger = logging.getLogger(__name__)

# So much BSON, and the Python values it is decoded to, stay in a processor's cache until they are written.
_PIECE_BYTES = 2**16
_LENGTH = struct.Struct("<i")  # with which every BSON document starts

_NOWHERE = np.empty(0, np.intp)
_OBJECT_ID_TEXT = re.compile(r"[0-9a-fA-F]{24}")


# Documents stored together bear the same moment.
@lru_cache(maxsize=1024)
def iso_milliseconds(value: datetime) -> str:
    """`value` (UTC, aware or not) as `2025-06-14T10:00:00.000Z`."""
    return value.isoformat(timespec="milliseconds")[:23] + "Z"


def _default(value: Any) -> Any:
    """What orjson asks for: a JSON form of a BSON type it does not know."""
    kind = type(value)
    if kind is datetime:
        return iso_milliseconds(value)
    if kind is ObjectId:
        return str(value)
    if kind is Decimal128:
        text = str(value)
        return orjson.Fragment(text) if text[-1].isdigit() else {"$numberDecimal": text}
    if kind is DatetimeMS:
        return {"$date": {"$numberLong": str(int(value))}}
    if kind is bytes:
        return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": "00"}}
    return canonical(value, CANONICAL_JSON_OPTIONS)


def _possible_non_finite(raw: bytes) -> np.ndarray:
    """Offsets in `raw` BSON at which a NaN or an Infinity may end (orjson would silently write null).

    Such a double ends in a byte 0xF0..0xFF followed by 0x7F or 0xFF, which UTF-8 text never contains. Integers and
    dates can look like one: what is found is to be looked at, no more.
    """
    if b"\x7f" not in raw and b"\xff" not in raw:
        return _NOWHERE
    array = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero((array | 0x80) == 0xFF)
    return ends[array[ends - 1] >= 0xF0]


def _spell_non_finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return {"$numberDouble": name}
    if isinstance(value, dict):
        return {key: _spell_non_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_spell_non_finite(item) for item in value]
    return value


def _python_default(value: Any) -> Any:
    spelled = _default(value)
    return json.loads(spelled.contents) if isinstance(spelled, orjson.Fragment) else spelled


def dumps(document: Any) -> bytes:
    """One decoded BSON value as JSON text (UTF-8), by the table above; NaN and Infinity spelled already.

    Raises:
        TypeError, ValueError, RecursionError: the document has no JSON form; the caller dead-letters it.
    """
    try:
        return orjson.dumps(document, default=_default, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Deeper than orjson goes (254 levels), integers beyond 64 bits inside Decimal128 etc.
        text = json.dumps(document, default=_python_default, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8")


def document_json(raw: bytes) -> tuple[str, bytes]:
    """One BSON document -> (`_id` text, JSON text), exact also for NaN and Infinity.

    Raises what decoding raises.
    """
    document = bson.decode(raw, CODEC)
    if len(_possible_non_finite(raw)):
        document = _spell_non_finite(document)
    return id_text(document.get("_id")), dumps(document)


def batch_json(raw: bytes) -> tuple[list[str], list[bytes], list[tuple[str | None, bytes, str]]]:
    """Many concatenated BSON documents -> (`_id` texts, JSON texts, failures as (`_id` text, BSON, reason)).

    One bad document never takes its neighbours with it: when they cannot be decoded together, each is tried alone.
    """
    ids: list[str] = []
    texts: list[bytes] = []
    failures: list[tuple[str | None, bytes, str]] = []
    # What is decoded is dropped again at once: looking for cycles in it costs a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for piece in _pieces(raw):
            try:
                found = _piece_json(piece)
            except Exception as error:
                logger.debug("some documents are decoded one by one: %s", error)
                one, other, bad = _one_by_one(piece)
                found = one, other
                failures += bad
            ids += found[0]
            texts += found[1]
    finally:
        if collecting:
            gc.enable()
    return ids, texts, failures


def _pieces(raw: bytes) -> Iterator[bytes]:
    """Concatenated BSON documents, some at a time; from where lengths make no sense on, all that is left."""
    start = position = 0
    while position <= len(raw) - 5:
        (length,) = _LENGTH.unpack_from(raw, position)
        if length < 5:
            break
        position += length
        if position - start >= _PIECE_BYTES:
            yield raw[start:position]
            start = position
    if start < len(raw):
        yield raw[start:]


def _piece_json(raw: bytes) -> tuple[list[str], list[bytes]]:
    documents = bson.decode_all(raw, CODEC)
    for position in _documents_at(raw, _possible_non_finite(raw)):
        documents[position] = _spell_non_finite(documents[position])
    ids = [id_text(document.get("_id")) for document in documents]
    for document, text in zip(documents, ids, strict=True):
        # the same text in both places, made once
        if type(document.get("_id")) is ObjectId:
            document["_id"] = text
    return ids, [orjson.dumps(document, default=_default, option=_OPTIONS) for document in documents]


def _one_by_one(raw: bytes) -> tuple[list[str], list[bytes], list[tuple[str | None, bytes, str]]]:
    ids: list[str] = []
    texts: list[bytes] = []
    failures: list[tuple[str | None, bytes, str]] = []
    for part in split_documents(raw):
        try:
            key, text = document_json(part)
        except Exception as error:
            failures.append((_id_alone(part), part, f"{type(error).__name__}: {error}"))
        else:
            ids.append(key)
            texts.append(text)
    return ids, texts, failures


def _documents_at(raw: bytes, offsets: np.ndarray) -> list[int]:
    """Positions of the documents, among those concatenated in `raw`, in which the offsets lie."""
    if not len(offsets):
        return []
    ends = np.cumsum([len(part) for part in split_documents(raw)])
    return np.unique(np.searchsorted(ends, offsets, side="right")).tolist()


def split_documents(raw: bytes) -> list[bytes]:
    """Concatenated BSON documents, one bytes object each (each starts with its own little-endian length)."""
    parts = []
    position = 0
    while position < len(raw):
        length = int.from_bytes(raw[position : position + 4], "little")
        if length < 5 or position + length > len(raw):
            parts.append(raw[position:])
            break
        parts.append(raw[position : position + length])
        position += length
    return parts


def _id_alone(raw: bytes) -> str | None:
    """The `_id` of a document that could not be decoded as a whole, if it can be had at all."""
    try:
        return id_text(bson.decode(raw, CODEC.with_options(unicode_decode_error_handler="replace"))["_id"])
    except Exception:
        return None


def id_text(value: Any) -> str:
    """Any `_id` as text, different values always different texts.

    ObjectId -> 24 hex digits; string -> itself, but JSON-quoted when it could be taken for something else (24
    hex digits, or a leading `{` or `"`); every other type -> canonical extended JSON, which starts with `{`.
    """
    kind = type(value)
    if kind is ObjectId:
        return str(value)
    if kind is str:
        if value[:1] in ("{", '"') or (len(value) == 24 and _OBJECT_ID_TEXT.fullmatch(value)):
            return json.dumps(value, ensure_ascii=False)
        return value
    return _canonical_text(value)


def _canonical_text(value: Any) -> str:
    from bson import json_util

    # Wrapped, so that a document used as an _id cannot look like the extended JSON of a scalar.
    return json_util.dumps({"_id": value}, json_options=CANONICAL_JSON_OPTIONS, ensure_ascii=False)


def id_value(text: str) -> Any:
    """The `_id` that `id_text` wrote as `text`."""
    from bson import json_util

    if len(text) == 24 and _OBJECT_ID_TEXT.fullmatch(text):
        return ObjectId(text)
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("{"):
        return json_util.loads(text, json_options=CANONICAL_JSON_OPTIONS)["_id"]
    return text
