"""Tables of `claude-analytics report`. Without these a narrow terminal could lose digits, and a title could write on
the terminal what it likes."""

from __future__ import annotations

from typing import Any

import pytest
from analytics.common.text import display_width, one_line, shortened
from analytics.reports import cells
from analytics.reports.table import abbreviated, draw

ROW = {
    "name": "a name that goes on and on, further than anyone reads",
    "big": 104_145_758,
    "small": 3,
    "key": "0123456789ab",
}
COLUMNS = [
    cells.text("name", "name", shrinks_to=10),
    cells.text("key", "key", shrinks_to=4, is_key=True),
    cells.count("small", "small", optional=2),
    cells.count("big\nnumber", "big"),
]


def table(width: int, **more: Any) -> str:
    return draw(COLUMNS, [ROW], {"big": 104_145_758, "small": 3}, width, **more)


@pytest.mark.parametrize("width", range(24, 120))
def test_table_fits_when_there_is_any_room(width: int) -> None:
    lines = table(width).split("\n")
    assert max(map(len, lines)) <= width
    assert lines[-1].endswith(("104,145,758", "104.1M"))


def test_everything_is_shown_when_it_fits() -> None:
    assert table(100).split("\n") == [
        "                                                                                    big",
        "name                                                   key           small       number",
        "a name that goes on and on, further than anyone reads  0123456789ab      3  104,145,758",
        "total                                                                    3  104,145,758",
    ]


def test_digits_are_never_cut_off_when_nothing_fits() -> None:
    assert "104.1M" in table(5)


def test_optional_columns_go_before_texts_become_unreadable() -> None:
    assert "small" in table(60)
    assert "small" not in table(40)
    assert "104,145,758" in table(40)


def test_keys_keep_their_beginning_without_a_mark() -> None:
    assert "  0123  " in table(40)


def test_headers_and_totals_stand_out_when_there_is_a_style() -> None:
    lines = table(100, style=lambda line: f"*{line}*").split("\n")
    assert [line.startswith("*") for line in lines] == [True, True, False, False, True]
    assert set(lines[2]) == {"─"}


def test_texts_stay_texts() -> None:
    assert one_line("a\x1b[31mb\nc\u2028d\u202ee\x00\t") == "a[31mb c de "


def test_wide_characters_take_two_columns() -> None:
    assert display_width("日本") == 4
    assert display_width("é") == display_width("e\u0301") == 1
    assert shortened("日本語", 5) == "日本…"
    assert shortened("日本語", 4) == "日…"


def test_numbers_are_abbreviated_to_four_digits() -> None:
    numbers = (0, 999, 1_000, 999_949, 999_950, 104_145_758, 1_234_567_890_123)
    assert [abbreviated(number) for number in numbers] == ["0", "999", "1.0k", "999.9k", "1.0M", "104.1M", "1.2T"]


def test_a_small_cost_does_not_look_like_none() -> None:
    assert [cells.dollars(value) for value in (0, 0.004, 0.005, 1234.5)] == ["0.00", "<0.01", "0.01", "1,234.50"]
    assert cells.dollars(0.004, "≥") == "≥0.00"
