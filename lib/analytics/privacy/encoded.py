"""Secrets behind an encoding: characters that JSON may write as `\\u0041`, and base64 of a token or a key file."""

from __future__ import annotations

import base64
import binascii
import math
import re

from analytics.privacy.formats import COMPILED
from analytics.privacy.values import Counts, mark

# Printable ASCII, but not the quote and the backslash; a slash.
ESCAPE = r"\\u00(?:2[013-9a-fA-F]|[346][0-9a-fA-F]|5[0-9abdefABDEF]|7[0-9a-eA-E])"
_ESCAPED = re.compile(r"(?<!\\)(\\+)(?:u00(2[013-9a-fA-F]|[346][0-9a-fA-F]|5[0-9abdefABDEF]|7[0-9a-eA-E])|/)")


def unescaped(text: str) -> str:
    """JSON `text` with the characters written out that need no escape, in nested JSON too."""
    return _ESCAPED.sub(_character, text) if "\\u00" in text or "\\/" in text else text


def _character(match: re.Match[str]) -> str:
    slashes = len(match[1])
    char = chr(int(match[2], 16)) if match[2] else "/"
    # an even number escapes itself here, and the character one level further in
    return match[1][: slashes - (1 if slashes % 2 else 2)] + char


# What a token of each format starts with; its base64 has one of three forms, by where it stands in the whole.
_STARTS = (
    *("sk-ant-", "sk-proj-", "sk-or-v1-", "github_pat_", "ghp_", "gho_", "ghs_", "glpat-", "xoxb-", "xoxp-", "AKIA"),
    *("AIza", "npm_", "pypi-", "sk_live_", "rk_live_", "-----BEGIN ", "dckr_pat_", "hf_", "SG.", "dop_v1_", "shpat_"),
)


def _forms(start: str) -> list[str]:
    found = []
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + start.encode() + b"\0\0").decode()
        found.append(whole[math.ceil(before * 8 / 6) : (before + len(start)) * 8 // 6])
    return found


_FORMS = sorted({form for start in _STARTS if len(start) > 3 for form in _forms(start)})
TRIGGER = "|".join(map(re.escape, _FORMS))
_FORM = re.compile(TRIGGER)
_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY")


def redact_encoded(text: str, counts: Counts) -> str:
    """Replace runs of base64 that hold a token of a known format or a private key."""

    def replace(match: re.Match[str]) -> str:
        run = match.group()
        # `\n` before the run is an escape, its n no part of it
        begin = 1 if match.string[match.start() - 1 : match.start()] == "\\" else 0
        if not _FORM.search(run, begin) or not _holds_secret(run[begin:]):
            return run
        return run[:begin] + mark("encoded_secret", counts)

    return _RUN.sub(replace, text)


def _holds_secret(run: str) -> bool:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(run[: len(run) // 4 * 4 + (len(run) % 4 if len(run) % 4 > 1 else 0)] + "==")
    except (ValueError, binascii.Error):
        return False
    text = decoded.decode("latin-1")
    return bool(_PRIVATE.search(text)) or any(
        literal in text and pattern.search(text) for kind, literal, pattern in COMPILED if kind != "discord_token"
    )
