"""One provisioning: what is wanted and where, and what was done."""

from __future__ import annotations

from dataclasses import dataclass, field

from analytics.metabase.client import MetabaseClient, Progress
from analytics.metabase.definition import Definition
from analytics.settings import Settings

_SYMBOLS = {"create": "+", "update": "~", "archive": "-", "unchanged": "="}


@dataclass(frozen=True)
class Change:
    """One line of the plan. `action` is create, update, archive or unchanged; `detail` says what differs."""

    action: str
    kind: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{_SYMBOLS[self.action]} {self.kind:<10} {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class ProvisionResult:
    """What provisioning did, or would do (`dry_run`).

    `dashboards` maps dashboard title -> address in Metabase.
    """

    dry_run: bool
    url: str
    changes: tuple[Change, ...]
    dashboards: dict[str, str] = field(default_factory=dict)
    duration_seconds: float = 0.0

    def count(self, action: str) -> int:
        """How many lines of the plan have this action."""
        return sum(change.action == action for change in self.changes)

    @property
    def changed(self) -> bool:
        """Whether anything was (or would be) written."""
        return self.count("unchanged") < len(self.changes)

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        verb = "would be " if self.dry_run else ""
        lines.append(
            f"{self.url}: {self.count('create')} {verb}created, {self.count('update')} {verb}updated, "
            f"{self.count('archive')} {verb}archived, {self.count('unchanged')} unchanged"
        )
        lines += [f"  {name}: {url}" for name, url in self.dashboards.items()]
        return "\n".join(lines)


@dataclass
class Job:
    """What all steps share."""

    settings: Settings
    client: MetabaseClient
    definition: Definition
    dry_run: bool
    progress: Progress
    changes: list[Change] = field(default_factory=list)

    def did(self, action: str, kind: str, name: str, detail: str = "") -> None:
        """Note a line of the plan, and tell it when something is written."""
        self.changes.append(Change(action, kind, name, detail))
        if action != "unchanged" and not self.dry_run:
            self.progress(str(self.changes[-1]))
