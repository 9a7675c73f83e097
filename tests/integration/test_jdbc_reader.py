"""Metabase's view of a publish, through DuckDB's own JDBC driver. Without this, a publish could stay
invisible until someone restarts Metabase, a dashboard could fail while files are swapped, or the pipeline
could wait for a reader.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from analytics.settings import Settings, load_settings
from analytics.warehouse import serving

JDBC_VERSION = "1.5.5.0"  # the DuckDB inside Metabase's driver of the same number
READER = Path(__file__).parents[1] / "jdbc" / "PooledReader.java"
CONNECTIONS = 4
ENGINE = "1.5.5"
MARTS = ("fct_messages", "agg_daily_usage")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def jdbc_jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """duckdb_jdbc from Maven Central, through the user's Maven repository."""
    if shutil.which("java") is None:
        pytest.skip("no java: install a JDK (Debian: default-jdk-headless) to prove what Metabase sees")
    jar = Path.home() / f".m2/repository/org/duckdb/duckdb_jdbc/{JDBC_VERSION}/duckdb_jdbc-{JDBC_VERSION}.jar"
    if jar.exists():
        return jar
    if shutil.which("mvn") is None:
        pytest.skip(f"no {jar.name} and no mvn: install Maven (Debian: maven) to prove what Metabase sees")
    folder = tmp_path_factory.mktemp("jdbc")
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact=org.duckdb:duckdb_jdbc:{JDBC_VERSION}"]
    fetched = subprocess.run(
        [*command, f"-DoutputDirectory={folder}"], cwd=folder, capture_output=True, timeout=300, check=False
    )
    if fetched.returncode:
        pytest.skip(f"Maven Central is out of reach: {jar.name} cannot be fetched")
    return folder / jar.name


@pytest.fixture(scope="session")
def home_with_icu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory that holds DuckDB's icu extension, as the Metabase image's user has one. DuckDB
    checks the file's signature, whoever hands it over."""
    folder = tmp_path_factory.mktemp("icu")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    fetched = subprocess.run(
        [*command, f"duckdb-extension-icu=={ENGINE}"], capture_output=True, timeout=300, check=False
    )
    if fetched.returncode:
        pytest.skip("the package index is out of reach: DuckDB's icu extension cannot be fetched")
    with duckdb.connect() as connection:
        (platform,) = connection.execute("pragma platform").fetchone()
    target = folder / f".duckdb/extensions/v{ENGINE}/{platform}"
    target.mkdir(parents=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("/icu.duckdb_extension"))
        (target / "icu.duckdb_extension").write_bytes(wheel.read(name))
    return folder


class Reader:
    """The Java process and its line protocol. With a `home`, TimeZone is a startup property as in driver
    1.5.5.0."""

    def __init__(self, jar: Path, database: Path, temp: Path, *, home: Path | None = None) -> None:
        command = [
            "java",
            "-Xmx512m",
            "-cp",
            str(jar),
            str(READER),
            str(database),
            str(temp),
            str(CONNECTIONS),
        ]
        self.process = subprocess.Popen(
            [*command, "startup" if home else "later"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **({"HOME": str(home)} if home else {})},
        )
        self.version = self._line()

    def ask(self, command: str) -> str:
        """Send one command, return its one line of answer."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._line()

    def query(self, sql: str) -> list[str]:
        """The answer of every pooled connection."""
        return self.ask(f"query {sql}").split("|")

    def _line(self) -> str:
        line = self.process.stdout.readline().rstrip("\n")
        if not line:
            self.process.stdin.close()
            raise AssertionError(self.process.stderr.read())
        return line

    def stop(self) -> None:
        """End the process."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def publish(settings: Settings, number: int, *, extra_column: bool = False) -> float:
    """Serve two marts with `number` rows each. Returns the seconds of that, without building the database."""
    database = settings.data_dir / "built.db"
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts")
        extra = ", 'new' as later_column" if extra_column else ""
        for mart in MARTS:
            connection.execute(
                f"create table marts.{mart} as select i as message_key, {number} as published, "
                f"md5(i::varchar) as text {extra} from range({number}) as numbers(i)"
            )
    started = time.monotonic()
    serving.prepare(settings, database, str(number)).commit()
    return time.monotonic() - started


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder with a first publish."""
    settings = load_settings(data_dir=tmp_path)
    publish(settings, 1000)
    return settings


@pytest.fixture
def reader(jdbc_jar: Path, settings: Settings, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(jdbc_jar, settings.serving_dir / serving.SERVING_FILE, tmp_path / "temp")
    yield reader
    reader.stop()


ROWS = "select count(*), min(published), max(published) from fct_messages"


def test_open_connections_see_a_publish_at_their_next_query(reader: Reader, settings: Settings) -> None:
    assert reader.version == "ready v1.5.5"
    reader.ask("sync")
    assert reader.query(ROWS) == ["1000,1000,1000"] * CONNECTIONS
    for number in (2000, 1500, 3000):
        publish(settings, number)
        assert reader.query(ROWS) == [f"{number},{number},{number}"] * CONNECTIONS
    publish(settings, 4000, extra_column=True)
    assert reader.query(ROWS) == ["4000,4000,4000"] * CONNECTIONS
    reader.ask("sync")
    assert reader.query("select max(length(text)) from fct_messages") == ["32"] * CONNECTIONS


def test_driver_connects_without_a_network_when_icu_is_on_disk(
    jdbc_jar: Path, settings: Settings, tmp_path: Path, home_with_icu: Path
) -> None:
    reader = Reader(jdbc_jar, settings.serving_dir / serving.SERVING_FILE, tmp_path / "temp", home=home_with_icu)
    assert reader.query("select current_setting('TimeZone')") == ["UTC"] * CONNECTIONS
    reader.stop()


def test_publishing_never_waits_for_busy_readers(reader: Reader, settings: Settings) -> None:
    alone = [publish(settings, 200_000) for _ in range(3)]
    # Every answer must be of one publish: never a mix of an old and a new file.
    reader.ask(
        "load select case when count(*) = min(published) and count(*) = max(published) then max(text) "
        "else error('a mix of two publishes') end from fct_messages"
    )
    busy = []
    for number in range(12):
        busy.append(publish(settings, 200_000 + number % 3))
        time.sleep(0.3 if number % 2 else 0.0)
    settled = reader.ask("settle").split(maxsplit=4)
    print(f"publish: alone {max(alone):.2f} s, under load {max(busy):.2f} s; readers: {' '.join(settled)}")
    assert int(settled[1]) > 10
    assert settled[3] == "0", settled
    # The readers share the processor with the publisher; a lock would hold it until they end.
    assert max(busy) < 10 * max(alone) + 1
    publish(settings, 5)
    assert reader.query(ROWS) == ["5,5,5"] * CONNECTIONS
