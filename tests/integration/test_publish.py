"""Publishing by one rename. What would go wrong without these: a reader that sees half a database, a kill that leaves
none, a rollback that cannot be rolled forward, a published file that grows with every run.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from analytics.common.files import copy_database
from analytics.common.lock import run_lock
from analytics.errors import AnalyticsError, BusyError
from analytics.settings import Settings, load_settings
from analytics.warehouse import serving
from analytics.warehouse.publish import publish, rollback
from analytics.warehouse.versions import current_version, versions
from processes import PROCESSES

BUILD = """
create schema raw;
create schema marts;
create table raw.load_state as select 1::bigint as load_id, true as is_built;
create view raw.new_documents as select 'text' as entry;
create table raw.built_with as
    select 'r' as reading, 'b' as building, 'p' as project, ['intermediate.int_entries'] as build_only;
create table marts.dim_sessions as
    select 's' || i as session_id, i as prompt_count from range({rows}) as r(i);
create table marts.agg_data_quality as
    select 'published_at' as check_name, 0::double as check_value, 'build time' as check_text;
"""


def build(settings: Settings, rows: int, more: str = "") -> None:
    """A working copy whose one number is `rows`."""
    settings.build_path.parent.mkdir(parents=True, exist_ok=True)
    settings.build_path.unlink(missing_ok=True)
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute(BUILD.format(rows=rows) + more)


def published_rows(settings: Settings) -> int:
    path = settings.published_path.resolve()  # a process keeps what it opened by path
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("select count(*) from marts.dim_sessions").fetchone()[0]


def served_rows(settings: Settings) -> int:
    with duckdb.connect(str(settings.serving_dir / "serving.duckdb"), read_only=True) as connection:
        return connection.execute("select count(*) from dim_sessions").fetchone()[0]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("ANALYTICS_RUN_TOKEN", raising=False)
    return load_settings(data_dir=tmp_path / "data", keep_versions=3)


def test_a_working_copy_built_in_part_is_refused(settings: Settings) -> None:
    build(settings, 5)
    publish(settings)
    build(settings, 6, "update raw.load_state set is_built = false")
    with pytest.raises(AnalyticsError, match="not built from all it holds: run `claude-analytics transform`"):
        publish(settings)
    assert published_rows(settings) == served_rows(settings) == 5
    with duckdb.connect(str(settings.build_path)) as connection:
        connection.execute("update raw.load_state set is_built = true")
    publish(settings)
    assert published_rows(settings) == 6


def test_published_name_leads_to_the_new_version(settings: Settings) -> None:
    build(settings, 5)
    result = publish(settings)
    assert published_rows(settings) == served_rows(settings) == 5
    assert result.rows == {"agg_data_quality": 1, "dim_sessions": 5}
    assert re.fullmatch(r"\d{8}T\d{6}\.\d+", result.version)
    assert os.readlink(settings.published_path) == f"versions/{result.version}/analytics.db"
    assert stat.S_IMODE(result.path.stat().st_mode) == 0o400
    assert stat.S_IMODE(settings.versions_dir.stat().st_mode) == 0o700
    assert current_version(settings) == result.version
    assert not settings.build_path.exists()
    assert not list(settings.data_dir.rglob("*.wal"))


def test_build_only_relations_are_dropped_and_the_time_is_noted(settings: Settings) -> None:
    build(settings, 1, "create schema intermediate; create table intermediate.int_entries as select 1 as a;")
    publish(settings)
    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as connection:
        names = {row[0] for row in connection.execute("select table_name from information_schema.tables").fetchall()}
        seconds, text = connection.execute("select check_value, check_text from marts.agg_data_quality").fetchone()
    assert names == {"load_state", "built_with", "dim_sessions", "agg_data_quality"}
    assert abs(seconds - time.time()) < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)


def test_old_versions_are_pruned_and_open_readers_keep_theirs(settings: Settings) -> None:
    build(settings, 1)
    first = publish(settings)
    with duckdb.connect(str(first.path), read_only=True) as reader:
        for number in range(2, 6):
            build(settings, number)
            result = publish(settings)
        assert result.kept == versions(settings)
        assert len(result.kept) == 3
        assert not first.path.exists()
        assert reader.execute("select count(*) from marts.dim_sessions").fetchone() == (1,)
    assert versions(settings) == sorted(versions(settings), reverse=True)


def test_rollback_goes_back_one_version_at_a_time_and_publishing_goes_on_from_there(settings: Settings) -> None:
    for number in (1, 2, 3):
        build(settings, number)
        publish(settings)
    newest = current_version(settings)
    build(settings, 99)  # a working copy of the version that is left
    assert rollback(settings).previous == newest
    assert (published_rows(settings), served_rows(settings)) == (2, 2)
    assert not settings.build_path.exists()
    rollback(settings)
    assert (published_rows(settings), served_rows(settings)) == (1, 1)
    with pytest.raises(AnalyticsError, match=r"no version before .* to go back to"):
        rollback(settings)
    build(settings, 4)
    result = publish(settings)
    assert newest in result.pruned  # nobody can roll back into what was rolled back from
    assert rollback(settings).version == versions(settings)[-1]
    assert published_rows(settings) == 1


def test_versions_rise_when_the_clock_falls(settings: Settings) -> None:
    build(settings, 1)
    first = publish(settings)
    first.path.parent.rename(settings.versions_dir / "29991231T235959.0")
    settings.published_path.unlink()
    settings.published_path.symlink_to("versions/29991231T235959.0/analytics.db")
    build(settings, 2)
    assert publish(settings).version == "29991231T235959.1"


def test_versions_of_the_layout_before_are_read_and_rolled_back_to(settings: Settings) -> None:
    build(settings, 1)
    first = publish(settings)
    # as it was published before 0.2
    former = settings.versions_dir / f"{first.version}.db"
    first.path.rename(former)
    first.path.parent.rmdir()
    settings.published_path.unlink()
    settings.published_path.symlink_to(f"versions/{former.name}")
    assert current_version(settings) == first.version
    build(settings, 2)
    second = publish(settings)
    assert versions(settings) == [second.version, first.version]
    assert rollback(settings).version == first.version
    assert published_rows(settings) == served_rows(settings) == 1
    for number in range(3, 8):
        build(settings, number)
        publish(settings)
    assert not former.exists()
    assert len(list(settings.versions_dir.iterdir())) == settings.keep_versions


def test_publish_says_nothing_new_when_there_is_no_working_copy(settings: Settings) -> None:
    with pytest.raises(AnalyticsError, match="nothing to publish: no working copy at"):
        publish(settings)
    build(settings, 1)
    first = publish(settings)
    again = publish(settings)
    assert again.nothing_new
    assert again.version == first.version
    assert again.serving is None
    assert str(again).startswith("nothing new")


def test_publish_is_refused_when_another_run_is_active(settings: Settings) -> None:
    build(settings, 1)
    code = "import time; from analytics.common.lock import run_lock; from analytics.settings import load_settings\n"
    code += f"with run_lock(load_settings(data_dir={str(settings.data_dir)!r}), 'hourly'):\n"
    code += "    print(1, flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        with pytest.raises(BusyError, match="hourly"):
            publish(settings)
        assert settings.build_path.exists()
    finally:
        other.kill()
        other.wait()
    with run_lock(settings):
        publish(settings)


def test_a_working_copy_that_is_open_elsewhere_is_not_published(settings: Settings) -> None:
    build(settings, 1)
    code = f"import duckdb; c = duckdb.connect({str(settings.build_path)!r}); print(1, flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        with pytest.raises(AnalyticsError, match="cannot publish") as raised:
            publish(settings)
        assert "\n" not in str(raised.value)
    finally:
        other.communicate(b"\n", timeout=30)
    publish(settings)


def test_a_database_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.db"
    with duckdb.connect(str(theirs)) as connection:
        connection.execute("create table precious as select 1 as a")
    settings = load_settings(data_dir=tmp_path / "data", duckdb_path=theirs)
    build(settings, 1)
    with pytest.raises(AnalyticsError, match=r"DUCKDB_PATH=.*theirs.db: exists and is no published database"):
        publish(settings)
    with duckdb.connect(str(theirs), read_only=True) as connection:
        assert connection.execute("from precious").fetchall() == [(1,)]
    assert settings.build_path.exists()


def test_duckdb_path_may_be_on_another_file_system(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    folder = other / f"analytics-test-{os.getpid()}"
    try:
        settings = load_settings(data_dir=tmp_path / "data", duckdb_path=folder / "deep" / "a.db")
        for number in (1, 2):
            build(settings, number)
            publish(settings)
            assert published_rows(settings) == number
        assert rollback(settings).link == "symlink"
        assert published_rows(settings) == 1
    finally:
        for path in (folder / "deep" / "a.db",):
            path.unlink(missing_ok=True)
        (folder / "deep").rmdir()
        folder.rmdir()


def test_versions_may_be_on_another_file_system(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    folder = other / f"analytics-versions-{os.getpid()}"
    folder.mkdir()
    try:
        settings = load_settings(data_dir=tmp_path / "data")
        settings.data_dir.mkdir()
        settings.versions_dir.symlink_to(folder)
        for number in (1, 2):
            build(settings, number)
            publish(settings)
            assert published_rows(settings) == number
        assert not settings.build_path.exists()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("links", ["hard link", "copy"])
def test_file_systems_without_symlinks_work(settings: Settings, links: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refused)
    if links == "copy":
        monkeypatch.setattr(os, "link", refused)
    for number in (1, 2):
        build(settings, number)
        result = publish(settings)
        assert result.link == links
        assert not settings.published_path.is_symlink()
        assert published_rows(settings) == served_rows(settings) == number
        assert current_version(settings) == result.version
    rollback(settings)
    assert published_rows(settings) == served_rows(settings) == 1
    assert current_version(settings) == versions(settings)[-1]


def publish_killed_at(step: int, data_dir: Path) -> None:
    """Publish in this process, which kills itself at its `step`th change to the disk."""
    steps = itertools.count(1)

    def watch(event: str, _: object) -> None:
        # every change to the disk that Python makes while publishing
        changes = ("os.rename", "os.remove", "os.symlink", "os.chmod", "os.mkdir", "os.rmdir")
        if event in changes and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = load_settings(data_dir=data_dir)
    sys.addaudithook(watch)
    publish(settings)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_data(settings: Settings) -> None:
    build(settings, 1)
    publish(settings)
    number, step, killed = 1, 0, 0
    while True:
        step += 1
        number += 1
        build(settings, number)
        process = PROCESSES.Process(target=publish_killed_at, args=(step, settings.data_dir))
        process.start()
        process.join(60)
        before_next = published_rows(settings)
        assert before_next in (previous := {number, number - 1})
        assert served_rows(settings) in previous
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        # the next run finds nothing to repair: it publishes again, or has nothing new
        if settings.build_path.exists() and before_next != number:
            publish(settings)
        else:
            settings.build_path.unlink(missing_ok=True)
            if before_next != number:
                build(settings, number)
            publish(settings)
        assert published_rows(settings) == served_rows(settings) == number
        assert len(versions(settings)) <= settings.keep_versions
        leftovers = [path for path in settings.data_dir.rglob("*") if ".partial" in path.name]
        assert leftovers == []
        assert serving.is_current(settings, settings.published_path.resolve(), current_version(settings))
    assert killed > 20
    assert len(list((settings.serving_dir / "versions").iterdir())) == serving.GRACE_PUBLISHES + 1


def test_a_full_disk_is_one_clear_line_and_changes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    build(settings, 1)
    publish(settings)
    build(settings, 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(settings.serving_dir))

    with monkeypatch.context() as patch:
        patch.setattr(serving, "flush_file", full)
        with pytest.raises(AnalyticsError, match=r"cannot publish .*No space left on device; free some space"):
            publish(settings)
    assert published_rows(settings) == served_rows(settings) == 1
    publish(settings)
    assert published_rows(settings) == served_rows(settings) == 2


def test_free_blocks_are_given_back(settings: Settings) -> None:
    build(
        settings,
        1,
        "create table raw.bulk as select i, md5(i::varchar) as text from range(2000000) as r(i);"
        "create table raw.kept as select * from raw.bulk limit 1000; checkpoint; drop table raw.bulk; checkpoint;",
    )
    before = settings.build_path.stat().st_size
    result = publish(settings)
    assert result.compacted
    assert result.size_bytes < before / 4
    assert published_rows(settings) == 1


def test_copy_of_a_database_is_refused_when_a_log_stands_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "a.db"
    with duckdb.connect(str(source)) as connection:
        connection.execute("create table t as select 1 as a")
    copied = copy_database(source, tmp_path / "b.db")
    assert copied.method in ("reflink", "copy")
    assert copied.size_bytes == source.stat().st_size
    assert (tmp_path / "b.db").read_bytes() == source.read_bytes()
    Path(f"{source}.wal").write_bytes(b"x")
    with pytest.raises(AnalyticsError, match=r"a\.db\.wal exists"):
        copy_database(source, tmp_path / "c.db")
    assert not (tmp_path / "c.db").exists()
