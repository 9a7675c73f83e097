"""Rows in a notebook. What would go wrong: a text from a transcript that runs in JupyterLab's origin, an unknown value
that reads as a number, a million rows written into the notebook."""

from __future__ import annotations

import pandas as pd
from analytics.runs.explore import rows_html

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e"


def test_texts_stay_texts_wherever_they_stand() -> None:
    frame = pd.DataFrame({HOSTILE: [HOSTILE, None], "list": [[HOSTILE], {HOSTILE: HOSTILE}]})
    for shown in (rows_html(frame), rows_html(frame.set_index(HOSTILE)), rows_html(frame.describe(include="all"))):
        assert "<img" not in shown
        assert "<script>alert" not in shown
        assert "\u202e" not in shown
        assert "&lt;img src=x onerror=alert(2)&gt;" in shown


def test_unknown_values_are_empty_and_numbers_stay_numbers() -> None:
    shown = rows_html(
        pd.DataFrame({"count": [1, None], "share": [0.5, None], "day": [pd.Timestamp("2026-05-01"), None]})
    )
    assert "NA" not in shown.partition("<script")[0]
    assert "nan" not in shown.partition("<script")[0].lower()
    assert "1.0" not in shown.partition("<script")[0]
    assert "2026-05-01" in shown


def test_a_large_result_says_that_there_is_more() -> None:
    shown = rows_html(pd.DataFrame({"number": range(50_000)}))
    assert "the first 1,000 of 50,000 rows" in shown
    assert len(shown) < 200_000


def test_odd_frames_are_shown_too() -> None:
    assert rows_html(pd.DataFrame())
    assert rows_html(pd.DataFrame({"none": []}))
    assert rows_html(pd.DataFrame([[1, 2]], columns=["same", "same"]))
