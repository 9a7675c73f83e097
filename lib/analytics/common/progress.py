"""Progress: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Protocol, TextIO

PLAIN_EVERY_SECONDS = 10.0

# Where bars go while standard error is redirected, as in a notebook that runs inside the pipeline's process.
_terminal: TextIO | None = None


class Progress(Protocol):
    """Something that is told how far the work is."""

    def advance(self, amount: float) -> None:
        """`amount` more is done."""


@contextlib.contextmanager
def bars_on(stream: TextIO) -> Iterator[None]:
    """Show bars on `stream` inside the block, if it is a terminal, whatever `sys.stderr` is then."""
    global _terminal
    before, _terminal = _terminal, stream if stream.isatty() else None
    try:
        yield
    finally:
        _terminal = before


@contextlib.contextmanager
def progress_bar(
    what: str, total: float | Callable[[], float], unit: str, shown: bool | None = None
) -> Iterator[Progress]:
    """A `Progress` for `total` of `unit` (`B`: bytes; 0: unknown). `shown`: default, on a terminal.

    A `total` that costs time to find out is a function, called once there is something to show it in.
    """
    terminal = _terminal or sys.stderr
    plain = _Plain(what, total, unit)
    if not (terminal.isatty() if shown is None else shown):
        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    amount = DownloadColumn() if unit == "B" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Bar(
        *columns, console=Console(file=terminal), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(what, total=plain.total or None)

        class _Rich:
            def advance(self, amount: float) -> None:
                bar.advance(task, amount)
                if terminal is not sys.stderr:  # the notebook keeps plain lines
                    plain.advance(amount)

        yield _Rich()


class _Plain:
    def __init__(self, what: str, total: float | Callable[[], float], unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = 0.0
        self._next = time.monotonic() + PLAIN_EVERY_SECONDS

    @cached_property
    def total(self) -> float:
        return self._total() if callable(self._total) else self._total

    def advance(self, amount: float) -> None:
        self._done += amount
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_EVERY_SECONDS
            of = f" of {_human(self.total, self._unit)}" if self.total >= self._done else ""
            print(f"{self._what}: {_human(self._done, self._unit)}{of}", file=sys.stderr, flush=True)


def _human(amount: float, unit: str) -> str:
    return f"{amount / 1e6:,.1f} MB" if unit == "B" else f"{amount:,.0f} {unit}"
