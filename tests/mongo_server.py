"""A real MongoDB-wire server (SecantusDB) in a process of its own, which a test may kill, freeze and start again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from pymongo import MongoClient


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server with a storage of its own."""

    def __init__(self, storage: Path, *options: str, cache_size: str = "256M") -> None:
        self.storage = storage
        self.options = options
        self.cache_size = cache_size
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def client(self) -> MongoClient[Any]:
        return MongoClient(self.uri, serverSelectionTimeoutMS=30_000)

    def start(self) -> None:
        command = [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--storage-path", str(self.storage), "--cache-size", self.cache_size, "--log-level", "WARNING"]
        command += self.options
        self.process = subprocess.Popen(command, cwd=self.storage.parent, stderr=subprocess.DEVNULL)
        with self.client() as client:
            client.admin.command("ping")

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
