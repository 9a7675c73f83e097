"""Warehouses that released versions wrote, opened by this one. Without these, an upgrade doubles documents, loses
them, or ends in a traceback, for everybody but those who start anew. How they were made: tests/data/README.md."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import duckdb
import pytest
from analytics.operations.doctor import examine
from analytics.raw import maintenance
from analytics.raw.dead_letters import replay
from analytics.raw.extract import extract
from analytics.raw.reconcile import reconcile
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.sources.sync import sync
from analytics.warehouse.built_with import DBT_DIR
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish, rollback
from analytics.warehouse.transform import transform
from pymongo import MongoClient

Make = Callable[..., Settings]
DATA = Path(__file__).resolve().parents[1] / "data"
RELEASED = sorted(path.name.removesuffix(".tar.xz") for path in DATA.glob("warehouses-*.tar.xz"))

# u10 is glued to a torn line: version 0.1 kept both as one dead letter
STORED = [f"u{n}" for n in [*range(10), *range(11, 14)]] + [None, "u0"]  # one line has no uuid, one came twice
FOREIGN = ["f0", "f1", "f2"]


@pytest.fixture(params=RELEASED)
def released(request: pytest.FixtureRequest, make_settings: Make, tmp_path: Path) -> Make:
    """Settings of a warehouse of that version, by the name of its source."""
    with tarfile.open(DATA / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")

    def settings(warehouse: str, **more: Any) -> Settings:
        return make_settings(data_dir=tmp_path / warehouse, **more)

    return settings


def stored(settings: Settings) -> Counter[str | None]:
    return Counter(RawStore(settings).conversations.scan(selected_fields=("uuid",)).to_arrow()["uuid"].to_pylist())


@pytest.mark.parametrize(
    ("warehouse", "source"),
    [
        ("embedded", "files"),
        ("jsonl", "files"),
        ("jsonl", "mongodb"),
        ("mongodb", "mongodb"),
        ("mongodb", "files"),
        ("embedded", "mongodb"),
    ],
)
def test_nothing_is_stored_twice_or_lost_after_an_upgrade(
    released: Make, warehouse: str, source: str, mongo_server: Any, database: str
) -> None:
    settings = released(warehouse)
    before = Counter(STORED + (FOREIGN if warehouse == "mongodb" else []))
    assert stored(settings) == before
    if source == "mongodb":
        settings = released(warehouse, mongo_uri=mongo_server.uri, mongo_db=database)
        sync(settings, progress=False)
        if warehouse == "mongodb":
            fill_with_foreign(mongo_server, database)
    first = extract(settings, progress=False)
    # not one of the old rows; what the old version could not read is stored now
    extract(settings, progress=False, full_backfill=True)
    assert stored(settings) == before + Counter(["u10"])
    assert first.documents_read == first.documents_stored + first.documents_skipped + first.dead_letters
    for full in (False, True):
        assert not extract(settings, progress=False, full_backfill=full).is_new
    replay(settings)  # the line that is two pieces now
    originals = RawStore(settings).dead_letters.scan().to_arrow()["original"].to_pylist()
    assert sorted(originals) == [b'{"type":"user","mess', b"{broken"]
    found = reconcile(settings, progress=False)
    assert (found.missing, found.changed, found.deleted) == (0, 0, 0)


def fill_with_foreign(server: Any, database: str) -> None:
    """The documents with ids that are not of our own, as the recipe has them."""
    stamp = datetime(2026, 1, 9, 12)
    entry = {"type": "user", "sessionId": "f", "timestamp": "2026-01-09T10:00:00.000Z", "ingestedAt": stamp}
    ids = ["theirs", bson.ObjectId("69607f000000000000000001"), 7]
    with MongoClient(server.uri) as client:
        client[database]["conversations"].insert_many(
            [{"_id": key, "uuid": f"f{number}", **entry} for number, key in enumerate(ids)]
        )


def test_the_raw_tables_of_an_earlier_version_are_maintained(released: Make) -> None:
    settings = released("mongodb")
    store = RawStore(settings)
    assert [table.rows for table in maintenance.info(store)] == [len(STORED) + len(FOREIGN), 2]
    maintenance.compact(store)
    maintenance.expire(store)
    assert stored(settings) == Counter(STORED + FOREIGN)


def test_a_published_database_of_an_earlier_version_is_replaced_and_can_be_gone_back_to(released: Make) -> None:
    settings = released("jsonl")
    before = relations(settings)
    assert examine(settings)
    extract(settings, progress=False)
    loaded = load(settings)
    assert loaded.full_refresh
    with duckdb.connect(str(settings.build_path)) as connection:  # a copy of a version that had more models
        connection.execute("create schema marts; create schema intermediate")
        connection.execute("create table marts.agg_removed as select 1 as value")
        connection.execute("create view intermediate.int_renamed as select * from marts.agg_removed")
    assert any("marts.agg_removed" in warning for warning in transform(settings).warnings)
    version = publish(settings)
    after = relations(settings)
    models = {path.stem for path in DBT_DIR.rglob("models/**/*.sql")}
    assert {name.partition(".")[2] for name in after if not name.startswith(("raw.", "seeds."))} <= models
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        assert connection.execute(
            "select count(*) from marts.fct_messages where message_kind = 'response'"
        ).fetchall() == [(4,)]
    with duckdb.connect(str(settings.serving_dir / "serving.duckdb"), read_only=True) as connection:
        views = connection.execute("select view_name from duckdb_views() where schema_name = 'marts'").fetchall()
        assert {f"marts.{view}" for (view,) in views} == {name for name in after if name.startswith("marts.")}
        connection.execute("select count(*) from marts.dim_sessions")
    assert rollback(settings).version == version.previous
    assert relations(settings) == before


def relations(settings: Settings) -> set[str]:
    """Tables and views of the published database, as `schema.name`."""
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        found = connection.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
    return {name for (name,) in found}
