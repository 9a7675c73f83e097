"""Does a value look like a secret, or like code, a word, a path, a number, a placeholder?"""

from __future__ import annotations

import base64
import binascii
import itertools
import re

MARK = "[REDACTED:"

Counts = dict[str, int]  # kind of secret -> how many were replaced

_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|redacted|your[-_a-z]|change[-_]?(?:me|this|it)|dummy|fake|xxx|\*\*\*|\.\.\.|"
    r"insert[-_]|replace[-_]|<|todo|password|passwd|secret[-_]?(?:key|here)|api[-_]?key|token[-_]here|not[-_]?set|"
    r"^(?:my|the|some|test|mock|sample|demo|none|null|nil|true|false|undefined|unset|empty|default|secret|pass|"
    r"user|admin|root|string|str|process|import|env|os|config|settings|self|this|new|await|async)(?:[-_.]|$)"
)
_WORD = re.compile(r"[A-Z]?[a-z]+[0-9]{0,2}|[A-Z]{2,}|[vV]?[0-9]{1,4}")
_DOTTED = re.compile(r"[A-Za-z_$][\w$]{0,30}(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]{0,40})+;?")
_NUMBER_LIKE = re.compile(r"[0-9][0-9.:_TZ/+-]*[a-zA-Z]{0,2}")
_UUID_OR_HASH = re.compile(r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64})")
_PATH = re.compile(r"(?:[~.$%@]{0,2}/|[A-Za-z]:[/\\]|[a-z][a-z0-9+.-]{0,40}://|file:|~)")
_TOOL_ID = re.compile(r"(?:toolu|msg|req|call|srvtoolu|chatcmpl|agent|session|run|evt|thread)_[A-Za-z0-9]+")

# Names that end in KEY and hold none.
_NO_SECRET_NAME = re.compile(
    r"(?:PUBLIC|PUBLISHABLE|PUBLISH|PRIMARY|FOREIGN|UNIQUE|CACHE|SORT|PARTITION|STORAGE|QUERY|IDEMPOTENCY|HOT|"
    r"INDEX|ROUTING|GROUP|SHARD|LOOKUP|MAP|DICT|OBJECT|COMPOSITE|SURROGATE|NATURAL|REGISTRY|CONFIG|SETTINGS?|"
    r"ENV|COLUMN|FIELD|HEADER|METADATA|MAX|MIN|NUM|COUNT|EVENT|STATE|FEATURE|FLAG|ANON)_"
    r"(?:KEY|TOKEN|PASS)|_?(?:MAX|NEXT|EOS|BOS|PAD|SEP|CLS|MASK|UNK)_TOKEN|(?:^|_)(?:BY|TWO|FIRST|ONE)_?PASS|NEXT_PUBLIC_"
)
_STRONG_NAME = re.compile(r"(?i)api|secret|token|pass|pwd|access|auth|private|encryp|sign|master|jwt|bot")


def mark(kind: str, counts: Counts) -> str:
    """What stands where a secret of that kind was; counts it."""
    counts[kind] = counts.get(kind, 0) + 1
    return f"{MARK}{kind}]"


def is_assigned_secret(name: str, value: str, *, is_quoted: bool) -> bool:
    """Whether `name = value` gives a secret away."""
    upper = name.upper()
    is_password = "PASS" in upper or "PWD" in upper
    if _NO_SECRET_NAME.search(upper):
        return False
    if not _STRONG_NAME.search(name) and _UUID_OR_HASH.fullmatch(value):
        return False
    if name.isupper():
        if is_password:
            return looks_password(value)
        return looks_secret(value, minimum=8)
    # Names in lower case are variables and arguments as well: only what cannot be one.
    if is_password:
        return is_quoted and len(value) >= 8 and classes(value) >= 3 and looks_password(value)
    return looks_secret(value, minimum=16)


def is_given(value: str) -> bool:
    """Whether a password is written out: no placeholder, variable or mark."""
    return not (
        value.startswith((MARK, "$", "{", "%s", "%(", "#{", ":"))
        or "${" in value
        or "{{" in value
        or re.fullmatch(r"(?i)p(?:ass(?:word|wd)?|wd|w|ss)|secret|\*+|x+|\.+|…", value)
        or _PLACEHOLDER.search(value)
    )


def classes(value: str) -> int:
    return sum(
        (
            any(c.islower() for c in value),
            any(c.isupper() for c in value),
            any(c.isdigit() for c in value),
            any(not c.isalnum() for c in value),
        )
    )


def looks_password(value: str) -> bool:
    """Whether a value assigned to a password's name is one: anything written out that is not a word."""
    return not (
        len(value) < 6
        or not is_given(value)
        or _is_path(value)
        or _DOTTED.fullmatch(value)
        or _NUMBER_LIKE.fullmatch(value)
        or len(set(value)) < 4
        or classes(value) < 2
        or re.fullmatch(r"[A-Z][A-Z0-9_]+|[a-z]+(?:[A-Z][a-z]+)*|[a-z]+(?:_[a-z]+)*|[A-Za-z]+(?:-[a-z]+)*", value)
    )


def looks_secret(value: str, *, minimum: int) -> bool:
    """Whether a value is a secret rather than code, a word, a path, a number or a placeholder."""
    if (
        len(value) < minimum
        or value.startswith((MARK, "$", "%", "@", "&", "#"))
        or len(set(value)) < 6
        or _PLACEHOLDER.search(value)
        or _is_path(value)
        or _DOTTED.fullmatch(value)
        or _NUMBER_LIKE.fullmatch(value)
        or _is_words(value)
        or _TOOL_ID.fullmatch(value)
        or "://" in value
        or re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", value)
    ):
        return False
    if any(c.isdigit() for c in value) and any(c.isalpha() for c in value):
        # user2Token, getV2Key, path/to/file2.txt: words with a digit.
        letters_and_digits = re.findall(r"[0-9]+", value)
        is_words = len(letters_and_digits) == 1 and (_is_camel_case(re.sub(r"[0-9]+", "", value)) or "/" in value)
        return not is_words
    return _is_mixed(value)


def _is_words(value: str) -> bool:
    """Two or more words or short numbers, joined: cache-key-v2."""
    parts = re.split(r"[-_.:/]", value)
    return len(parts) > 1 and all(_WORD.fullmatch(part) for part in parts)


def _is_path(value: str) -> bool:
    """A file or an address. Base64 can begin with a slash too: then a part of it is no name."""
    return bool(_PATH.match(value)) and not any(
        len(part) >= 10 and classes(part) >= 3 for part in re.split(r"[/._-]", value)
    )


def _is_camel_case(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]?[a-z]+(?:[A-Z][a-z]{2,})*[_-]*", value))


def _is_mixed(value: str) -> bool:
    """Letters only: upper and lower case change as often as by chance, or it is too long for a name."""
    letters = [c for c in value if c.isalpha()]
    if len(letters) < 16:
        return False
    changes = sum(a.isupper() != b.isupper() for a, b in itertools.pairwise(letters))
    return changes / len(letters) > 0.3


def looks_random(value: str) -> bool:
    """Whether a value with nothing around it that says so is a token."""
    return looks_secret(value, minimum=12) and classes(value) >= 2 and len(set(value)) >= 8


def is_credentials(value: str) -> bool:
    """Whether a value is base64 of `user:password`."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (ValueError, binascii.Error):
        return False
