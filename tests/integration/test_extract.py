"""If extract is wrong, documents silently go missing or count twice in every number that follows.

Real transcripts, a real server, a real Iceberg table: nothing here is simulated.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pyarrow.compute as pc
import pytest
from analytics.errors import AnalyticsError, ConfigError, SourceUnavailableError
from analytics.raw.dead_letters import replay
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources.encode import ADDED_KEYS
from analytics.sources.sync import sync
from pymongo import MongoClient

Make = Callable[..., Settings]


def entry(number: int, **more: Any) -> dict[str, Any]:
    """A small transcript entry."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    return {
        "type": "user",
        "uuid": f"u{number}",
        "sessionId": "s",
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "message": {"role": "user", "content": f"text {number}"},
        **more,
    }


def rows(settings: Settings, *columns: str) -> list[dict[str, Any]]:
    """Everything stored, as dicts."""
    return RawStore(settings).conversations.scan(selected_fields=columns or ("*",)).to_arrow().to_pylist()


def entries(settings: Settings) -> Counter[str]:
    """Stored documents without what a sync adds, each as canonical JSON."""
    found: Counter[str] = Counter()
    for row in rows(settings, "entry"):
        document = json.loads(row["entry"])
        for key in ADDED_KEYS:
            document.pop(key, None)
        found[json.dumps(document, sort_keys=True)] += 1
    return found


@pytest.fixture(params=["jsonl", "mongodb"])
def settings(request: pytest.FixtureRequest, make_settings: Make, mongo_server: Any, database: str) -> Settings:
    """Of either source."""
    return make_settings(
        **({"mongo_uri": mongo_server.uri, "mongo_db": database} if request.param == "mongodb" else {})
    )


def take(settings: Settings, **options: Any) -> Any:
    """Extract what stands in the transcripts, by way of the server if that is the source."""
    if settings.source == "mongodb":
        sync(settings, progress=False)
    return extract(settings, progress=False, **options)


def check_counts(result: Any) -> None:
    """The invariant of every run."""
    assert result.documents_read == result.documents_stored + result.documents_skipped + result.dead_letters


def test_three_sources_give_the_same_entries(
    make_settings: Make, mongo_server: Any, database: str, tmp_path: Path, samples_dir: Path
) -> None:
    projects = samples_dir / "projects"
    expected = json.loads((samples_dir / "expected.json").read_text())
    direct = make_settings(source="jsonl", claude_projects_dir=projects, data_dir=tmp_path / "jsonl")
    synced = make_settings(
        mongo_uri=mongo_server.uri, mongo_db=f"{database}s", claude_projects_dir=projects, data_dir=tmp_path / "synced"
    )
    sync(synced, progress=False)
    filled = make_settings(mongo_uri=mongo_server.uri, mongo_db=database, data_dir=tmp_path / "filled")

    documents = []
    for path in projects.rglob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict):
                documents.append(document)
    # The usual sync: plain insertMany, ObjectIds, and a repeated run that leaves duplicates.
    with MongoClient(mongo_server.uri) as client:
        collection = client[database]["conversations"]
        collection.insert_many({**document, "ingestedAt": datetime.now(UTC)} for document in documents)
        collection.insert_many({**document} for document in documents[:100])

    found = {}
    for name, settings in (("jsonl", direct), ("synced", synced), ("filled", filled)):
        result = extract(settings, progress=False)
        check_counts(result)
        found[name] = entries(settings)
        if name != "filled":
            assert (result.documents_stored, result.dead_letters) == (
                expected["entries"],
                expected["bad_lines"],
            )
        again = extract(settings, progress=False)
        check_counts(again)
        assert not again.is_new
        assert again.snapshot_id == result.snapshot_id
    assert found["jsonl"] == found["synced"]
    assert set(found["filled"]) == set(found["jsonl"])
    assert sum(found["filled"].values()) == expected["entries"] + 100

    envelope = [
        "_id", "type", "uuid", "parent_uuid", "session_id", "project_id", "timestamp", "source_file",
        "machine", "message_role", "message_id", "request_id", "is_sidechain", "agent_id", "version", "cwd",
        "git_branch",
    ]  # fmt: skip
    key = lambda row: row["_id"]  # noqa: E731
    assert sorted(rows(direct, *envelope), key=key) == [
        {**row, "machine": "box"} for row in sorted(rows(synced, *envelope), key=key)
    ]


