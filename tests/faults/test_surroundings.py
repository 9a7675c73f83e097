"""What happens around a run: servers die, disks fill, others read and write at the same time, clocks jump."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from analytics.errors import SourceUnavailableError
from analytics.raw.store import RawStore
from analytics.sources import collection, mongodb_parts
from analytics.sources.sync import sync
from analytics.warehouse.versions import current_version, versions
from faults.harness import History, Space, marts, raw_rows, take
from faults.stages import purged_project
from pymongo import MongoClient
from pymongo.monitoring import CommandListener
from transcript_generator import generate

pytestmark = pytest.mark.slow

MARGIN = {"type": "system", "cwd": "/home/me/p", "version": "2.1.0", "sessionId": "s1"}


def entry(number: int, **more: Any) -> str:
    at = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=number)
    return json.dumps({**MARGIN, "uuid": f"u{number}", "timestamp": at.isoformat(), **more})


def stored(space: Space) -> list[str]:
    """Entry uuids in raw.conversations, with repetitions."""
    rows = RawStore(space.settings).conversations.scan(selected_fields=("uuid",)).to_arrow()
    return sorted(rows["uuid"].to_pylist())


def numbers(count: int) -> list[str]:
    return sorted(f"u{number}" for number in range(count))


# The MongoDB server


@pytest.mark.parametrize("trouble", ["killed", "frozen"])
def test_everything_is_stored_once_when_the_server_goes_away_while_it_is_read(
    workspace: Any, own_server: Any, trouble: str
) -> None:
    space = workspace(source="mongodb", mongo_uri=own_server.uri)
    filler = "x" * 2000
    for start in range(0, 20_000, 5_000):
        with own_server.client() as client:
            client["claude_logs"]["conversations"].insert_many(
                [{"_id": n, **json.loads(entry(n, filler=filler))} for n in range(start, start + 5_000)]
            )
    process = space.start("extract")
    time.sleep(random.Random(5).uniform(0.5, 1.5))
    if trouble == "killed":
        own_server.kill()
        time.sleep(0.5)
        own_server.start()
    else:
        own_server.signal(signal.SIGSTOP)
        time.sleep(2)
        own_server.signal(signal.SIGCONT)
    code = space.end(process, "extract")
    if code == 1:  # it stayed away for longer than a machine this busy waits: the next run completes it
        assert "MongoDB at" in space.error_file.read_text()
        space.do("extract")
    assert stored(space) == numbers(20_000)


class CursorKiller(CommandListener):
    """Makes the server forget the first `times` cursors it opens, as it does with idle ones."""

    def __init__(self, client: MongoClient[Any], times: int) -> None:
        self.client = client
        self.times = times
        self.killed = 0

    def started(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass

    def succeeded(self, event: Any) -> None:
        if event.command_name != "find" or not event.reply["cursor"]["id"] or self.killed == self.times:
            return
        collection = event.reply["cursor"]["ns"].split(".", 1)[1]
        cursors = [event.reply["cursor"]["id"]]
        self.client[event.database_name].command({"killCursors": collection, "cursors": cursors})
        self.killed += 1


@pytest.mark.parametrize("times", [2, 10**6], ids=["twice", "always"])
def test_everything_is_stored_once_when_cursors_time_out(
    workspace: Any, mongo_server: Any, database: str, times: int
) -> None:
    space: Space = workspace(source="mongodb", mongo_uri=mongo_server.uri, mongo_db=database)
    with mongo_server.client() as client:
        client[database]["conversations"].insert_many([{"_id": n, **json.loads(entry(n))} for n in range(6_000)])
        killer = CursorKiller(client, times)
        with MongoClient(mongo_server.uri, event_listeners=[killer]) as watched:
            if times == 2:
                assert take(space.settings, client=watched).documents_stored == 6_000
            else:
                with pytest.raises(SourceUnavailableError, match=r"cursor id \d+ not found; check MONGO_URI"):
                    take(space.settings, client=watched)
    assert killer.killed >= 2
    take(space.settings)
    assert stored(space) == numbers(6_000)


def test_a_server_that_stays_silent_is_given_up_and_asked_again(
    workspace: Any, own_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a socket waits: the connection is dropped, the query starts again."""
    monkeypatch.setattr(collection, "SOCKET_TIMEOUT_MS", 1_000)
    space: Space = workspace(source="mongodb", mongo_uri=own_server.uri)
    with own_server.client() as client:
        client["claude_logs"]["conversations"].insert_many([{"_id": n, **json.loads(entry(n))} for n in range(6_000)])
    frozen = threading.Event()
    thaw = threading.Timer(2.5, lambda: own_server.signal(signal.SIGCONT))
    decode = mongodb_parts.batch_json

    def freeze_once(raw: bytes) -> Any:
        if not frozen.is_set():
            own_server.signal(signal.SIGSTOP)
            frozen.set()
            thaw.start()
        return decode(raw)

    monkeypatch.setattr(mongodb_parts, "batch_json", freeze_once)
    # so small that the cursor is asked for more when the server is silent
    monkeypatch.setattr(collection, "CURSOR_BATCH", 200)
    result = take(space.settings)
    assert frozen.is_set()
    assert result.documents_stored == 6_000
    assert stored(space) == numbers(6_000)


