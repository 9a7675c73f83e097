"""The embedded default: a MongoDB-wire server of our own on the loopback, alive only while it is needed.

One process at a time uses the storage (a lock the kernel drops with its holder); the server dies with its
parent.
https://secantusdb.readthedocs.io/
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from analytics.errors import AnalyticsError, BusyError
from analytics.settings import Settings

CACHE_SIZE = "256M"
START_SECONDS = 60
STOP_SECONDS = 30
_PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def embedded_mongo(settings: Settings, *, wait_seconds: float = 60) -> Iterator[str]:
    """Start the embedded server on a free loopback port, yield its URI, stop it.

    Raises:
        BusyError: another process uses the storage for longer than `wait_seconds`.
        AnalyticsError: the server does not start; the message names its log.
    """
    root = settings.mongo_storage_dir
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyticsError(f"DATA_DIR={settings.data_dir} cannot be written: {error.strerror}") from error
    with _locked(root / "lock", wait_seconds), _server(root / "storage", root / "server.log") as port:
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"


@contextlib.contextmanager
def _locked(path: Path, wait_seconds: float) -> Iterator[None]:
    with path.open("a+") as stream:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    stream.seek(0)
                    holder = stream.read().strip() or "unknown"
                    raise BusyError(
                        f"the embedded MongoDB server under {path.parent} is in use by process {holder}; "
                        "wait for it to end, or stop it"
                    ) from None
                time.sleep(0.1)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


@contextlib.contextmanager
def _server(storage: Path, log: Path) -> Iterator[int]:
    """The server process: started, answering, and stopped again."""
    storage.mkdir(parents=True, exist_ok=True)
    process, port = _start(storage, log)
    try:
        yield port
    finally:
        # A clean end leaves less to recover at the next start; a killed one loses nothing either.
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(storage: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def die_with_parent() -> None:
        os.setpgid(
            0, 0
        )  # Ctrl-C on the terminal is for us: we stop the server when the work is at a safe point
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    for _ in range(3):
        port = free_port()
        command = [
            *(sys.executable, "-m", "secantus"),
            *("--host", "127.0.0.1"),
            *("--port", str(port)),
            *("--storage-path", str(storage)),
            *("--cache-size", CACHE_SIZE),
            *("--log-level", "WARNING"),
        ]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=storage.parent,  # no secantusd.toml of someone else
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return process, port
            time.sleep(0.02)
        process.kill()
        process.wait()
    raise AnalyticsError(f"the embedded MongoDB server does not start; see {log}")


def free_port() -> int:
    """A TCP port that is free on the loopback right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
