"""If this is wrong, values change on their way from MongoDB, or two documents get one id."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from analytics.sources.bson_json import batch_json, document_json, id_text, id_value, split_documents
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

IDS: list[Any] = [
    bson.ObjectId("0123456789abcdef01234567"),
    "0123456789abcdef01234567",
    "0123456789ABCDEF01234567",
    "plain",
    "",
    '{"_id": {"$numberInt": "5"}}',
    '"quoted"',
    5,
    bson.Int64(5),
    5.0,
    "5",
    True,
    None,
    {"a": 1},
    {"$oid": "0123456789abcdef01234567"},
    datetime(2026, 1, 1, tzinfo=UTC),
    Binary(b"\0"),
    Binary(b"\0", 4),
    bson.Decimal128("5"),
    bson.Timestamp(1, 2),
    bson.MinKey(),
    bson.MaxKey(),
]


def test_ids_of_different_type_never_become_the_same_text() -> None:
    texts = [id_text(value) for value in IDS]
    assert len(set(texts)) == len(IDS)


@pytest.mark.parametrize("value", IDS[:12] + IDS[13:14] + IDS[15:], ids=repr)
def test_an_id_comes_back_from_its_text(value: Any) -> None:
    back = id_value(id_text(value))
    assert bson.encode({"_id": back}) == bson.encode({"_id": value})


def test_types_json_lacks_are_written_as_documented() -> None:
    document = {
        "_id": bson.ObjectId("0123456789abcdef01234567"),
        "at": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
        "far": DatetimeMS(10**15),
        "exact": bson.Decimal128("12345678901234567890.5"),
        "bytes": b"ab",
        "when": bson.Timestamp(1, 2),
        "like": bson.Regex("a", "i"),
        "long": bson.Int64(2**53 + 1),
        "nan": math.nan,
        "infinite": [-math.inf],
    }
    key, text = document_json(bson.encode(document))
    assert key == "0123456789abcdef01234567"
    assert b'"exact":12345678901234567890.5' in text
    found = json.loads(text)
    assert found["at"] == "2026-01-02T03:04:05.678Z"
    assert found["far"] == {"$date": {"$numberLong": str(10**15)}}
    assert found["bytes"] == {"$binary": {"base64": "YWI=", "subType": "00"}}
    assert found["when"] == {"$timestamp": {"t": 1, "i": 2}}
    assert found["like"] == {"$regularExpression": {"pattern": "a", "options": "i"}}
    assert found["long"] == 2**53 + 1
    assert found["nan"] == {"$numberDouble": "NaN"}
    assert found["infinite"] == [{"$numberDouble": "-Infinity"}]


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-62_135_596_800_001, {"$date": {"$numberLong": "-62135596800001"}}),
        (253_402_300_800_000, {"$date": {"$numberLong": "253402300800000"}}),
    ],
)
def test_dates_are_written_in_utc_up_to_the_ends_of_the_calendar(milliseconds: int, written: Any) -> None:
    document = {"_id": DatetimeMS(milliseconds), "at": [DatetimeMS(milliseconds)] * 2}
    (key,), (text,), _ = batch_json(bson.encode(document))
    assert json.loads(text) == {"_id": written, "at": [written] * 2}
    assert json.loads(key) == {"_id": {"$date": {"$numberLong": str(milliseconds)}}}


def test_a_double_that_is_not_finite_is_found_wherever_it_lies() -> None:
    documents = [{"_id": n, "n": math.nan, "t": "x" * (n % 97)} for n in range(2000)]
    _, texts, _ = batch_json(b"".join(map(bson.encode, documents)))
    assert [json.loads(text)["n"] for text in texts] == [{"$numberDouble": "NaN"}] * 2000


def test_a_broken_document_is_isolated_with_its_bytes() -> None:
    broken = bson.encode({"_id": "x", "t": "abcd"}).replace(b"abcd", b"\xff\xff\xff\xff")
    good = [bson.encode({"_id": n, "x": "é🙂"}) for n in range(3)]
    ids, texts, failures = batch_json(good[0] + broken + good[1] + good[2])
    assert [json.loads(text)["_id"] for text in texts] == [0, 1, 2]
    assert len(ids) == 3
    ((key, original, reason),) = failures
    assert (key, original) == ("x", broken)
    assert "utf-8" in reason


@pytest.mark.parametrize("size", [1, 300, 5000, 70_000])
def test_many_documents_come_out_as_each_alone_in_their_order(size: int) -> None:
    broken = bson.encode({"_id": "x", "t": "abcd"}).replace(b"abcd", b"\xff\xff\xff\xff")
    parts = [bson.encode({"_id": n, "t": "é" * size, "n": math.nan if n % 7 == 0 else n}) for n in range(100)]
    parts[50:50] = [broken]
    ids, texts, failures = batch_json(b"".join(parts))
    alone = [document_json(part) for part in parts if part is not broken]
    assert list(zip(ids, texts, strict=True)) == alone
    assert [(key, original) for key, original, _ in failures] == [("x", broken)]


@pytest.mark.parametrize("tail", [b"\x07", b"\x04\0\0\0\0", b"\0" * 9, b"\xff\xff\xff\x7fab"])
def test_bytes_that_are_no_document_fail_alone(tail: bytes) -> None:
    good = [bson.encode({"_id": n, "t": "x" * 40_000}) for n in range(5)]
    ids, texts, failures = batch_json(b"".join(good) + tail)
    assert (len(ids), len(texts)) == (5, 5)
    assert [original for _, original, _ in failures] == [tail]
    assert batch_json(b"") == ([], [], [])


def test_deep_documents_are_written() -> None:
    value: Any = 1
    for _ in range(400):
        value = {"a": value}
    _, (text,), failures = batch_json(bson.encode({"_id": 1, "v": value}))
    assert not failures
    assert text.count(b"{") == 401


_VALUES = st.tuples(
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(st.characters(exclude_categories=["Cs"])),
    # 0x7FF0 and the like: integers whose bytes look like the end of such a double
    st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0x7FF0, 0xFFF8, 0x7FF00000, -16, -1]),
)


@given(st.lists(_VALUES, min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_double_that_is_not_finite_escapes_a_batch(values: list[tuple[float, str, int]]) -> None:
    documents = [{"_id": n, "t": text, "i": whole, "n": [number]} for n, (number, text, whole) in enumerate(values)]
    _, texts, failures = batch_json(b"".join(map(bson.encode, documents)))
    assert not failures
    for text, document in zip(texts, documents, strict=True):
        found = json.loads(text)
        (number,) = document["n"]
        assert (found["t"], found["i"]) == (document["t"], document["i"])
        assert found["n"] == [number] if math.isfinite(number) else isinstance(found["n"][0], dict)


def test_documents_are_split_where_they_end() -> None:
    parts = [bson.encode({"n": n}) for n in range(4)]
    assert split_documents(b"".join(parts)) == parts
    assert split_documents(parts[0] + b"\x07") == [parts[0], b"\x07"]