def test_appended_lines_are_the_only_new_ones(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings(source="jsonl")
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5)])
    assert extract(settings, progress=False).documents_stored == 5
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5, 8)], mode="ab")
    result = extract(settings, progress=False)
    assert (result.documents_read, result.documents_stored) == (3, 3)


def test_half_a_line_waits_and_a_whole_one_is_taken(settings: Settings, write_transcript: Any) -> None:
    write_transcript("-p/a.jsonl", entry(1), entry(2), end=b"")
    write_transcript("-p/b.jsonl", entry(3), b'{"type":"us', end=b"")
    first = take(settings)
    assert (first.documents_stored, first.dead_letters) == (3, 0)
    write_transcript("-p/a.jsonl", b"", entry(4), mode="ab")
    write_transcript("-p/b.jsonl", b'er","uuid":"late"}', mode="ab")
    second = take(settings)
    assert (second.documents_stored, second.dead_letters) == (2, 0)
    assert {row["uuid"] for row in rows(settings, "uuid")} == {"u1", "u2", "u3", "u4", "late"}
    # Reading all of it again gives the very same ids.
    assert take(settings, full_backfill=True).documents_stored == 0


def test_odd_lines_are_stored_or_dead_lettered_once(settings: Settings, write_transcript: Any) -> None:
    stored = [
        entry(1),
        b'{"uuid":"glued-1"}{"uuid":"glued-2"}',
        b'{"uuid":"surrogate","text":"a\\ud800b"}',
        b'{"uuid":"invalid-utf8","text":"\xff\xfe"}',
        b'{"uuid":"nul","text":"a\\u0000b","k\\u0000y":1}',
        b'\x00\x00{"uuid":"zeros"}\x00',
        b'\xef\xbb\xbf{"uuid":"bom"}',
        b'{"uuid":"nan","a":NaN,"b":-Infinity}',
        b'{"uuid":"huge","a":123456789012345678901234567890,"b":1e400,"c":18446744073709551615}',
        b'{"uuid":"deep","a":' + b"[" * 150 + b"]" * 150 + b"}",
        b'{"uuid":"twice","uuid":"twice"}',
        b'{"uuid":"year1","timestamp":"0001-01-01T00:00:00Z"}',
        b'{"uuid":"year9999","timestamp":"9999-12-31T23:59:59.999Z"}',
        b'{"uuid":"own-keys","_id":5,"projectId":"mine","ingestedAt":"then","a.b":1,"$c":2}',
        b"{}",
        '{"uuid":"crlf"}\r',
    ]
    dead = [
        b"// comment",
        b"[1,2]",
        b"12",
        b'"text"',
        b'{"a":1',
        b'{"a":1}x',
        b"\x00\x00\x00",
        b"{'a':1}",
        b'{"a":1,}',
    ]
    write_transcript("-p/a.jsonl", *stored, b"", b"   ", *dead)
    result = take(settings)
    check_counts(result)
    assert (result.documents_stored, result.dead_letters) == (len(stored) + 1, len(dead))
    documents = {json.loads(row["entry"]).get("uuid"): json.loads(row["entry"]) for row in rows(settings)}
    assert documents["huge"]["a"] == 123456789012345678901234567890
    assert documents["huge"]["c"] == 18446744073709551615
    assert documents["nan"]["a"] == {"$numberDouble": "NaN"}
    assert documents["nan"]["b"] == {"$numberDouble": "-Infinity"}
    assert documents["surrogate"]["text"] == "a\ufffdb"
    assert documents["nul"]["text"] == "a\0b"
    dead_letters = RawStore(settings).dead_letters.scan().to_arrow()
    assert sorted(dead_letters["original"].to_pylist()) == sorted(dead)
    assert all(dead_letters["reason"].to_pylist())
    by_uuid = {row["uuid"]: row for row in rows(settings)}
    today = by_uuid["bom"]["date"]
    assert by_uuid["year1"]["date"] == by_uuid["year9999"]["date"] == today
    assert by_uuid["year1"]["timestamp"].year == 1
    assert by_uuid["own-keys"]["project_id"] == "-p"
    for full in (False, True):
        again = extract(settings, full_backfill=full, progress=False)
        check_counts(again)
        assert not again.is_new


