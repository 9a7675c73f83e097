"""Progress: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Protocol, TextIO

from analytics.common.text import shortened

PLAIN_EVERY_SECONDS = 10.0

# Where a run's kernel shows progress; what it prints itself ends up in the notebook.
_outside: TextIO | None = None


def shown_on(stream: TextIO) -> None:
    """From here on show progress on `stream`, and in plain lines on `sys.stderr` as well."""
    global _outside
    _outside = stream


def show_status(text: str) -> bool:
    """A line on the terminal that the next output, or `hide_status`, replaces; returns False where there is none."""
    if not sys.stderr.isatty():
        return False
    _replace_line(text, sys.stderr)
    return True


def hide_status() -> None:
    """Take the line of `show_status` away."""
    if sys.stderr.isatty():
        _replace_line("", sys.stderr)


def _replace_line(text: str, terminal: TextIO) -> None:
    """`text` as far as it fits, for one that wraps cannot be replaced."""
    # the cursor goes back: a bar that another process draws stands in its place
    shown = shortened(text, (_width(terminal) or 80) - 1)
    print(f"\r\x1b[K{shown}\r", end="", file=terminal, flush=True)


@contextlib.contextmanager
def steps(what: str) -> Iterator[Callable[[str], None]]:
    """A function that is told the name of each step of `what` as it begins, and shows it.

    On a terminal one line says the step at hand. Elsewhere a plain line says it now and then.
    """
    terminal = _outside or sys.stderr
    shows = terminal.isatty()
    last_line = time.monotonic()
    count = 0

    def begin(step: str) -> None:
        nonlocal count, last_line
        count += 1
        if shows:
            _replace_line(f"{what}: {step}", terminal)
        elif time.monotonic() - last_line >= PLAIN_EVERY_SECONDS:
            last_line = time.monotonic()
            print(f"{what}: {step} ({count:,} begun)", file=sys.stderr, flush=True)

    try:
        yield begin
    finally:
        if shows and count:
            _replace_line("", terminal)


def while_heard(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, but for nobody: work goes on when who reads has left (`| head`)."""

    def tell(line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            say(line)

    return tell


class Progress(Protocol):
    """Something that is told how far the work is."""

    def advance(self, amount: float) -> None:
        """`amount` more is done."""


@contextlib.contextmanager
def progress_bar(
    what: str, total: float | Callable[[], float], unit: str, shown: bool | None = None
) -> Iterator[Progress]:
    """A `Progress` for `total` of `unit` (`B`: bytes; 0: unknown). `shown`: default, on a terminal.

    A `total` that costs time to find out is a function, called once there is something to show it in.
    """
    terminal = _outside or sys.stderr
    plain = _Plain(what, total, unit)
    if not (terminal.isatty() if shown is None else shown):
        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    amount = DownloadColumn() if unit == "B" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    console = Console(file=terminal, width=_width(terminal))
    with Bar(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(what, total=plain.total or None)

        class _Rich:
            def advance(self, amount: float) -> None:
                bar.advance(task, amount)
                if _outside:  # the notebook keeps plain lines
                    plain.advance(amount)

        yield _Rich()


def _width(terminal: TextIO) -> int | None:
    """Columns of `terminal`; None when it does not say (Rich then looks at this process's own streams)."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or None
    except (OSError, ValueError):
        return None


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
            line = f"{self._what}: {_human(self._done, self._unit)}{of}"
            print(line, file=sys.stderr, flush=True)
            if _outside and not _outside.isatty():
                print(line, file=_outside, flush=True)


def _human(amount: float, unit: str) -> str:
    return f"{amount / 1e6:,.1f} MB" if unit == "B" else f"{amount:,.0f} {unit}"
