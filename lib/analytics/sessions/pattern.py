"""A reader's words as patterns: for decoded text, and for the JSON text in which that text is written.

JSON writes one text in many ways: a quote is `\\"`, a line break `\\n`, an umlaut itself or `\\u00fc`. The pattern for
JSON finds every text that the pattern for decoded text finds, and a little more: what it finds is decoded and looked at
again.
"""

from __future__ import annotations

import re

_SHORT = ('"', "\\", "/")
_SPACE = (
    r"(?: |\\[nrtfb]|\\u00[0-2][0-9a-f]|\\u[23]0[0-9a-f][0-9a-f]"
    r"|[\x{00a0}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{3000}])+"
)
# A writer may escape letters and digits too. Few do; where it happens the whole text is looked at.
ESCAPED_ASCII = r"\\u00[2-7][0-9a-f]"


def for_text(words: str) -> re.Pattern[str]:
    """Finds `words` in decoded text: case does not matter, and any space stands for any others."""
    return re.compile(r"\s+".join(map(re.escape, words.split())), re.IGNORECASE)


def for_json(words: str) -> str:
    """The same for JSON text in which no letter or digit of ASCII is escaped, in RE2's words."""
    written = _SPACE.join("".join(map(_written, word)) for word in words.split())
    return f"(?i){written}"


def _written(char: str) -> str:
    """Every way in which JSON may write a character."""
    if char.isascii() and char.isalnum():
        return char
    ways = [_literal(char)] if char not in ('"', "\\") else []
    if char in _SHORT:
        ways.append(r"\\" + re.escape(char))
    ways += [_escape(form) for form in dict.fromkeys((char, char.lower(), char.upper())) if not form.isascii()]
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _literal(char: str) -> str:
    return re.escape(char) if char.isascii() else rf"\x{{{ord(char):x}}}"


def _escape(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(rf"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