def test_files_truncated_replaced_or_deleted_lose_nothing(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings(source="jsonl")
    path = write_transcript("-p/a.jsonl", *[entry(n) for n in range(10)])
    extract(settings, progress=False)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    assert not extract(settings, progress=False).is_new
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(100, 120)])
    assert extract(settings, progress=False).documents_stored == 20
    path.unlink()
    assert not extract(settings, progress=False).is_new
    assert len(rows(settings, "_id")) == 30


def test_a_file_that_shrinks_and_grows_again_is_stored_once(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings(source="jsonl")
    path = write_transcript("-p/a.jsonl", *[entry(n) for n in range(10)])
    whole = path.read_bytes()
    extract(settings, progress=False)
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    extract(settings, progress=False)
    path.write_bytes(whole)  # such as a copy that was cut off and finished later
    assert extract(settings, progress=False).documents_skipped == 6
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(12)])
    assert extract(settings, progress=False).documents_stored == 2
    assert sorted(row["uuid"] for row in rows(settings, "uuid")) == sorted(f"u{n}" for n in range(12))


def test_lost_or_stale_positions_cost_time_only(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings(source="jsonl")
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(10)])
    extract(settings, progress=False)
    (saved,) = (settings.data_dir / "jsonl").glob("*.json")
    saved.write_text("{ damaged")
    write_transcript("-p/b.jsonl", entry(50))
    result = extract(settings, progress=False)
    assert (result.documents_stored, result.documents_skipped) == (1, 10)
    for path in (settings.data_dir / "jsonl").glob("*.json"):
        path.unlink()
    assert extract(settings, progress=False).documents_skipped == 11
    assert extract(settings, progress=False).documents_read == 0


class Crashed(RuntimeError):
    pass


