"""The one place where text becomes fit to be shown. Without it a title could drive the reader's terminal."""

import pytest
from analytics.common.text import clean


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


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Ünïcode, 日本語, emoji 🎉, tab\tand\nlines\r\n"
    assert clean(text) == text
