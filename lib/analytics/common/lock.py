"""One run at a time: an advisory lock on `DATA_DIR/run.lock` that the kernel releases when its holder dies.

The file stays; what counts is the kernel's lock on it, so a stale file of a killed run means nothing. Its
JSON body only says who holds the lock. A run takes the lock exclusively, says who it is and then shares it
with its own stages: whoever knows the run's token, in this process or in a child (a papermill kernel), may
join. A stage that outlives its killed run therefore still keeps the next run out.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import datetime

from analytics.common.clock import utc_now
from analytics.common.process import environment
from analytics.errors import AnalyticsError, BusyError
from analytics.settings import Settings

# Carries the token of the run to child processes.
TOKEN_VARIABLE = "ANALYTICS_RUN_TOKEN"

# Within this process: a thread of another run must not join because the environment is shared.
_token: ContextVar[str | None] = ContextVar("run_token", default=None)

# Another process may hold the lock for an instant only to look at it, or while it takes it.
_TRIES = 5
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class LockHolder:
    """Who holds the lock."""

    holder: str  # what runs, such as pipeline or load
    pid: int
    host: str
    started_at: str  # ISO 8601, UTC
    token: str = ""

    def __str__(self) -> str:
        started = datetime.fromisoformat(self.started_at)
        return f"{self.holder} (pid {self.pid} on {self.host}, started {started:%Y-%m-%d %H:%M:%S} UTC)"


@contextlib.contextmanager
def run_lock(settings: Settings, holder: str = "pipeline") -> Iterator[LockHolder]:
    """Hold the run lock for a block. Within a run that holds it already, joins that run.

    Raises:
        BusyError: another run holds the lock; the message names it.
        AnalyticsError: DATA_DIR cannot be written.
    """
    descriptor = _open(settings)
    try:
        joined = _join(descriptor)
        if joined:
            yield joined
            return
        mine = LockHolder(
            holder=holder,
            pid=os.getpid(),
            host=socket.gethostname(),
            started_at=utc_now().isoformat(timespec="seconds"),
            token=secrets.token_hex(16),
        )
        try:
            _take(descriptor, mine)
        except OSError as error:
            raise _not_writable(settings, error.strerror or str(error)) from None
        reset = _token.set(mine.token)
        try:
            with environment({TOKEN_VARIABLE: mine.token}):
                yield mine
        finally:
            _token.reset(reset)
    finally:
        os.close(descriptor)  # releases the lock


def current_holder(settings: Settings) -> LockHolder | None:
    """Who holds the run lock now; None when nobody does."""
    try:
        descriptor = os.open(settings.lock_path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return None
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _open(settings: Settings) -> int:
    path = settings.lock_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_writable(settings, error.strerror or str(error)) from None
    if not os.access(path.parent, os.W_OK):
        os.close(descriptor)
        raise _not_writable(settings, "Permission denied")
    return descriptor


def _not_writable(settings: Settings, reason: str) -> AnalyticsError:
    return AnalyticsError(
        f"DATA_DIR={settings.data_dir}: cannot be written ({reason}); make it writable or choose another"
    )


def _take(descriptor: int, mine: LockHolder) -> None:
    """Lock exclusively, write who holds it, and open it to this run's stages."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        if not _try_lock(descriptor, fcntl.LOCK_EX):
            continue
        body = json.dumps(asdict(mine)).encode()
        os.pwrite(descriptor, body, 0)
        os.ftruncate(descriptor, len(body))
        # not atomic: who comes between gets the exclusive lock, and then this run was second
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return
    other = _read(descriptor)
    raise BusyError(f"another run is active: {other or 'it does not say which'}; wait for it or stop that process")


def _join(descriptor: int) -> LockHolder | None:
    """The run this code is a stage of, with the lock shared; None when it is no stage."""
    inherited = os.environ.get(TOKEN_VARIABLE)
    if not (_token.get() or inherited):
        return None
    owner = _read(descriptor)
    if owner is None:
        return None
    is_stage_here = owner.token == _token.get()
    is_child = owner.token == inherited and owner.pid != os.getpid()
    if not (is_stage_here or is_child) or not _try_lock(descriptor, fcntl.LOCK_SH):
        return None
    now = _read(descriptor)
    if now is None or now.token != owner.token:  # another run took over in between
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return None
    return owner


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise AnalyticsError(
            f"the run lock cannot be taken ({error.strerror}); DATA_DIR needs a file system that has flock"
        ) from None
    return True


def _read(descriptor: int) -> LockHolder | None:
    """The body; None when there is none or it is half-written."""
    try:
        return LockHolder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None
