"""Where a click on a value leads: the same page narrowed to it, or the thing's own page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from analytics.common.periods import following
from analytics.sessions.prompts import step_of
from analytics.web.choice import Choice
from analytics.web.published import Facts

_PROJECT_COLUMNS = ("project_label", "project_name", "project")


class Links:
    """Where a click on a value leads: the same page narrowed to it, or the thing's own page.

    Args:
        base: the page's own address.
        sessions: what the addresses of sessions begin with; None leads to none.
        prompts: gives the beginnings of prompts by their keys, where they are to be shown.
    """

    def __init__(
        self,
        facts: Facts,
        choice: Choice,
        base: str,
        sessions: str | None = None,
        prompts: Callable[[list[str]], dict[str, str]] | None = None,
    ) -> None:
        self._facts, self._choice, self._base, self._session = facts, choice, base, sessions
        self.prompts = prompts

    def __call__(self, *, day: tuple[Any, Any] | None = None, series: str | None = None) -> str | None:
        if day is not None:
            return self._base + self._choice.address(days=day)
        return self.model(series) or self.project(series)

    def unit(self, day: date | None, unit: str) -> str | None:
        """The page narrowed to the day, week or month that begins on `day`."""
        return None if day is None else self(day=(day, following(day, unit) - timedelta(days=1)))

    def model(self, name: Any) -> str | None:
        """The page narrowed to a model."""
        return self._base + self._choice.address(model=name) if name in self._facts.models else None

    def tool(self, name: Any) -> str | None:
        """The page narrowed to a tool."""
        return self._base + self._choice.address(tool=name) if name in self._facts.tools else None

    def project(self, word: Any) -> str | None:
        """The page narrowed to a project, by its id, label or path."""
        project = self._facts.project_by_word.get(word) if word else None
        return self._base + self._choice.address(project=project) if project else None

    def prompt(self, row: dict[str, Any]) -> str:
        """The turn that a prompt opens."""
        step = quote(step_of(row["prompt_key"]), safe="")
        return f"{self._session}{quote(row['session_id'], safe='')}?step={step}#here"

    def cell(self, column: str, value: Any, row: dict[str, Any]) -> str | None:
        """Where a cell of a table leads."""
        if column == "title" and row.get("session_id") and self._session:
            return self._session + quote(row["session_id"], safe="")
        if column == "model":
            return self.model(value)
        if column == "tool_name":
            return self.tool(value)
        if column in _PROJECT_COLUMNS:
            return self.project(row.get("project_id") or value)
        return None
