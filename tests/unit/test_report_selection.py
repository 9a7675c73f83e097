"""What `--since`, `--until` and `--project` mean. Without these a report could be off by a day, or a typing error could
select nothing in silence."""

from __future__ import annotations

from datetime import date

import pytest
from analytics.errors import ConfigError
from analytics.reports.selection import Selection, parse_day

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-02-28", date(2026, 2, 28)),
        ("20260228", date(2026, 2, 28)),
        (" Today ", TODAY),
        ("yesterday", date(2026, 2, 28)),
        ("1d", TODAY),
        ("7d", date(2026, 2, 23)),
    ],
)
def test_days_are_read_as_people_write_them(value: str, day: date) -> None:
    assert parse_day("--since", value, TODAY) == day


@pytest.mark.parametrize(
    "value",
    ["", "2026-02-29", "2026-2-3", "202602-28", "2026-W09-1", "28.02.2026", "0d", "-7d", "9999999d", "7", "now"],
)
def test_anything_else_is_named_with_what_is_allowed(value: str) -> None:
    with pytest.raises(ConfigError, match="YYYY-MM-DD, today, yesterday, or 7d") as caught:
        parse_day("--until", value, TODAY)
    assert str(caught.value).startswith(f"--until {value!r}")


def test_both_ends_are_included() -> None:
    chosen = Selection(since=date(2026, 1, 1), until=date(2026, 1, 31))
    assert chosen.days("day") == "true and day >= date '2026-01-01' and day <= date '2026-01-31'"
    assert str(chosen) == "since 2026-01-01, until 2026-01-31"
    assert str(Selection()) == ""
