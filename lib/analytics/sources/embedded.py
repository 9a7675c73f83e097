"""The embedded default: a MongoDB-wire server of our own on the loopback, alive only while it is needed.

One process at a time uses the storage (a lock the kernel drops with its last holder); the server dies with
its parent. A kill at any moment leaves nothing to repair.
https://secantusdb.readthedocs.io/
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from analytics.common.faults import reached
from analytics.errors import AnalyticsError, BusyError
from analytics.settings import Settings

CACHE_SIZE = "256M"
START_SECONDS = 60
STOP_SECONDS = 30

# What the storage is called from the moment it is replaced until it is deleted.
FORMER = "storage.old"


# What the server process runs: ask the kernel to be killed with the parent (Linux), then become the server.
_SERVER = """
import ctypes, os, sys
parent = int(sys.argv.pop(1))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != parent:
        os._exit(1)
from secantus.cli import main
sys.exit(main())
"""


@contextlib.contextmanager
def embedded_mongo(settings: Settings, *, wait_seconds: float = 60) -> Iterator[str]:
    """Start the embedded server on a free loopback port, yield its URI, tell it to stop.

    Stopping is not waited for: the lock goes with the server process, so whoever comes next waits instead.

    Raises:
        BusyError: another process uses the storage for longer than `wait_seconds`.
        AnalyticsError: the server does not start; the message names its log.
    """
    root = settings.mongo_storage_dir
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / "lock").open("a+")
    except OSError as error:
        raise AnalyticsError(f"DATA_DIR={settings.data_dir} cannot be written: {error.strerror}") from error
    with lock:
        _acquire(lock, wait_seconds)
        _finish_replacement(root)
        process, port = _start(root / "storage", root / "server.log", lock)
    try:
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    finally:
        process.terminate()
        threading.Thread(target=_reap, args=(process,), name="embedded-mongo-stop", daemon=True).start()


def replace_storage(settings: Settings, fresh: Path) -> None:
    """Make the storage `fresh` the embedded server's, once no server uses either; the former one is deleted.

    Two renames are not one: after a kill in between, the next start of the server brings the former storage back.
    """
    root = settings.mongo_storage_dir
    with contextlib.ExitStack() as locks:
        for folder in (root, fresh.parent):
            # a server that was told to stop is gone when its lock is
            fcntl.flock(locks.enter_context((folder / "lock").open("a+")), fcntl.LOCK_EX)
        (root / "storage").rename(root / FORMER)
        reached("purge.moved")
        fresh.rename(root / "storage")
        reached("purge.swapped")
        _finish_replacement(root)


def _finish_replacement(root: Path) -> None:
    """After a replacement that was killed: one storage, under its name."""
    former = root / FORMER
    if not former.exists():
        return
    if (root / "storage").exists():
        shutil.rmtree(former)
    else:
        former.rename(root / "storage")


def _acquire(lock: IO[str], wait_seconds: float) -> None:
    """Take the storage for this process, and for the server process that inherits the open file."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                raise BusyError(
                    f"the embedded MongoDB server ({lock.name}) is in use by process {holder}; "
                    "wait for it to end, or stop it"
                ) from None
            time.sleep(0.05)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(storage: Path, log: Path, lock: IO[str]) -> tuple[subprocess.Popen[bytes], int]:
    """A server process that answers, and its port."""
    storage.mkdir(parents=True, exist_ok=True)
    # An empty configuration of its own, so that nobody else's secantusd.toml is found and obeyed.
    config = storage.parent / "secantusd.toml"
    config.write_text("")
    for _ in range(3):
        port = free_port()
        command = [
            *(sys.executable, "-c", _SERVER, str(os.getpid())),
            *("--config", str(config)),
            *("--host", "127.0.0.1"),
            *("--port", str(port)),
            *("--storage-path", str(storage)),
            *("--cache-size", CACHE_SIZE),
            *("--log-level", "WARNING"),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=storage.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(lock.fileno(),),
                process_group=0,  # Ctrl-C is for us: we stop the server once the work is at a safe point
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
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
