"""What a session's narrow column tells: its state, where the time went, how full the context was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from analytics.common.text import clean
from analytics.sessions.model import ANSWER, NOTICE, PROMPT, TOOL, Branch, Row, Step

# A tool may run this long without a line being written; after that nobody is at work any more.
AT_WORK = timedelta(minutes=15)
# A finished answer waits for its reader this long.
WAITING = timedelta(hours=1)


def state(steps: list[Step], now: datetime) -> tuple[str, str]:
    """Whether a session goes on, from its last entries.

    Returns:
        working, waiting, ended, interrupted or "ended unclean", and a sentence why.
    """
    dated = [step for step in steps if step.at is not None and (step.kind != NOTICE or step.label == "Interrupted")]
    if not dated:
        return "ended", "nothing was said in it"
    last = dated[-1]
    assert last.at is not None
    idle = now - last.at
    if last.label == "Interrupted":
        return "interrupted", "its last entry is an interruption"
    pending = last.kind == TOOL and last.call is not None and not last.call.has_result
    if last.kind == ANSWER:
        if idle < WAITING:
            return "waiting", "the last answer is finished; the next prompt is yours"
        return "ended", "the last answer was finished"
    what = "a tool call has no result" if pending else "a prompt has no answer" if last.kind == PROMPT else ""
    what = what or "nothing was said after the last tool call"
    if idle < AT_WORK:
        return "working", f"{what} yet"
    return "ended unclean", what


def cost_parts(messages: Iterable[Row]) -> dict[str, Decimal] | None:
    """USD of the main chain, of sub-agents and of advisors; None when no price is known."""
    found: dict[str, Decimal] = {}
    for row in messages:
        if row["cost_usd"] is None or row["message_kind"] not in ("response", "advisor"):
            continue
        name = "advisor" if row["message_kind"] == "advisor" else "sub-agents" if row["is_sidechain"] else "main chain"
        found[name] = found.get(name, Decimal(0)) + row["cost_usd"]
    return found or None


def cost_kinds(messages: Iterable[Row]) -> dict[str, Decimal] | None:
    """USD of input, output, cache writes, cache reads and web searches; None when no price is known."""
    columns = {"input": "input", "output": "output", "cache writes": "cache_write", "cache reads": "cache_read"}
    priced = [row for row in messages if row["cost_usd"] is not None]
    found = {kind: sum((row[f"{name}_cost_usd"] for row in priced), Decimal(0)) for kind, name in columns.items()}
    if any(row["web_search_requests"] for row in priced):
        found["web searches"] = sum((row["cost_usd"] for row in priced), Decimal(0)) - sum(found.values())
    return found if priced else None


def contexts(messages: Iterable[Row], steps: Iterable[Step]) -> list[tuple[datetime, int, str]]:
    """Context size of the main chain's responses, and where it was compacted, by time."""
    found = [
        (row["created_at"], int(row["context_tokens"] or 0), "response")
        for row in messages
        if row["message_kind"] == "response" and not row["is_sidechain"] and row["created_at"] is not None
    ]
    found += [(step.at, 0, "compaction") for step in steps if step.label == "Compacted" and step.at is not None]
    return sorted(found)


def tool_seconds(calls: Iterable[Row]) -> list[tuple[str, int, float]]:
    """Calls and seconds by tool, the longest first."""
    counts: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    for row in calls:
        name = clean(row["tool_name"] or "")
        counts[name] += 1
        seconds[name] += float(row["duration_ms"] or 0) / 1000
    return sorted(((name, counts[name], seconds[name]) for name in counts), key=lambda item: (-item[2], item[0]))


def slowest(steps: Iterable[Step]) -> Step | None:
    """The call that took longest."""
    timed = [step for step in steps if step.call is not None and step.call.duration_ms is not None]
    return max(timed, key=lambda step: (step.call and step.call.duration_ms) or 0, default=None)


def lanes(branches: Iterable[Branch]) -> int:
    """How many sub-agents were at work at once, at most."""
    changes = []
    for branch in branches:
        if branch.started_at is not None and branch.ended_at is not None:
            changes += [(branch.started_at, 1), (branch.ended_at, -1)]
    most = now = 0
    for _, change in sorted(changes, key=lambda item: (item[0], -item[1])):
        now += change
        most = max(most, now)
    return most
