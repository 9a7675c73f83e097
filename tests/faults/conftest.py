"""Nothing of the machine's settings leaks in; servers and workspaces for the tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from analytics.settings import Settings
from faults.harness import History, Space
from mongo_server import Server

_PRIVATE = [*Settings.model_fields, "analytics_fault", "analytics_run_token"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No .env and no settings of the machine."""
    for name in [name.upper() for name in _PRIVATE] + [name for name in os.environ if name.startswith("PYICEBERG_")]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests; each test takes a database of its own."""
    server = Server(tmp_path_factory.mktemp("server") / "storage")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may kill it."""
    server = Server(tmp_path / "server-storage")
    server.start()
    yield server
    with contextlib.suppress(ProcessLookupError):
        server.kill()


@pytest.fixture
def database() -> str:
    """A database name nobody else uses."""
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def workspace(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> Callable[..., Space]:
    """Make an empty workspace with these settings; `source="mongodb"` is a database of its own on the tests' server."""
    numbers = itertools.count()

    def make(**overrides: Any) -> Space:
        if overrides.get("source") == "mongodb" and "mongo_uri" not in overrides:
            overrides |= {"mongo_uri": request.getfixturevalue("mongo_server").uri, "mongo_db": database}
        root = tmp_path / f"space{next(numbers)}"
        (root / "projects").mkdir(parents=True)
        return Space(root, overrides)

    return make


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """With SOURCE=jsonl."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYICEBERG_HOME", str(tmp_path_factory.getbasetemp()))
        yield History(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory, mongo_server: Server) -> Iterator[History]:
    """With a MongoDB that `sync` fills before each extract."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYICEBERG_HOME", str(tmp_path_factory.getbasetemp()))
        yield History(tmp_path_factory.mktemp("synced"), source="mongodb", mongo_uri=mongo_server.uri)
