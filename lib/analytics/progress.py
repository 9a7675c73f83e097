"""Progress: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

PLAIN_EVERY_SECONDS = 10.0


class Progress(Protocol):
    """Something that is told how far the work is."""

    def advance(self, amount: float) -> None:
        """`amount` more is done."""


class _Plain:
    def __init__(self, what: str, total: float, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = 0.0
        self._next = time.monotonic() + PLAIN_EVERY_SECONDS

    def advance(self, amount: float) -> None:
        self._done += amount
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_EVERY_SECONDS
            of = f" of {_human(self._total, self._unit)}" if self._total >= self._done else ""
            print(f"{self._what}: {_human(self._done, self._unit)}{of}", file=sys.stderr, flush=True)


def _human(amount: float, unit: str) -> str:
    return f"{amount / 1e6:,.1f} MB" if unit == "B" else f"{amount:,.0f} {unit}"


@contextlib.contextmanager
def progress_bar(what: str, total: float, unit: str, shown: bool | None = None) -> Iterator[Progress]:
    """A `Progress` for `total` of `unit` (`B`: bytes; 0: unknown).

    `shown`: draw a bar; default: when stderr is a terminal.
    """
    if not (sys.stderr.isatty() if shown is None else shown):
        yield _Plain(what, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    amount = DownloadColumn() if unit == "B" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total or None)

        class _Rich:
            def advance(self, amount: float) -> None:
                bar.advance(task, amount)

        yield _Rich()
