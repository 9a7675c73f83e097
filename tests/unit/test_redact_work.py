"""What redaction costs on hostile text: work that grows with the text's length and no faster.

A transcript may hold anything. A pattern that starts again at every character of a run and reads to its end each time
takes hours for a megabyte: one such line would stop every run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from types import FunctionType, ModuleType
from typing import Any

import pytest
from analytics.privacy import encoded, formats, keys, redact, rules, values

Chars = frozenset[int]
Guard = Callable[[Chars], bool]  # whether something that must be there cannot be one of these characters

ALL = frozenset(range(256))
CATEGORIES = {
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


def chars(kind: Any, value: Any) -> Chars:
    """The characters that an item of a pattern may take."""
    if kind is op.LITERAL:
        return frozenset([value])
    if kind is op.NOT_LITERAL:
        return ALL - {value}
    if kind is op.ANY:
        return ALL
    if kind is op.RANGE:
        return frozenset(range(value[0], value[1] + 1))
    if kind is op.CATEGORY:
        return frozenset(code for code in ALL if re.match(CATEGORIES[value], chr(code)))
    if kind is op.IN:
        found = frozenset().union(*(chars(*item) for item in value if item[0] is not op.NEGATE))
        return ALL - found if value[0][0] is op.NEGATE else found
    if kind is op.BRANCH:
        return frozenset().union(*(chars(*item) for part in value[1] for item in part))
    if kind is op.SUBPATTERN or kind in REPEATS:
        return frozenset().union(*(chars(*item) for item in value[-1]))
    return frozenset()  # takes none


def guards(kind: Any, value: Any) -> list[Guard]:
    """What an item requires."""
    if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
        return [chars(kind, value).isdisjoint]
    if kind is op.SUBPATTERN or (kind in REPEATS and value[0] > 0):
        return [guard for item in value[-1] for guard in guards(*item)]
    if kind is op.BRANCH:
        parts = [[guard for item in part for guard in guards(*item)] for part in value[1]]
        return [lambda run: all(any(guard(run) for guard in part) for part in parts)]
    if kind is op.ASSERT_NOT and value[0] < 0:
        (before,) = value[1]
        return [chars(*before).issuperset]
    return []


def endless(items: Any, required: list[Guard], is_followed: bool, divides: list[Guard] | None = None) -> Iterator[str]:
    """Repetitions without an end that are tried again from each of their characters.

    One is harmless when nothing has to follow it, or when something in front of it must be there that is none of its
    characters: then two starts never share a run. Inside another one, something must divide its turns (`divides`).
    """
    required = list(required)
    for number, (kind, value) in enumerate(items):
        rest = items[number + 1 :]
        followed = is_followed or rest.getwidth()[0] > 0 or any(one[0] in (op.AT, op.ASSERT) for one in rest)
        others = [guard for item in (*items[:number], *rest) for guard in guards(*item)]
        inside = None if divides is None else divides + others
        if kind in REPEATS:
            run, is_endless = chars(kind, value), value[1] is op.MAXREPEAT
            again = followed and not any(guard(run) for guard in required)
            mixed = inside is not None and not any(guard(run) for guard in inside)
            if is_endless and (again or mixed):
                yield str([(kind, value)])
            yield from endless(value[2], required, followed, [] if is_endless else inside)
        elif kind is op.SUBPATTERN:
            yield from endless(value[-1], required, followed, inside)
        elif kind is op.BRANCH:
            for part in value[1]:
                yield from endless(part, required, followed, inside)
        elif kind is op.ASSERT:
            yield from endless(value[1], required, False)
        required += guards(kind, value)


def patterns() -> dict[str, int]:
    """Every pattern that redaction compiles, with its flags."""
    found: dict[str, int] = {}
    seen: set[int] = set()

    def look(one: Any) -> None:
        if id(one) in seen:
            return
        seen.add(id(one))
        if isinstance(one, re.Pattern):
            found[one.pattern] = one.flags
        elif isinstance(one, FunctionType):
            for cell in one.__closure__ or ():
                look(cell.cell_contents)
        elif isinstance(one, rules.Rule):
            look(one.apply)
        elif isinstance(one, tuple | list):
            for item in one:
                look(item)

    for module in (encoded, formats, keys, redact, rules, values):
        for one in vars(module).values():
            if not isinstance(one, ModuleType):
                look(one)
    return found


def problems(pattern: str, flags: int = 0) -> list[str]:
    return list(endless(_parser.parse(pattern, flags & ~re.UNICODE), [], is_followed=False))


def test_no_pattern_reads_a_run_again_from_each_of_its_characters() -> None:
    found = patterns()
    assert len(found) > 100
    assert {pattern: said for pattern, flags in found.items() if (said := problems(pattern, flags))} == {}


@pytest.mark.parametrize(
    "pattern",
    [
        r"\\*\"auth",
        r"[a-z]*\Z",
        r"eyJ[A-Za-z]{10,}\.",
        r"(\\+)(?:u00|/)",
        r"=(?:[a-z]+)+;",
        r"a(b|c+)*d",
        r"-(?:[a-z]+-)*x",
    ],
)
def test_what_would_is_seen(pattern: str) -> None:
    assert problems(pattern)


@pytest.mark.parametrize("pattern", [r"key\\*=", r"[a-z]+", r"(?<!\\)(\\+)/", r"=[a-z]{0,9};", r"=(?:[a-z]+-)*x"])
def test_what_would_not_is_let_be(pattern: str) -> None:
    assert not problems(pattern)


def calls(text: str) -> int:
    """How many functions redacting `text` calls, C's included."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        redact.redact_text(text)
    finally:
        sys.setprofile(before)
    return count


PIECES = (
    *("API_KEY=a-b_c.", "KEY=", "authorization: bearer ", "password:", "://a:x@", "-----BEGIN ", "eyJhbGciOi", "sk-"),
    *("-----BEGIN PRIVATE KEY-----", "!c2stYW50LWFwaTAz", "Private-Lines: 1", "\\u0041", "curl -u a:", "Cookie: a="),
    *("\\", "login a password ", "?sig=", 'auth\\": \\"', "a.b"),
)


@pytest.mark.parametrize("piece", PIECES)
def test_work_grows_with_the_text(piece: str) -> None:
    # what it begins with makes every rule look
    start = 'x "auth" \\u0041 c2stYW50LWFwaTAz eyJhbGciOiJ.eyJ '
    one, two = (calls(start + piece * number) for number in (1_000, 2_000))
    assert two < 2.2 * one + 200
