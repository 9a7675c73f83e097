"""The published files: `versions/<id>/analytics.db`, each written once, and the name that leads to one of them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from pathlib import Path

from analytics.common.clock import utc_now
from analytics.common.files import PARTIAL, copy_database, flush_file, flush_folder, partial_file, remove_database
from analytics.settings import Settings

_VERSION = re.compile(r"\d{8}T\d{6}\.\d+")
# DuckDB calls a database by its file's name, and views keep that name: every version is called the same.
FILE_NAME = "analytics.db"


def versions(settings: Settings) -> list[str]:
    """Published versions on disk, newest first."""
    try:
        names = os.listdir(settings.versions_dir)
    except FileNotFoundError:
        return []
    found = {name.removesuffix(".db") for name in names}
    there = [name for name in found if _VERSION.fullmatch(name) and version_path(settings, name).exists()]
    return sorted(there, key=order, reverse=True)


def current_version(settings: Settings) -> str | None:
    """The version that readers open; None when there is none or it cannot be told."""
    published = settings.published_path
    with contextlib.suppress(OSError):
        target = Path(os.readlink(published))
        name = target.parent.name if target.name == FILE_NAME else target.name.removesuffix(".db")
        return name if _VERSION.fullmatch(name) else None
    try:
        there = published.stat()
    except OSError:
        return None
    for version in versions(settings):
        file = version_path(settings, version).stat()
        same_file = (file.st_dev, file.st_ino) == (there.st_dev, there.st_ino)
        # a copy keeps the time of its original
        if same_file or (file.st_size, file.st_mtime_ns) == (there.st_size, there.st_mtime_ns):
            return version
    return None


def order(version: str) -> tuple[str, int]:
    """What versions are sorted by."""
    stamp, _, number = version.partition(".")
    return stamp, int(number)


def next_version(settings: Settings) -> str:
    """Later than every version there is, whatever the clock says."""
    stamp, number = f"{utc_now():%Y%m%dT%H%M%S}", 0
    existing = versions(settings)
    if existing and order(existing[0]) >= (stamp, number):
        stamp, newest = order(existing[0])
        number = newest + 1
    return f"{stamp}.{number}"


def version_path(settings: Settings, version: str) -> Path:
    """The file of a version; those published before 0.2 lie beside the folders."""
    former = settings.versions_dir / f"{version}.db"
    return former if former.exists() else settings.versions_dir / version / FILE_NAME


def move_in(settings: Settings, version: str) -> Path:
    """Make the working copy the file of `version`; returns its path.

    Raises:
        OSError: it cannot be moved, or not be brought to the disk.
    """
    path = version_path(settings, version)
    settings.versions_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in settings.versions_dir.glob(f"*{PARTIAL}"):
        leftover.unlink()
    for folder in settings.versions_dir.iterdir():
        if folder.is_dir() and not (folder / FILE_NAME).exists():
            shutil.rmtree(folder)  # a publish was killed before its file was in it
    path.parent.mkdir(mode=0o700)
    flush_file(settings.build_path)
    try:
        os.rename(settings.build_path, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_database(settings.build_path, path)
        flush_file(path)
    # never to be changed again
    path.chmod(0o400)
    flush_folder(path.parent)
    flush_folder(settings.versions_dir)
    remove_database(settings.build_path)
    return path


def lead_to(settings: Settings, path: Path) -> str:
    """Make the published name lead to `path` by one rename; returns how."""
    published = settings.published_path
    published.parent.mkdir(parents=True, exist_ok=True)
    # relative within DATA_DIR, so that the folder can be moved; links resolve from where the link really is
    target: Path | str = path.resolve()
    if published.parent.resolve().is_relative_to(settings.data_dir.resolve()):
        target = os.path.relpath(target, published.parent.resolve())
    with partial_file(published) as temporary:
        try:
            os.symlink(target, temporary)
            link = "symlink"
        except (OSError, NotImplementedError):
            try:
                os.link(path, temporary)
                link = "hard link"
            except OSError:
                shutil.copy2(path, temporary)
                flush_file(temporary)
                link = "copy"
    flush_folder(published.parent)
    return link


def prune(settings: Settings, current: str, since: str | None) -> list[str]:
    """Delete what is older than the versions to keep, and what a rollback left; open readers keep their file.

    `since` is the version that `current` was built on: anything between the two was rolled back from.
    """
    kept = versions(settings)
    abandoned = [v for v in kept if since is not None and order(since) < order(v) < order(current)]
    line = [v for v in kept if v not in abandoned]
    pruned = abandoned + [v for v in line[settings.keep_versions :] if v != current]
    for version in pruned:
        path = version_path(settings, version)
        remove_database(path)
        if path.parent.name == version:
            shutil.rmtree(path.parent)
    return pruned
