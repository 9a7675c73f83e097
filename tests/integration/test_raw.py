"""If this is wrong, the warehouse reads too little, too much, or files that are gone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from analytics.raw import envelope, maintenance
from analytics.raw.catalog import local_path
from analytics.raw.envelope import to_envelope
from analytics.raw.store import RawStore, keep_new
from analytics.settings import Settings
from analytics.sources.batch import BATCH_SCHEMA
from analytics.warehouse.load import load

Make = Callable[..., Settings]


def rows(*ids: str, day: int = 1) -> pa.Table:
    """Documents of one day."""
    batch = [{"_id": key, "entry": f'{{"timestamp":"2026-01-{day:02d}T00:00:00Z","uuid":"{key}"}}'} for key in ids]
    return to_envelope(pa.Table.from_pylist(batch, schema=BATCH_SCHEMA), datetime.now(UTC))


def ids_in(files: list[str]) -> list[str]:
    paths = [str(local_path(file)) for file in files]
    if not paths:
        return []
    found = duckdb.sql(f'select "_id" from read_parquet({paths!r}) order by 1').fetchall()
    return [row[0] for row in found]


def stored(store: RawStore) -> list[str]:
    return sorted(store.conversations.scan(selected_fields=("_id",)).to_arrow()["_id"].to_pylist())


def test_an_empty_store_has_no_snapshot(make_settings: Make) -> None:
    store = RawStore(make_settings())
    assert store.current_snapshot_id() is None
    added = store.files_added_since(None)
    assert (added.files, added.snapshot_id, added.full) == ([], None, True)
    assert store.data_files() == []
    assert [table.rows for table in maintenance.info(store)] == [0, 0]


def test_files_added_since_gives_exactly_the_new_rows(make_settings: Make) -> None:
    store = RawStore(make_settings())
    first = store.append(rows("a", "b"))
    second = store.append(rows("c"))
    store.append(rows("d", day=2))
    everything = store.files_added_since(None)
    assert everything.full
    assert ids_in(everything.files) == ["a", "b", "c", "d"]
    since_first = store.files_added_since(first)
    assert not since_first.full
    assert ids_in(since_first.files) == ["c", "d"]
    assert ids_in(store.files_added_since(second).files) == ["d"]
    nothing = store.files_added_since(store.current_snapshot_id())
    assert (nothing.files, nothing.full) == ([], False)
    unknown = store.files_added_since(12345)
    assert unknown.full
    assert ids_in(unknown.files) == ["a", "b", "c", "d"]


def test_compaction_changes_no_row_and_no_reader(make_settings: Make) -> None:
    store = RawStore(make_settings())
    store.append(rows("a0"), properties={"watermark": "w"})
    seen = store.append(rows("a1"))
    store.append(rows("b1", day=2))
    unread = store.append(rows("a2"))
    before = store.data_files()
    result = maintenance.compact(store)
    assert (result.files_before, result.files_after) == (3, 1)
    assert stored(store) == ["a0", "a1", "a2", "b1"]
    assert ids_in(store.data_files()) == ["a0", "a1", "a2", "b1"]
    assert store.properties() == {"watermark": "w", "compaction": "true"} or store.properties()["watermark"] == "w"
    assert ids_in(store.files_added_since(seen).files) == ["a2", "b1"]
    assert not store.files_added_since(seen).full
    assert store.files_added_since(unread).files == []
    # A reader that planned before still finds its files; so does one after expiry within the grace period.
    maintenance.expire(store, older_than=timedelta(0))
    assert ids_in(before) == ["a0", "a1", "a2", "b1"]
    assert maintenance.compact(store).days == 0
    last = store.append(rows("c"))
    assert store.properties() == {"watermark": "w"}
    assert store.files_added_since(last).files == []


def test_expiry_deletes_only_what_nothing_refers_to(make_settings: Make) -> None:
    settings = make_settings()
    store = RawStore(settings)
    first = store.append(rows("a"))
    store.append(rows("b"))
    maintenance.compact(store)
    stray = Path(str(local_path(store.conversations.location()))) / "data" / "stray.parquet"
    stray.write_bytes(b"left by a run that was killed")
    long_ago = time.time() - 48 * 3600
    for folder, _, names in os.walk(settings.warehouse_dir):
        for name in names:
            os.utime(Path(folder, name), (long_ago, long_ago))
    keeps_all = maintenance.expire(store, older_than=timedelta(days=7))
    assert keeps_all.snapshots_expired == 0
    assert not stray.exists()
    assert ids_in(store.data_files(first)) == ["a"]
    result = maintenance.expire(store, older_than=timedelta(0))
    assert result.snapshots_expired >= 2
    assert result.files_deleted >= 2
    fresh = RawStore(settings)
    assert stored(fresh) == ["a", "b"]
    assert len(fresh.data_files()) == 1
    assert fresh.files_added_since(first).full
    fresh.append(rows("c"))
    assert stored(fresh) == ["a", "b", "c"]


def test_expiry_in_an_object_store_deletes_what_the_expired_snapshots_alone_referred_to(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a purged document would stay for ever in a file that a compaction had replaced before."""
    store = RawStore(make_settings())
    store.append(rows("a"))
    store.append(rows("b"))
    replaced = [Path(str(local_path(file))) for file in store.data_files()]
    maintenance.compact(store)
    # which no bucket is: nothing of it can be listed
    monkeypatch.setattr(maintenance, "local_path", lambda location: None)
    assert maintenance.expire(store, older_than=timedelta(days=7)).files_deleted == 0
    assert all(path.exists() for path in replaced)
    result = maintenance.expire(store, older_than=timedelta(0))
    assert result.files_deleted >= 2
    assert result.bytes_deleted > 0
    assert not any(path.exists() for path in replaced)
    assert stored(store) == ["a", "b"]


