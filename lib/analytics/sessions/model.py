"""What a session's timeline consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

Row = dict[str, Any]

# What stands on a timeline.
PROMPT, ANSWER, THINKING, TOOL, NOTICE = "prompt", "answer", "thinking", "tool", "notice"

HIDDEN = "(hidden: SHOW_TEXT=false)"


@dataclass
class Response:
    """What an API response used; columns of fct_messages."""

    key: str
    model: str | None
    cost_usd: Decimal | None
    context_tokens: int
    output_tokens: int
    output_is_lower_bound: bool
    response_seconds: float | None
    because: str | None = None


@dataclass
class Call:
    """A tool call; status and duration are those of fct_tool_calls.

    `status` is None when the marts do not have the call.
    """

    name: str
    summary: str
    arguments: str
    tool_use_id: str = ""
    result: str = ""
    status: str | None = None
    error_class: str | None = None
    duration_ms: int | None = None
    file_path: str | None = None
    diff: list[str] = field(default_factory=list)
    has_result: bool = False


@dataclass
class Branch:
    """A sub-agent: its own steps and what its own responses cost (those of sub-agents it started are theirs)."""

    agent_id: str
    agent_type: str | None = None
    steps: list[Step] = field(default_factory=list)
    cost_usd: Decimal | None = None
    response_count: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def seconds(self) -> float | None:
        """From its first to its last entry."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass
class Step:
    """One thing on the timeline.

    Attributes:
        key: by which an address finds it again: the entry's, with a number when an entry has several.
        kind: prompt, answer, thinking, tool or notice.
        turn: the number of the turn it belongs to; 0 before the first prompt.
        label: what it is, in a word or two.
        text: what it says; empty when texts are hidden.
        response: on the first step of a response, what that used.
        is_final: the last answer of its turn.
        tone: "" or, of notices and failed calls, "bad".
    """

    key: str
    kind: str
    at: datetime | None
    turn: int = 0
    label: str = ""
    text: str = ""
    response: Response | None = None
    call: Call | None = None
    branch: Branch | None = None
    is_final: bool = False
    tone: str = ""


@dataclass
class Turn:
    """What follows a human prompt up to the next one, sub-agents included."""

    number: int
    key: str
    at: datetime | None
    text: str
    cost_usd: Decimal | None = Decimal(0)
    response_count: int = 0
    unpriced_count: int = 0
    call_count: int = 0
    error_count: int = 0
    seconds: float = 0.0
    max_context_tokens: int = 0
    because: list[str] = field(default_factory=list)
    is_expensive: bool = False


@dataclass
class Timeline:
    """One session.

    Attributes:
        session: its row of dim_sessions, with project_label and project_path.
        state: working, waiting, ended, interrupted, or ended unclean; said in a sentence by `state_note`.
        steps: of the main chain; sub-agents hang on the calls that started them.
        parts: USD by who spent it: the main chain, sub-agents, advisors; None when no price is known.
        kinds: the same USD by what was paid for: input, output, cache writes, cache reads, web searches.
        contexts: when, context tokens, and "response" or "compaction", of the main chain.
        vitals: name and value of what a narrow column tells.
    """

    session: Row
    state: str
    state_note: str
    turns: list[Turn]
    steps: list[Step]
    branches: dict[str, Branch]
    parts: dict[str, Decimal] | None
    kinds: dict[str, Decimal] | None
    contexts: list[tuple[datetime, int, str]]
    tool_seconds: list[tuple[str, int, float]]
    slowest: Step | None
    lanes: int
    malformed_lines: int
    shows_text: bool = True

    @property
    def session_id(self) -> str:
        """The session's id."""
        return str(self.session["session_id"])

    def every_step(self) -> Iterator[Step]:
        """All steps, those of sub-agents behind the calls that started them."""
        yield from _walk(self.steps, set())

    @cached_property
    def _opening(self) -> dict[str, Turn]:
        turns = {turn.number: turn for turn in self.turns}
        prompts = {step.turn: step for step in reversed(self.steps) if step.kind == PROMPT}
        return {step.key: turns[number] for number, step in prompts.items() if number in turns}

    def opened_by(self, step: Step) -> Turn | None:
        """The turn that a prompt opens."""
        return self._opening.get(step.key)

    def expensive_turns(self, count: int = 5) -> list[Turn]:
        """The most expensive turns, the most expensive first."""
        priced = [turn for turn in self.turns if turn.cost_usd]
        return sorted(priced, key=lambda turn: (-(turn.cost_usd or 0), turn.number))[:count]

    def find_step(self, key: str) -> Step | None:
        """The step of that key, in whatever branch."""
        return next((step for step in self.every_step() if step.key == key), None)


def _walk(steps: list[Step], seen: set[str]) -> Iterator[Step]:
    for step in steps:
        yield step
        if step.branch is not None and step.branch.agent_id not in seen:
            seen.add(step.branch.agent_id)
            yield from _walk(step.branch.steps, seen)
