"""Connections to the working copy. Without these, small row groups could pile up for years, or be merged every hour."""

from __future__ import annotations

from pathlib import Path

import duckdb
from analytics.warehouse.working_copy import RUNS_PER_MERGE, connect


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
