"""A catalog behind HTTP, as companies have one: it checks what a database of one's own takes without a word."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyiceberg.catalog  # noqa: F401  it keeps the environment as it is when it is imported: for all tests that follow
import pytest
from analytics.errors import AnalyticsError
from analytics.operations.purge import purge
from analytics.raw.extract import extract
from analytics.raw.maintenance import compact, expire
from analytics.raw.store import RawStore
from analytics.settings import Settings
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform
from java_server import what_is_missing
from mongo_server import free_port
from transcript_generator import generate

FOLDER = Path(__file__).parent / "rest"


@pytest.fixture
def catalog(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[bytes]]:
    """The server, which PyIceberg is told to use: after `make_settings` forgot what else it was told."""
    if missing := what_is_missing(FOLDER):
        pytest.skip(f"a REST catalog is not tested: {missing}")
    port, target = free_port(), FOLDER / "target"
    (tmp_path / "warehouse").mkdir()
    command = ["java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", f"{target}:{target}/jars/*"]
    command += ["Launcher", str(port), str(tmp_path / "catalog.db"), str(tmp_path / "warehouse")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        monkeypatch.setenv("PYICEBERG_CATALOG__DEFAULT__TYPE", "rest")
        monkeypatch.setenv("PYICEBERG_CATALOG__DEFAULT__URI", f"http://127.0.0.1:{port}")
        yield process
        process.kill()


def build(settings: Settings) -> dict[str, int]:
    """Run everything -> responses by project, as published."""
    load(settings)
    transform(settings)
    publish(settings)
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        return dict(connection.sql("select project_id, response_count from marts.dim_projects").fetchall())


def test_the_whole_way_through_a_rest_catalog(
    catalog: subprocess.Popen[bytes], make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    projects = tmp_path / "projects"
    truth = generate(projects, seed=3, entries=400, days=5, hostile=True)
    settings = make_settings(source="jsonl", claude_projects_dir=str(projects))
    first = extract(settings, progress=False)
    assert first.documents_stored
    assert first.dead_letters
    responses = build(settings)
    assert not extract(settings, progress=False).is_new
    assert not settings.warehouse_dir.exists(), "the catalog is the server's"

    generate(tmp_path / "more", seed=4, entries=60, days=2)
    for folder in (tmp_path / "more").iterdir():
        folder.rename(projects / f"{folder.name}-more")
    assert extract(settings, progress=False).documents_stored
    store = RawStore(settings)
    assert compact(store).files_before
    assert expire(store, older_than=timedelta(0), grace=timedelta(0)).files_deleted
    assert build(settings).items() > responses.items()

    session = max(truth.sessions, key=lambda name: truth.sessions[name].message_count)
    assert not any(purge(settings, "session", session).left.values())
    files = [path for path in (tmp_path / "warehouse").rglob("*") if path.is_file()]
    assert not [path for path in files if session.encode() in path.read_bytes()]

    catalog.kill()
    with pytest.raises(AnalyticsError) as gone:
        extract(settings, progress=False)
    assert "\n" not in str(gone.value)
    assert "127.0.0.1" in str(gone.value)
