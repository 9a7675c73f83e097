"""What a reader chose, as it stands in a page's address: days, project, model, machine, person, tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from analytics.cards.query import Selection
from analytics.common.periods import DAY, beginning, preceding
from analytics.common.text import clean
from analytics.web.published import Facts, Project

PRESETS = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "365": "Last 365 days",
    "month": "This month",
    "previous": "Month before",
    "year": "This year",
    "all": "All days",
}
DEFAULT_PRESET = "30"
# Filters with a list of names: what each is called in an address, and its list in `Facts`.
NAMED = {"model": "models", "machine": "machines", "person": "people", "tool": "tools"}


class BadAddress(Exception):
    """An address says something that cannot be shown; the message is one sentence for the reader."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Choice:
    """A reader's choice. `preset` is a key of PRESETS, or "" when `first` and `last` were chosen themselves.

    `first` and `last` are the days it comes to, both included; None: no bound.
    """

    preset: str = "all"
    first: date | None = None
    last: date | None = None
    project: Project | None = None
    model: str | None = None
    machine: str | None = None
    person: str | None = None
    tool: str | None = None

    def selection(self) -> Selection:
        """The same for a card's SQL."""
        return Selection(
            first_day=self.first,
            last_day=self.last,
            projects=(self.project.path,) if self.project and self.project.path else (),
            models=(self.model,) if self.model else (),
            machines=(self.machine,) if self.machine else (),
            people=(self.person,) if self.person else (),
            tools=(self.tool,) if self.tool else (),
        )

    @property
    def narrowed(self) -> tuple[str, ...]:
        """Names of the filters in force, as the cards' SQL calls them."""
        chosen = {"date": self.first or self.last, "project": self.project, **self._named()}
        return tuple(name for name, value in chosen.items() if value)

    def _named(self) -> dict[str, str | None]:
        return {name: getattr(self, name) for name in NAMED}

    @property
    def words(self) -> tuple[str, ...]:
        """What is chosen beside the days, as a reader knows it."""
        chosen = (self.project and self.project.label, *self._named().values())
        return tuple(clean(word) for word in chosen if word)

    def address(self, **changes: Any) -> str:
        """The choice as a query string, `changes` made to it; "?" when nothing is chosen.

        `day` (a date) and `days` (a pair of them) choose these days.
        """
        if "day" in changes:
            changes["days"] = (changes["day"], changes.pop("day"))
        if "days" in changes:
            first, last = changes.pop("days")
            changes |= {"preset": "", "first": first, "last": last}
        changed = replace(self, **changes)
        words: dict[str, str] = {}
        if changed.preset:
            words["range"] = changed.preset
        else:
            words |= {"from": changed.first.isoformat()} if changed.first else {}
            words |= {"to": changed.last.isoformat()} if changed.last else {}
        if changed.project:
            words["project"] = changed.project.project_id
        words |= {name: value for name, value in changed._named().items() if value}
        return "?" + urlencode(words)


def parse(arguments: Mapping[str, str], facts: Facts) -> Choice:
    """The choice that an address holds.

    Args:
        arguments: the address's words by name; names that are no filter are ignored.

    Raises:
        BadAddress: a day that is none (400), a project, model, machine, person or tool that is not in the data (404).
    """
    preset = arguments.get("range", "")
    first, last = day_of(arguments, "from"), day_of(arguments, "to")
    if first or last:
        preset = ""
    else:
        preset = preset or DEFAULT_PRESET
        if preset not in PRESETS:
            raise BadAddress(f"range={preset!r} is no range: use one of {', '.join(PRESETS)}, or from= and to=.")
        first, last = days_of(preset, facts)
    if first and last and first > last:
        raise BadAddress(f"from={first} is after to={last}: exchange the two.")
    project = None
    if word := arguments.get("project"):
        project = facts.project_by_word.get(word)
        if project is None:
            raise BadAddress(f"There is no project {word!r} in the published data.", 404)
    return Choice(
        preset=preset,
        first=first,
        last=last,
        project=project,
        **{name: _known(arguments, name, getattr(facts, listed)) for name, listed in NAMED.items()},
    )


def days_of(preset: str, facts: Facts) -> tuple[date | None, date | None]:
    """First and last day of a preset. It ends on the newest day with data: after a pause that is still shown."""
    last = facts.last_day
    if preset == "all" or last is None:
        return None, None
    if preset == "month":
        return beginning(last, "month"), last
    if preset == "previous":
        month = beginning(last, "month")
        return preceding(month, "month"), month - DAY
    if preset == "year":
        return last.replace(month=1, day=1), last
    return last - timedelta(days=int(preset) - 1), last


def day_of(arguments: Mapping[str, str], name: str) -> date | None:
    """The day of that name in an address; None when there is none.

    Raises:
        BadAddress: it is no day.
    """
    text = arguments.get(name, "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadAddress(f"{name}={text!r} is no day: write it like 2026-11-28.") from None


def number_of(arguments: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = 999_999_999) -> int:
    """The number of that name in an address.

    Raises:
        BadAddress: it is none from `least` to `most`.
    """
    text = arguments.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise BadAddress(f"{name}={clean(text)!r}: use a number from {least} to {most}.")
    return int(text)


def _known(arguments: Mapping[str, str], name: str, values: tuple[str, ...]) -> str | None:
    value = arguments.get(name)
    if value and value not in values:
        raise BadAddress(f"There is no {name} {value!r} in the published data.", 404)
    return value or None
