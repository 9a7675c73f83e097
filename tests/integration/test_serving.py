"""Readers that keep their connection open. Without these, dashboards would show yesterday until they are restarted, or
a publish would wait for them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from analytics.errors import AnalyticsError
from analytics.settings import Settings, load_settings
from analytics.warehouse import serving
from analytics.warehouse.ahead import exporting_ahead
from analytics.warehouse.marts import Mart
from analytics.warehouse.publish import publish, rollback

BUILD = """
create schema raw;
create schema marts;
create table raw.load_state as select 1::bigint as load_id, true as is_built;
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


QUALITY = """
create table marts.agg_data_quality as
    select 'published_at' as check_name, 0::double as check_value, 'never' as check_text;
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


def versions(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.serving_dir / "versions").iterdir())


def served(settings: Settings) -> Path:
    """The folder that `current` leads to, with the files of the last publish."""
    version = (settings.serving_dir / "current").resolve()
    return version / version.name


def count_anew(settings: Settings) -> int:
    """What a process that starts now reads: this one answers from what it has open under the path."""
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copy(settings.serving_dir / "serving.duckdb", folder)
        with duckdb.connect(copied, read_only=True) as connection:
            return count(connection)


def without_symlinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT answers a request for a symbolic link with EPERM (symlink(2))."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refused)


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
    columns, _, source = sql.partition(" FROM ")
    assert "*" not in columns
    assert f"'{settings.serving_dir}/current/**/fct_messages.parquet'" in source
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
    assert (served(settings) / "agg_old.parquet").exists()
    build(settings, 1)
    assert publish(settings).serving.views_rewritten
    assert {path.name for path in served(settings).iterdir()} == {"empty_mart.parquet", "fct_messages.parquet"}
    for _ in range(serving.GRACE_PUBLISHES):
        build(settings, 1)
        publish(settings)
    assert not list(settings.serving_dir.rglob("agg_old.parquet"))


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


def truncate(path: Path) -> None:
    os.truncate(path, 10)


@pytest.mark.parametrize(
    "damage",
    [
        lambda settings: (settings.serving_dir / "serving.duckdb").unlink(),
        lambda settings: truncate(settings.serving_dir / "serving.duckdb"),
        lambda settings: (settings.serving_dir / "current").unlink(),
        lambda settings: (served(settings) / "fct_messages.parquet").unlink(),
        lambda settings: truncate(served(settings) / "fct_messages.parquet"),
        lambda settings: shutil.rmtree(served(settings)),
        lambda settings: shutil.rmtree(settings.serving_dir / "versions"),
        lambda settings: shutil.rmtree(settings.serving_dir),
    ],
    ids=["no views", "torn views", "no link", "no file", "torn file", "no files", "no versions", "nothing"],
)
def test_a_folder_that_was_damaged_is_written_again_when_there_is_nothing_new(
    settings: Settings, damage: Callable[[Settings], None]
) -> None:
    for rows in (3, 4):
        build(settings, rows)
        publish(settings)
    assert publish(settings).serving is None
    damage(settings)
    assert publish(settings).serving is not None
    assert publish(settings).serving is None
    assert count_anew(settings) == 4


def test_links_that_a_copy_made_folders_are_replaced(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    for rows in (3, 4):
        build(settings, rows)
        publish(settings)
    # as `cp -rL`: what were links to earlier publishes would now count as well
    shutil.copytree(tmp_path / "data", tmp_path / "copied")
    copied = load_settings(data_dir=tmp_path / "copied")
    assert publish(copied).serving is not None
    assert count_anew(copied) == 4
    assert (copied.serving_dir / "current").is_symlink()


def test_earlier_files_can_be_opened_by_their_path_until_the_grace_is_over(settings: Settings) -> None:
    build(settings, 3)
    publish(settings)
    current = settings.serving_dir / "current"
    known = current / served(settings).name / "fct_messages.parquet"  # as DuckDB found it
    inode = known.stat().st_ino
    for _ in range(serving.GRACE_PUBLISHES):
        build(settings, 4)
        publish(settings)
        assert known.stat().st_ino == inode
    build(settings, 4)
    publish(settings)
    assert not known.exists()
    assert len(versions(settings)) == serving.GRACE_PUBLISHES + 1
    links = [path for path in settings.serving_dir.rglob("*") if path.is_symlink() and path.parent == served(settings)]
    assert [path for path in links if not path.exists()] == []


def test_every_publish_has_a_path_of_its_own_also_when_a_version_comes_back(settings: Settings) -> None:
    seen = []
    for rows in (3, 4, 5):
        build(settings, rows)
        publish(settings)
        seen.append(served(settings).name)
    rollback(settings)
    seen.append(served(settings).name)
    assert count_anew(settings) == 4
    (served(settings) / "fct_messages.parquet").unlink()
    publish(settings)
    seen.append(served(settings).name)
    assert len(set(seen)) == 5
    assert seen == sorted(seen)
    assert versions(settings) == seen[1:]


def test_a_query_that_listed_the_folder_before_the_swap_finds_the_new_file(settings: Settings, tmp_path: Path) -> None:
    build(settings, 4)
    publish(settings)
    # it saw a name, and by the time it looks at it that is a link
    before = served(settings)
    before.rename(tmp_path / "elsewhere")
    before.symlink_to(tmp_path / "elsewhere")
    assert count_anew(settings) == 4


def test_rows_of_two_publishes_are_never_served_together(settings: Settings) -> None:
    build(settings, 4)
    publish(settings)
    version = served(settings).parent
    marts = [Mart("fct_messages", (), 4)]
    serving._check_one_file_each(version, marts)
    shutil.copytree(version / version.name, version / "another")  # as a DuckDB would see it that follows links
    with pytest.raises(AnalyticsError, match=r"finds 2 files for .*fct_messages.parquet, not 1; install the DuckDB"):
        serving._check_one_file_each(version, marts)


def test_files_written_ahead_are_those_that_a_publish_shows(
    settings: Settings, reader: duckdb.DuckDBPyConnection
) -> None:
    build(settings, 8, QUALITY)
    with exporting_ahead(settings) as wait:
        wait()
        assert count(reader) == 3
        (ahead,) = [name for name in versions(settings) if not (settings.serving_dir / "current" / name).exists()]
        file = settings.serving_dir / "versions" / ahead / ahead / "fct_messages.parquet"
        before = file.stat()
        result = publish(settings)
    assert result.serving is not None
    assert result.serving.written_ahead
    assert count(reader) == 8
    assert served(settings).name == ahead
    shown_file = (served(settings) / "fct_messages.parquet").stat()
    assert (shown_file.st_ino, shown_file.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in served(settings).parent.iterdir() if not path.is_symlink()] == [ahead]
    # what the publish itself changed is in the file too
    shown = duckdb.sql(f"select check_text from '{served(settings)}/agg_data_quality.parquet'").fetchone()
    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as connection:
        assert connection.execute("select check_text from marts.agg_data_quality").fetchone() == shown
    assert shown != ("never",)
    assert serving.is_current(settings, result.path, result.version)


def test_files_written_ahead_of_a_change_or_by_a_run_that_was_killed_are_not_shown(settings: Settings) -> None:
    build(settings, 8)
    with exporting_ahead(settings) as wait:
        wait()
        with duckdb.connect(str(settings.build_path)) as connection:
            connection.execute("delete from marts.fct_messages where message_key = 'm3'; checkpoint")
        result = publish(settings)
    assert result.serving is not None
    assert not result.serving.written_ahead
    assert count_anew(settings) == 7

    build(settings, 9)
    serving.write_ahead(settings, settings.build_path, "29991231T000000.0")
    (ahead,) = [name for name in versions(settings) if "29991231T" in name]
    (settings.serving_dir / "versions" / ahead / "written-from.json").write_text("[1,")  # killed in the middle
    assert not publish(settings).serving.written_ahead
    assert count_anew(settings) == 9
    assert ahead not in versions(settings)


def test_files_written_ahead_that_nobody_publishes_are_removed(settings: Settings) -> None:
    build(settings, 3)
    publish(settings)
    (before,) = versions(settings)
    build(settings, 8)
    with exporting_ahead(settings) as wait:
        wait()
        assert len(versions(settings)) == 2
    assert versions(settings) == [before]
    assert count_anew(settings) == 3


def test_files_that_cannot_be_written_ahead_are_left_to_publish(settings: Settings) -> None:
    build(settings, 8)
    settings.serving_dir.write_text("in the way")
    with exporting_ahead(settings) as wait:
        wait()
    settings.serving_dir.unlink()
    assert not publish(settings).serving.written_ahead
    assert count_anew(settings) == 8


def test_folder_names_with_quotes_and_commas_work(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "my data, it's 100%")
    for rows in (3, 4):
        build(settings, rows)
        publish(settings)
        assert count_anew(settings) == rows
    assert publish(settings).serving is None


def test_open_connections_see_a_publish_without_symlinks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    without_symlinks(monkeypatch)
    build(settings, 3)
    publish(settings)
    current = settings.serving_dir / "current"
    seen = set()
    with duckdb.connect(str(settings.serving_dir / "serving.duckdb"), read_only=True) as reader:
        for rows in (4, 5, 50_000, 2):
            build(settings, rows)
            publish(settings)
            assert count(reader) == rows
            assert not current.is_symlink()
            seen.add(tuple(path.name for path in current.iterdir()))
            assert publish(settings).serving is None
    assert len(seen) == 4  # a path of its own here too
    assert list(settings.serving_dir.rglob("*.partial")) == versions(settings) == []


def test_a_folder_without_links_becomes_one_with_links_and_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = settings.serving_dir / "current"
    for rows in (3, 4):
        build(settings, rows)
        publish(settings)
    for rows in (5, 6):
        with monkeypatch.context() as patch:
            without_symlinks(patch)
            build(settings, rows)
            publish(settings)
            assert not current.is_symlink()
            assert count_anew(settings) == rows
        build(settings, rows + 10)
        publish(settings)
        assert current.is_symlink()
        assert count_anew(settings) == rows + 10
        assert len(versions(settings)) == 1


def test_a_kill_between_the_two_renames_without_symlinks_is_repaired(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_symlinks(monkeypatch)
    build(settings, 3)
    publish(settings)
    (settings.serving_dir / "current").rename(settings.serving_dir / ".replaced.partial")
    with pytest.raises(duckdb.IOException, match="No files found"):
        count_anew(settings)
    assert publish(settings).serving is not None
    assert count_anew(settings) == 3
    assert sorted(path.name for path in settings.serving_dir.iterdir()) == ["current", "serving.duckdb", "versions"]


def test_other_failures_to_link_are_not_taken_for_a_file_system_without_links(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(settings, 3)
    publish(settings)
    before = versions(settings)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "symlink", full)
        build(settings, 4)
        with pytest.raises(AnalyticsError, match="No space left on device; free some space"):
            publish(settings)
    assert count_anew(settings) == 3
    assert versions(settings) == before
    publish(settings)
    assert count_anew(settings) == 4


def test_files_follow_the_permissions_of_the_folder(settings: Settings) -> None:
    def modes() -> tuple[set[int], set[int]]:
        """Of the folders that a reader goes through, and of the files it opens."""
        folders = [settings.serving_dir / "versions", served(settings).parent, served(settings)]
        files = [settings.serving_dir / "serving.duckdb", *served(settings).iterdir()]
        assert len(files) == 3
        return {stat.S_IMODE(p.stat().st_mode) for p in folders}, {stat.S_IMODE(p.stat().st_mode) for p in files}

    build(settings, 1)
    publish(settings)
    assert stat.S_IMODE(settings.serving_dir.stat().st_mode) == 0o700
    assert modes() == ({0o700}, {0o600})
    settings.serving_dir.chmod(0o2750)
    build(settings, 2)
    assert not publish(settings).serving.views_rewritten
    assert modes() == ({0o2750}, {0o640})
