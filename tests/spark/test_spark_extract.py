"""Extraction by Spark's tasks is the plain one, to the row; else a cluster would count other documents than a laptop.

Real servers and files. Parts are tiny, so that a few hundred documents are many of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest
from analytics.errors import AnalyticsError, SourceUnavailableError
from analytics.raw import extract as plain
from analytics.raw.intake import ExtractResult, Intake
from analytics.raw.maintenance import expire
from analytics.raw.staging import Order
from analytics.raw.store import RawStore
from analytics.settings import Settings, load_settings
from analytics.sources import collection, jsonl, mongodb_parts
from analytics.sources.batch import Batch, Part
from analytics.spark import extract as on_spark
from analytics.spark.extract import extract
from integration.conftest import database, mongo_server, write_transcript
from mongo_proxy import Proxy
from spark.test_spark_pipeline import bytes_with

__all__ = ["database", "mongo_server", "write_transcript"]

SECRET = "sk-ant-api03-" + "Ab1Cd2Ef3Gh4" * 8
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "PART_BYTES", 20_000)
    monkeypatch.setattr(mongodb_parts, "PART_DOCUMENTS", 60)
    monkeypatch.setattr(collection, "IDS_PER_QUERY", 30)
    monkeypatch.setattr(mongodb_parts, "IDS_PER_QUERY", 30)


@pytest.fixture
def on_server(
    environment: pytest.MonkeyPatch, mongo_server: Any, database: str, tmp_path: Path
) -> Callable[..., Settings]:
    """Settings for the test's own database."""
    environment.setenv("PYICEBERG_HOME", str(tmp_path))

    def make(uri: str = mongo_server.uri, **more: Any) -> Settings:
        return load_settings(**{"source": "mongodb", "mongo_uri": uri, "mongo_db": database, **more})

    return make


def entry(number: int, **more: Any) -> dict[str, Any]:
    at = NOW + timedelta(hours=number)
    text = f"my key is {SECRET}" if number % 50 == 0 else f"text {number}"
    return {
        "type": "user",
        "uuid": f"u{number}",
        "sessionId": f"s{number % 7}",
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "message": {"role": "user", "content": text},
        **more,
    }


def tables(settings: Settings) -> list[pa.Table]:
    """All rows of both tables, without what says when this very extract ran."""
    store = RawStore(settings)
    when = ["extracted_at", *(["ingested_at"] if settings.source == "jsonl" else [])]
    return [
        store.conversations.scan().to_arrow().drop(when).sort_by("_id"),
        store.dead_letters.scan().to_arrow().drop(["first_seen_at"]).sort_by("dead_letter_id"),
    ]


def outcome(result: ExtractResult) -> ExtractResult:
    """Its counts."""
    return replace(result, snapshot_id=None, previous_snapshot_id=None, duration_seconds=0)


def both(settings: Settings, *, full_backfill: bool = False, commits: int = 1) -> ExtractResult:
    """Extract in both ways, the plain one into a warehouse of its own, and compare everything."""
    other = settings.model_copy(update={"data_dir": settings.data_dir.parent / "plain"})
    before = len(RawStore(settings).conversations.metadata.snapshots)
    found = extract(settings, engine="spark", full_backfill=full_backfill, progress=False)
    assert outcome(found) == outcome(plain.extract(other, full_backfill=full_backfill, progress=False))
    for ours, theirs in zip(tables(settings), tables(other), strict=True):
        assert ours.equals(theirs)
    store, theirs = RawStore(settings), RawStore(other)
    assert len(store.conversations.metadata.snapshots) - before == commits
    remembered = [
        {key: value for key, value in one.properties().items() if not key.endswith("read_at") and "jsonl." not in key}
        for one in (store, theirs)
    ]
    assert remembered[0] == remembered[1]
    assert store.properties().keys() == theirs.properties().keys()
    return found


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[list[Path]]:
    """For each session that was: the files that Spark left on local disks in which SECRET stands."""
    from pyspark import SparkFiles

    seen: list[list[Path]] = []
    start = on_spark.session

    @contextmanager
    def watched(*arguments: Any) -> Iterator[Any]:
        with start(*arguments) as spark:
            yield spark
            context = spark.sparkContext
            blocks = context._jvm.org.apache.spark.SparkEnv.get().blockManager().diskBlockManager().localDirs()
            folders = [
                Path(context._temp_dir),
                Path(SparkFiles.getRootDirectory()),
                *(Path(str(one)) for one in blocks),
            ]
            files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
            assert any(path.name == "analytics.zip" for path in files)
            assert context._encryption_enabled, "what is spilled can be read by nobody else"
            seen.append([path for path in files if SECRET.encode() in path.read_bytes()])

    monkeypatch.setattr(on_spark, "session", watched)
    return seen


