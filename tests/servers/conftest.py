"""mongo-java-server in memory and in an H2 file; without Java and Maven these tests are skipped with one line."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from analytics.settings import Settings
from integration.conftest import database, make_settings, write_transcript
from mongo_server import Server
from pymongo import MongoClient

__all__ = ["database", "make_settings", "write_transcript"]

FOLDER = Path(__file__).parent
TARGET = FOLDER / "target"


class JavaServer(Server):
    """The same, as a test starts, kills and starts it again; in memory it comes back empty."""

    def __init__(self, storage: Path | None) -> None:
        super().__init__(storage or Path())
        self.file = storage

    def start(self) -> None:
        command = ["java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command += ["-cp", f"{TARGET}:{TARGET / 'jars'}/*", "Launcher", str(self.port)]
        self.process = subprocess.Popen([*command, *([str(self.file)] if self.file else [])], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        with self.client() as client:
            client.admin.command("ping")


@pytest.fixture(scope="session")
def launcher() -> None:
    """The server's classes, fetched and compiled once."""
    missing = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"other MongoDB servers are not tested: {', '.join(missing)} missing")
    jars = TARGET / "jars"
    if not jars.exists():
        command = ["mvn", "-q", "-B", "-f", str(FOLDER / "pom.xml"), "dependency:copy-dependencies"]
        fetched = subprocess.run([*command, "-DoutputDirectory=target/partial"], capture_output=True, text=True)
        if fetched.returncode:
            shutil.rmtree(TARGET / "partial", ignore_errors=True)
            lines = (fetched.stdout + fetched.stderr).strip().splitlines()
            pytest.skip(f"other MongoDB servers are not tested: Maven cannot fetch one ({lines[0] if lines else ''})")
        (TARGET / "partial").rename(jars)
    subprocess.run(["javac", "-d", TARGET, "-cp", f"{jars}/*", FOLDER / "Launcher.java"], check=True)


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
