"""A timeline's steps, turns and sub-agents, put together from entries, messages and tool calls."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from analytics.common.text import clean
from analytics.sessions.content import first_line
from analytics.sessions.model import ANSWER, NOTICE, PROMPT, TOOL, Branch, Response, Row, Step, Turn
from analytics.sessions.steps import Entry, add_result, steps_of

SPENDS = ("response", "advisor")


class Building:
    """A timeline while it is put together."""

    def __init__(self, entries: list[Entry], messages: dict[str, Row], calls: list[Row]) -> None:
        self.main: list[Step] = []
        self.branches: dict[str, Branch] = {}
        self.turns: list[Turn] = []
        self.calls_on_timeline: dict[str, Step] = {}
        self._messages, self._spent = messages, set[str]()
        self._turn_of_prompt: dict[str, int] = {}
        self._prompt_of_step: dict[str, str | None] = {}
        self._by_id: dict[str, list[tuple[str | None, Step]]] = defaultdict(list)
        self._call_rows = {(row["message_key"], row["tool_use_id"]): row for row in calls}
        self._spawned: dict[str, str] = {}
        placed = self._with_branches(entries, calls)
        for entry, chain in placed:
            self._add(entry, chain)
        for entry, chain in placed:
            self._add_results(entry, chain)
        self._add_unseen()
        self._hang_up_branches()

    def number_steps(self) -> None:
        """Say of every step which turn it belongs to, and which answer ends a turn."""
        turn = 0
        last: dict[int, Step] = {}
        for step in self.main:
            turn = self._turn_of_prompt.get(self._prompt_of_step.get(step.key) or "", turn)
            step.turn = turn
            if step.kind == ANSWER:
                last[turn] = step
        for step in last.values():
            step.is_final = True
        for branch_step in self.main:
            if branch_step.branch is not None:
                self._number_branch(branch_step.branch, branch_step.turn, set())

    def _number_branch(self, branch: Branch, turn: int, seen: set[str]) -> None:
        if branch.agent_id in seen:
            return
        seen.add(branch.agent_id)
        for step in branch.steps:
            step.turn = turn
            if step.branch is not None:
                self._number_branch(step.branch, turn, seen)

    # Entries

    def _with_branches(self, entries: list[Entry], calls: list[Row]) -> list[tuple[Entry, str | None]]:
        """Each entry with the sub-agent it belongs to.

        Before 2.1 side chains did not name theirs: they belong to the call that was under way.
        """
        under_way = [
            (row["called_at"], row["finished_at"], f"call:{row['message_key']}:{row['tool_use_id']}", row)
            for row in calls
            if row["tool_name"] in ("Task", "Agent") and not row["spawned_agent_id"] and not row["is_sidechain"]
        ]
        for row in calls:
            if row["spawned_agent_id"]:
                self._spawned[self._call_key(row["message_key"], row["tool_use_id"])] = row["spawned_agent_id"]
        found: list[tuple[Entry, str | None]] = []
        for entry in entries:
            chain = entry.chain
            if chain == "" and entry.at is not None:
                for called_at, finished_at, name, row in under_way:
                    if called_at and called_at <= entry.at and (finished_at is None or entry.at <= finished_at):
                        chain = name
                        self._spawned[self._call_key(row["message_key"], row["tool_use_id"])] = name
                        break
            found.append((entry, chain))
        return found

    @staticmethod
    def _call_key(message_key: str, tool_use_id: str) -> str:
        return f"{message_key}\n{tool_use_id}"

    def _add(self, entry: Entry, chain: str | None) -> None:
        message = self._message(entry)
        steps = list(steps_of(entry, message, self._call_rows))
        target = self.main if chain is None else self._branch(chain, entry.at).steps
        for step in steps:
            if step.kind == PROMPT and message is not None:
                self._turn_of_prompt[message["message_key"]] = len(self.turns) + 1
                self.turns.append(
                    Turn(len(self.turns) + 1, message["message_key"], step.at, first_line(step.text, 300))
                )
            self._prompt_of_step[step.key] = message["prompt_key"] if message else None
            if message is not None and message["message_key"] not in self._spent:
                if message["message_kind"] in SPENDS:
                    step.response = response(message)
                self._spent.add(message["message_key"])
            if step.kind == TOOL and step.call is not None:
                self._add_call(step, entry, chain)
            target.append(step)

    def _message(self, entry: Entry) -> Row | None:
        if entry.kind == "assistant":
            return self._messages.get(entry.response_key or "")
        return self._messages.get(f"entry:{entry.key}")

    def _add_call(self, step: Step, entry: Entry, chain: str | None) -> None:
        number = int(step.key.rpartition(".")[2]) if step.key != entry.key else 0
        tool_use_id = entry.blocks[number].tool_use_id
        self._by_id[tool_use_id].append((chain, step))
        self.calls_on_timeline[self._call_key(entry.response_key or "", tool_use_id)] = step

    def _add_results(self, entry: Entry, chain: str | None) -> None:
        """A result belongs to the nearest earlier call with its id in its chain, or to the only one there is."""
        if entry.kind != "user":
            return
        for block in entry.blocks:
            if block.kind != "tool_result":
                continue
            called = self._by_id.get(block.tool_use_id, [])
            here = [step for at, step in called if at == chain] or [step for _, step in called]
            earlier = [step for step in here if not (step.at and entry.at) or step.at <= entry.at]
            if here:
                add_result((earlier or here)[-1], entry, block)

    def _add_unseen(self) -> None:
        """Responses that no line shows, such as an advisor's: what they cost stands on the timeline too."""
        for key, message in self._messages.items():
            if key in self._spent or message["message_kind"] not in SPENDS:
                continue
            label = "Advisor" if message["message_kind"] == "advisor" else "Response without text"
            step = Step(key, NOTICE, message["created_at"], label=label, response=response(message))
            self._prompt_of_step[key] = message["prompt_key"]
            chain = (message["agent_id"] or "") if message["is_sidechain"] else None
            steps = self.main if chain is None else self._branch(chain, step.at).steps
            _insert(steps, step)

    # Sub-agents

    def _branch(self, agent_id: str, at: datetime | None) -> Branch:
        branch = self.branches.setdefault(agent_id, Branch(agent_id))
        if at is not None:
            branch.started_at = min(filter(None, (branch.started_at, at)))
            branch.ended_at = max(filter(None, (branch.ended_at, at)))
        return branch

    def _hang_up_branches(self) -> None:
        """To the calls that started them; those nobody called stand on the main chain when they began."""
        placed: set[str] = set()
        for key, agent_id in self._spawned.items():
            step, branch = self.calls_on_timeline.get(key), self.branches.get(agent_id)
            if step is not None and branch is not None and agent_id not in placed:
                step.branch = branch
                placed.add(agent_id)
        for message in self._messages.values():
            if message["is_sidechain"] and message["message_kind"] in SPENDS:
                branch = self.branches.get(message["agent_id"] or "")
                if branch is not None:
                    _spend(branch, message)
        for key, branch in self.branches.items():
            row = next((row for row in self._call_rows.values() if row["spawned_agent_id"] == key), None)
            branch.agent_type = clean((row or {}).get("subagent_type") or "") or None
            if key.startswith("call:"):
                for step in branch.steps:
                    if step.response is not None:
                        _spend(branch, {"cost_usd": step.response.cost_usd})
            if key not in placed:
                label = f"Sub-agent {clean(key)}" if key else "Sub-agents that are not named"
                _insert(self.main, Step(f"branch-{key}", NOTICE, branch.started_at, label=label, branch=branch))


def response(message: Row) -> Response:
    """What a response used, of its row of fct_messages."""
    return Response(
        key=message["message_key"],
        model=clean(message["model"] or "") or None,
        cost_usd=message["cost_usd"],
        context_tokens=message["context_tokens"] or 0,
        output_tokens=message["output_tokens"] or 0,
        output_is_lower_bound=bool(message["output_is_lower_bound"]),
        response_seconds=None if message["response_seconds"] is None else float(message["response_seconds"]),
        because=message["expensive_because"],
    )


def _spend(branch: Branch, message: Any) -> None:
    branch.response_count += 1
    if message["cost_usd"] is not None:
        branch.cost_usd = (branch.cost_usd or Decimal(0)) + message["cost_usd"]


def _insert(steps: list[Step], step: Step) -> None:
    place = len(steps)
    while place and step.at is not None and (before := steps[place - 1].at) is not None and before > step.at:
        place -= 1
    steps.insert(place, step)
