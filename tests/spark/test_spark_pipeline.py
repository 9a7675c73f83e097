"""What a user does with Spark, in one history: the pipeline's stages, the comparison, dbt's tests, and a purge.

The history is the generator's with everything hostile it knows, and transcripts that want to run in what shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from analytics.errors import AnalyticsError, ConfigError
from analytics.operations.purge import purge
from analytics.quality.validate import validate
from analytics.raw.extract import extract
from analytics.raw.maintenance import compact, derived_tables, expire
from analytics.raw.store import RawStore
from analytics.sessions.reader import open_reader
from analytics.sessions.timeline import timeline
from analytics.settings import Settings, load_settings
from analytics.spark import branches, jars
from analytics.spark.compare import compare
from analytics.spark.raw_tables import WORK_FOLDER
from analytics.spark.session import configuration
from analytics.spark.transform import transform
from analytics.warehouse.load import load
from analytics.warehouse.marts import open_version
from analytics.warehouse.publish import publish
from hostile import write_hostile_projects
from pyiceberg.types import StringType
from transcript_generator import generate


def bytes_with(folder: Path, text: bytes) -> list[Path]:
    """Files below `folder` in which `text` stands as it is, or in a Parquet file of which it is a value."""
    import pyarrow.parquet as pq

    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        rows = repr(pq.ParquetFile(path).read().to_pylist()).encode() if path.suffix == ".parquet" else b""
        if text in rows or text in path.read_bytes():
            found.append(path)
    return found


def arrive(history: Path, projects: Path, share: Callable[[Path], float]) -> None:
    """The first lines of every transcript of a history, as many as its share."""
    for source in sorted(path for path in history.rglob("*") if path.is_file()):
        lines = source.read_bytes().splitlines(keepends=True)
        target = projects / source.relative_to(history)
        target.parent.mkdir(parents=True, exist_ok=True)
        if first := lines[: round(len(lines) * share(source))]:
            target.write_bytes(b"".join(first))


def newest(store: RawStore) -> dict[tuple[str, ...], int | None]:
    """What readers of the tables that Spark built see."""
    return {table.name(): table.metadata.current_snapshot_id for table in derived_tables(store)}


def assert_published_is_what_spark_built(settings: Settings) -> None:
    store = RawStore(settings)
    with open_version(settings.published_path) as connection:
        names = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('staging', 'intermediate', 'marts') and table_type = 'BASE TABLE'"
        ).fetchall()
        assert len(names) > 30
        for schema, name in names:
            if not store.catalog.table_exists((schema, name)):
                continue  # a seed
            connection.register("on_spark", store.catalog.load_table((schema, name)).scan().to_arrow())
            # when it was published is written at the end
            rest = " where check_name <> 'published_at'" if name == "agg_data_quality" else ""
            for here, there in ((f"{schema}.{name}", "on_spark"), ("on_spark", f"{schema}.{name}")):
                only = f"(from {here}{rest} except all from {there}{rest})"
                assert connection.sql(f"select count(*) from {only}").fetchone() == (0,), name
            connection.unregister("on_spark")


def test_a_history_goes_through_spark_and_a_session_goes_out_of_it(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, history = load_settings(), tmp_path / "history"
    projects = settings.projects_dirs[0]
    truth = generate(history, seed=7, entries=600, days=20, hostile=True)
    write_hostile_projects(history)
    session = max(truth.sessions, key=lambda name: truth.sessions[name].message_count)
    random = Random(7)
    arrive(history, projects, lambda path: 0.5 if path.stem == session else random.choice([0, 0.3, 0.8, 1]))
    extract(settings, progress=False)
    load(settings)
    built = transform(settings, test=True)
    assert built.engine == "Spark"
    assert built.full_refresh
    assert built.tests > 250, "data tests and unit tests"
    assert compare(settings).differences == []

    # an entry of the year 1, which is in every hostile history, is a number out of range with either engine
    validated = validate(settings, build_docs=False, raise_on_failure=False)
    assert {check.expectation for check in validated.failed} <= {"expect_numbers_to_be_in_range"}
    assert f"ran in DuckDB on what Spark built, where {built.tests} tests of dbt held" in str(validated)
    assert {check.layer for check in validated.checks} == {"raw", "staging", "intermediate", "marts"}
    publish(settings)
    assert_published_is_what_spark_built(settings)
    with open_reader(settings) as reader:
        assert timeline(reader, session).turns

    store = RawStore(settings)
    assert all(len(table.metadata.snapshots) == 1 for table in derived_tables(store)), "purge counts older ones"

    # nothing is new: the next run knows; then something is, of sessions that are known and of one that copies one
    assert load(settings).nothing_new
    arrive(history, projects, lambda path: 1)
    (source,) = projects.rglob(f"{session}.jsonl")
    another = f"{session[:-6]}copied"  # in whose name that of the first does not stand
    more = source.read_text().replace('"uuid":"', '"uuid":"again-').replace(session, another)
    source.with_name(f"{another}.jsonl").write_text(more)
    extract(settings, progress=False)
    load(settings)

    changed = ("marts", "dim_tools")  # as if a version of other columns had built it
    with store.catalog.load_table(changed).update_schema() as schema:
        schema.add_column("former", StringType())
    former, moved = newest(store), []
    for table in derived_tables(store):  # a build was killed while it wrote
        with table.manage_snapshots() as snapshots:
            snapshots.create_branch(table.metadata.current_snapshot_id, branches.BRANCH)

    def reached(step: str) -> None:
        if step == "spark.written":
            assert newest(store) | {changed: former[changed]} == former, "nothing is seen before all is there"
        elif step == "spark.moved":
            moved.append(step)
            if len(moved) == 5:  # a build is killed here: the next one ends it
                assert newest(store) != former
                branches.settle(store)

    environment.setattr(branches, "reached", reached)
    again = transform(settings)
    assert len(moved) > 40
    assert not again.full_refresh
    assert "incremental" in str(again)
    # what arrives afterwards makes no difference to what was built before
    source.with_name("late.jsonl").write_text('{"no": entry\n')
    assert extract(settings, progress=False).dead_letters == 1
    assert compare(settings).differences == []
    assert not any(branches.BRANCH in table.metadata.refs for table in derived_tables(store))
    for name in ("stg_entries", "fct_messages"):
        schema = "staging" if name == "stg_entries" else "marts"
        table = store.catalog.load_table((schema, name))
        summary = table.current_snapshot().summary
        assert table.current_snapshot().parent_snapshot_id == former[schema, name], "one commit"
        assert int(summary["added-records"]) > 0, name
    publish(settings)

    compact(store)
    expire(store, older_than=timedelta(0), grace=timedelta(0))
    assert all(len(table.metadata.snapshots) <= 1 for table in derived_tables(store))
    assert_published_is_what_spark_built(settings)
    left_over = settings.warehouse_dir / "marts" / "of_a_killed_build"
    left_over.write_bytes(session.encode())
    (settings.data_dir / WORK_FOLDER).mkdir()
    (settings.data_dir / WORK_FOLDER / "analytics.db").write_bytes(session.encode())
    assert len(bytes_with(settings.warehouse_dir, session.encode())) > 10

    environment.setenv("TRANSFORM_ENGINE", "duckdb")
    for one in (session, another):
        result = purge(load_settings(), "session", one)
        assert not any(result.left.values()), result
    assert bytes_with(settings.data_dir / WORK_FOLDER, session.encode()) == []
    assert bytes_with(settings.warehouse_dir, session.encode()) == []
    assert derived_tables(store) == []
    for namespace in ("staging", "intermediate", "marts"):
        assert not (settings.warehouse_dir / namespace).exists()


def test_what_it_cannot_do_is_said_in_one_line(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="Spark builds every model"):
        transform(load_settings(), models="fct_messages")
    with pytest.raises(AnalyticsError, match="run `claude-analytics load` first"):
        transform(load_settings())


def test_a_jar_of_ones_own_comes_beside_ours(environment: pytest.MonkeyPatch) -> None:
    """What an object store needs is named in SPARK_CONF; a release that has its own Iceberg gets none of ours."""
    catalog = {"uri": "sqlite:////x/catalog.db", "warehouse": "file:///x"}
    environment.setenv("SPARK_CONF", "spark.jars=/x/aws.jar;spark.jars.packages=a:b:1")
    given = configuration(load_settings(), catalog)
    assert given["spark.jars"].split(",") == ["/x/aws.jar", *map(str, jars.present())]
    assert given["spark.jars.packages"] == "a:b:1"
    environment.setenv("SPARK_CONF", "spark.jars=/usr/share/aws/iceberg/lib/iceberg-spark4-runtime.jar")
    assert "," not in configuration(load_settings(), catalog)["spark.jars"]
