"""Days, weeks and months: where one begins, what comes after it, and the same days of the one before."""

from __future__ import annotations

from datetime import date, timedelta

DAY = timedelta(days=1)


def beginning(day: date, unit: str) -> date:
    """The first day of the day, week (Monday) or month that `day` lies in."""
    if unit == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if unit == "week" else day


def following(first: date, unit: str) -> date:
    """The first day after the unit that begins on `first`."""
    if unit == "month":
        return (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=7 if unit == "week" else 1)


def preceding(first: date, unit: str) -> date:
    """The first day of the unit before the one that begins on `first`."""
    return beginning(first - DAY, "month") if unit == "month" else first - timedelta(days=7 if unit == "week" else 1)


def same_days_before(first: date, last: date, unit: str) -> tuple[date, date]:
    """The days of the unit before that match `first` (the unit's first day) to `last`: fair until the unit ends."""
    start = preceding(first, unit)
    return start, min(start + (last - first), first - DAY)
