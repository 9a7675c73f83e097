"""One catalog on PostgreSQL for both engines: the demo's history on it, and writers that meet.

Without this a cluster, which cannot share a SQLite file, would be what nobody has tried."""

from __future__ import annotations

import os
import shutil
import threading
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from analytics.raw.extract import extract
from analytics.raw.store import RawStore
from analytics.settings import Settings, load_settings
from analytics.spark.build import build
from analytics.spark.compare import compare
from analytics.spark.session import CATALOG, session
from pyiceberg.table import Table
from transcript_generator import generate

COMMITS = 8


@pytest.fixture
def settings(environment: pytest.MonkeyPatch, postgres: str, tmp_path: Path) -> Settings:
    warehouse = tmp_path / "warehouse"
    warehouse.mkdir()
    for name, value in {
        "TYPE": "sql",
        "URI": f"postgresql+pg8000://{postgres}",
        "WAREHOUSE": f"file://{warehouse}",
    }.items():
        environment.setenv(f"PYICEBERG_CATALOG__DEFAULT__{name}", value)
    return load_settings()


def test_both_engines_share_a_catalog_and_lose_nothing(settings: Settings) -> None:
    """Documents arrive while Spark builds the demo's history, and both append to one table at once."""
    generate(settings.projects_dirs[0], seed=1, entries=20_000)
    extract(settings, progress=False)
    store = RawStore(settings)
    late = settings.projects_dirs[0] / "-late"

    def arrive() -> None:
        late.mkdir()
        for source in sorted(settings.projects_dirs[0].glob("*/*.jsonl"))[:3]:
            text = source.read_text().replace('"uuid":"', '"uuid":"late-').replace(source.stem, f"late-{source.stem}")
            (late / f"late-{source.name}").write_text(text)
            extract(settings, progress=False)

    writer = threading.Thread(target=arrive)
    before = store.current_snapshot_id()
    writer.start()
    result = build(settings, snapshot_id=before)
    writer.join()
    assert result.snapshot_id == before
    assert store.catalog.load_table(("raw", "conversations")).current_snapshot().snapshot_id != before
    # once more, with nothing new: what is parsed stays
    again = build(settings, snapshot_id=before)
    assert (again.documents, again.full_refresh) == (0, False)
    assert store.catalog.load_table(("staging", "stg_entries")).scan().count() == result.documents
    assert compare(settings).differences == []
    assert not (settings.data_dir / "iceberg").exists(), "the catalog is PostgreSQL's"

    rows = pa.table({"writer": ["pyiceberg"], "number": pa.array([0], pa.int64())})
    store.catalog.create_namespace("shared")
    properties = {"commit.retry.num-retries": "20"}  # Spark's; PyIceberg is told again by our own retry
    counters = store.catalog.create_table(("shared", "counters"), rows.schema, properties=properties)

    def append() -> None:
        for number in range(COMMITS):
            row = rows.set_column(1, "number", pa.array([number], pa.int64()))
            store.commit(counters, partial(Table.append, df=row))

    with session(settings, store.catalog.properties) as spark:
        spark.sql(f"select count(*) from {CATALOG}.shared.counters").collect()
        writer = threading.Thread(target=append)
        writer.start()
        for number in range(COMMITS):
            spark.sql(f"insert into {CATALOG}.shared.counters values ('spark', {number})")
        writer.join()
    found = store.catalog.load_table(("shared", "counters")).scan().to_arrow().to_pylist()
    expected = {(name, number) for name in ("pyiceberg", "spark") for number in range(COMMITS)}
    assert len(found) == 2 * COMMITS
    assert {(row["writer"], row["number"]) for row in found} == expected


def test_the_shared_transcripts_are_equal(environment: pytest.MonkeyPatch, samples_dir: Path) -> None:
    """All of them: for who has them, and minutes."""
    if not os.environ.get("ANALYTICS_SPARK_SAMPLES"):
        pytest.skip("set ANALYTICS_SPARK_SAMPLES=1 to build the sample transcripts on Spark too")
    settings = load_settings()
    shutil.copytree(samples_dir / "projects", settings.projects_dirs[0])
    extract(settings, progress=False)
    build(settings)
    assert compare(settings).differences == []
