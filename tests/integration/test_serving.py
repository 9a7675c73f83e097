"""Readers that keep their connection open. Without these, dashboards would show yesterday until they are restarted, or
a publish would wait for them.
"""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from analytics.publish import publish
from analytics.settings import Settings, load_settings

BUILD = """
create schema raw;
create schema marts;
create table raw.load_state as select 1::bigint as load_id;
create table marts.fct_messages as
    select
        'm' || i as message_key,
        timestamptz '2026-03-01 10:00:00+00' + to_minutes(i) as created_at,
        (i / 7)::decimal(18, 9) as cost_usd,
        case when i % 2 = 0 then i::bigint end as output_tokens,
        ['a', 'b'] as evidence_keys,
        date '2026-03-01' as created_date_key,
        i % 2 = 0 as is_fast
    from range({rows}) as r(i);
create table marts.empty_mart (a varchar);
"""


def build(settings: Settings, rows: int, more: str = "") -> None:
    settings.build_path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute(BUILD.format(rows=rows) + more)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def reader(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that was open before anything else was published."""
    build(settings, 3)
    publish(settings)
    with duckdb.connect(str(settings.serving_dir / "serving.duckdb"), read_only=True) as connection:
        yield connection


def count(connection: duckdb.DuckDBPyConnection) -> int:
    return connection.execute("select count(*) from fct_messages").fetchone()[0]


def test_open_connection_sees_a_publish_at_its_next_query(
    settings: Settings, reader: duckdb.DuckDBPyConnection
) -> None:
    assert count(reader) == 3
    for rows in (4, 5, 50_000, 2):
        build(settings, rows)
        assert not publish(settings).serving.views_rewritten
        assert count(reader) == rows


def test_an_open_result_goes_on_with_what_it_started_on(settings: Settings, reader: duckdb.DuckDBPyConnection) -> None:
    build(settings, 500_000)
    publish(settings)
    result = reader.execute("select message_key from fct_messages")
    first = result.fetchmany(10)
    build(settings, 1)
    publish(settings)
    assert len(first) + len(result.fetchall()) == 500_000
    assert count(reader) == 1


def test_publishing_never_waits_for_readers_and_readers_never_fail(
    settings: Settings, reader: duckdb.DuckDBPyConnection
) -> None:
    stop = threading.Event()
    seen: set[int] = set()
    errors: list[Exception] = []

    def read() -> None:
        with reader.cursor() as cursor:
            while not stop.is_set():
                try:
                    seen.add(count(cursor))
                except Exception as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    slowest = 0.0
    for rows in range(10, 20):
        build(settings, rows)
        started = time.perf_counter()
        publish(settings)
        slowest = max(slowest, time.perf_counter() - started)
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
    assert errors == []
    assert seen <= {3, *range(10, 20)}
    assert len(seen) > 2
    assert slowest < 10


def test_views_name_their_columns_and_keep_their_types(settings: Settings, reader: duckdb.DuckDBPyConnection) -> None:
    described = reader.execute("describe fct_messages").fetchall()
    assert [(row[0], row[1]) for row in described] == [
        ("message_key", "VARCHAR"),
        ("created_at", "TIMESTAMP WITH TIME ZONE"),
        ("cost_usd", "DECIMAL(18,9)"),
        ("output_tokens", "BIGINT"),
        ("evidence_keys", "VARCHAR[]"),
        ("created_date_key", "DATE"),
        ("is_fast", "BOOLEAN"),
    ]
    (sql,) = reader.execute("select sql from duckdb_views() where view_name = 'fct_messages'").fetchone()
    assert "*" not in sql
    assert f"'{settings.serving_dir}/fct_messages.parquet'" in sql
    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as published:
        for name in ("fct_messages", "empty_mart"):
            assert (
                reader.execute(f"from {name} order by 1").fetchall()
                == published.execute(f"from marts.{name} order by 1").fetchall()
            )


def test_views_are_rewritten_when_a_column_changes_and_old_readers_keep_working(
    settings: Settings, reader: duckdb.DuckDBPyConnection
) -> None:
    build(settings, 7, "alter table marts.fct_messages add column model varchar default 'x';")
    result = publish(settings)
    assert result.serving.views_rewritten
    assert count(reader) == 7  # its views name the columns they know
    path = settings.serving_dir / "serving.duckdb"
    code = f"import duckdb; print(duckdb.connect({str(path)!r}, read_only=True).sql('select max(model) from"
    code += " fct_messages'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "x" in done.stdout
    build(settings, 8, "alter table marts.fct_messages add column model varchar default 'x';")
    assert not publish(settings).serving.views_rewritten


def test_files_of_a_mart_that_is_gone_are_removed(settings: Settings) -> None:
    build(settings, 1, "create table marts.agg_old as select 1 as a;")
    publish(settings)
    assert (settings.serving_dir / "agg_old.parquet").exists()
    build(settings, 1)
    assert publish(settings).serving.views_rewritten
    assert not (settings.serving_dir / "agg_old.parquet").exists()


def test_views_are_rewritten_when_the_folder_moved(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    build(settings, 1)
    publish(settings)
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = load_settings(data_dir=tmp_path / "moved")
    result = publish(moved)
    assert result.nothing_new
    assert result.serving is not None
    with duckdb.connect(str(moved.serving_dir / "serving.duckdb"), read_only=True) as connection:
        assert count(connection) == 1


def test_a_folder_that_was_damaged_is_written_again_when_there_is_nothing_new(settings: Settings) -> None:
    build(settings, 4)
    publish(settings)
    for damage in ("fct_messages.parquet", "serving.duckdb"):
        (settings.serving_dir / damage).unlink()
        assert publish(settings).serving is not None
        assert publish(settings).serving is None


def test_files_follow_the_permissions_of_the_folder(settings: Settings) -> None:
    def modes() -> set[int]:
        return {stat.S_IMODE(path.stat().st_mode) for path in settings.serving_dir.iterdir()}

    build(settings, 1)
    publish(settings)
    assert stat.S_IMODE(settings.serving_dir.stat().st_mode) == 0o700
    assert modes() == {0o600}
    settings.serving_dir.chmod(0o750)
    build(settings, 2, "alter table marts.fct_messages add column model varchar;")
    publish(settings)
    assert modes() == {0o640}
