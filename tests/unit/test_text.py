"""Text on its way out. Without these a page that somebody's agent has read writes on the terminal, opens the clipboard
(OSC 52), turns a line around or has a spreadsheet compute."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from analytics.common.text import (
    clean,
    display_width,
    excerpt,
    folded,
    for_csv,
    for_json,
    for_terminal,
    one_line,
    shortened,
)

CONTROLS = [chr(code) for code in (*range(32), *range(0x7F, 0xA0))]
INVISIBLE = list("\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\ufff9\U000e0041\ud800")


@pytest.mark.parametrize("char", [*CONTROLS, *INVISIBLE], ids=lambda char: f"{ord(char):04x}")
def test_no_character_that_is_obeyed_gets_out(char: str) -> None:
    text = f"before{char}after"
    assert one_line(text) in ("beforeafter", "before after")
    assert for_terminal(text) == (text if char == "\n" else one_line(text))
    escaped = for_json(json.dumps({"a": text}, ensure_ascii=False))
    assert char not in escaped
    assert json.loads(escaped) == {"a": text}
    assert char not in for_csv(text)


def test_ordinary_text_stays() -> None:
    text = "naïve Ελλάδα 日本 🎉 e\u0301 – “quoted” €"
    assert one_line(text) == for_terminal(text) == for_csv(text) == text
    assert for_json(json.dumps(text, ensure_ascii=False)) == json.dumps(text, ensure_ascii=False)
    assert for_json(json.dumps("\U000e0041")) == json.dumps("\U000e0041")


def test_bold_is_all_that_a_terminal_gets() -> None:
    assert for_terminal("\x1b[1mtotal\x1b[0m\nnext") == "\x1b[1mtotal\x1b[0m\nnext"
    assert for_terminal("\x1b[2J\x1b]52;c;aGk=\x07\x9b8m") == "[2J]52;c;aGk=8m"
    assert "\x1b" not in one_line("\x1b[1m")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "＝", "＋", "－", "＠"])
def test_a_cell_is_never_a_formula(start: str) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["first", for_csv(text)])
    assert out.getvalue().count("\n") == 1
    assert "\r" not in out.getvalue()
    (row,) = csv.reader(io.StringIO(out.getvalue()))
    assert row[1].startswith("'")


def test_ids_and_numbers_stay_what_they_are_in_a_cell() -> None:
    for text in ("-home-ada-my.app", "-1.5", "+4", "2026-01-01", "claude-opus-4-6"):
        assert for_csv(text) == text


def test_width_is_what_a_terminal_takes() -> None:
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1
    assert display_width("🎉") == 2
    assert shortened("日本語テキスト", 5) == "日本…"


def test_commands_print_by_one_function() -> None:
    folder = Path(__file__).parents[2] / "lib" / "analytics" / "cli"
    for path in folder.glob("*.py"):
        if path.name != "output.py":
            assert not re.search(r"click\.s?echo|\bprint\(|sys\.std(?:out|err)\.write", path.read_text()), path


@pytest.mark.parametrize(
    "text",
    ["a\x1b]52;c;eA==\x07b", "a\x07b", "a\x9b31mb", "a\u202eb", "a\ufffeb", "a\ud800b", "a\x00b", "a\u2028b", "a\x7fb"],
)
def test_what_drives_a_terminal_or_breaks_a_chart_is_replaced(text: str) -> None:
    found = clean(text)
    assert found.startswith("a")
    assert found.endswith("b")
    assert len(found) == len(text)
    assert set(found) & set("\x1b\x07\x9b\u202e\ufffe\ud800\x00\u2028\x7f") == set()


def test_ordinary_text_stays_as_it_is_in_charts() -> None:
    text = "Ünïcode, 日本語, emoji 🎉, tab\tand\nlines\r\n"
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("short", 10, "short"),
        ("The first sentence. And a second one that is long", 30, "The first sentence. …"),
        ("words without any end that is a sentence's", 30, "words without any end that …"),
        ("x" * 40, 10, "xxxxxxxx …"),
    ],
)
def test_excerpt_ends_where_a_reader_can_stop(text: str, limit: int, shown: str) -> None:
    assert excerpt(text, limit) == shown
    assert len(shown) <= limit


def test_folded_lines_fit_and_keep_their_words() -> None:
    text = "note: 330 responses never got a final output count in the transcript\nsecond"
    lines = folded(text, 40).split("\n")
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert lines[1].startswith("  ")
