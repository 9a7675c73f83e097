"""What a server may do to us. Without these, one document stops all others, or a hint sends people the wrong way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from analytics.errors import SourceUnavailableError
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources import collection
from analytics.sources.sync import create_index, sync
from mongo_proxy import Proxy
from pymongo import MongoClient
from pymongo.errors import OperationFailure

Make = Callable[..., Settings]


def document(number: int, text: str = "") -> dict[str, Any]:
    return {"type": "user", "uuid": f"u{number}", "sessionId": "s", "text": text}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each connection that ends, PyMongo waits half a second by itself."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(collection, "RETRIES", 1)
    monkeypatch.setattr(collection, "LOT", 4)


def dead(settings: Settings) -> list[tuple[str | None, str]]:
    letters = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    return [(letter["document_id"], letter["reason"]) for letter in letters]


@pytest.mark.parametrize("number", [0, 599])
def test_a_document_that_ends_the_connection_when_read_stops_no_other(
    make_settings: Make, mongo_server: Any, database: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(collection, "CURSOR_BATCH", 50)
    documents = [{"_id": n, **document(n)} for n in range(600)]
    documents[number]["text"] = "POISON"
    with mongo_server.client() as client:
        client[database]["conversations"].insert_many(documents)
    with Proxy(mongo_server.port, to_client=b"POISON") as proxy:
        settings = make_settings(mongo_uri=proxy.uri, mongo_db=database)
        first = extract(settings, progress=False)
        assert (first.documents_stored, first.dead_letters) == (599, 1)
        ((key, reason),) = dead(settings)
        assert (str(number) in key, "ends the connection" in reason) == (True, True)
        cut = proxy.cut
        assert not extract(settings, progress=False).is_new
        assert proxy.cut == cut  # an hour later nobody asks for it again
    # a server that can read it: the night brings it
    again = extract(make_settings(mongo_uri=mongo_server.uri, mongo_db=database), progress=False, full_backfill=True)
    assert (again.documents_stored, dead(settings)) == (1, [])


def test_a_line_that_ends_the_connection_when_inserted_stops_no_other(
    make_settings: Make, mongo_server: Any, database: str, write_transcript: Any
) -> None:
    lines = [document(n, "POISON" if n == 10 else "") for n in range(60)]
    path = write_transcript("-p/a.jsonl", *lines)
    with Proxy(mongo_server.port, to_server=b"POISON") as proxy:
        settings = make_settings(mongo_uri=proxy.uri, mongo_db=database)
        result = sync(settings, progress=False)
        assert (result.documents_inserted, result.dead_letters) == (59, 1)
        assert not sync(settings, progress=False).documents_read
        found = extract(settings, progress=False)
    assert (found.documents_stored, found.dead_letters) == (59, 1)
    (letter,) = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    assert json.loads(letter["original"]) == lines[10]
    assert letter["source_file"] == path.relative_to(path.parents[1]).as_posix()


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (18, "Authentication failed.", "check user, password and rights"),
        (13, "not authorized on claude_logs to execute command", "check user, password and rights"),
        (59, "no such command: 'count'", "this server cannot do that"),
        (238, "$type is not implemented yet", "this server cannot do that"),
        (2, "unknown operator: $not", "code 2"),
    ],
)
def test_the_hint_is_about_what_the_server_said(code: int, message: str, hint: str) -> None:
    error = collection.unavailable("mongodb://me:secret@h/", OperationFailure(message, code))
    assert message in str(error)
    assert hint in str(error)
    assert "secret" not in str(error)
    assert "\n" not in str(error)


def test_an_unknown_option_of_the_uri_is_one_line(
    make_settings: Make, mongo_server: Any, database: str, caplog: pytest.LogCaptureFixture, recwarn: Any
) -> None:
    settings = make_settings(mongo_uri=f"{mongo_server.uri}&retryWritse=true", mongo_db=database)
    extract(settings, progress=False)
    (line,) = [record.getMessage() for record in caplog.records if "Unknown option" in record.getMessage()]
    assert line.startswith("MONGO_URI=mongodb://127.0.0.1")
    assert "\n" not in line
    assert not [warning for warning in recwarn if "Unknown option" in str(warning.message)]


def test_the_index_is_created_once_and_used(make_settings: Make, mongo_server: Any, database: str) -> None:
    settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    name = create_index(settings)
    assert create_index(settings) == name
    with MongoClient(mongo_server.uri) as client:
        indexes = client[database]["conversations"].index_information()
    assert indexes[name]["key"] == [("ingestedAt", 1), ("_id", 1)]
    with pytest.raises(SourceUnavailableError):
        create_index(make_settings(mongo_uri="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200"))


def test_an_empty_or_absent_source_is_said_by_every_command(
    make_settings: Make, mongo_server: Any, database: str, tmp_path: Any
) -> None:
    (tmp_path / "projects").mkdir()
    server = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    for full in (False, True):
        said = str(extract(server, progress=False, full_backfill=full))
        assert f"no documents in {database}.conversations" in said
        assert "claude-analytics sync" in said
    for said in (str(extract(make_settings(), progress=False)), str(sync(server, progress=False))):
        assert f"no transcripts in {tmp_path / 'projects'}" in said
    with mongo_server.client() as client:
        client[database]["conversations"].insert_one(document(1))
    for _ in range(2):
        assert "no documents" not in str(extract(server, progress=False))