def data_files(settings: Settings) -> list[Path]:
    return sorted((settings.warehouse_dir / "raw").rglob("*.parquet"))


def test_a_collection_is_stored_as_the_plain_extract_stores_it(
    on_server: Callable[..., Settings], mongo_server: Any, sessions: list[Any]
) -> None:
    documents = [{"_id": bson.ObjectId(), **entry(n), "ingestedAt": NOW + timedelta(seconds=n)} for n in range(150)]
    documents += [{"_id": f"{n:032x}", **entry(n)} for n in range(150, 300)]
    keys = ["text", "a" * 24, '{"a":1}', 5, bson.Int64(5_000_000_000), 5.5, True, {"a": 1}, NOW, bson.Binary(b"\0\1")]
    documents += [{"_id": key, **entry(300 + n)} for n, key in enumerate(keys)]
    documents += [{"_id": "broken", **entry(400), "text": "abcdabcd"}]
    with mongo_server.client() as client, Proxy(mongo_server.port, broken=b"abcdabcd") as proxy:
        settings = on_server(proxy.uri)
        found = client[settings.mongo_db][settings.mongo_collection]
        found.insert_many(documents)
        first = both(settings)
        assert (first.documents_stored, first.dead_letters) == (310, 1)
        assert first.redacted
        # an hour later: stamped ones, late ones, one more that is broken, and the same entry under another _id
        late = NOW + timedelta(days=9)
        more = [{"_id": bson.ObjectId(), **entry(n), "ingestedAt": late} for n in range(500, 600)]
        more += [{"_id": f"late{n}", **entry(n)} for n in range(600, 640)]
        more += [{"_id": "again", **entry(3)}, {"_id": "broken too", **entry(700), "text": "abcdabcd"}]
        found.insert_many(more)
        second = both(settings)
        assert (second.documents_stored, second.dead_letters) == (141, 1)
        assert second.watermark == late
        assert sessions == [[], []], "both were read by tasks, and nothing on disk holds a secret"
        assert both(settings, commits=0).is_new is False
        assert both(settings, full_backfill=True, commits=0).is_new is False
        assert len(sessions) == 2, "nothing new needs no Spark"
    assert bytes_with(settings.data_dir, SECRET.encode()) == []


