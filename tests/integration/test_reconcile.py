"""What changed or went at the source, was stored twice, or is to be undone. Without these, wrong numbers stay wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from analytics.errors import AnalyticsError, ConfigError
from analytics.raw import catalog, rewrite
from analytics.raw.extract import extract
from analytics.raw.reconcile import reconcile
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources.sync import sync
from pymongo import MongoClient

Make = Callable[..., Settings]


def document(number: int, **more: Any) -> dict[str, Any]:
    return {"_id": f"d{number}", "type": "user", "uuid": f"u{number}", "sessionId": "s", "text": f"t{number}", **more}


def line(number: int, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in document(number, **more).items() if key != "_id"}


def texts(settings: Settings) -> list[str]:
    """`_id` and text of every row."""
    import json

    rows = RawStore(settings).conversations.scan(selected_fields=("_id", "entry")).to_arrow().to_pylist()
    return sorted(f"{row['_id']} {json.loads(row['entry'])['text']}" for row in rows)


def test_missing_changed_and_deleted_documents_are_told_and_applied(
    make_settings: Make, mongo_server: Any, database: str
) -> None:
    settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    with MongoClient(mongo_server.uri) as client:
        collection = client[database]["conversations"]
        collection.insert_many([document(n, ingestedAt=datetime(2026, 5, 1, tzinfo=UTC)) for n in range(50)])
        extract(settings, progress=False)
        same = reconcile(settings, progress=False)
        assert (same.documents_read, same.is_same, same.deleted) == (50, True, 0)
        collection.update_one({"_id": "d7"}, {"$set": {"text": "corrected"}})
        collection.update_one({"_id": "d8"}, {"$set": {"ingestedAt": datetime(2026, 5, 2, tzinfo=UTC)}})
        collection.delete_many({"_id": {"$in": ["d1", "d2"]}})
        collection.insert_one(document(90))
        assert not extract(settings, progress=False, full_backfill=True).documents_stored - 1  # ids tell of one only
        collection.insert_one(document(91))
    before = texts(settings)
    looked = reconcile(settings, progress=False)
    assert (looked.missing, looked.changed, looked.deleted, looked.is_applied) == (1, 1, 2, False)
    assert "d7 (user" in str(looked)
    assert looked.examples["deleted"] == ["d1", "d2"]
    assert texts(settings) == before

    seen = RawStore(settings).current_snapshot_id()
    assert reconcile(settings, progress=False, apply=True).is_applied
    expected = {*before, "d7 corrected", "d91 t91"} - {"d7 t7"}
    assert texts(settings) == sorted(expected)
    assert RawStore(settings).files_added_since(seen).full  # everything is built again
    again = reconcile(settings, progress=False, apply=True)
    assert (again.missing, again.changed, again.deleted) == (0, 0, 2)
    assert not extract(settings, progress=False).is_new


def test_the_way_a_line_came_is_no_change(
    make_settings: Make, mongo_server: Any, database: str, write_transcript: Any, tmp_path: Any
) -> None:
    files, collection = make_settings(), make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    path = write_transcript(
        "-p/a.jsonl", *[line(n) for n in range(10)], line(10, machine="its own", n=1e400), b"broken"
    )
    extract(files, progress=False)
    sync(collection, progress=False)
    assert reconcile(files, progress=False).is_same
    found = reconcile(collection, progress=False)
    assert (found.documents_read, found.is_same, found.deleted) == (12, True, 0)  # one of them waits as a dead letter
    # a transcript that Claude Code deleted stays stored
    shutil.copy(path, tmp_path / "kept")
    path.write_bytes(b"")
    gone = reconcile(files, progress=False, apply=True)
    assert (gone.documents_read, gone.is_same, gone.deleted) == (0, True, 11)
    assert len(texts(files)) == 11


def doubled(settings: Settings) -> RawStore:
    """What two writers left that did not know of each other."""
    store = RawStore(settings)
    rows = store.conversations.scan().to_arrow()
    store.conversations.append(rows.slice(0, 60))
    letters = store.dead_letters.scan().to_arrow()
    store.dead_letters.append(letters)
    return RawStore(settings)


def test_doubled_rows_are_removed_and_single_ones_are_not(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings()
    write_transcript("-p/a.jsonl", *[line(n) for n in range(100)], b"broken")
    extract(settings, progress=False)
    before = texts(settings)
    assert str(rewrite.dedupe(RawStore(settings))) == "nothing is stored twice"
    store = doubled(settings)
    assert len(texts(settings)) == 160
    result = rewrite.dedupe(store)
    assert (result.documents, result.dead_letters) == (60, 1)
    assert texts(settings) == before
    assert RawStore(settings).dead_letters.scan().to_arrow().num_rows == 1
    assert not extract(settings, progress=False).is_new
    assert extract(settings, progress=False, full_backfill=True).documents_stored == 0


def test_rollback_makes_a_snapshot_the_newest_and_the_source_is_read_again(
    make_settings: Make, write_transcript: Any
) -> None:
    settings = make_settings()
    write_transcript("-p/a.jsonl", *[line(n) for n in range(3)])
    first = extract(settings, progress=False).snapshot_id
    write_transcript("-p/a.jsonl", *[line(n) for n in range(3, 5)], mode="ab")
    second = extract(settings, progress=False).snapshot_id
    with pytest.raises(ConfigError, match="no snapshot 7"):
        rewrite.rollback(RawStore(settings), 7)
    result = rewrite.rollback(RawStore(settings), first)
    assert (result.rows_before, result.rows) == (5, 3)
    assert len(texts(settings)) == 3
    assert RawStore(settings).files_added_since(second).full
    assert extract(settings, progress=False).documents_stored == 2
    assert len(texts(settings)) == 5
    with pytest.raises(ConfigError, match="rolled back before"):
        rewrite.rollback(RawStore(settings), second)


def test_a_moved_data_dir_names_the_repair(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings()
    write_transcript("-p/a.jsonl", line(1))
    extract(settings, progress=False)
    settings.data_dir.rename(settings.data_dir.with_name("moved"))
    with pytest.raises(AnalyticsError, match="claude-analytics doctor --repair") as caught:
        extract(make_settings(data_dir=settings.data_dir.with_name("moved")), progress=False)
    assert "\n" not in str(caught.value)


def test_a_catalog_that_stays_locked_is_one_line(
    make_settings: Make, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr(catalog, "COMMIT_ATTEMPTS", 1)
    settings = make_settings()
    write_transcript("-p/a.jsonl", line(1))
    extract(settings, progress=False)
    write_transcript("-p/b.jsonl", line(2))
    with sqlite3.connect(settings.warehouse_dir / "catalog.db", isolation_level=None) as other:
        other.execute("begin exclusive")
        with pytest.raises(AnalyticsError, match=r"locked.*try again") as caught:
            extract(settings, progress=False)
        other.execute("rollback")
    assert "\n" not in str(caught.value)
    assert extract(settings, progress=False).documents_stored == 1
