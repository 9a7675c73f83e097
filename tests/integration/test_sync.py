"""If sync is wrong, MongoDB ends up with doubled or missing lines and nobody can tell which."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from analytics.errors import ConfigError, SourceUnavailableError
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources.sync import sync
from analytics.sources.sync_state import state_path
from pymongo import MongoClient

Make = Callable[..., Settings]


def lines(start: int, stop: int) -> list[dict[str, Any]]:
    return [{"type": "user", "uuid": f"u{n}", "sessionId": "s"} for n in range(start, stop)]


@pytest.fixture
def target(make_settings: Make, mongo_server: Any, database: str) -> Settings:
    return make_settings(mongo_uri=mongo_server.uri, mongo_db=database)


@pytest.fixture
def collection(target: Settings, mongo_server: Any) -> Iterator[Any]:
    with MongoClient(mongo_server.uri, tz_aware=True) as client:
        yield client[target.mongo_db][target.mongo_collection]


def test_a_line_becomes_a_document_with_metadata(target: Settings, collection: Any, write_transcript: Any) -> None:
    write_transcript("-home-me/sub/agent-1.jsonl", *lines(0, 1))
    result = sync(target, progress=False)
    assert (result.documents_inserted, result.dead_letters) == (1, 0)
    document = collection.find_one({})
    assert document["projectId"] == "-home-me"
    assert document["sourceFile"] == "-home-me/sub/agent-1.jsonl"
    assert document["machine"] == "box"
    assert document["ingestedAt"].tzinfo is not None
    assert list(document)[1:4] == ["type", "uuid", "sessionId"]


def test_repeating_and_resuming_insert_nothing_twice(target: Settings, collection: Any, write_transcript: Any) -> None:
    write_transcript("-p/a.jsonl", *lines(0, 2500))
    assert sync(target, progress=False).documents_inserted == 2500
    assert sync(target, progress=False).documents_read == 0
    write_transcript("-p/a.jsonl", *lines(2500, 2510), mode="ab")
    again = sync(target, progress=False)
    assert (again.documents_read, again.documents_inserted) == (10, 10)
    for path in state_path(target).parent.iterdir():
        path.unlink()
    lost = sync(target, progress=False)
    assert (lost.documents_inserted, lost.documents_already_there) == (0, 2510)
    assert collection.count_documents({}) == 2510


def test_a_dropped_collection_is_filled_again(target: Settings, collection: Any, write_transcript: Any) -> None:
    write_transcript("-p/a.jsonl", *lines(0, 20))
    sync(target, progress=False)
    collection.drop()
    assert sync(target, progress=False).documents_inserted == 20


def test_dead_letters_of_sync_reach_the_raw_layer_once(target: Settings, write_transcript: Any) -> None:
    huge = json.dumps({"uuid": "huge", "text": "x" * (17 * 2**20)}).encode()
    write_transcript("-p/a.jsonl", *lines(0, 3), b"not json", huge)
    result = sync(target, progress=False)
    assert (result.documents_inserted, result.dead_letters) == (3, 2)
    first = extract(target, progress=False)
    assert (first.documents_stored, first.dead_letters, first.documents_read) == (3, 2, 5)
    assert not extract(target, progress=False).is_new
    # Found again after the state was lost: known by its id.
    for path in state_path(target).parent.iterdir():
        path.unlink()
    assert sync(target, progress=False).dead_letters == 2
    second = extract(target, progress=False)
    assert second.dead_letters == 0
    dead_letters = RawStore(target).dead_letters.scan().to_arrow()
    assert sorted(map(len, dead_letters["original"].to_pylist())) == [8, len(huge)]
    assert any("16 MiB" in reason for reason in dead_letters["reason"].to_pylist())


def test_a_sync_keeps_no_secret_of_a_line_it_could_not_copy(target: Settings, write_transcript: Any) -> None:
    token = "gh" + "p_" + "".join(random.Random(3).choices(string.ascii_letters + string.digits, k=36))
    write_transcript(f"-home-{token}/{token}.jsonl", *lines(0, 1), f'{{"torn": "{token}'.encode())
    assert sync(target, progress=False).dead_letters == 1
    files = [path for path in state_path(target).parent.iterdir() if path.is_file()]
    assert files
    assert [path for path in files if token.encode() in path.read_bytes()] == []
    extract(target, progress=False)
    (dead_letter,) = RawStore(target).dead_letters.scan().to_arrow().to_pylist()
    assert dead_letter["original"] == b'{"torn": "[REDACTED:github_token]'
    assert dead_letter["source_file"] == "-home-[REDACTED:github_token]/[REDACTED:github_token].jsonl"


def test_ingested_at_never_runs_backwards(
    target: Settings, collection: Any, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_transcript("-p/a.jsonl", *lines(0, 1))
    sync(target, progress=False)
    extract(target, progress=False)
    import analytics.sources.sync as module

    monkeypatch.setattr(module, "utc_now", lambda: datetime.now(UTC) - timedelta(hours=1))
    write_transcript("-p/a.jsonl", *lines(1, 2), mode="ab")
    sync(target, progress=False)
    monkeypatch.undo()
    monkeypatch.chdir(target.data_dir.parent)
    first, second = (document["ingestedAt"] for document in collection.find({}).sort("uuid"))
    assert second >= first
    assert extract(target, progress=False).documents_stored == 1


def test_a_server_killed_while_syncing_costs_nothing(
    make_settings: Make, own_server: Any, database: str, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import analytics.sources.sync as module

    settings = make_settings(mongo_uri=own_server.uri, mongo_db=database)
    for name in range(8):
        write_transcript(f"-p/{name}.jsonl", *lines(name * 100, name * 100 + 100))
    monkeypatch.setattr(module, "INSERT_DOCUMENTS", 50)
    insert = module._insert
    calls = 0

    def kill_once(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            own_server.kill()
            own_server.start()
        return insert(*args)

    monkeypatch.setattr(module, "_insert", kill_once)
    sync(settings, progress=False)
    with MongoClient(own_server.uri) as client:
        assert client[database]["conversations"].count_documents({}) == 800


def test_unreachable_server_masks_the_password(make_settings: Make, write_transcript: Any) -> None:
    write_transcript("-p/a.jsonl", *lines(0, 1))
    with pytest.raises(SourceUnavailableError) as caught:
        sync(make_settings(mongo_uri="mongodb://me:topsecret@127.0.0.1:9/"), progress=False)
    assert "topsecret" not in str(caught.value)


def test_a_killed_sync_is_completed_by_the_next(target: Settings, write_transcript: Any, tmp_path: Path) -> None:
    settings = target
    for name in range(30):
        write_transcript(f"-p/{name}.jsonl", *lines(name * 200, name * 200 + 200))
    environment = {
        **os.environ,
        "DATA_DIR": str(settings.data_dir),
        "CLAUDE_PROJECTS_DIR": str(settings.claude_projects_dir),
        "MACHINE_NAME": "box",
        "MONGO_URI": settings.mongo_uri.get_secret_value(),
        "MONGO_DB": settings.mongo_db,
    }
    process = subprocess.Popen([sys.executable, "-m", "analytics.cli", "sync"], env=environment, cwd=tmp_path)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not state_path(settings).exists():
        time.sleep(0.01)
    time.sleep(0.9)
    process.kill()
    process.wait()
    sync(settings, progress=False)
    assert extract(settings, progress=False).documents_stored == 6000


def test_watch_copies_new_lines_until_it_is_terminated(
    target: Settings, collection: Any, write_transcript: Any, tmp_path: Path
) -> None:
    write_transcript("-p/a.jsonl", *lines(0, 2))
    environment = {
        **os.environ,
        "DATA_DIR": str(target.data_dir),
        "CLAUDE_PROJECTS_DIR": str(target.claude_projects_dir),
        "MONGO_URI": target.mongo_uri.get_secret_value(),
        "MONGO_DB": target.mongo_db,
    }
    command = [sys.executable, "-m", "analytics.cli", "sync", "--watch", "--every", "0.2"]
    process = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and collection.count_documents({}) < count:
            time.sleep(0.05)
        assert collection.count_documents({}) == count

    try:
        wait_for(2)
        write_transcript("-p/a.jsonl", *lines(2, 5), mode="ab")
        wait_for(5)
        # what fails now may work later: said once, and waited out
        (target.data_dir / "purged.json").write_text("{")
        write_transcript("-p/a.jsonl", *lines(5, 8), mode="ab")
        time.sleep(1)
        wait_for(5)
        (target.data_dir / "purged.json").unlink()
        wait_for(8)
        process.terminate()
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "stopped" in output
    assert errors.count("trying again") == 1


def test_sync_without_a_server_says_which_setting_is_missing(make_settings: Make) -> None:
    with pytest.raises(ConfigError, match="MONGO_URI is not set"):
        sync(make_settings(), progress=False)


def test_a_lot_is_stamped_when_it_is_sent(
    target: Settings, collection: Any, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics.sources import sync as module

    clock = iter(datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in range(60))
    monkeypatch.setattr(module, "utc_now", lambda: next(clock))
    monkeypatch.setattr(module, "INSERT_DOCUMENTS", 10)
    write_transcript("-p/a.jsonl", *lines(0, 35))
    sync(target, progress=False)
    assert len(collection.distinct("ingestedAt")) == 4


def test_several_folders_are_synced(target: Settings, collection: Any, write_transcript: Any, tmp_path: Path) -> None:
    write_transcript("-p/a.jsonl", *lines(0, 3))
    (tmp_path / "more" / "-q").mkdir(parents=True)
    (tmp_path / "more" / "-q" / "b.jsonl").write_text(json.dumps({"type": "user", "uuid": "other"}) + "\n")
    both = target.model_copy(update={"claude_projects_dir": f"{tmp_path / 'projects'}{os.pathsep}{tmp_path / 'more'}"})
    assert sync(both, progress=False).documents_inserted == 4
    assert sync(both, progress=False).documents_read == 0
    assert set(collection.distinct("projectId")) == {"-p", "-q"}
