"""Whatever is in a collection when a run starts is stored when it ends. Without these, documents that come late or
oddly stamped would be missing for ever, and nobody would see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from analytics.raw import intake
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources import collection as collection_module
from pymongo import MongoClient

Make = Callable[..., Settings]
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def document(number: int, at: Any = NOW, **more: Any) -> dict[str, Any]:
    stamp = {} if at is None else {"ingestedAt": at}
    return {"_id": f"d{number}", "type": "user", "uuid": f"u{number}", "sessionId": "s", **stamp, **more}


@pytest.fixture
def settings(make_settings: Make, mongo_server: Any, database: str) -> Settings:
    return make_settings(mongo_uri=mongo_server.uri, mongo_db=database)


@pytest.fixture
def collection(settings: Settings, mongo_server: Any) -> Iterator[Any]:
    with MongoClient(mongo_server.uri, tz_aware=True) as client:
        yield client[settings.mongo_db][settings.mongo_collection]


def stored(settings: Settings) -> int:
    return RawStore(settings).conversations.scan().to_arrow().num_rows


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda n: document(n, NOW - timedelta(hours=2)), id="stamped-before-the-watermark"),
        pytest.param(lambda n: document(n, NOW - timedelta(days=400)), id="restored-from-a-backup"),
        pytest.param(lambda n: document(n, NOW), id="the-same-stamp"),
        pytest.param(lambda n: document(n, "2026-05-01T12:00:00Z"), id="a-text-stamp"),
        pytest.param(lambda n: document(n, None), id="no-stamp"),
        pytest.param(lambda n: document(n, datetime(2040, 1, 1, tzinfo=UTC)), id="a-future-stamp"),
    ],
)
def test_a_document_that_comes_late_is_stored_by_the_next_run(
    settings: Settings, collection: Any, late: Callable[[int], dict[str, Any]]
) -> None:
    collection.insert_many([document(n) for n in range(20)] + [document(20, datetime(2040, 1, 1, tzinfo=UTC))])
    assert extract(settings, progress=False).documents_stored == 21
    for number in range(100, 103):
        collection.insert_one(late(number))
        assert extract(settings, progress=False).documents_stored == 1
    assert stored(settings) == 24


def test_one_run_with_the_clock_ahead_hides_nothing(
    settings: Settings, collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.insert_one(document(1))
    monkeypatch.setattr(intake, "utc_now", lambda: datetime(2035, 1, 1, tzinfo=UTC))
    collection.insert_one(document(2, datetime(2034, 12, 31, tzinfo=UTC)))
    assert extract(settings, progress=False).documents_stored == 2
    monkeypatch.undo()
    collection.insert_one(document(3, datetime.now(UTC)))
    assert extract(settings, progress=False).documents_stored == 1


def test_a_deletion_hides_a_late_arrival_until_the_night_only(settings: Settings, collection: Any) -> None:
    collection.insert_many([document(n) for n in range(5)])
    extract(settings, progress=False)
    collection.delete_one({"_id": "d1"})
    collection.insert_one(document(9, NOW - timedelta(days=1)))
    assert extract(settings, progress=False).documents_stored == 0
    assert extract(settings, full_backfill=True, progress=False).documents_stored == 1
    assert stored(settings) == 6


def test_nothing_new_reads_no_document_and_compares_no_ids(
    settings: Settings, collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.insert_many([document(n) for n in range(50)])
    extract(settings, progress=False)
    queries: list[Any] = []
    drain = collection_module.Reader._drain

    def watched(self: Any, filters: list[dict[str, Any]], projection: Any) -> Any:
        queries.append((filters, projection))
        return drain(self, filters, projection)

    monkeypatch.setattr(collection_module.Reader, "_drain", watched)
    before = RawStore(settings).current_snapshot_id()
    result = extract(settings, progress=False)
    assert (result.documents_read, result.documents_stored) == (0, 0)
    assert queries
    assert all(projection == {"_id": 1} for _, projection in queries)
    assert [{}] not in [filters for filters, _ in queries]
    assert RawStore(settings).current_snapshot_id() == before


def test_only_missing_documents_are_read(settings: Settings, collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.insert_many([document(n) for n in range(50)])
    extract(settings, progress=False)
    collection.insert_one(document(77, NOW - timedelta(days=9)))
    read: list[Any] = []
    documents = collection_module.Reader.documents
    monkeypatch.setattr(
        collection_module.Reader, "documents", lambda self, filters: (read.append(filters), documents(self, filters))[1]
    )
    assert extract(settings, progress=False).documents_stored == 1
    assert read == [[{"_id": {"$in": ["d77"]}}]]


def test_two_collections_with_the_same_ids_are_both_stored(
    make_settings: Make, mongo_server: Any, database: str
) -> None:
    with MongoClient(mongo_server.uri) as client:
        for name in ("first", "second"):
            client[database][name].insert_many([document(n, text=name) for n in range(100)])
    for _ in range(2):
        for name in ("first", "second"):
            extract(make_settings(mongo_uri=mongo_server.uri, mongo_db=database, mongo_collection=name), progress=False)
    settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database, mongo_collection="second")
    assert not extract(settings, full_backfill=True, progress=False).is_new
    entries = RawStore(settings).conversations.scan().to_arrow()["entry"].to_pylist()
    assert (
        sum('"text":"first"' in text for text in entries) == sum('"text":"second"' in text for text in entries) == 100
    )


def test_rows_of_a_version_before_there_were_two_collections_are_not_doubled(
    settings: Settings, collection: Any
) -> None:
    collection.insert_many([document(n) for n in range(10)])
    extract(settings, progress=False)
    # that version remembered neither a count nor whose ids these are
    store = RawStore(settings)
    kept = {key: value for key, value in store.properties().items() if not key.endswith((".count", ".home"))}
    forgotten = {key: "" for key in store.properties() if key.endswith((".count", ".home"))}
    assert forgotten
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RawStore, "properties", lambda self: dict(kept))
        assert extract(settings, progress=False).documents_stored == 0
        assert extract(settings, full_backfill=True, progress=False).documents_stored == 0
    assert stored(settings) == 10


def test_two_writers_on_one_catalog_store_each_document_once(
    make_settings: Make, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_transcript("-p/a.jsonl", *[document(n, None) for n in range(200)])
    settings = make_settings()
    append = RawStore.append
    other_is_done = False

    def overtaken(self: RawStore, *args: Any, **options: Any) -> Any:
        nonlocal other_is_done
        if not other_is_done:
            other_is_done = True
            extract(make_settings(machine_name="other"), progress=False, commit_bytes=2_000)
        return append(self, *args, **options)

    monkeypatch.setattr(RawStore, "append", overtaken)
    extract(settings, progress=False, commit_bytes=3_000)
    assert stored(settings) == 200
