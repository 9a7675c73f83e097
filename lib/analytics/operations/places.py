"""Every place under DATA_DIR where text of documents ends up besides the raw tables, and what still stands there.

One list: `purge` removes what is on it, and proves with it that nothing is left.
"""

from __future__ import annotations

import contextlib
import mmap
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from analytics.errors import AnalyticsError
from analytics.privacy.tombstones import TOMBSTONES_FILE
from analytics.settings import Settings

# Text is packed in these: their rows are counted instead.
_PACKED = {".parquet", ".avro"}


def derived(settings: Settings) -> dict[str, list[Path]]:
    """Files and folders that runs made of documents: each is made anew, or is of a run that is over.

    What stays: the published version and its serving copy, the raw tables, each run's run.json (counts only).
    """
    data = settings.data_dir
    published = settings.published_path.resolve()
    serving = (settings.serving_dir / "current").resolve()
    return {
        "data docs": [settings.data_docs_dir],
        "dashboards": [data / "dashboards", *data.glob("*.html")],
        "artifacts of dbt": [data / "dbt"],
        "logs": [data / "logs"],
        "the working copy": [settings.build_path.parent],
        "what a killed comparison left": [data / "reconcile.tmp", data / "spark.tmp"],
        "storage of a former version": [settings.former_storage_dir],
        "older versions": [
            path for path in settings.versions_dir.glob("*") if path.resolve() not in (published, *published.parents)
        ],
        "older serving copies": [
            path for path in (settings.serving_dir / "versions").glob("*") if path.resolve() != serving
        ],
        "notebooks, pages and logs of runs": [
            *settings.runs_dir.glob("*.html"),
            *(path for path in settings.runs_dir.glob("*/*") if path.name != "run.json"),
        ],
    }


def remove(paths: Iterable[Path]) -> int:
    """Delete files and folders that are there; returns how many."""
    removed = 0
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
        else:
            continue
        removed += 1
    return removed


def remove_broken_links(settings: Settings) -> None:
    """Links of the serving copy to folders that are gone."""
    for link in settings.serving_dir.rglob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()


def clear_messages(settings: Settings) -> None:
    """Take messages out of run.json of past runs: an error may quote a document."""
    from analytics.runs import history

    for folder in settings.runs_dir.glob("*/"):
        with contextlib.suppress(AnalyticsError, OSError):
            run = history.read(folder)
            if run.error:
                run.error["message"] = "removed by a purge"
                run.save()


def files_with(settings: Settings, texts: Iterable[str]) -> list[Path]:
    """Files under DATA_DIR whose bytes hold one of `texts`, whatever made them; the note of what was purged and
    transcripts kept there are none of them."""
    needles = [text.encode() for text in texts if text]
    return [path for path in _files(settings) if _holds(path, needles)]


def _files(settings: Settings) -> Iterator[Path]:
    sources = {root.resolve() for root in settings.projects_dirs}
    for path in settings.data_dir.rglob("*"):
        if path.is_symlink() or not path.is_file() or path.suffix in _PACKED or path.name == TOMBSTONES_FILE:
            continue
        if sources.isdisjoint(path.resolve().parents):
            yield path


def _holds(path: Path, needles: list[bytes]) -> bool:
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(needle) >= 0 for needle in needles)
