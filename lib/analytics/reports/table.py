"""Tables that fit the width they are given, without ever cutting off a digit.

Too wide a table loses the ends of very long texts first, then its optional columns, then more of its texts; when that
is not enough, numbers are abbreviated (104.1M).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.common.text import BOLD, ELLIPSIS, PLAIN, display_width, shortened

GAP = "  "
# Texts are not cut below this for the sake of an optional column.
READABLE_WIDTH = 24


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        header: a line break in it is one in the table.
        cell: a row's text; its second argument writes a number, exactly or abbreviated.
        optional: 0 is always shown; the highest number goes first.
        shrinks_to: a text that may be cut to this width, its end first; None for numbers.
        is_key: a text of which the beginning alone is good enough to find it again: cut without a mark.
    """

    header: str
    cell: Callable[[dict[str, Any], Callable[[int], str]], str]
    optional: int = 0
    shrinks_to: int | None = None
    is_text: bool = False
    is_key: bool = False

    @property
    def is_left(self) -> bool:
        """Texts stand on the left, numbers on the right."""
        return self.is_text or self.shrinks_to is not None


def draw(
    columns: Sequence[Column],
    rows: Sequence[dict[str, Any]],
    totals: dict[str, Any] | None,
    width: int,
    style: Callable[[str], str] | None = None,
) -> str:
    """The table as text.

    Args:
        totals: the last row, called total; texts have none.
        style: makes the header and the total stand out, and adds a rule between: for a terminal.
    """
    shown, lines, widths = _fit(columns, rows, totals, width)
    heads = [column.header.split("\n") for column in shown]
    height = max(map(len, heads))
    heads = [[""] * (height - len(head)) + head for head in heads]
    header = [_line(shown, [head[number] for head in heads], widths) for number in range(height)]
    body = [_line(shown, line, widths) for line in lines]
    if style:
        header = [style(line) for line in header] + ["─" * _sum(widths)]
        if totals is not None:
            body[-1] = style(body[-1])
    return "\n".join([*header, *body])


def style_of(terminal: bool | None = None, plain: bool = False) -> Callable[[str], str] | None:
    """How a header stands out: None where standard output is no terminal.

    Args:
        terminal: default: whether standard output is one.
        plain: without bold: NO_COLOR is set.
    """
    if not (sys.stdout.isatty() if terminal is None else terminal):
        return None
    return str if plain else emphasis


def emphasis(text: str) -> str:
    """Bold, on a terminal."""
    return f"{BOLD}{text}{PLAIN}"


def exact(number: int) -> str:
    """`104,145,758`."""
    return f"{number:,}"


def abbreviated(number: int) -> str:
    """`104.1M`: three or four digits and the power."""
    for power, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,950 would be written as 1000.0k
        if number >= power * 0.99995:
            return f"{number / power:.1f}{letter}"
    return str(number)


def _fit(
    columns: Sequence[Column], rows: Sequence[dict[str, Any]], totals: dict[str, Any] | None, width: int
) -> tuple[list[Column], list[list[str]], list[int]]:
    optional = sorted({column.optional for column in columns}, reverse=True)
    for number in (exact, abbreviated):
        every = [[column.cell(row, number) for column in columns] for row in rows]
        if totals is not None:
            every.append(_total(columns, totals, number))
        natural = _widths(columns, every)
        for limit in optional:
            kept = [position for position, column in enumerate(columns) if column.optional <= limit]
            shown = [columns[position] for position in kept]
            lines = [[line[position] for position in kept] for line in every]
            widths = _squeezed(shown, [natural[position] for position in kept], width, can_drop=limit > 0)
            if _sum(widths) <= width:
                return shown, _cut(shown, lines, widths), widths
    return shown, _cut(shown, lines, widths), widths


def _squeezed(columns: Sequence[Column], natural: Sequence[int], width: int, *, can_drop: bool) -> list[int]:
    """Widths after cutting texts as far as needed and allowed; keys first."""
    widths = list(natural)
    excess = _sum(widths) - width
    for position, column in sorted(enumerate(columns), key=lambda item: not item[1].is_key):
        if excess > 0 and column.shrinks_to is not None:
            least = max(column.shrinks_to, READABLE_WIDTH) if can_drop and not column.is_key else column.shrinks_to
            spare = max(0, widths[position] - least)
            # half of what is left of a key is no better than its beginning
            taken = spare if column.is_key else min(excess, spare)
            widths[position] -= taken
            excess -= taken
    return widths


def _total(columns: Sequence[Column], totals: dict[str, Any], number: Callable[[int], str]) -> list[str]:
    return ["total", *("" if column.is_left else column.cell(totals, number) for column in columns[1:])]


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(columns: Sequence[Column], lines: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(
            [*(display_width(part) for part in column.header.split("\n"))]
            + [display_width(line[position]) for line in lines]
        )
        for position, column in enumerate(columns)
    ]


def _cut(columns: Sequence[Column], lines: Sequence[Sequence[str]], widths: Sequence[int]) -> list[list[str]]:
    return [
        [
            text if display_width(text) <= width else shortened(text, width, "" if column.is_key else ELLIPSIS)
            for column, text, width in zip(columns, line, widths, strict=True)
        ]
        for line in lines
    ]


def _line(columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for column, text, width in zip(columns, texts, widths, strict=True):
        space = " " * (width - display_width(text))
        cells.append(text + space if column.is_left else space + text)
    return GAP.join(cells).rstrip()
