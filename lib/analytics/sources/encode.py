"""A transcript's line as a MongoDB document: BSON with what the sync adds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import bson
import orjson
from bson.decimal128 import Decimal128

from analytics.sources.transcripts import Constant

# Keys the sync adds. A line that has one of its own keeps it under `_original_<key>`.
ADDED_KEYS = ("_id", "projectId", "sourceFile", "ingestedAt", "machine")

MAX_BSON_BYTES = 16 * 2**20

# orjson reads integers beyond 64 bits as doubles; such lines take the exact way.
_HUGE_INTEGER = re.compile(rb"[:\[,]\s*-?[0-9]{20,}")
_INT64 = range(-(2**63), 2**63)


def parse_line(text: bytes) -> Any:
    """What the line holds, for plain lines; raises for those that need more care."""
    if _HUGE_INTEGER.search(text):
        raise ValueError("an integer orjson would round")
    return orjson.loads(text)


def encode_document(key: str, document: dict[str, Any], added: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """A line's object as BSON with what the sync adds -> (BSON, None), or (None, why it cannot be).

    What BSON lacks is kept as close as it can be: integers beyond 64 bits and numbers beyond a double as
    Decimal128 (as text if longer than 34 digits), NUL in keys as U+2400. Keys the sync writes itself move to
    `_original_<key>`.
    """
    if not document.keys().isdisjoint(ADDED_KEYS):
        document = {(f"_original_{name}" if name in ADDED_KEYS else name): item for name, item in document.items()}
    try:
        encoded = bson.encode({"_id": key, **document, **added})
    except RecursionError:
        return None, "nested too deeply for BSON"
    except Exception:
        try:
            encoded = bson.encode({"_id": key, **_bson_safe(document), **added})
        except RecursionError:
            return None, "nested too deeply for BSON"
        except Exception as error:
            return None, f"not storable as BSON: {type(error).__name__}: {error}"
    if len(encoded) > MAX_BSON_BYTES:
        return None, f"larger than MongoDB's 16 MiB: {len(encoded)} bytes of BSON"
    return encoded, None


def _bson_safe(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name).replace("\0", "\u2400"): _bson_safe(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_bson_safe(item) for item in value]
    if isinstance(value, Constant) and value.spelling[-1].isdigit():
        return _decimal(value.spelling)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        return _decimal(str(value))
    return value


def _decimal(text: str) -> Decimal128 | str:
    """`text` exactly, as Decimal128 if it fits."""
    try:
        return Decimal128(text) if Decimal(str(Decimal128(text))) == Decimal(text) else text
    except (ArithmeticError, ValueError):
        return text
