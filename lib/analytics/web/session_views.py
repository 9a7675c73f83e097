"""A session's timeline as the templates want it: parts of its steps, everything said in words."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from analytics.common import formats
from analytics.sessions.model import ANSWER, PROMPT, Branch, Response, Step, Timeline, Turn
from analytics.web.choice import BadAddress
from analytics.web.pages import quoted

# Steps of the first screen, and of each part that is loaded as one scrolls.
FIRST_STEPS = 40
STEPS = 100
# A longer text is cut, and loaded in full when it is asked for.
TEXT_SHOWN = 3_000
TOOLS_LISTED = 8
WIDTH, HEIGHT = 600, 90


class SessionView:
    """One session for the templates.

    Args:
        base: the address of the session's page.
        focus: show prompts and the last answer of each turn only.
    """

    def __init__(self, timeline: Timeline, *, base: str, timezone: str, focus: bool) -> None:
        self.timeline, self.base, self.focus = timeline, base, focus
        self._zone, self._timezone = ZoneInfo(timezone), timezone
        self._steps = [
            step
            for step in timeline.steps
            if not focus or step.kind == PROMPT or (step.kind == ANSWER and step.is_final)
        ]
        self._prompts = {step.turn: step for step in reversed(timeline.steps) if step.kind == PROMPT}

    # Where things are

    @property
    def count(self) -> int:
        """How many steps the main chain has."""
        return len(self._steps)

    def prompt_of(self, number: int) -> Step | None:
        """The prompt of a turn."""
        return self._prompts.get(number)

    def place_of(self, step: Step) -> int:
        """Where a step, or the call that leads to it, stands on the main chain."""
        for place, other in enumerate(self._steps):
            if other is step or (other.branch is not None and _holds(other.branch, step, set())):
                return place
        return next((place for place, other in enumerate(self._steps) if other.turn >= step.turn), 0)

    def call(self, tool_use_id: str) -> Step | None:
        """The step of a tool call."""
        return next((s for s in self.timeline.every_step() if s.call and s.call.tool_use_id == tool_use_id), None)

    def part(self, start: int, count: int, here: Step | None) -> dict[str, Any]:
        """Some steps of the main chain."""
        return _part(self._steps, start, count, here)

    def branch_part(self, agent_id: str) -> dict[str, Any]:
        """The steps of a sub-agent."""
        steps = self.timeline.branches[agent_id].steps
        return _part(steps, 0, len(steps), None)

    # Addresses

    def anchor(self, step: Step) -> str:
        """The element's name: keys come from transcripts and may hold anything."""
        return f"s{hashlib.md5(step.key.encode('utf-8', 'replace'), usedforsecurity=False).hexdigest()[:12]}"

    def link(self, step: Step) -> str:
        """The address that leads to a step."""
        return f"{self.base}?step={quoted(step.key)}#here"

    def turn_link(self, number: int) -> str:
        """The address that leads to a turn."""
        return f"{self.base}?turn={number}#here"

    def part_link(self, start: int, *, up: bool = False) -> str:
        """Where a part of the timeline is loaded from."""
        return f"{self.base}/steps?from={start}{'&up=1' if up else ''}{'&focus=1' if self.focus else ''}"

    def branch_link(self, branch: Branch) -> str:
        """Where a sub-agent's steps are loaded from."""
        return f"{self.base}/branch/{quoted(branch.agent_id) or '-'}"

    def text_link(self, step: Step, part: str) -> str:
        """Where a long text is loaded from in full."""
        return f"{self.base}/text?step={quoted(step.key)}&part={part}"

    # Words

    def turn(self, step: Step) -> Turn | None:
        """The turn that a prompt begins."""
        return self.timeline.opened_by(step)

    def time(self, at: datetime | None) -> str:
        """`14:07:58`."""
        return "" if at is None else f"{at.astimezone(self._zone):%H:%M:%S}"

    def instant(self, at: datetime | None) -> str:
        """`Nov 28, 2026, 07:03`."""
        return "" if at is None else formats.instant(at, self._timezone)

    def response(self, used: Response) -> str:
        """What a response used, in a line."""
        told = [used.model or "unknown model", formats.show("usd_fine", used.cost_usd)]
        told.append(f"context {formats.compact(used.context_tokens)}")
        told.append(f"{'≥' if used.output_is_lower_bound else ''}{formats.compact(used.output_tokens)} out")
        if used.response_seconds is not None:
            told.append(formats.duration(used.response_seconds))
        return " · ".join(told)

    def turn_facts(self, turn: Turn) -> str:
        """What a turn took, in a line."""
        told = [f"{turn.response_count:,} responses", f"{turn.call_count:,} tool calls"]
        if turn.error_count:
            told.append(f"{turn.error_count:,} failed")
        if turn.max_context_tokens:
            told.append(f"context {formats.compact(turn.max_context_tokens)}")
        if turn.seconds:
            told.append(formats.duration(turn.seconds))
        return " · ".join(told)

    def branch_facts(self, branch: Branch) -> str:
        """What a sub-agent took, in a line."""
        told = [branch.agent_type or "sub-agent", f"{branch.response_count:,} responses"]
        told.append(formats.show("usd", branch.cost_usd))
        if branch.seconds is not None:
            told.append(formats.duration(branch.seconds))
        return " · ".join(told)

    def usd(self, value: Any) -> str:
        """`$1.23`."""
        return formats.show("usd", value)

    def duration(self, seconds: float | None) -> str:
        """`3m 20s`."""
        return formats.show("duration", seconds)

    def cut(self, text: str) -> str:
        """The beginning of a long text."""
        return text[:TEXT_SHOWN]

    def is_long(self, text: str) -> bool:
        """Whether `cut` leaves something out."""
        return len(text) > TEXT_SHOWN

    def whole_text(self, key: str, part: str) -> str:
        """A step's text, or its call's input, diff or result.

        Raises:
            BadAddress: there is none.
        """
        step = self.timeline.find_step(key)
        parts = {"text": step.text} if step else {}
        if step and step.call:
            parts |= {"input": step.call.arguments, "result": step.call.result, "diff": "\n".join(step.call.diff)}
        if part not in parts:
            raise BadAddress("There is no such text in this session.", 404)
        return parts[part]

    def vitals(self) -> list[tuple[str, str]]:
        """What the narrow column tells."""
        row, line = self.timeline.session, self.timeline
        return [
            ("State", f"{line.state}: {line.state_note}"),
            ("Started", self.instant(row["started_at"])),
            ("Active", f"{self.duration(row['active_seconds'])} of {self.duration(row['duration_seconds'])}"),
            ("Prompts", f"{row['prompt_count']:,}"),
            ("Responses", f"{row['response_count']:,}"),
            ("Tool calls", f"{row['tool_call_count']:,}, {row['tool_error_count']:,} failed"),
            ("Largest context", formats.show("tokens", row["max_context_tokens"])),
            ("Compactions", f"{row['compactions']:,}"),
            ("Sub-agents", f"{len(line.branches):,}, at most {line.lanes:,} at once"),
            ("Lines", f"+{row['lines_added']:,} {formats.MINUS}{row['lines_removed']:,}"),
            ("Malformed lines", f"{line.malformed_lines:,}"),
        ]

    def tools(self) -> list[tuple[str, int, str, float]]:
        """Tools by time: name, calls, time and its share of the longest."""
        found = self.timeline.tool_seconds[:TOOLS_LISTED]
        most = max((seconds for _, _, seconds in found), default=0) or 1
        return [(name, calls, self.duration(seconds), seconds / most) for name, calls, seconds in found]

    def context_chart(self) -> dict[str, Any] | None:
        """Context size over the session as an SVG path, with the places where it was compacted."""
        points = self.timeline.contexts
        sizes = [size for _, size, kind in points if kind == "response"]
        if len(sizes) < 2 or not max(sizes):
            return None
        most, across = max(sizes), WIDTH / max(1, len(points) - 1)
        path: list[str] = []
        marks: list[str] = []
        for place, (_, size, kind) in enumerate(points):
            x = place * across
            if kind == "compaction":
                marks.append(f"{x:.1f}")
            else:
                path.append(f"{'L' if path else 'M'}{x:.1f} {HEIGHT - size / most * (HEIGHT - 4):.1f}")
        line = "".join(path)
        return {
            "line": line,
            "area": f"{line}V{HEIGHT}H0Z",
            "marks": marks,
            "width": WIDTH,
            "height": HEIGHT,
            "most": formats.compact(most),
            "compactions": len(marks),
        }


def _part(steps: list[Step], start: int, count: int, here: Step | None) -> dict[str, Any]:
    chosen = steps[start : start + count]
    return {
        "steps": chosen,
        "start": start,
        "end": start + len(chosen),
        "has_earlier": start > 0,
        "has_later": start + len(chosen) < len(steps),
        "open": _path_to(chosen, here) if here is not None else set(),
    }


def _holds(branch: Branch, step: Step, seen: set[str]) -> bool:
    if branch.agent_id in seen:
        return False
    seen.add(branch.agent_id)
    return any(
        other is step or (other.branch is not None and _holds(other.branch, step, seen)) for other in branch.steps
    )


def _path_to(steps: list[Step], here: Step) -> set[str]:
    """Sub-agents to be unfolded so that a step is seen."""
    found: set[str] = set()
    for step in steps:
        if step.branch is not None and _holds(step.branch, here, set()):
            found.add(step.branch.agent_id)
            found |= _path_to(step.branch.steps, here)
    return found