def test_every_property_of_a_table_is_of_a_column_it_has(make_settings: Make) -> None:
    """A REST catalog refuses another one."""
    store = RawStore(make_settings())
    for table, column in ((store.conversations, "entry"), (store.dead_letters, "original")):
        prefix = "write.metadata.metrics.column."
        named = {name.removeprefix(prefix) for name in table.properties if name.startswith(prefix)}
        assert named == {column}


def test_rows_removed_by_another_tool_mean_a_full_load(make_settings: Make) -> None:
    store = RawStore(make_settings())
    first = store.append(rows("a", "b"))
    store.conversations.delete("uuid == 'a'")
    added = store.files_added_since(first)
    assert added.full
    assert ids_in(added.files) == ["b"]


def test_a_file_from_before_a_column_existed_is_loaded(make_settings: Make) -> None:
    settings = make_settings()
    store = RawStore(settings)
    store.append(rows("a"))
    (file,) = store.data_files()
    old = pq.read_table(local_path(file), partitioning=None)
    pq.write_table(old.drop_columns(["agent_id", "type"]), local_path(file))
    store.append(rows("b", day=2))
    assert load(settings).documents == 2
    with duckdb.connect(str(settings.build_path), read_only=True) as connection:
        found = connection.sql(
            'select "_id", agent_id, uuid, date::varchar from raw.conversations order by 1'
        ).fetchall()
        entries = connection.sql("select count(entry) from raw.new_documents").fetchone()
    assert found == [("a", None, "a", "2026-01-01"), ("b", None, "b", "2026-01-02")]
    assert entries == (2,)


def test_two_writers_at_once_both_succeed(make_settings: Make) -> None:
    settings = make_settings()
    RawStore(settings).append(rows("start"), properties={"n": "0"})
    failures: list[Exception] = []

    def write(name: str) -> None:
        try:
            store = RawStore(settings)
            for number in range(4):
                store.append(rows(f"{name}{number}"), properties=lambda now: {"n": str(int(now["n"]) + 1)})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    store = RawStore(settings)
    assert len(stored(store)) == 9
    assert store.properties() == {"n": "8"}


