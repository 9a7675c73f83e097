"""What a server may do to us. Without these, one document stops all others, or a hint sends people the wrong way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from analytics.errors import SourceUnavailableError
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources import collection
from analytics.sources.sync import create_index, sync
from mongo_proxy import Proxy
from mongo_server import Server
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
    dead_letters = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    return [(dead_letter["document_id"], dead_letter["reason"]) for dead_letter in dead_letters]


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
    (dead_letter,) = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    assert json.loads(dead_letter["original"]) == lines[10]
    assert dead_letter["source_file"] == path.relative_to(path.parents[1]).as_posix()


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


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with users (`owner`, `reader`), which can be told to fail."""
    server = Server(tmp_path_factory.mktemp("strict") / "storage", "--enable-test-commands")
    with server:
        with server.client() as client:
            client.admin.command("createUser", "owner", pwd="topsecret", roles=["root"])
            for name in ("read_only", "refusing"):
                client[name].command("createUser", "reader", pwd="topsecret", roles=["read"])
        assert server.process is not None
        server.process.terminate()  # a killed one would forget its users
        server.process.wait()
        server.options = (*server.options, "--auth")
        server.start()
        yield server


def as_user(server: Server, user: str, password: str = "topsecret", source: str = "admin") -> str:
    return f"mongodb://{user}:{password}@127.0.0.1:{server.port}/?directConnection=true&authSource={source}"


def test_a_user_who_may_only_read_can_extract_and_not_sync(
    make_settings: Make, strict_server: Server, write_transcript: Any
) -> None:
    write_transcript("-p/a.jsonl", *[document(n) for n in range(20)])
    owner = make_settings(mongo_uri=as_user(strict_server, "owner"), mongo_db="read_only")
    assert sync(owner, progress=False).documents_inserted == 20
    reader = make_settings(mongo_uri=as_user(strict_server, "reader", source="read_only"), mongo_db="read_only")
    assert extract(reader, progress=False).documents_stored == 20
    assert not extract(reader, progress=False, full_backfill=True).is_new
    write_transcript("-p/b.jsonl", *[document(n) for n in range(20, 40)])
    for refused in (lambda: sync(reader, progress=False), lambda: create_index(reader)):
        with pytest.raises(SourceUnavailableError, match=r"cannot be written: .*check user, password") as caught:
            refused()
        assert "topsecret" not in str(caught.value)
    # nothing was lost by trying
    assert sync(owner, progress=False).documents_inserted == 20


@pytest.mark.parametrize("user", ["reader:wrong@", "nobody:wrong@", ""])
def test_a_wrong_password_and_no_user_are_one_line(make_settings: Make, strict_server: Server, user: str) -> None:
    uri = f"mongodb://{user}127.0.0.1:{strict_server.port}/?directConnection=true"
    with pytest.raises(SourceUnavailableError, match=r"cannot be read: .*check user, password and rights") as caught:
        extract(make_settings(mongo_uri=uri), progress=False)
    assert "wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", [1, 8, 14031], ids=["internal-error", "unknown-error", "disk-full"])
def test_a_server_that_takes_no_document_makes_no_dead_letters(
    make_settings: Make, strict_server: Server, write_transcript: Any, code: int
) -> None:
    settings = make_settings(mongo_uri=as_user(strict_server, "owner"), mongo_db="refusing")
    write_transcript(f"-p/{code}.jsonl", *[document(code * 100 + n) for n in range(20)])
    fail = {"failCommands": ["insert"], "errorCode": code}
    with MongoClient(as_user(strict_server, "owner")) as client:
        client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=fail)
        try:
            with pytest.raises(SourceUnavailableError, match="cannot be written"):
                sync(settings, progress=False)
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")
    result = sync(settings, progress=False)
    assert (result.documents_inserted, result.dead_letters) == (20, 0)


def test_a_time_limit_in_the_uri_is_meant(make_settings: Make, mongo_server: Any) -> None:
    with collection.connect(f"{mongo_server.uri}&socketTimeoutMS=600000") as client:
        assert client.options.pool_options.socket_timeout == 600
    with collection.connect(mongo_server.uri) as client:
        assert client.options.pool_options.socket_timeout == collection.SOCKET_TIMEOUT_MS / 1000