def test_a_run_cut_off_between_commits_is_completed_by_the_next(
    settings: Settings, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.sources.collection.CURSOR_BATCH", 40)
    for name in range(6):
        write_transcript(f"-p/{name}.jsonl", *[entry(100 * name + n, pad="x" * 500) for n in range(50)])
    append = RawStore.append
    commits = 0

    def fail_third(self: RawStore, *args: Any, **kwargs: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits == 3:
            raise Crashed
        return append(self, *args, **kwargs)

    monkeypatch.setattr(RawStore, "append", fail_third)
    with pytest.raises(Crashed):
        take(settings, commit_bytes=20_000)
    monkeypatch.undo()
    assert 0 < len(rows(settings, "_id")) < 300
    result = take(settings, commit_bytes=20_000)
    check_counts(result)
    ids = [row["_id"] for row in rows(settings, "_id")]
    assert len(ids) == len(set(ids)) == 300
    assert not take(settings).is_new


def test_every_id_type_and_missing_or_odd_metadata(make_settings: Make, mongo_server: Any, database: str) -> None:
    settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    now = datetime.now(UTC)
    ids: list[Any] = [
        bson.ObjectId(), "text", "a" * 24, '{"a":1}', '"quoted"', 5, bson.Int64(5_000_000_000), 5.5, True,
        {"a": 1}, now, bson.Binary(b"\0\1"), bson.Decimal128("1.50"), bson.Timestamp(1, 2), bson.MinKey(),
    ]  # fmt: skip
    dated = {"ingestedAt": now, "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)}
    odd = [{}, {"ingestedAt": "2026-01-01"}, {"ingestedAt": None}, {"ingestedAt": now + timedelta(days=4000)}]
    with MongoClient(mongo_server.uri) as client:
        collection = client[database]["conversations"]
        for number, key in enumerate(ids):
            collection.insert_one({"_id": key, "uuid": f"id{number}", **dated})
        for number, extra in enumerate(odd):
            collection.insert_one({"uuid": f"odd{number}", **extra})
            collection.insert_one({"_id": f"odd{number}", "uuid": f"str{number}", **extra})
        collection.insert_one(
            {
                "uuid": "types",
                "b": b"\0",
                "r": bson.Regex("a", "i"),
                "n": float("nan"),
                "d": bson.Decimal128("1.5"),
                "code": bson.Code("x"),
            }
        )
        total = collection.count_documents({})
        first = extract(settings, progress=False)
        check_counts(first)
        assert (first.documents_stored, first.dead_letters) == (total, 0)
        assert first.watermark is not None
        assert first.watermark <= datetime.now(UTC)
        for full in (False, True):
            again = extract(settings, full_backfill=full, progress=False)
            check_counts(again)
            assert not again.is_new
        # Documents of every kind that come later are found: dated, by ObjectId, with neither.
        collection.insert_one({"uuid": "late-dated", "ingestedAt": datetime.now(UTC)})
        collection.insert_one({"uuid": "late-object-id"})
        collection.insert_one({"_id": "late", "uuid": "late-string"})
        later = extract(settings, progress=False)
        check_counts(later)
        assert later.documents_stored == 3
        # One that came in with an old date, too.
        collection.insert_one({"uuid": "old", "ingestedAt": now - timedelta(days=3)})
        assert extract(settings, progress=False).documents_stored == 1
        assert extract(settings, full_backfill=True, progress=False).documents_stored == 0
    stored = {row["uuid"]: row for row in rows(settings)}
    assert len({row["_id"] for row in stored.values()}) == total + 4
    assert stored["id0"]["timestamp"] == dated["timestamp"]
    types = json.loads(stored["types"]["entry"])
    assert types["n"] == {"$numberDouble": "NaN"}
    assert types["d"] == 1.5


def test_one_undecodable_document_does_not_stop_the_others(
    make_settings: Make, mongo_server: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics.sources.collection import Reader

    settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    documents = [{"_id": f"ok{n}", "n": n} for n in range(20)]
    documents.insert(10, {"_id": "broken", "text": "abcd"})
    with MongoClient(mongo_server.uri) as client:
        client[database]["conversations"].insert_many(documents)
    # This server refuses broken BSON, others deliver it: break it on the way.
    drain = Reader._drain
    monkeypatch.setattr(
        Reader,
        "_drain",
        lambda *args: (raw and raw.replace(b"abcd", b"\xff\xfe\xfd\xfc") for raw in drain(*args)),
    )
    result = extract(settings, progress=False)
    check_counts(result)
    assert (result.documents_stored, result.dead_letters) == (20, 1)
    (dead_letter,) = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    assert dead_letter["document_id"] == "broken"
    assert dead_letter["original"] == bson.encode(documents[10]).replace(b"abcd", b"\xff\xfe\xfd\xfc")
    again = extract(settings, full_backfill=True, progress=False)
    check_counts(again)
    assert not again.is_new


def test_a_16_mib_document_is_stored(make_settings: Make, mongo_server: Any, database: str) -> None:
    settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    with MongoClient(mongo_server.uri) as client:
        client[database]["conversations"].insert_one({"_id": "big", "text": "x" * (16 * 2**20 - 200)})
    assert extract(settings, progress=False).documents_stored == 1


def test_a_server_that_is_killed_and_returns_mid_way_costs_nothing(
    make_settings: Make, own_server: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics.sources import collection

    monkeypatch.setattr(collection, "CURSOR_BATCH", 50)
    settings = make_settings(mongo_uri=own_server.uri, mongo_db=database)
    with MongoClient(own_server.uri) as client:
        client[database]["conversations"].insert_many([entry(n) for n in range(2000)])
    append = RawStore.append
    commits = 0

    def kill_once(self: RawStore, *args: Any, **kwargs: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits == 2:
            own_server.kill()
            own_server.start()
        return append(self, *args, **kwargs)

    monkeypatch.setattr(RawStore, "append", kill_once)
    result = extract(settings, progress=False, commit_bytes=20_000)
    check_counts(result)
    ids = [row["_id"] for row in rows(settings, "_id")]
    assert len(ids) == len(set(ids)) == 2000


def test_an_unreachable_server_is_one_clear_line(make_settings: Make) -> None:
    settings = make_settings(mongo_uri="mongodb://me:topsecret@127.0.0.1:9/")
    started = datetime.now(UTC)
    with pytest.raises(SourceUnavailableError) as caught:
        extract(settings, progress=False)
    assert datetime.now(UTC) - started < timedelta(seconds=8)
    assert "topsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "MONGO_URI" in str(caught.value)


def test_a_missing_projects_directory_names_the_setting_and_the_demo(make_settings: Make) -> None:
    with pytest.raises(ConfigError, match=r"CLAUDE_PROJECTS_DIR=.*make demo"):
        extract(make_settings(), progress=False)


def test_a_search_without_a_find_names_each_place(
    make_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "own"))
    settings = make_settings().model_copy(update={"claude_projects_dir": None})
    with pytest.raises(ConfigError) as caught:
        extract(settings, progress=False)
    for place in ("own/projects", ".claude/projects", "xdg/claude/projects"):
        assert str(tmp_path / place) in str(caught.value)


def test_several_folders_are_read_and_found(
    make_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, folder in enumerate((".claude", "xdg/claude")):
        path = tmp_path / folder / "projects" / "-p" / f"{number}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(entry(number)) + "\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    settings = make_settings().model_copy(update={"claude_projects_dir": None})
    assert extract(settings, progress=False).documents_stored == 2
    assert extract(settings, progress=False).documents_read == 0
    named = os.pathsep.join(str(tmp_path / folder / "projects") for folder in (".claude", "xdg/claude"))
    assert not extract(make_settings(claude_projects_dir=named), progress=False).is_new


def test_switching_the_source_adds_nothing_twice(
    make_settings: Make, write_transcript: Any, mongo_server: Any, database: str
) -> None:
    def from_files() -> Any:
        return extract(make_settings(), progress=False)

    def from_server() -> Any:
        settings = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
        sync(settings, progress=False)
        return extract(settings, progress=False)

    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5)], b"broken")
    assert from_files().documents_stored == 5
    second = from_server()
    check_counts(second)
    assert (second.documents_stored, second.documents_skipped, second.dead_letters) == (0, 6, 0)
    assert from_server().documents_stored == 0
    ids = RawStore(make_settings()).conversations.scan(selected_fields=("_id",)).to_arrow()["_id"]
    assert pc.count_distinct(ids).as_py() == 5
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5)], b"broken", entry(5))
    assert from_server().documents_stored == 1
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5)], b"broken", entry(5), entry(6))
    back = from_files()
    assert (back.documents_stored, back.documents_skipped) == (1, 1)
    assert len(rows(make_settings(), "_id")) == 7
    full = extract(make_settings(), full_backfill=True, progress=False)
    assert not full.is_new