@pytest.mark.parametrize("length", [1, 300])
def test_each_file_holds_the_rows_of_its_day_whether_days_change_often_or_not(length: int, make_settings: Make) -> None:
    store = RawStore(make_settings())
    parts = [rows(*(f"{part}-{n}" for n in range(length)), day=1 + part % 3) for part in range(9)]
    store.append(pa.concat_tables(parts))
    table = store.conversations
    files = [(file.partition[0], store.read_file(table, file)) for file in store.live(table)]
    first = (date(2026, 1, 1) - date(1970, 1, 1)).days
    assert sorted(day for day, _ in files) == [first, first + 1, first + 2]
    for day, found in files:
        expected = pa.concat_tables(parts[day - first :: 3])
        assert (
            found.select(["_id", "date", "entry"]).to_pylist() == expected.select(["_id", "date", "entry"]).to_pylist()
        )


def test_stored_ids_and_repetitions_are_recognised(make_settings: Make) -> None:
    store = RawStore(make_settings())
    store.append(rows("a", "b"))
    candidates = pa.chunked_array([["a", "x"], ["x", "b", "y"]], pa.string())
    known = store.stored_ids(candidates)
    assert sorted(known.to_pylist()) == ["a", "b"]
    assert keep_new(candidates, known).to_pylist() == [False, True, False, False, True]
    assert keep_new(candidates, candidates.slice(0, 0)).to_pylist() == [True, True, False, True, True]
    assert keep_new(candidates.slice(2), candidates.slice(0, 0)).to_pylist() == [True, True, True]


def test_the_users_own_catalog_is_used_when_configured(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = make_settings()
    monkeypatch.setenv("PYICEBERG_CATALOG__DEFAULT__URI", f"sqlite:///{tmp_path / 'theirs.db'}")
    monkeypatch.setenv("PYICEBERG_CATALOG__DEFAULT__WAREHOUSE", (tmp_path / "theirs").as_uri())
    RawStore(settings).append(rows("a"))
    assert (tmp_path / "theirs.db").exists()
    assert not settings.warehouse_dir.exists()


def test_compaction_keeps_the_number_of_manifests_small(make_settings: Make) -> None:
    store = RawStore(make_settings())
    for day in range(1, 12):
        store.append(rows(f"d{day}", day=day), properties={"watermark": str(day)})
    seen = store.append(rows("seen", day=20))
    store.append(rows("unseen", day=21))
    before = len(store.conversations.current_snapshot().manifests(store.conversations.io))
    maintenance.compact(store)
    after = len(store.conversations.current_snapshot().manifests(store.conversations.io))
    assert (before, after) == (13, 1)
    assert len(stored(store)) == 13
    assert store.properties()["watermark"] == "11"
    added = store.files_added_since(seen)
    assert (added.full, ids_in(added.files)) == (False, ["unseen"])
    last = store.append(rows("late", day=1))
    maintenance.compact(store)
    assert store.files_added_since(last).files == []
    assert ids_in(store.data_files()) == stored(store)


def test_what_was_the_newest_snapshot_until_now_is_kept_however_old(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After quiet weeks a reader begins on the newest snapshot; then the daily run compacts and expires."""
    store = RawStore(make_settings())
    store.append(rows("a"))
    newest = store.append(rows("b"))
    planned = store.data_files()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 30 * 86400)
    maintenance.compact(store)
    result = maintenance.expire(store)
    assert result.snapshots_expired == 1  # the first one: replaced a month ago
    assert ids_in(planned) == ["a", "b"]
    assert ids_in(store.data_files(newest)) == ["a", "b"]
    monkeypatch.setattr(time, "time", lambda: now + 38 * 86400)
    assert maintenance.expire(store).files_deleted >= 2
    assert not any(Path(str(local_path(file))).exists() for file in planned)
    assert stored(store) == ["a", "b"]


def test_a_table_of_an_earlier_version_gets_the_columns_it_lacks(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = pa.schema([field for field in envelope.SCHEMA if field.name not in ("git_branch", "cwd")])
    with monkeypatch.context() as patch:
        patch.setattr(envelope, "SCHEMA", older)
        RawStore(make_settings()).append(rows("a").select(older.names))
    store = RawStore(make_settings())
    store.append(rows("b"))
    found = store.conversations.scan().to_arrow()
    assert "git_branch" in found.column_names
    assert stored(store) == ["a", "b"]
    assert sum(table.num_rows for table in store.read_files(store.conversations)) == 2
    assert maintenance.compact(store).files_after == 1
