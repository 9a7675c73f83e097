"""Another server than the tests' usual one: what works on one only is a habit of that one.

mongo-java-server knows no users, no `explain` and no replica sets: what such servers would do is in
tests/integration/test_unlucky_servers.py."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from analytics.errors import ConfigError, SourceUnavailableError
from analytics.raw.extract import extract
from analytics.raw.reconcile import reconcile
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources import collection as access
from analytics.sources.encode import ADDED_KEYS
from analytics.sources.sync import create_index, sync
from mongo_proxy import Proxy

Make = Callable[..., Settings]
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def document(number: int, at: Any = NOW, **more: Any) -> dict[str, Any]:
    stamp = {} if at is None else {"ingestedAt": at}
    return {"_id": f"d{number}", "type": "user", "uuid": f"u{number}", "sessionId": "s", **stamp, **more}


def line(number: int, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in document(number, None, **more).items() if key != "_id"}


def uuids(settings: Settings) -> Counter[str]:
    return Counter(RawStore(settings).conversations.scan(selected_fields=("uuid",)).to_arrow()["uuid"].to_pylist())


def entries(settings: Settings) -> list[str]:
    found = RawStore(settings).conversations.scan(selected_fields=("entry",)).to_arrow()["entry"].to_pylist()
    documents = [json.loads(text) for text in found]
    return sorted(
        json.dumps({k: v for k, v in one.items() if k not in ADDED_KEYS}, sort_keys=True) for one in documents
    )


def test_real_transcripts_are_the_same_by_way_of_the_server(
    settings: Settings, make_settings: Make, samples_dir: Path, tmp_path: Path
) -> None:
    projects = samples_dir / "projects"
    target = settings.model_copy(update={"claude_projects_dir": str(projects)})
    result = sync(target, progress=False)
    assert sync(target, progress=False).documents_read == 0
    found = extract(target, progress=False)
    assert found.documents_stored == result.documents_inserted
    files = make_settings(claude_projects_dir=projects, data_dir=tmp_path / "files")
    direct = extract(files, progress=False)
    assert (found.documents_stored, found.dead_letters) == (direct.documents_stored, direct.dead_letters)
    assert entries(target) == entries(files)
    again = extract(target, progress=False, full_backfill=True)
    assert (again.is_new, again.documents_read) == (False, again.documents_skipped)


def test_every_id_type_is_stored_once(settings: Settings, collection: Any) -> None:
    ids: list[Any] = [
        bson.ObjectId(), "text", "a" * 24, '{"a":1}', '"quoted"', 5, bson.Int64(5_000_000_000), 5.5, True, {"a": 1},
        NOW, bson.Binary(b"\0\1"), bson.Decimal128("1.50"), bson.Timestamp(1, 2),
    ]  # fmt: skip
    for number, key in enumerate(ids):
        collection.insert_one({**document(number), "_id": key})
    assert extract(settings, progress=False).documents_stored == len(ids)
    for full in (False, True):
        assert not extract(settings, progress=False, full_backfill=full).is_new
    assert uuids(settings) == Counter(f"u{n}" for n in range(len(ids)))


@pytest.mark.parametrize(
    "stamp",
    [NOW - timedelta(days=400), NOW, "2026-05-01T12:00:00Z", None, datetime(2040, 1, 1, tzinfo=UTC)],
    ids=["old", "same", "text", "none", "future"],
)
def test_late_arrivals_are_stored_by_the_next_run(settings: Settings, collection: Any, stamp: Any) -> None:
    collection.insert_many([document(n) for n in range(20)])
    extract(settings, progress=False)
    collection.insert_one(document(100, stamp))
    result = extract(settings, progress=False)
    assert (result.documents_stored, result.documents_read - result.documents_skipped) == (1, 1)
    assert not extract(settings, progress=False).is_new


def test_changed_and_deleted_documents_are_told(settings: Settings, collection: Any) -> None:
    collection.insert_many([document(n, text=f"t{n}") for n in range(20)])
    extract(settings, progress=False)
    collection.update_one({"_id": "d3"}, {"$set": {"text": "other"}})
    collection.delete_one({"_id": "d4"})
    collection.insert_one(document(50))
    found = reconcile(settings, progress=False, apply=True)
    assert (found.missing, found.changed, found.deleted) == (1, 1, 1)
    assert reconcile(settings, progress=False).is_same
    assert len(uuids(settings)) == 21


def test_the_index_is_created(settings: Settings, collection: Any) -> None:
    name = create_index(settings)
    assert collection.index_information()[name]["key"] == [("ingestedAt", 1), ("_id", 1)]
    collection.insert_many([document(n) for n in range(20)])
    assert extract(settings, progress=False).documents_stored == 20


def test_an_absent_collection_and_database_are_said(settings: Settings) -> None:
    assert "no documents in" in str(extract(settings, progress=False))


def test_a_server_killed_in_mid_cursor_costs_nothing(
    own_server: Any, make_settings: Make, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "CURSOR_BATCH", 50)
    settings = make_settings(mongo_uri=own_server.uri, mongo_db=database)
    with own_server.client() as client:
        client[database]["conversations"].insert_many([document(n, text="x" * 500) for n in range(2000)])
    # H2 writes what it has acknowledged within a second: killed before, the server itself would have lost some of it
    time.sleep(2)
    append, commits = RawStore.append, 0

    def kill_once(self: RawStore, *args: Any, **options: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits == 2:
            own_server.kill()
            threading.Timer(0.3, own_server.start).start()
        return append(self, *args, **options)

    monkeypatch.setattr(RawStore, "append", kill_once)
    extract(settings, progress=False, commit_bytes=50_000)
    monkeypatch.undo()
    extract(settings, progress=False)
    assert uuids(settings) == Counter(f"u{n}" for n in range(2000))


def test_a_server_killed_in_mid_sync_costs_nothing(
    own_server: Any, make_settings: Make, database: str, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import analytics.sources.sync as module

    settings = make_settings(mongo_uri=own_server.uri, mongo_db=database)
    for name in range(8):
        write_transcript(f"-p/{name}.jsonl", *[line(name * 100 + n) for n in range(100)])
    monkeypatch.setattr(module, "INSERT_DOCUMENTS", 50)
    insert, calls = module._insert, 0

    def kill_once(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            own_server.kill()
            own_server.start()
        return insert(*args)

    monkeypatch.setattr(module, "_insert", kill_once)
    sync(settings, progress=False)
    extract(settings, progress=False)
    assert uuids(settings) == Counter(f"u{n}" for n in range(800))


# One clear line


def assert_one_line(error: BaseException, *parts: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert "topsecret" not in text
    assert all(part in text for part in parts), text


def test_users_on_a_server_without_users_are_one_line(memory_server: Any, make_settings: Make) -> None:
    uri = memory_server.uri.replace("mongodb://", "mongodb://reader:topsecret@")
    with pytest.raises(SourceUnavailableError) as caught:
        extract(make_settings(mongo_uri=uri), progress=False)
    assert_one_line(caught.value, "MongoDB at mongodb://reader:***@127.0.0.1", "cannot be read")


def test_a_replica_set_that_is_none_is_one_line(memory_server: Any, make_settings: Make) -> None:
    uri = f"mongodb://127.0.0.1:{memory_server.port}/?replicaSet=rs0"
    with pytest.raises(SourceUnavailableError) as caught:
        extract(make_settings(mongo_uri=uri), progress=False)
    assert_one_line(caught.value, "check MONGO_URI")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return folder / "both.pem"


def test_tls_works_and_what_is_wrong_with_it_is_one_line(
    memory_server: Any, make_settings: Make, database: str, certificate: Path
) -> None:
    with memory_server.client() as client:
        client[database]["conversations"].insert_many([document(n) for n in range(500)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Proxy(memory_server.port, tls=context) as proxy:

        def read(options: str) -> Any:
            return extract(make_settings(mongo_uri=f"{proxy.uri}{options}", mongo_db=database), progress=False)

        with pytest.raises(SourceUnavailableError) as caught:
            read("&tls=true")
        assert_one_line(caught.value, "certificate verify failed")
        with pytest.raises(SourceUnavailableError) as caught:
            read("")
        assert_one_line(caught.value, "check MONGO_URI")
        with pytest.raises(ConfigError) as refused:
            read("&tls=true&tlsCAFile=/nowhere/ca.pem")
        assert_one_line(refused.value, "MONGO_URI=mongodb://127.0.0.1", "No such file")
        authority = certificate.with_name("cert.pem")
        assert read(f"&tls=true&tlsCAFile={authority}").documents_stored == 500
    with pytest.raises(SourceUnavailableError) as caught:
        extract(make_settings(mongo_uri=f"{memory_server.uri}&tls=true", mongo_db=database), progress=False)
    assert_one_line(caught.value, "check MONGO_URI")
