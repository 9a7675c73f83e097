"""Spark on this machine, small; without Java, or Spark itself, these tests are skipped with one line."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from analytics.errors import AnalyticsError
from analytics.spark import jars

# Two cores, little memory. Nothing is compiled for a few thousand rows (docs/scaling.md has what that saves).
SPARK_CONF = ";".join(
    (
        "spark.master=local[2]",
        "spark.driver.memory=2g",
        "spark.sql.shuffle.partitions=1",
        "spark.ui.enabled=false",
        "spark.ui.showConsoleProgress=false",
        "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1",
        "spark.sql.adaptive.enabled=false",
        "spark.sql.codegen.wholeStage=false",
        "spark.sql.codegen.factoryMode=NO_CODEGEN",
        "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1",
    )
)


@pytest.fixture(scope="session", autouse=True)
def _spark_is_there() -> None:
    pytest.importorskip("pyspark", reason="Spark is not tested: run `make setup-spark`")
    try:
        jars.require_java()
        jars.present()
    except AnalyticsError as error:
        pytest.skip(f"Spark is not tested: {error}")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A workspace of its own whose models Spark builds, also for what runs in other processes."""
    monkeypatch.setattr("analytics.settings.ENV_FILE", tmp_path / ".env")
    values = {
        "DATA_DIR": str(tmp_path / "data"),
        "SOURCE": "jsonl",
        "CLAUDE_PROJECTS_DIR": str(tmp_path / "projects"),
        "TRANSFORM_ENGINE": "spark",
        "SPARK_CONF": SPARK_CONF,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def postgres() -> Iterator[str]:
    """`USER:PASSWORD@HOST:PORT/DATABASE` of a server that ends with the test."""
    programs = {name: shutil.which(name) or f"/usr/lib/postgresql/15/bin/{name}" for name in ("initdb", "postgres")}
    if not all(Path(program).exists() for program in programs.values()):
        pytest.skip("a catalog on PostgreSQL is not tested: apt-get install postgresql")
    # not below pytest's folder, which is closed to other users
    folder = Path(tempfile.mkdtemp(prefix="claude-analytics-postgres-"))
    password = folder / "password"
    password.write_text("a @:/pass%word")
    as_user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL does not run as root
        as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]
        for path in (folder, password):
            shutil.chown(path, "postgres", "postgres")
    data = folder / "data"
    arguments = ["--pgdata", str(data), "--username=me", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
    subprocess.run([*as_user, programs["initdb"], *arguments], check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    server = subprocess.Popen([*as_user, programs["postgres"], *options], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"me:a%20%40%3A%2Fpass%25word@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # does not wait for connections to end
        server.wait(20)
        shutil.rmtree(folder)