def test_a_source_without_its_server_is_one_clear_line(make_settings: Make) -> None:
    with pytest.raises(ConfigError, match=r"SOURCE='mongodb': set MONGO_URI"):
        make_settings(source="mongodb")


def test_appended_lines_are_stored_without_a_look_at_the_history(
    make_settings: Make, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(source="jsonl")
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(10)])
    extract(settings, progress=False)
    monkeypatch.setattr(RawStore, "data_files", lambda *_, **__: pytest.fail("looked"))
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(12)])
    write_transcript("-p/b.jsonl", entry(50))
    assert extract(settings, progress=False).documents_stored == 3


def test_a_data_directory_that_cannot_be_written_is_one_clear_line(
    make_settings: Make, write_transcript: Any, tmp_path: Path
) -> None:
    write_transcript("-p/a.jsonl", entry(1))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AnalyticsError) as caught:
        extract(make_settings(data_dir=tmp_path / "file" / "data"), progress=False)
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secrets_are_replaced_before_they_are_stored_and_counted(make_settings: Make, write_transcript: Any) -> None:
    settings = make_settings(source="jsonl")
    key = "sk-ant-api03-" + "Ab1Cd2Ef3Gh4" * 8
    write_transcript("-p/a.jsonl", entry(1, text=f"the key is {key}"), f"not json {key}".encode())
    result = extract(settings, progress=False)
    assert (result.documents_stored, result.dead_letters) == (1, 1)
    assert sum(result.redacted.values()) == 2
    (row,) = rows(settings, "entry")
    (dead_letter,) = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    assert key not in row["entry"]
    assert key.encode() not in dead_letter["original"]
    store = RawStore(settings)
    assert sum(int(n) for name, n in store.properties().items() if name.startswith("redacted.")) == 2
    write_transcript("-p/b.jsonl", entry(2, text=f"again {key}"))
    extract(settings, progress=False)
    store = RawStore(settings)
    assert sum(int(n) for name, n in store.properties().items() if name.startswith("redacted.")) == 3


