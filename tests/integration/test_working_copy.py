"""The working copy: how it begins, and connections to it. What would go wrong: a run that builds on a copy of another
version or on half of one; small row groups that pile up for years, or are merged every hour."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from analytics.settings import Settings, load_settings
from analytics.warehouse.ahead import copying_ahead, remove_copies, take_copy
from analytics.warehouse.versions import lead_to, move_in
from analytics.warehouse.working_copy import ROW_GROUP_SIZE, RUNS_PER_MERGE, connect


def row_groups(database: Path) -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        (groups,) = connection.execute("select count(distinct row_group_id) from pragma_storage_info('t')").fetchone()
    return groups


def run(database: Path, load_id: int) -> None:
    """What a run does to one table: a few rows go, a few come."""
    with connect(database) as connection:
        connection.execute(
            "create schema if not exists raw;"
            f"create or replace table raw.load_state as select {load_id} as load_id;"
            "create table if not exists t as select range as x from range(130000);"
            f"delete from t where x = {load_id};"
            f"insert into t select {load_id} from range(5)"
        )


def test_threads_write_row_groups_side_by_side_when_a_table_has_fewer_rows_than_duckdb_puts_into_one(
    tmp_path: Path,
) -> None:
    with connect(tmp_path / "a.db") as connection:
        connection.execute(f"create table t as select range as x from range({2 * ROW_GROUP_SIZE})")
    assert row_groups(tmp_path / "a.db") == 2


def test_small_row_groups_are_merged_once_in_so_many_runs(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    run(database, 1)
    whole = row_groups(database)
    for load_id in range(2, RUNS_PER_MERGE + 1):
        run(database, load_id)
    assert row_groups(database) == whole + RUNS_PER_MERGE - 1
    # a run looks at what it finds: the next one merges
    run(database, RUNS_PER_MERGE + 1)
    assert row_groups(database) <= whole + 1


def test_a_connection_has_the_settings_of_a_build(tmp_path: Path) -> None:
    with connect(tmp_path / "a.db", memory_limit="100MiB") as connection:
        names = ("TimeZone", "memory_limit", "preserve_insertion_order", "autoload_known_extensions")
        found = [connection.execute(f"select current_setting('{name}')").fetchone()[0] for name in names]
    assert found == ["UTC", "100.0 MiB", False, False]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path)


def published(settings: Settings, version: str) -> None:
    """Publish a database that says its version."""
    settings.build_path.parent.mkdir(exist_ok=True)
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute(f"create table v as select '{version}' as version")
    lead_to(settings, move_in(settings, version))


def waiting(settings: Settings) -> list[str]:
    return [path.name for path in settings.build_path.parent.iterdir()]


def test_a_copy_that_was_made_ahead_becomes_the_working_copy(settings: Settings) -> None:
    published(settings, "20261101T000000.0")
    with copying_ahead(settings) as wait:
        wait()
        copied = take_copy(settings)
        assert copied is not None
        assert copied.size_bytes == settings.published_path.stat().st_size
    with duckdb.connect(str(settings.build_path)) as connection:  # it can be written
        connection.execute("insert into v values ('new')")


def test_a_copy_of_another_version_or_half_of_one_is_not_taken(settings: Settings) -> None:
    published(settings, "20261101T000000.0")
    with copying_ahead(settings) as wait:
        wait()
        (whole,) = waiting(settings)
        settings.build_path.with_name(whole).rename(settings.data_dir / "kept")
    assert waiting(settings) == []
    (settings.data_dir / "kept").rename(settings.build_path.with_name(whole))  # as a run that is killed leaves it

    published(settings, "20261102T000000.0")
    settings.build_path.with_name("ahead-20261102T000000.0.db.partial").write_bytes(b"half")
    assert take_copy(settings) is None
    remove_copies(settings)
    assert waiting(settings) == []


def test_a_copy_that_cannot_be_made_is_left_to_load(settings: Settings) -> None:
    published(settings, "20261101T000000.0")
    Path(f"{settings.published_path.resolve()}.wal").touch()
    with copying_ahead(settings) as wait:
        wait()
        assert take_copy(settings) is None