def test_files_are_stored_as_the_plain_extract_stores_them(
    environment: pytest.MonkeyPatch, tmp_path: Path, write_transcript: Any, sessions: list[Any]
) -> None:
    environment.setenv("PYICEBERG_HOME", str(tmp_path))
    environment.setenv("CLAUDE_PROJECTS_DIR", os.pathsep.join((str(tmp_path / "projects"), str(tmp_path / "copy"))))
    # on another machine Python is somewhere else
    python, started = tmp_path / "python", tmp_path / "started"
    python.write_text(f'#!/bin/sh\ntouch "{started}"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    environment.setenv("SPARK_CONF", f"{load_settings().spark_conf};spark.pyspark.python={python}")
    settings = load_settings()
    # a folder's name is on its way to the tasks too
    names = [f"-p-{SECRET}/s0.jsonl", *(f"-p/s{n}.jsonl" for n in range(1, 12))]
    for number, name in enumerate(names):
        lines = [entry(40 * number + n) for n in range(40)]
        write_transcript(name, *lines, f'{{"torn": "{SECRET}', "[1]")
        if number % 2:
            # the same session in another folder: a copy that went on
            write_transcript(f"../copy/{name}", *lines, entry(9000 + number))
    first = both(settings)
    assert (first.documents_stored, first.dead_letters, first.documents_skipped) == (12 * 40 + 6, 24, 6 * 40)
    for name in names[3:9]:
        write_transcript(name, *(entry(20_000 + n, file=name) for n in range(70)), "also torn", mode="ab")
    second = both(settings)
    assert (second.documents_stored, second.dead_letters) == (6 * 70, 6)
    assert both(settings, commits=0).is_new is False
    assert sessions == [[], []]
    assert started.exists()
    assert bytes_with(settings.warehouse_dir, SECRET.encode()) == []


def test_a_killed_job_leaves_nothing_and_is_repeated(
    environment: pytest.MonkeyPatch, tmp_path: Path, write_transcript: Any
) -> None:
    environment.setenv("PYICEBERG_HOME", str(tmp_path))
    environment.setenv("EXTRACT_ENGINE", "spark")
    for number in range(4):
        write_transcript(f"-p/s{number}.jsonl", *(entry(number * 100 + n) for n in range(100)))
    settings = load_settings()
    code = "from analytics.sources import jsonl; jsonl.PART_BYTES = 20_000; from analytics.cli import main; main()"
    command = [sys.executable, "-c", code, "extract"]
    # tasks are through, their files written, nothing is committed
    killed = {**os.environ, "ANALYTICS_FAULT": "extract.positions"}
    assert subprocess.run(command, env=killed, stderr=subprocess.DEVNULL).returncode == -9
    left = data_files(settings)
    assert left
    assert RawStore(settings).current_snapshot_id() is None
    # a task that ends in the middle of its work: one line
    conf = environment
    conf.setenv("SPARK_CONF", f"{settings.spark_conf};spark.executorEnv.ANALYTICS_FAULT=extract.files")
    with pytest.raises(AnalyticsError, match=r"^extract failed on Spark: .*Python worker exited[^\n]*$"):
        extract(load_settings(), progress=False)
    assert RawStore(settings).current_snapshot_id() is None

    conf.setenv("SPARK_CONF", str(settings.spark_conf))
    assert both(load_settings()).documents_stored == 400
    expire(RawStore(settings), grace=timedelta(0))
    store = RawStore(settings)
    assert [str(path) for path in data_files(settings)] == sorted(
        file.removeprefix("file://") for file in store.data_files()
    )
    assert not set(left) & set(data_files(settings))


def test_what_a_task_cannot_read_is_said_in_one_line(
    on_server: Callable[..., Settings], mongo_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = on_server()
    with mongo_server.client() as client:
        client[settings.mongo_db][settings.mongo_collection].insert_many(entry(n) for n in range(200))
    gone = on_server("mongodb://me:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100")
    of = Order.of
    monkeypatch.setattr(Order, "of", lambda run: replace(of(run), settings=gone))
    with pytest.raises(SourceUnavailableError, match=r"^MongoDB at mongodb://[^\n]*cannot be read: [^\n]*$") as raised:
        extract(settings, engine="spark", progress=False)
    assert "hunter2" not in str(raised.value)
    assert RawStore(settings).current_snapshot_id() is None


class InThisProcess(Intake):
    """Parts taken as tasks take them, without Spark."""

    def read(self, part: Part) -> Iterator[Batch]:
        for one in part.split():
            batch = Batch()
            batch.taken = Order.of(self).take(one)
            batch.bookmarks = batch.taken.bookmarks
            batch.is_exact = batch.taken.is_exact
            yield batch


def test_another_writer_meanwhile_doubles_nothing(
    on_server: Callable[..., Settings], mongo_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = on_server()
    with mongo_server.client() as client:
        found = client[settings.mongo_db][settings.mongo_collection]
        found.insert_many({"_id": f"{n:032x}", **entry(n)} for n in range(100))

        class Late(InThisProcess):
            def read(self, part: Part) -> Iterator[Batch]:
                yield from super().read(part)
                plain.extract(settings, progress=False)  # stores all of it
                found.insert_one(entry(5000))

        plain.extract(settings, progress=False, intake=Late)
    rows = RawStore(settings).conversations.scan(selected_fields=("uuid",)).to_arrow()["uuid"].to_pylist()
    assert sorted(rows) == sorted(f"u{n}" for n in range(100))


def test_what_comes_twice_in_a_part_is_stored_once(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("PYICEBERG_HOME", str(tmp_path))

    class Twice:
        """A connection that breaks after half of it."""

        def batches(self, settings: Settings, batch_bytes: int) -> Iterator[Batch]:
            for count in (50, 100):
                batch = Batch()
                batch.add([f"d{n}" for n in range(count)], [b'{"type": "user"}'] * count)
                batch.is_restart = count == 50
                yield batch

    run = Intake(load_settings(), full_backfill=False)
    taken = Order.of(run).take(Twice())  # type: ignore[arg-type]
    assert (taken.read, taken.stored, taken.skipped, taken.is_exact) == (150, 100, 50, False)
    assert sum(file.record_count for file in taken.files) == 100
