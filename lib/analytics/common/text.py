"""Text from transcripts, made fit for a terminal, a page or a chart: at this one place.

Transcripts hold whatever a tool printed. An escape sequence drives the terminal it is printed to, U+202E turns a line
around, and a chart renderer aborts the whole process on a character that XML does not allow.
"""

from __future__ import annotations

import re

# C0 and C1 controls but tab, line feed and carriage return; surrogates; marks that change the direction of text;
# code points that are no characters.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)
REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """`text` with U+FFFD in place of each character that does more than stand there."""
    return _UNFIT.sub(REPLACEMENT, text)