# The disk


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[None]:
    """A small file system of its own at `folder`, which keeps what is in it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    kept = folder.with_name(folder.name + "-kept")
    folder.rename(kept)
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        folder.rmdir()
        kept.rename(folder)
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(kept)


def fill(folder: Path, leave: int) -> Path:
    """Use up the file system of `folder` up to `leave` bytes."""
    ballast = folder / "ballast"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with contextlib.suppress(OSError), ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, free - leave))
    return ballast


def assert_one_line(space: Space, code: int) -> None:
    """A stage that ended with `code` succeeded, or said in one line why not."""
    if code:
        assert code == 1
        message = space.error_file.read_text()
        assert "\n" not in message, message
        assert len(message) < 700, message


def test_a_full_disk_is_one_line_and_the_next_run_completes_it(files: History) -> None:
    space = files.again()
    data = space.settings.data_dir
    version = current_version(space.settings)
    with mounted(data, 400):
        for stage in ("extract", "load", "transform", "validate", "publish"):
            if stage == "publish":
                space.do("load", "transform")
            for leave in (0, 30_000, 400_000):
                if stage == "publish" and not space.settings.build_path.exists():
                    break  # it fitted
                ballast = fill(data, leave)
                code = space.attempt(stage)
                assert_one_line(space, code)
                ballast.unlink()
                assert current_version(space.settings) == version or stage == "publish"
                files.assert_readable()
            space.do(*([stage] if stage != "publish" else []))
        space.do("run")
        files.assert_complete()


def test_a_run_on_a_full_disk_is_one_line_also_when_nothing_can_be_recorded(workspace: Any) -> None:
    space: Space = workspace(source="jsonl")
    space.write("-p/s1.jsonl", entry(0))
    data = space.settings.data_dir
    data.mkdir()
    with mounted(data, 60):
        for leave in (0, 4_000, 20_000):  # not even the lock; not run.json; not the first notebook
            ballast = fill(data, leave)
            assert space.command("pipeline").wait(120) == 1
            message = space.error_file.read_text().strip()
            assert message.startswith(f"error: DATA_DIR={data}: cannot be written"), message
            assert "No space left on device" in message
            assert "\n" not in message, message
            ballast.unlink()


def test_a_full_disk_stops_syncing_and_maintenance_harmlessly(synced: History) -> None:
    space = synced.again()
    project = purged_project(space.settings)
    with mounted(space.settings.data_dir, 400):
        for stage in ("sync", "extract", "compact", "expire", "purge"):
            failures = 0
            for leave in (0, 30_000, 400_000):
                ballast = fill(space.settings.data_dir, leave)
                code = space.attempt(stage)
                failures += code != 0
                assert_one_line(space, code)
                ballast.unlink()
            assert failures, stage
            space.do(stage)
            if stage == "expire":
                assert raw_rows(space.settings) == synced.raw
                space.do("run")
                synced.assert_complete()
        kept = [row for row in synced.raw[0] if row["project_id"] != project]
        assert 0 < len(kept) < len(synced.raw[0])
        assert raw_rows(space.settings)[0] == kept


def test_a_data_directory_that_turned_read_only_is_one_line_and_still_readable(files: History) -> None:
    space = files.again()
    data = space.settings.data_dir
    space.do("load")
    stages = ["extract", "backfill", "load", "transform", "validate", "publish"]
    with mounted(data, 200):
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)
        for stage in [*stages, "compact", "expire", "purge", "run", "refresh"]:
            assert space.attempt(stage) == 1, stage
            assert_one_line(space, 1)
            message = space.error_file.read_text()
            assert "DATA_DIR" in message or str(data) in message, message
        files.assert_readable()
        subprocess.run(["mount", "-o", "remount,rw", str(data)], check=True)
        space.do("run")
        files.assert_complete()


# Others at the same time


@pytest.mark.parametrize("other", ["run", "refresh"])
def test_the_second_of_two_runs_is_busy_and_nothing_is_lost(files: History, other: str) -> None:
    """Two pipelines, or a pipeline and a full refresh."""
    space = files.again()
    both = [(stage, space.start(stage)) for stage in ("run", other)]
    codes = sorted(space.end(process, stage) for stage, process in both)
    assert codes == [0, 3]
    assert "another run is active" in space.error_file.read_text()
    files.assert_complete()


def test_sync_watches_while_runs_read(synced: History) -> None:
    space = synced.again()
    watching = space.command("sync", "--watch", "--every", "0.1")
    try:
        for _ in range(2):
            space.do("run")
        synced.append([("-extra/x.jsonl", (entry(1) + "\n").encode())])
        time.sleep(1.5)
        space.do("run")
    finally:
        watching.terminate()
        assert watching.wait(60) == 0
    space.do("extract")
    documents, dead_letters = raw_rows(space.settings)
    extra = [row for row in documents if row["project_id"] == "-extra"]
    assert len(extra) == 1
    assert [row for row in documents if row not in extra] == synced.raw[0]
    assert dead_letters == synced.raw[1]
    # the server is that of all tests
    with MongoClient(space.settings.mongo_uri.get_secret_value()) as client:
        client[space.settings.mongo_db][space.settings.mongo_collection].delete_many({"projectId": "-extra"})


def test_a_reader_keeps_what_it_opened_through_ten_publishes(files: History) -> None:
    space = files.again()
    published = space.settings.published_path
    with duckdb.connect(str(published.resolve()), read_only=True) as reader:
        before = reader.sql("select * from marts.dim_sessions order by all").fetchall()
        seen = {current_version(space.settings)}
        for number in range(10):
            # what is published changes every time
            embedded_line = entry(number, sessionId="s9")
            space.write("-p/s9.jsonl", embedded_line)
            space.do("extract", "build")
            seen.add(current_version(space.settings))
            assert reader.sql("select * from marts.dim_sessions order by all").fetchall() == before
            with duckdb.connect(str(published.resolve()), read_only=True) as other:
                (count,) = other.sql("select count(*) from raw.conversations where session_id = 's9'").fetchone()
            assert count == number + 1
    assert len(seen) == 11
    assert len(list(space.settings.versions_dir.glob("*/analytics.db"))) == space.settings.keep_versions


@pytest.mark.parametrize("source", ["jsonl", "mongodb"])
def test_every_line_is_read_once_when_files_grow_meanwhile(
    workspace: Any, mongo_server: Any, database: str, source: str
) -> None:
    """Writers flush in the middle of lines and of characters."""
    uri = {"mongo_uri": mongo_server.uri, "mongo_db": database} if source == "mongodb" else {}
    space = workspace(source=source, **uri)
    per_file = 400

    def write(name: str, first: int) -> None:
        rng = random.Random(first)
        text = "".join(entry(first + n, text="é" * rng.randint(0, 200)) + "\n" for n in range(per_file)).encode()
        with space.write(name, end=b"").open("ab", buffering=0) as stream:
            while text:
                size = rng.randint(1, 3000)
                stream.write(text[:size])
                text = text[size:]
                time.sleep(0.002)

    writers = [threading.Thread(target=write, args=(f"-p/{n}.jsonl", n * per_file)) for n in range(3)]
    for writer in writers:
        writer.start()
    read = 0
    while any(writer.is_alive() for writer in writers):
        if source == "mongodb":
            sync(space.settings)
        read += take(space.settings).documents_stored
    if source == "mongodb":
        sync(space.settings)
    take(space.settings)
    assert read > 0
    assert stored(space) == numbers(3 * per_file)
    assert RawStore(space.settings).dead_letters.scan().to_arrow().num_rows == 0


# Files


@pytest.mark.parametrize("source", ["jsonl", "mongodb"])
def test_numbers_stay_when_files_are_cut_moved_replaced_or_deleted(workspace: Any, source: str, tmp_path: Path) -> None:
    space: Space = workspace(source=source)
    generated = tmp_path / "generated"
    generate(generated, seed=5, entries=200, days=3, end=datetime(2026, 8, 20, tzinfo=UTC))
    shutil.copytree(generated, space.settings.projects_dirs[0], dirs_exist_ok=True)
    space.do("run")
    documents = len(raw_rows(space.settings)[0])
    expected = marts(space.settings.published_path)
    projects = space.settings.projects_dirs[0]
    paths = sorted(projects.rglob("*.jsonl"), key=lambda path: path.stat().st_size, reverse=True)

    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole[: len(whole) // 2])  # cut within a line
    space.do("extract")
    paths[0].write_bytes(whole)  # and complete again
    space.do("extract")
    half = paths[1].read_bytes()
    paths[1].write_bytes(half[:-20])
    paths[1].with_suffix(".new").write_bytes(half)
    os.replace(paths[1].with_suffix(".new"), paths[1])  # replaced: another inode, the same lines
    paths[2].unlink()
    space.do("extract")
    assert len(raw_rows(space.settings)[0]) == documents

    moved = projects / "-home-ada-elsewhere" / paths[0].name
    moved.parent.mkdir()
    paths[0].rename(moved)
    space.do("run")
    lines = len([line for line in whole.split(b"\n") if line.strip()])
    # the same entries, read from another place: stored again, counted once
    assert len(raw_rows(space.settings)[0]) == documents + lines
    found = marts(space.settings.published_path)
    for table in ("agg_hourly_activity", "agg_tool_efficiency", "agg_daily_summary"):
        assert found[table] == expected[table]
    for table in ("dim_sessions", "fct_messages", "fct_tool_calls"):
        assert len(found[table]) == len(expected[table])


# The clock


@pytest.mark.parametrize("source", ["jsonl", "mongodb"])
def test_numbers_are_complete_when_the_clock_was_set_back_an_hour_between_runs(
    files: History, synced: History, source: str
) -> None:
    history = files if source == "jsonl" else synced
    space = history.again()
    before = current_version(space.settings)
    space.do("run an hour earlier")
    history.assert_complete()
    # the newest version is the one that was published last, whatever the clock says
    assert current_version(space.settings) == versions(space.settings)[0] != before
    space.do("run", "expire")
    history.assert_complete()


def test_documents_are_found_when_the_clock_jumped_back_an_hour(
    workspace: Any, mongo_server: Any, database: str
) -> None:
    space: Space = workspace(source="mongodb", mongo_uri=mongo_server.uri, mongo_db=database)
    collection = mongo_server.client()[database]["conversations"]
    now = datetime.now(UTC)

    def insert(number: int, at: datetime) -> None:
        collection.insert_one({"_id": f"d{number}", **json.loads(entry(number)), "ingestedAt": at})

    insert(0, now + timedelta(hours=1))  # a clock that runs ahead must hide nothing
    insert(1, now)
    take(space.settings)
    insert(2, now + timedelta(seconds=1))
    assert take(space.settings).documents_stored == 1
    # then it is set back: what comes now looks older than the watermark, which the nightly run does not care about
    insert(3, now - timedelta(hours=1))
    take(space.settings)
    take(space.settings, full_backfill=True)
    assert stored(space) == numbers(4)
    assert take(space.settings, full_backfill=True).documents_stored == 0


def test_our_own_sync_hides_nothing_when_the_clock_jumped_back_an_hour(workspace: Any) -> None:
    """What sync last wrote is remembered as if by a clock that has been set back since."""
    from analytics.sources.sync_state import open_state

    space: Space = workspace(source="mongodb")
    space.write("-p/s1.jsonl", entry(0))
    take(space.settings)
    with open_state(space.settings) as state:
        state.save(Path(), {}, [], {"last_ingested_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()})
    space.write("-p/s1.jsonl", entry(1))
    assert take(space.settings).documents_stored == 1
    space.write("-p/s1.jsonl", entry(2))
    assert take(space.settings).documents_stored == 1
    assert stored(space) == numbers(3)


@pytest.mark.parametrize("source", ["jsonl", "mongodb"])
def test_appended_lines_are_found_when_the_file_looks_older_than_before(workspace: Any, source: str) -> None:
    space: Space = workspace(source=source)
    path = space.write("-p/s1.jsonl", entry(0))
    take(space.settings)
    space.write("-p/s1.jsonl", entry(1))
    before = time.time() - 3600
    os.utime(path, (before, before))
    assert take(space.settings).documents_stored == 1
    assert stored(space) == numbers(2)