def test_several_folders_are_read_and_a_copied_one_counts_once(
    make_settings: Make, write_transcript: Any, tmp_path: Path
) -> None:
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5)])
    projects, other = tmp_path / "projects", tmp_path / "other"
    shutil.copytree(projects, other)
    folders = os.pathsep.join(map(str, (projects, other, projects / "-p", projects)))
    settings = make_settings(claude_projects_dir=folders)
    first = extract(settings, progress=False, commit_bytes=100)
    assert (first.documents_read, first.documents_stored) == (10, 5)
    write_transcript("-p/a.jsonl", entry(5), mode="ab")
    shutil.copytree(projects, other, dirs_exist_ok=True)
    (other / "-q").mkdir()
    shutil.copy(projects / "-p" / "a.jsonl", other / "-q" / "b.jsonl")
    assert extract(settings, progress=False, commit_bytes=100).documents_stored == 1 + 6
    assert not extract(settings, progress=False).is_new
    # a folder that is not read any more takes nothing away, and one that comes back adds nothing
    assert not extract(make_settings(claude_projects_dir=str(projects)), progress=False).is_new
    assert extract(settings, progress=False, full_backfill=True).documents_stored == 0
    assert len(rows(settings, "_id")) == 12


def test_a_warehouse_filled_from_a_collection_is_continued_from_the_files(
    make_settings: Make, mongo_server: Any, database: str, write_transcript: Any
) -> None:
    """What the first version did by default: its own server's collection was never anybody else's."""
    collection = make_settings(mongo_uri=mongo_server.uri, mongo_db=database)
    write_transcript("-p/a.jsonl", *[entry(n) for n in range(5)], b"broken")
    sync(collection, progress=False)
    assert extract(collection, progress=False).documents_stored == 5
    files = make_settings()
    assert files.source == "jsonl"
    first = extract(files, progress=False)
    check_counts(first)
    assert (first.documents_stored, first.documents_skipped, first.dead_letters) == (0, 6, 0)
    assert not extract(files, progress=False).documents_read
    assert extract(files, progress=False, full_backfill=True).documents_stored == 0
    write_transcript("-p/a.jsonl", entry(5), mode="ab")
    assert extract(files, progress=False).documents_stored == 1
    sync(collection, progress=False)
    assert extract(collection, progress=False).documents_stored == 0
    assert extract(collection, progress=False, full_backfill=True).documents_stored == 0
    assert len(rows(files, "_id")) == 6


def test_an_entry_glued_to_a_torn_line_is_stored_and_an_old_dead_letter_of_it_is_solved(
    make_settings: Make, write_transcript: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    write_transcript("-p/a.jsonl", entry(1), b'{"type":"user","mess' + json.dumps(entry(2)).encode(), entry(3))
    with monkeypatch.context() as before:
        before.setattr("analytics.sources.transcripts._next_entry", lambda text, at: len(text))
        assert extract(settings, progress=False).dead_letters == 1
    done = replay(settings)
    assert (done.solved, done.documents_stored) == (1, 1)
    dead_letters = RawStore(settings).dead_letters.scan().to_arrow().to_pylist()
    assert [(dead_letter["byte_offset"], dead_letter["original"]) for dead_letter in dead_letters] == [
        (len(json.dumps(entry(1))) + 1, b'{"type":"user","mess')
    ]
    # read anew, each piece has the same identity
    assert not extract(settings, progress=False, full_backfill=True).is_new
    assert sorted(row["uuid"] for row in rows(settings, "uuid")) == ["u1", "u2", "u3"]
