"""If the envelope is wrong, documents land in the wrong session, project or day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from analytics.raw.envelope import SCHEMA, invalid_rows, to_envelope
from analytics.sources.batch import BATCH_SCHEMA

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def envelope(*texts: str, **metadata: Any) -> list[dict[str, Any]]:
    rows = [{"_id": str(number), "entry": text, **metadata} for number, text in enumerate(texts)]
    table = to_envelope(pa.Table.from_pylist(rows, schema=BATCH_SCHEMA), NOW)
    assert table.schema == SCHEMA
    return table.to_pylist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"2026-01-02T03:04:05.678Z"', datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)),
        ('"2026-01-02T03:04:05"', datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('"2026-01-02 03:04:05+02:00"', datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ('"2026-01-02"', datetime(2026, 1, 2, tzinfo=UTC)),
        ("1767323045678", datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)),
        ("1767323045", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('"0001-01-01T00:00:00Z"', datetime(1, 1, 1, tzinfo=UTC)),
        ('"9999-12-31T23:59:59Z"', datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        *((wrong, None) for wrong in ('"infinity"', '"today"', '"2026-13-01"', "1e300", "[1]", "{}", "null", '""')),
        *((wrong, None) for wrong in ('"10000-01-01T00:00:00Z"', '"0044-03-15 (BC)"', "true", "-1e15")),
    ],
)
def test_timestamp_is_read_or_null(value: str, expected: datetime | None) -> None:
    (row,) = envelope(f'{{"timestamp":{value}}}')
    assert row["timestamp"] == expected
    if expected is None or not 2000 <= expected.year <= 2026:
        assert row["date"] == NOW.date()
    else:
        assert row["date"] == expected.date()


def test_day_falls_back_to_ingestion_when_the_clock_is_wrong() -> None:
    rows = envelope('{"timestamp":"2031-01-01T00:00:00Z","ingestedAt":"2026-05-05T00:00:00.000Z"}', "{}")
    assert rows[0]["date"] == date(2026, 5, 5)
    assert rows[0]["timestamp"].year == 2031
    assert rows[1]["date"] == NOW.date()


def test_metadata_wins_over_the_text() -> None:
    text = '{"projectId":"mine","sourceFile":"mine.jsonl","machine":"mine","ingestedAt":"2020-01-01T00:00:00Z"}'
    (given,) = envelope(text, project_id="-p", source_file="-p/a.jsonl", machine="box", ingested_at=NOW)
    assert [given[key] for key in ("project_id", "source_file", "machine", "ingested_at")] == [
        "-p",
        "-p/a.jsonl",
        "box",
        NOW,
    ]
    (asked,) = envelope(text)
    assert (asked["project_id"], asked["machine"], asked["ingested_at"].year) == ("mine", "mine", 2020)


def test_project_is_derived_from_the_working_directory_when_nothing_else_says() -> None:
    rows = envelope('{"cwd":"/home/dev/my app"}', '{"cwd":""}', "{}")
    assert [row["project_id"] for row in rows] == ["-home-dev-my-app", None, None]


def test_fields_of_a_wrong_type_are_stored() -> None:
    text = '{"type":1,"uuid":["a"],"sessionId":{"b":1},"message":"text","isSidechain":"maybe","version":2.5}'
    (row,) = envelope(text)
    assert (row["type"], row["uuid"], row["version"]) == ("1", '["a"]', "2.5")
    assert row["is_sidechain"] is None
    assert row["message_role"] is None
    assert row["entry"] == text


def test_rows_that_are_no_objects_are_found() -> None:
    texts = ["{}", "[]", "nope", '{"a":1}', "1", '{"a":1} {"b":2}']
    batch = pa.Table.from_pylist([{"_id": str(n), "entry": text} for n, text in enumerate(texts)], schema=BATCH_SCHEMA)
    assert invalid_rows(batch) == [1, 2, 4, 5]
