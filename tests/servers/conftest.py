"""mongo-java-server in memory and in an H2 file; without Java and Maven these tests are skipped with one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from analytics.settings import Settings
from integration.conftest import database, make_settings, write_transcript
from java_server import JavaServer, what_is_missing
from pymongo import MongoClient

__all__ = ["database", "make_settings", "write_transcript"]


@pytest.fixture(scope="session")
def launcher() -> None:
    """The server's classes, fetched and compiled once."""
    if missing := what_is_missing():
        pytest.skip(f"other MongoDB servers are not tested: {missing}")


@pytest.fixture(scope="session")
def memory_server(launcher: None) -> Iterator[JavaServer]:
    """In memory, for all tests."""
    with JavaServer(None) as server:
        yield server


@pytest.fixture(scope="session")
def h2_server(launcher: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaServer]:
    """In an H2 file, for all tests."""
    with JavaServer(tmp_path_factory.mktemp("h2") / "store.mv") as server:
        yield server


@pytest.fixture
def own_server(launcher: None, tmp_path: Path) -> Iterator[JavaServer]:
    """In an H2 file, for one test, which may kill it."""
    with JavaServer(tmp_path / "own.mv") as server:
        yield server


@pytest.fixture(params=["memory", "h2"])
def server(request: pytest.FixtureRequest) -> JavaServer:
    """Both, one after the other."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def settings(server: JavaServer, make_settings: Callable[..., Settings], database: str) -> Settings:
    """A database of its own on that server."""
    return make_settings(mongo_uri=server.uri, mongo_db=database)


@pytest.fixture
def collection(settings: Settings, server: JavaServer) -> Iterator[object]:
    """Its collection."""
    with MongoClient(server.uri, tz_aware=True) as client:
        yield client[settings.mongo_db][settings.mongo_collection]
