"""Whatever comes in is stored or dead-lettered with a reason; nothing crashes, and the numbers can still be built.

`FUZZ_EXAMPLES` (default 12; `make chaos` sets more) is how many lots of documents each test makes up.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import duckdb
import pytest
from analytics.raw.extract import ExtractResult, extract
from analytics.raw.store import RawStore
from analytics.sources.bson_json import batch_json
from analytics.sources.sync import sync
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from faults.harness import Space
from fuzz.odd import PATHS, bson_ids, bson_values, changed, damaged, odd_lines
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from mongo_server import Server
from pymongo.errors import BulkWriteError, PyMongoError
from transcript_generator import generate

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
LONG = "FUZZ_EXAMPLES" in os.environ
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG,
    # making a failing example smaller takes minutes
    phases=[phase for phase in Phase if LONG or phase not in (Phase.shrink, Phase.explain)],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
_numbers = itertools.count()


def lines_of(folder: Path, limit: int = 20_000) -> list[bytes]:
    """Lines of the transcripts below `folder`, the very long ones left out."""
    lines = [line for path in sorted(folder.rglob("*.jsonl")) for line in path.read_bytes().split(b"\n")]
    usable = []
    for line in lines:
        try:
            if len(line) < limit and isinstance(json.loads(line), dict):
                usable.append(line)
        except ValueError:
            continue
    return usable


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Generated lines of every kind."""
    folder = tmp_path_factory.mktemp("plain")
    generate(folder, seed=7, entries=400, days=3, end=datetime(2026, 8, 20, tzinfo=UTC))
    return lines_of(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    """Where all examples of the test of files end up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYICEBERG_HOME", str(tmp_path_factory.getbasetemp()))
        root = tmp_path_factory.mktemp("files")
        (root / "projects").mkdir()
        yield Space(root)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory, mongo_server: Server) -> Iterator[Space]:
    """Where all examples of the test of MongoDB end up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYICEBERG_HOME", str(tmp_path_factory.getbasetemp()))
        root = tmp_path_factory.mktemp("collection")
        (root / "projects").mkdir()
        # a name of its own: the module can be set up twice in one process, and the server stays
        yield Space(root, {"source": "mongodb", "mongo_uri": mongo_server.uri, "mongo_db": f"fuzz-{root.name}"})


def counts(space: Space) -> tuple[int, int]:
    """Rows of both raw tables; every dead letter has a reason."""
    store = RawStore(space.settings)
    ids = store.conversations.scan(selected_fields=("_id",)).to_arrow()["_id"].to_pylist()
    assert len(ids) == len(set(ids))
    dead_letters = store.dead_letters.scan(selected_fields=("reason", "byte_length")).to_arrow().to_pylist()
    assert all(dead_letter["reason"] for dead_letter in dead_letters)
    return len(ids), len(dead_letters)


def assert_reconciled(result: ExtractResult) -> None:
    found = result.documents_stored + result.documents_skipped + result.dead_letters
    assert result.documents_read == found, result


def write_example(space: Space, lines: list[bytes]) -> None:
    space.write(f"-fuzz/{next(_numbers)}.jsonl", *lines)


def is_dated(document: dict[str, Any]) -> bool:
    """Whether it says when it came: a date in `ingestedAt` (in an array, too, for MongoDB), or an ObjectId."""
    value = document.get("ingestedAt")
    values = value if isinstance(value, list) else [value]
    return isinstance(document["_id"], ObjectId) or any(isinstance(item, datetime | DatetimeMS) for item in values)


def blank(line: bytes) -> bool:
    return not line.strip(b" \t\r\n\x0b\x0c")


@FUZZ
@given(data=st.data())
def test_lines_are_stored_or_explained_when_read_from_files(files: Space, plain: list[bytes], data: Any) -> None:
    lines = data.draw(st.lists(odd_lines(plain), min_size=1, max_size=40))
    before = counts(files)
    write_example(files, lines)
    result = extract(files.settings, progress=False)
    assert_reconciled(result)
    # a line may hold two documents, never none
    assert result.documents_stored + result.dead_letters >= sum(not blank(line) for line in lines)
    after = counts(files)
    assert after[0] - before[0] == result.documents_stored
    assert after[1] - before[1] == result.dead_letters
    again = extract(files.settings, progress=False, full_backfill=True)
    assert (again.documents_stored, again.dead_letters) == (0, 0)


@FUZZ
@given(data=st.data())
def test_lines_are_stored_or_explained_when_they_come_through_mongodb(
    collection: Space, plain: list[bytes], data: Any
) -> None:
    lines = data.draw(st.lists(odd_lines(plain), min_size=1, max_size=40))
    before = counts(collection)
    write_example(collection, lines)
    synced = sync(collection.settings, progress=False)
    assert synced.documents_inserted + synced.documents_already_there + synced.dead_letters == synced.documents_read
    result = extract(collection.settings, progress=False)
    assert_reconciled(result)
    after = counts(collection)
    assert after[0] - before[0] + after[1] - before[1] == synced.documents_inserted + synced.dead_letters
    assert synced.documents_inserted + synced.dead_letters >= sum(not blank(line) for line in lines)


@FUZZ
@given(data=st.data())
def test_documents_are_stored_or_explained_when_others_wrote_them_to_mongodb(
    collection: Space, mongo_server: Server, plain: list[bytes], data: Any
) -> None:
    """Ids and values of every BSON type anywhere."""
    made = st.tuples(
        st.sampled_from([json.loads(line) for line in plain]),
        st.lists(st.tuples(st.sampled_from(PATHS), bson_values), max_size=3),
        bson_ids,
    )
    documents = []
    for entry, changes, key in data.draw(st.lists(made, min_size=1, max_size=30)):
        for path, value in changes:
            if path[0] != "_id":
                entry = changed(entry, path, value)
        documents.append({**entry, "_id": key})
    before = counts(collection)
    with mongo_server.client() as client:
        target = client[collection.settings.mongo_db]["conversations"]
        there = target.count_documents({})
        try:
            target.insert_many(documents, ordered=False)
        except BulkWriteError:
            pass  # ids that came before, and what this server refuses
        except (PyMongoError, bson.errors.BSONError, OverflowError):
            assume(False)
        added = target.count_documents({}) - there
    result = extract(collection.settings, progress=False)
    assert_reconciled(result)
    first = counts(collection)
    missed = added - (sum(first) - sum(before))
    # an hourly run may miss a document that is older by its own account, never one that does not say; a nightly run
    # misses none
    assert 0 <= missed <= sum(map(is_dated, documents))
    complete = extract(collection.settings, progress=False, full_backfill=True)
    assert_reconciled(complete)
    assert complete.documents_stored + complete.dead_letters == missed
    assert sum(counts(collection)) - sum(before) == added
    again = extract(collection.settings, progress=False, full_backfill=True)
    assert (again.documents_stored, again.dead_letters) == (0, 0)
    assert_reconciled(again)


@settings(FUZZ, max_examples=20 * EXAMPLES)
@given(data=st.data())
def test_a_damaged_document_leaves_its_neighbours_alone(plain: list[bytes], data: Any) -> None:
    """BSON as it comes from the server: lengths right, anything wrong inside."""
    good = bson.encode({"_id": "good", "n": 1})
    other = bson.encode({"_id": "other", "n": 2})
    whole = bson.encode({"_id": "bad", **json.loads(data.draw(st.sampled_from(plain)))})
    bad = data.draw(damaged([whole]))
    bad = len(bad).to_bytes(4, "little") + bad[4:-1] + b"\0"
    assume(len(bad) >= 5)
    ids, texts, failures = batch_json(good + bad + other)
    assert len(ids) == len(texts)
    assert len(ids) + len(failures) == 3
    assert ids[0] == "good"
    assert ids[-1] == "other"
    assert all(isinstance(key, str) for key in ids)
    for text in texts:
        json.loads(text)


def test_large_and_deep_documents_are_stored_or_explained(
    files: Space, collection: Space, mongo_server: Server
) -> None:
    """16 MB, and 200 levels, which BSON and JSON parsers are not all made for."""
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    invalid = bson.encode({"_id": "invalid", "type": "user", "text": "ab"}).replace(b"ab\0", b"\xff\xfe\0")
    huge = {"type": "user", "uuid": "huge", "message": {"role": "user", "content": "x" * (16 * 2**20 - 300)}}
    before = counts(collection)
    with mongo_server.client() as client:
        target = client[collection.settings.mongo_db]["conversations"]
        there = target.count_documents({})
        for document in ({"_id": "huge", **huge}, {"_id": "deep", "deep": deep}, {"_id": "empty"}):
            with contextlib.suppress(PyMongoError):  # servers differ in how deep they go
                target.insert_one(document)
        with contextlib.suppress(PyMongoError):  # and in whether they look into strings
            target.insert_one(RawBSONDocument(invalid))
        added = target.count_documents({}) - there
    assert_reconciled(extract(collection.settings, progress=False))
    after = counts(collection)
    assert added >= 3
    assert after[0] - before[0] + after[1] - before[1] == added

    lines = [json.dumps(huge), json.dumps({"type": "user", "deep": deep}), "{}", "[" * 100_000, '{"a":' * 100_000]
    lines += ['{"type":"user","n":' + "9" * 5000 + "}", '{"type":"user","n":-0.0e-99999}', "x" * (20 * 2**20)]
    for space in (files, collection):
        before = counts(space)
        write_example(space, [line.encode() for line in lines])
        if space is collection:
            sync(space.settings, progress=False)
        assert_reconciled(extract(space.settings, progress=False))
        after = counts(space)
        assert after[0] - before[0] + after[1] - before[1] == len(lines)


@pytest.mark.parametrize("kind", ["files", "collection"])
def test_numbers_can_be_built_and_validated_from_everything_odd(
    files: Space, collection: Space, plain: list[bytes], kind: str
) -> None:
    """Every field at every odd value, and all that the tests before this one left."""
    from fuzz.odd import NUMBERS, SHAPES, SPECIAL, TEXTS, TIMES, encoded

    space = files if kind == "files" else collection
    values = [*TIMES, *TEXTS, *NUMBERS, *SPECIAL, *SHAPES]
    entries = [json.loads(line) for line in plain]
    lines = [
        encoded(changed(entries[number % len(entries)], path, value), doubled=False, ascii_only=True)
        for number, (path, value) in enumerate(itertools.product(PATHS, values))
    ]
    write_example(space, lines)
    write_example(space, plain)
    if kind == "collection":
        sync(space.settings, progress=False)
    assert_reconciled(extract(space.settings, progress=False))
    documents, dead_letters = counts(space)
    space.do("load", "transform", "validate", "publish")
    with duckdb.connect(str(space.settings.published_path.resolve()), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        assert connection.sql("select count(*) from raw.conversations").fetchone() == (documents,)
        assert connection.sql("select count(*) from raw.dead_letters").fetchone() == (dead_letters,)
        (responses,) = connection.sql("select count(*) from marts.fct_messages where role = 'assistant'").fetchone()
    assert responses > 50


def test_real_lines_are_stored_or_explained_when_damaged(samples_dir: Path, workspace: Any) -> None:
    lines = lines_of(samples_dir / "projects")
    space = workspace()

    @FUZZ
    @given(st.lists(odd_lines(lines[:: max(1, len(lines) // 300)]), min_size=1, max_size=40))
    def check(odd: list[bytes]) -> None:
        write_example(space, odd)
        result = extract(space.settings, progress=False)
        assert_reconciled(result)
        assert result.documents_stored + result.dead_letters >= sum(not blank(line) for line in odd)

    check()
    space.do("load", "transform", "validate", "publish")
