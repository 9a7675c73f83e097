"""A real MongoDB-wire server for the session, and settings that keep every test in its own folder."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from analytics.settings import Settings, load_settings
from mongo_server import Server


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
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings of this test only: no .env, no variables of the machine, DATA_DIR under tmp_path."""
    for name in [*Settings.model_fields, *(key for key in os.environ if key.startswith("PYICEBERG_"))]:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def make(**overrides: Any) -> Settings:
        values = {
            "data_dir": tmp_path / "data",
            "claude_projects_dir": tmp_path / "projects",
            "machine_name": "box",
        }
        return load_settings(**{**values, **overrides})

    return make


@pytest.fixture
def write_transcript(tmp_path: Path) -> Callable[..., Path]:
    """Write (or append to) a transcript below tmp_path/projects; lines are bytes, str or JSON-able."""
    import json

    def write(name: str, *lines: Any, mode: str = "wb", end: bytes = b"\n") -> Path:
        path = tmp_path / "projects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = [
            line if isinstance(line, bytes) else line.encode() if isinstance(line, str) else json.dumps(line).encode()
            for line in lines
        ]
        with path.open(mode) as stream:
            stream.write(b"\n".join(encoded) + (end if encoded else b""))
        # A file system clock may be coarser than a test is quick.
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, time.time_ns()))
        return path

    return write
