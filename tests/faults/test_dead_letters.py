"""Dead letters can be listed, exported and replayed; every document is in exactly one of the two raw tables."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import analytics.sources.transcripts
import bson
import pytest
from analytics.cli import cli
from analytics.errors import ConfigError
from analytics.raw import dead_letters
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources import bson_json
from analytics.sources.sync import sync
from analytics.sources.sync_state import state_path
from analytics.warehouse.load import load
from click.testing import CliRunner
from faults.harness import take

GOOD = {"type": "system", "uuid": "u1", "timestamp": "2026-05-01T10:00:00Z"}
SOON = b'{"type":"system","uuid":"u2","timestamp":"2026-05-01T10:00:01Z"}'


def rows(settings: Settings) -> dict[str, dict[str, Any]]:
    """Rows of raw.conversations by `_id`, without when they were extracted."""
    table = RawStore(settings).conversations.scan().to_arrow().drop_columns(["extracted_at", "ingested_at"])
    return {row["_id"]: row for row in table.to_pylist()}


def dead(settings: Settings) -> dict[str, str]:
    """Reasons by dead letter id."""
    return {dead_letter.dead_letter_id: dead_letter.reason for dead_letter in dead_letters.stored(settings)}


@pytest.fixture
def broken_parser() -> pytest.MonkeyPatch:
    """A version that cannot read lines with a NaN in them; undone (`undo()`), it is the fixed one."""
    original = analytics.sources.transcripts.rescue

    def rescue(line: bytes, offset: int) -> Any:
        if b"NaN" in line:
            return [analytics.sources.transcripts.Line(offset, line, line, "not JSON: NaN")]
        return original(line, offset)

    patch = pytest.MonkeyPatch()
    patch.setattr(analytics.sources.transcripts, "rescue", rescue)
    return patch


def nan(number: int) -> bytes:
    return b'{"type":"system","uuid":"n%d","timestamp":"2026-05-01T10:00:02Z","x":NaN}' % number


@pytest.mark.parametrize("source", ["jsonl", "mongodb"])
def test_letters_become_the_rows_they_would_have_been_when_replayed_after_a_fix(
    workspace: Any, broken_parser: pytest.MonkeyPatch, source: str
) -> None:
    lines = [json.dumps(GOOD).encode(), nan(1), b"[1]", nan(2) + nan(3)]
    space = workspace(source=source)
    space.write("-p/s.jsonl", *lines)
    try:
        first = take(space.settings)
    finally:
        broken_parser.undo()
    assert (first.documents_stored, first.dead_letters) == (1, 3)

    done = dead_letters.replay(space.settings)
    assert (done.tried, done.solved, done.documents_stored) == (3, 2, 3)
    assert list(done.remaining.values()) == ["not a JSON object but an array"]
    assert list(dead(space.settings)) == list(done.remaining)

    fresh = workspace(source="jsonl")
    fresh.write("-p/s.jsonl", *lines)
    take(fresh.settings)
    found, expected = rows(space.settings), rows(fresh.settings)
    assert found.keys() == expected.keys()
    replayed = [key for key, row in expected.items() if "NaN" in row["entry"]]
    assert len(replayed) == 3
    assert {key: found[key] for key in replayed} == {key: expected[key] for key in replayed}

    # nothing happens twice, and reading everything again finds nothing new
    assert str(dead_letters.replay(space.settings)) == "0 of 1 dead letters solved, 0 documents stored, 1 stay"
    again = take(space.settings, full_backfill=True)
    assert (again.documents_stored, again.dead_letters) == (0, 0)
    assert len(rows(space.settings)) + len(dead(space.settings)) == 5
    loaded = load(space.settings)
    assert (loaded.documents_total, loaded.dead_letters) == (4, 1)


def test_counts_reconcile_when_everything_is_read_again_before_a_replay(
    workspace: Any, broken_parser: pytest.MonkeyPatch
) -> None:
    space = workspace()
    space.write("-p/s.jsonl", json.dumps(GOOD).encode(), nan(1))
    try:
        take(space.settings)
    finally:
        broken_parser.undo()
    assert len(dead(space.settings)) == 1
    again = take(space.settings, full_backfill=True)
    assert again.documents_stored == 1
    assert dead(space.settings) == {}
    assert len(rows(space.settings)) == 2


def test_a_document_that_mongodb_cannot_hold_is_stored_when_replayed(workspace: Any) -> None:
    space = workspace(source="mongodb")
    space.write("-p/s.jsonl", json.dumps({**GOOD, "huge": "x" * (17 * 2**20)}), SOON)
    first = take(space.settings)
    assert (first.documents_stored, first.dead_letters) == (1, 1)
    done = dead_letters.replay(space.settings)
    assert (done.solved, done.documents_stored) == (1, 1)
    # the sync still cannot insert it, and says so every time it has to look at the file again
    state_path(space.settings).unlink()
    assert sync(space.settings, progress=False).dead_letters == 1
    again = take(space.settings, full_backfill=True)
    assert (again.documents_stored, again.dead_letters) == (0, 0)
    assert (len(rows(space.settings)), dead(space.settings)) == (2, {})


def test_bson_is_replayed_and_a_kill_in_between_repeats_nothing(
    workspace: Any, mongo_server: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace(source="mongodb", mongo_uri=mongo_server.uri, mongo_db=database)
    collection = mongo_server.client()[database]["conversations"]
    collection.insert_many([{"_id": number, **GOOD, "n": bson.Int64(number)} for number in range(3)])
    real = bson_json.dumps
    patch = pytest.MonkeyPatch()
    # orjson itself is what a whole batch goes through
    patch.setattr(bson_json.orjson, "dumps", lambda *_, **__: 1 / 0)
    patch.setattr(bson_json, "dumps", lambda document: 1 / 0 if document["n"] == 1 else json.dumps(document).encode())
    try:
        first = take(space.settings)
    finally:
        patch.undo()
    assert bson_json.dumps is real
    assert (first.documents_stored, first.dead_letters) == (2, 1)
    (dead_letter,) = dead_letters.stored(space.settings)
    assert "ZeroDivisionError" in dead_letter.reason

    assert space.killed("replay", at="replay.stored")
    assert (len(rows(space.settings)), len(dead(space.settings))) == (3, 1)
    assert space.killed("replay", at="replay.removed")
    assert (len(rows(space.settings)), dead(space.settings)) == (3, {})
    assert str(dead_letters.replay(space.settings)) == "no dead letters"
    assert (len(rows(space.settings)), dead(space.settings)) == (3, {})


def test_letters_are_listed_and_exported_with_their_bytes(workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    space = workspace()
    space.write("-p/s.jsonl", b"[1]", b'"\xff', b"{", end=b"")
    take(space.settings)
    monkeypatch.setenv("DATA_DIR", str(space.settings.data_dir))
    runner = CliRunner()
    listed = runner.invoke(cli, ["dead-letters", "list"])
    assert listed.exit_code == 0, listed.output
    assert "-p/s.jsonl at byte 4: not JSON" in listed.output
    assert "2 dead letters" in listed.output  # the half line may still be completed
    target = space.root / "letters.jsonl"
    assert runner.invoke(cli, ["dead-letters", "export", str(target)]).exit_code == 0
    assert target.stat().st_mode & 0o077 == 0
    exported = [json.loads(line) for line in target.read_text().splitlines()]
    originals = {
        item["original"].encode() if "original" in item else base64.b64decode(item["original_base64"])
        for item in exported
    }
    assert originals == {b"[1]", b'"\xff'}
    one = exported[0]["dead_letter_id"]
    assert dead_letters.export(space.settings, target, [one[:10]]) == 1
    with pytest.raises(ConfigError, match="no dead letter 'zz'"):
        dead_letters.replay(space.settings, ["zz"])
    replayed = runner.invoke(cli, ["dead-letters", "replay"])
    assert "0 of 2 dead letters solved" in replayed.output
    assert not any(Path(space.root).glob("*.partial"))
