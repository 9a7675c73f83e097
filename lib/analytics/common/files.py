"""Files that are either whole or not there: copies, atomic replacement, and getting them onto the disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analytics.errors import AnalyticsError

# What is being written carries this ending until it is whole. DuckDB itself uses `.tmp` and `.wal`.
PARTIAL = ".partial"

# linux/fs.h: share the source's blocks, copy-on-write (btrfs, XFS, bcachefs, overlay on those).
_FICLONE = 0x40049409

# What a file system says that is full, was mounted read-only, belongs to somebody else or is failing.
_NOT_WRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextlib.contextmanager
def disk_errors(stage: str, data_dir: Path) -> Iterator[None]:
    """What the file system, or SQLite on it, says while `stage` works, as one line that names DATA_DIR.

    Raises:
        AnalyticsError: instead of an OSError or an error of SQLite, also of one that SQLAlchemy passes on.
    """
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, OSError):
            said = cause.strerror or str(cause)
            place = cause.filename2 or cause.filename
            reason = f"{said}: {os.fsdecode(place)}" if isinstance(place, str | bytes) else said
            written = cause.errno in _NOT_WRITABLE
        elif isinstance(cause, sqlite3.Error):
            reason, written = str(cause), True
        else:
            raise
        raise disk_error(stage, data_dir, reason, is_written=written) from error


def disk_error(stage: str, data_dir: Path, reason: str, *, is_written: bool = True) -> AnalyticsError:
    """The line that says what of `data_dir` failed while `stage` worked."""
    problem = "cannot be written" if is_written else "cannot be used"
    return AnalyticsError(
        f"DATA_DIR={data_dir}: {problem} by {stage} ({' '.join(reason.split())}); what was stored or published is "
        "unharmed, run it again once this is solved"
    )


def not_written(error: BaseException) -> OSError | None:
    """What of `error`, or of what led to it, a file system said that is full or may not be written."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno in _NOT_WRITABLE:
            return at
        at = at.__cause__ or at.__context__
    return None


@dataclass(frozen=True)
class CopyResult:
    """How a file was copied."""

    method: str  # reflink or copy
    size_bytes: int
    seconds: float


def copy_database(source: Path, target: Path) -> CopyResult:
    """Copy a closed DuckDB file; `target` is replaced only when the copy is whole, and on the disk.

    Whoever writes the copy next would wait for the disk at the first checkpoint: here it counts as what it is.

    Raises:
        AnalyticsError: a write-ahead log stands beside `source`: the file alone is not the whole database.
        OSError: `source` cannot be read or `target` cannot be written.
    """
    wal = Path(f"{source}.wal")
    if wal.exists():
        raise AnalyticsError(
            f"{wal} exists: {source.name} is open for writing or was not closed; "
            "end the process that writes it, or open and close the file once with DuckDB"
        )
    started = time.perf_counter()
    with partial_file(target, durable=True) as temporary:
        method = _copy(source, temporary)
    return CopyResult(method, target.stat().st_size, time.perf_counter() - started)


def _copy(source: Path, target: Path) -> str:
    # an error: no reflinks here, or another file system
    with source.open("rb") as reader, target.open("wb") as writer, contextlib.suppress(OSError):
        fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        return "reflink"
    shutil.copyfile(source, target)
    return "copy"


def remove_database(path: Path) -> None:
    """Delete a DuckDB file with all that may stand beside it after a kill. What is not there is no error."""
    for leftover in (path, Path(f"{path}.wal"), Path(f"{path}{PARTIAL}"), Path(f"{path}{PARTIAL}.wal")):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(f"{path}.tmp", ignore_errors=True)


@contextlib.contextmanager
def partial_file(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path beside `target` to write; renamed over it when the block ends well, deleted when it does not.

    `durable` brings the content to the disk before the rename, and the rename after it: after a power cut the
    old file or the new one is there, whole.
    """
    temporary = Path(f"{target}{PARTIAL}")
    remove_database(temporary)
    try:
        yield temporary
        if durable:
            flush_file(temporary)
        os.replace(temporary, target)
        if durable:
            flush_folder(target.parent)
    except BaseException:
        remove_database(temporary)
        raise


def flush_file(path: Path) -> None:
    """Bring a file's content to the disk."""
    _flush(path, os.O_RDONLY)


def flush_folder(path: Path) -> None:
    """Bring a folder's entries (new names, renames) to the disk."""
    _flush(path, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
