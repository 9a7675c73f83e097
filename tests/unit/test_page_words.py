"""What pages say of numbers, and how a chart tells its series apart. Without these a change of nothing is red, counts
run together, and two of many models have one colour.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from analytics.cards.model import load_dashboards
from analytics.common import formats
from analytics.web.charts import COLORS, MOST_SERIES, REST, Span, time_chart
from hypothesis import given, settings
from hypothesis import strategies as st

SPEND = next(card for board in load_dashboards() for card in board.cards if card.key == "spend_by_day")


@pytest.mark.parametrize(
    ("style", "now", "before", "said"),
    [
        ("percent", 0.96, 0.95, ("▲ 1.0 points", 1)),
        ("percent", 0.9601, 0.9600, ("= unchanged", 0)),
        ("usd", 90, 100, ("▼ 10%", -1)),
        ("usd", 99.97, 100, ("= unchanged", 0)),
        ("usd", 5, 0, ("▲", 1)),
        ("count", 1040, 1000, ("▲ 4.0%", 1)),
    ],
)
def test_a_change_that_cannot_be_seen_is_none(style: str, now: float, before: float, said: tuple[str, int]) -> None:
    assert formats.change(style, now, before) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("12366 of 465606", "12,366 of 465,606"),
        ("house-coder-2: 12366, other-20251101: 7", "house-coder-2: 12,366, other-20251101: 7"),
        ("2026-06-02 to 2026-11-28", "2026-06-02 to 2026-11-28"),
        ("2026-11-28 15:04:12 UTC", "2026-11-28 15:04:12 UTC"),
        ("1.0.12345 and 12,345 and 0.12345", "1.0.12345 and 12,345 and 0.12345"),
        ("1234.", "1,234."),
    ],
)
def test_counts_in_sentences_are_grouped(text: str, said: str) -> None:
    assert formats.grouped(text) == said


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 25), st.permutations(range(25)))
def test_many_models_are_told_apart_and_add_up(count: int, places: list[int]) -> None:
    span = Span(date(2026, 11, 1), date(2026, 11, 3))
    rows = [
        {"period_start": span.first + timedelta(days=place % 3), "model": f"model-{place}", "cost_usd": place + 1}
        for place in range(count)
    ]
    ranks = {f"model-{place}": rank for place, rank in enumerate(places)}
    chart = time_chart(
        SPEND, rows, span, lambda **_: None, lambda name, place: f"var(--c{ranks.get(name, place) % COLORS})"
    )
    assert chart is not None
    names = [series.name for series in chart.legend]
    assert len(names) == min(count, MOST_SERIES + 1)
    assert (REST in names) == (count > MOST_SERIES + 1)
    assert len({series.color for series in chart.legend}) == len(names)
    assert sum(value["y"] for value in chart.spec["data"]["values"]) == sum(range(1, count + 1))
