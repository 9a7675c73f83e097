"""What of somebody's text may reach a terminal, a page, a chart, a file of JSON or a spreadsheet: at this one place.

Transcripts hold whatever a tool printed. An escape sequence drives the terminal it is printed to, U+202E turns a line
around, a spreadsheet computes what begins with `=`, and a chart renderer aborts the whole process on a character that
XML does not allow.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any, TextIO

ELLIPSIS = "…"

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"

_ODD = re.compile(r"[^ -~]")
# A spreadsheet computes what begins like this, also written in full width, and takes tabs and line breaks away first.
# Ids of projects (-home-ada-app) are names at worst; others read them from here.
_FORMULA = re.compile(r"\s*(?:[=@＝＠]|[+\-＋－](?![\w.-]*\Z))")

# C0 and C1 controls but tab, line feed and carriage return; surrogates; marks that change the direction of text;
# code points that are no characters.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)
REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """`text` with U+FFFD in place of each character that does more than stand there."""
    return _UNFIT.sub(REPLACEMENT, text)


def one_line(text: str) -> str:
    """`text` on one line, without what a terminal would obey (controls, marks of direction) or not show at all."""
    if text.isascii() and text.isprintable():
        return text
    return _ODD.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    char = match.group()
    if char.isprintable():
        return char
    return " " if char.isspace() else ""


def for_terminal(text: str) -> str:
    """Whole output: lines and bold stay, everything else that a terminal would obey goes."""
    return "\n".join(
        "".join(part if part in (BOLD, PLAIN) else one_line(part) for part in re.split(r"(\x1b\[[01]m)", line))
        for line in text.split("\n")
    )


class TerminalStream:
    """A stream that writes what `for_terminal` leaves of a text: for what others print."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what may reach a terminal; returns how many characters were given."""
        self._stream.write(for_terminal(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def for_json(text: str) -> str:
    """JSON text with every character escaped that is not seen as itself; it stays the same document."""
    return "\n".join(_ODD.sub(_escaped, line) for line in text.split("\n"))


def _escaped(match: re.Match[str]) -> str:
    char = match.group()
    return char if char.isprintable() else json.dumps(char)[1:-1]


def for_csv(text: str) -> str:
    """A cell: one line, and never a formula. What would be one gets an apostrophe, as spreadsheets write texts."""
    line = one_line(text)
    return f"'{line}" if _FORMULA.match(line) else line


# What reports write themselves takes one column each.
_NARROW = str.maketrans(dict.fromkeys(f"≥≤{ELLIPSIS}–", "x"))


def display_width(text: str) -> int:
    """Columns of a terminal that `text` (as `one_line` leaves it) takes."""
    if text.isascii() or text.translate(_NARROW).isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(0, wcswidth(text))


def excerpt(text: str, limit: int) -> str:
    """`text` when it has at most `limit` characters, else its beginning: whole sentences or words."""
    if len(text) <= limit:
        return text
    begun = text[: limit - 1]
    sentence = max(begun.rfind(end) for end in (". ", "; "))
    word = begun.rfind(" ")
    if sentence >= limit // 3:
        return f"{begun[: sentence + 1]} {ELLIPSIS}"
    return f"{begun[:word] if word >= limit // 3 else begun[: limit - 2]} {ELLIPSIS}"


def folded(text: str, width: int) -> str:
    """Lines of at most `width` columns, broken between words; what continues a line is indented."""
    return "\n".join(
        part
        for line in text.split("\n")
        for part in textwrap.wrap(
            line, max(width, 20), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        or [""]
    )


def shortened(text: str, width: int, mark: str = ELLIPSIS) -> str:
    """The beginning of `text` that fits into `width` columns with the mark that something is missing."""
    if display_width(text) <= width:
        return text
    left = width - len(mark)
    kept = []
    for char in text:
        left -= display_width(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + mark
