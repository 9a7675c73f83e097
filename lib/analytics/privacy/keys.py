"""Private keys that are more than one line: PEM blocks, PuTTY files, WireGuard settings."""

from __future__ import annotations

import re
from functools import partial

from analytics.privacy.values import Counts, mark

PEM_LABEL = r"(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"

# How much of a key block is looked at when its end is missing, in characters.
_KEY_BLOCK_CHARACTERS = 20_000

_KEY_BEGIN = re.compile(rf"-----BEGIN {PEM_LABEL}")
_KEY_END = re.compile(rf"-----END {PEM_LABEL}")
# An escape (left alone), or a run of base64; `\n` before base64 must not lose its n.
_KEY_BODY = re.compile(r"(\\+(?:u[0-9a-fA-F]{4}|[nrtbf\"'/])?)|([A-Za-z0-9+/=]{16,})")
_IN_ONE_STRING = re.compile(r"(?:[^\"\\]|\\.)*")
# The last line of a block is short.
_LAST_LINE = re.compile(r"((?:\\[nr]|\n|\r)[ \t]*)([A-Za-z0-9+/]{2,15}={0,2})(?=\s*(?:\\+[nr]|\n|\r|\"|-----|\Z))")

_PUTTY = re.compile(r"(Private-Lines: ?[0-9]{1,3})(.{16,8000}?)(?=Private-MAC|\Z)", re.DOTALL)
_PUTTY_BODY = re.compile(r"(\\+(?:u[0-9a-fA-F]{4}|[nrtbf\"'/])?)|([A-Za-z0-9+/]{4,}={0,2})")
_WIREGUARD = re.compile(r"((?:PrivateKey|PresharedKey)\s{0,3}=\s{0,3})([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)")


def redact_key_blocks(text: str, counts: Counts) -> str:
    """Replace private key blocks: whole where they stand in one JSON string, else (a patch keeps each line as a
    string of its own; the end was cut off) every run of base64 after the first line."""
    parts, position = [], 0
    for begin in _KEY_BEGIN.finditer(text):
        if begin.start() < position:
            continue
        end = _KEY_END.search(text, begin.end(), begin.end() + _KEY_BLOCK_CHARACTERS)
        stop = end.start() if end else min(len(text), begin.end() + _KEY_BLOCK_CHARACTERS)
        one_string = _IN_ONE_STRING.match(text, begin.end(), stop)
        in_string = one_string.end() if one_string else begin.end()
        if not end:
            stop = in_string
        body = text[begin.end() : stop]
        if not any(match.group(2) for match in _KEY_BODY.finditer(body)):
            continue
        replaced = mark("private_key", counts)
        if end and in_string == stop:
            parts += [text[position : begin.start()], replaced]
            position = end.end()
        else:
            pieces = _LAST_LINE.sub(rf"\g<1>{replaced}", body)
            pieces = _KEY_BODY.sub(partial(_piece, replaced), pieces)
            parts += [text[position : begin.end()], pieces]
            position = stop
    return "".join((*parts, text[position:])) if parts else text


def _piece(replaced: str, match: re.Match[str]) -> str:
    return match[1] or replaced


def redact_putty(text: str, counts: Counts) -> str:
    """Replace the private lines of PuTTY's key files."""

    def replace(match: re.Match[str]) -> str:
        if not re.search(r"[A-Za-z0-9+/]{32}", match[2]):
            return match.group()
        replaced = mark("private_key", counts)
        return match[1] + _PUTTY_BODY.sub(partial(_piece, replaced), match[2])

    return _PUTTY.sub(replace, text)


def redact_wireguard(text: str, counts: Counts) -> str:
    """Replace keys in WireGuard's settings."""
    return _WIREGUARD.sub(lambda match: match[1] + mark("private_key", counts), text)
