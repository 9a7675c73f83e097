"""The recount of what Claude Code says of its own work, and of what was spent on what: the second half of `oracle`.

Every function gives facts as tuples in the order of the marts' columns, each with the file and line it is about.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from oracle import LAST, Entry, Message, Recount, ToolCall

Fact = tuple[tuple[Any, ...], str]

HOOK_OUTCOMES = {
    "hook_success": "success",
    "hook_blocking_error": "blocked",
    "hook_non_blocking_error": "error",
    "hook_error_during_execution": "error",
    "hook_cancelled": "cancelled",
}
IN_SUMMARY = ("Stop", "SubagentStop")  # what a summary lists already


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def own(recount: Recount) -> Iterator[Entry]:
    """Standing entries of sessions that count."""
    return (entry for entry in recount.standing if entry.session_id in recount.sessions)


# Hooks, compactions, failed requests


@dataclass
class HookRun:
    """A hook's run, or (`is_run` false) what is told beside a run that is counted already."""

    entry: Entry
    name: str
    outcome: str
    duration_ms: int | None
    is_run: bool


def hook_runs(recount: Recount) -> Iterator[HookRun]:
    """Runs of hooks as summaries, attachments and, in old versions, progress lines tell of them."""
    for entry in own(recount):
        document, attachment, data = (
            entry.document,
            mapping(entry.document.get("attachment")),
            entry.document.get("data"),
        )
        if entry.type == "system" and document.get("subtype") == "stop_hook_summary":
            for hook in document.get("hookInfos") or []:
                yield HookRun(entry, "Stop", "success", hook.get("durationMs"), True)
            if document.get("preventedContinuation") is True:
                yield HookRun(entry, "Stop", "blocked", None, False)
        elif entry.type == "attachment" and attachment.get("type") in HOOK_OUTCOMES:
            event = attachment.get("hookEvent")
            name = attachment.get("hookName") or event or "unknown"
            outcome = HOOK_OUTCOMES[attachment["type"]]
            yield HookRun(entry, name, outcome, attachment.get("durationMs"), event not in IN_SUMMARY)
        elif document.get("type") == "progress" and mapping(data).get("type") == "hook_progress":
            event = mapping(data).get("hookEvent")
            yield HookRun(
                entry, mapping(data).get("hookName") or event or "unknown", "unknown", None, event not in IN_SUMMARY
            )


def hooks(recount: Recount) -> Iterator[Fact]:
    """agg_hooks: day, project, hook, runs, blocked, cancelled, failed, milliseconds."""
    found: defaultdict[tuple[date | None, str, str], list[HookRun]] = defaultdict(list)
    for run in hook_runs(recount):
        session = recount.sessions[run.entry.session_id or ""]
        found[_day(recount, run.entry.at), session.project_id, run.name].append(run)
    for key, runs in found.items():
        outcomes = Counter(run.outcome for run in runs)
        times = [run.duration_ms for run in runs if run.is_run and run.duration_ms is not None]
        counts = (sum(run.is_run for run in runs), *(outcomes[name] for name in ("blocked", "cancelled", "error")))
        yield (*key, *counts, sum(times) if times else None), runs[0].entry.where


def compactions(recount: Recount) -> Iterator[Fact]:
    """fct_compactions: session, trigger, tokens before and after, milliseconds.

    A session with more summaries than boundaries was compacted as often as it has summaries.
    """
    boundaries: defaultdict[str, list[Entry]] = defaultdict(list)
    summaries: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in own(recount):
        if entry.type == "system" and entry.document.get("subtype") == "compact_boundary":
            boundaries[entry.session_id or ""].append(entry)
        elif entry.inner.get("isCompactSummary") is True:
            summaries[entry.session_id or ""].append(entry)
    for session_id in boundaries.keys() | summaries.keys():
        for entry in boundaries[session_id]:
            said = mapping(entry.document.get("compactMetadata"))
            names = ("trigger", "preTokens", "postTokens", "durationMs")
            yield (session_id, *(said.get(name) for name in names)), entry.where
        for entry in summaries[session_id][len(boundaries[session_id]) :]:
            yield (session_id, None, None, None, None), entry.where


def api_errors(recount: Recount) -> Iterator[Fact]:
    """fct_api_errors: session, status, attempt, whether Claude Code gave up."""
    for entry in own(recount):
        if entry.type == "system" and entry.document.get("subtype") == "api_error":
            error, cause = mapping(entry.document.get("error")), mapping(entry.document.get("cause"))
            status = error.get("status") or cause.get("code") or mapping(error.get("cause")).get("code")
            status = status or error.get("code")
            yield (
                (entry.session_id, None if status is None else str(status), entry.document.get("retryAttempt"), False),
                entry.where,
            )
    for message in recount.messages:
        if message.kind == "api_error":
            yield (message.session_id, message.error_status, None, True), message.where


# Sessions


def sessions(recount: Recount, machine: str | None = None) -> Iterator[Fact]:
    """dim_sessions: Claude Code's turn times, hooks' times, pull requests linked, effort, person.

    `machine` is whose a session is that worked in nobody's home folder.
    """
    turns: defaultdict[str, int] = defaultdict(int)
    links: defaultdict[str, set[str]] = defaultdict(set)
    homes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    hook_ms: defaultdict[str, int] = defaultdict(int)
    efforts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in own(recount):
        session_id, document = entry.session_id or "", entry.document
        if entry.type == "system" and document.get("subtype") == "turn_duration" and "durationMs" in document:
            turns[session_id] += document["durationMs"]
        if entry.type == "pr-link" and document.get("prUrl"):
            links[session_id].add(document["prUrl"])
        cwd = document.get("cwd")
        if isinstance(cwd, str) and (home := home_of(cwd)):
            # the folder it worked in most decides; of a folder counts its main chain first
            homes[session_id][cwd + "\0" + home] += 0 if entry.is_sidechain else 1
    for run in hook_runs(recount):
        if run.is_run and run.duration_ms is not None:
            hook_ms[run.entry.session_id or ""] += run.duration_ms
    for message in recount.messages:
        if message.kind == "response" and message.effort:
            efforts[message.session_id][message.effort] += 1
    for session_id, session in recount.sessions.items():
        effort = min(efforts[session_id].items(), key=lambda item: (-item[1], item[0]), default=(None,))[0]
        # a home counts once a folder: the folder worked in most says whose it is
        cwd = min(homes[session_id].items(), key=lambda item: (-item[1], item[0]), default=("\0", 0))[0]
        person = re.sub(r".*[/\\]", "", cwd.split("\0")[1]) or machine
        fact = (session_id, turns.get(session_id), hook_ms.get(session_id), len(links[session_id]), effort, person)
        yield fact, f"{session.project_id}/{session_id}.jsonl"


def home_of(path: str) -> str | None:
    """The home folder a path lies in."""
    found = re.match(r"(?:[A-Za-z]:)?[/\\](?:(?:home|Users)[/\\][^/\\]+|root(?=[/\\]|$))", path)
    return found[0] if found else None


def cost_states(recount: Recount) -> Iterator[Fact]:
    """agg_cost_reconciliation: session, our cost, Claude Code's, whether they agree within 1 %."""
    newest: dict[str, tuple[datetime | None, float, Entry]] = {}
    for entry in own(recount):
        total = entry.document.get("totalCostUSD")
        if entry.type != "cost-state" or not isinstance(total, int | float) or isinstance(total, bool):
            continue
        before = newest.get(entry.session_id or "")
        rank = (entry.at is not None, entry.at or LAST, float(total))
        if before is None or rank > (before[0] is not None, before[0] or LAST, before[1]):
            newest[entry.session_id or ""] = (entry.at, float(total), entry)
    for session_id, (_, total, entry) in newest.items():
        costs = [message.cost for message in recount.responses if message.session_id == session_id]
        known = [cost for cost in costs if cost is not None]
        ours = sum(known, Decimal(0)) if known or not costs else None
        theirs = Decimal(str(total)).quantize(Decimal("1e-9"))
        agree = ours is not None and abs(theirs - ours) <= theirs / 100
        yield (session_id, ours, theirs, agree), entry.where


# What was spent on what


@dataclass
class Spent:
    """Calls and responses of one skill, plugin, MCP server or type of sub-agent on one day in one project."""

    calls: list[ToolCall] = field(default_factory=list)
    responses: list[Message] = field(default_factory=list)


def attribution(recount: Recount) -> Iterator[Fact]:
    """agg_attribution: day, project, kind, name, calls, failures, characters, responses, tokens of each kind, cost."""
    found: defaultdict[tuple[Any, ...], Spent] = defaultdict(Spent)
    types: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for call in recount.calls:
        place = (_day(recount, call.called_at), recount.sessions[call.session_id].project_id)
        if call.skill is not None:
            found[(*place, "skill", call.skill)].calls.append(call)
            if ":" in call.skill:
                found[(*place, "plugin", call.skill.split(":")[0])].calls.append(call)
        if server := re.match(r"mcp__(.+?)__.", call.tool):
            found[(*place, "mcp_server", server[1])].calls.append(call)
        if call.tool in ("Task", "Agent"):
            found[(*place, "subagent_type", call.subagent_type or "unknown")].calls.append(call)
        if call.spawned_agent_id and call.subagent_type:
            types[call.session_id, call.spawned_agent_id].add(call.subagent_type)
    for message in recount.responses:
        place = (_day(recount, message.at), recount.sessions[message.session_id].project_id)
        names = {"skill": message.skill, "plugin": message.plugin, "mcp_server": message.mcp_server}
        if message.agent_id:
            names["subagent_type"] = min(types[message.session_id, message.agent_id], default="unknown")
        for kind, name in names.items():
            if name:
                found[(*place, kind, name)].responses.append(message)
    for key, spent in found.items():
        tokens = [sum(kind) for kind in zip(*(message.tokens or (0,) * 5 for message in spent.responses), strict=True)]
        costs = [message.cost for message in spent.responses if message.cost is not None]
        fact = (
            *key,
            len(spent.calls),
            sum(call.status in ("error", "rejected") for call in spent.calls),
            sum(call.result_length or 0 for call in spent.calls),
            len(spent.responses),
            *(tokens or (0,) * 5),
            sum(costs, Decimal(0)) if costs else None,
        )
        yield fact, (spent.calls + spent.responses)[0].where  # type: ignore[operator]


# Turns


def turns(recount: Recount) -> Iterator[Fact]:
    """Prompts that open a turn: session, cost, responses, those without a price, tool calls, why it was expensive."""
    by_session: defaultdict[str, list[Message]] = defaultdict(list)
    for message in recount.messages:
        by_session[message.session_id].append(message)
    for messages in by_session.values():
        known = [message.at for message in messages if message.at != LAST]
        for message in messages:
            message.at = min(known, default=LAST) if message.at == LAST else message.at
        messages.sort(key=lambda message: (message.at, message.is_response, message.key))
        before: dict[tuple[bool, str | None], datetime] = {}
        prompt: Message | None = None
        answers: list[tuple[Message, str | None]] = []
        for message in messages:
            if message.is_prompt:
                if prompt:
                    yield _turn(prompt, answers), prompt.where
                prompt, answers = message, []
            chain = (message.is_sidechain, message.agent_id)
            if message.kind in ("response", "advisor"):
                answers.append((message, reason(message, message.at - before.get(chain, message.at))))
                before[chain] = message.at
        if prompt:
            yield _turn(prompt, answers), prompt.where


def reason(message: Message, pause: timedelta) -> str | None:
    """Why a response was expensive."""
    tokens = message.tokens or (0,) * 5
    context = tokens[0] + sum(tokens[2:])
    if context >= 20_000 and tokens[4] * 2 < context and pause >= timedelta(minutes=5):
        return "cold cache"
    if context >= 200_000:
        return "long context"
    return "long output" if tokens[1] >= 8_000 else None


def _turn(prompt: Message, answers: list[tuple[Message, str | None]]) -> tuple[Any, ...]:
    costs = [message.cost for message, _ in answers if message.cost is not None]
    calls = sum(message.calls for message, _ in answers)
    weights: Counter[str] = Counter()
    for message, why in answers:
        if why := "sub-agents" if message.is_sidechain else why:
            weights[why] += message.cost or 0  # type: ignore[assignment]
    cost, because = sum(costs, Decimal(0)) if costs else None, None
    if cost:
        order = ("cold cache", "long context", "long output", "sub-agents")
        weightiest = max(order, key=lambda name: (weights[name], -order.index(name)))
        if weights[weightiest] * 4 >= cost:
            because = weightiest
        elif calls >= 25:
            because = "many calls"
    return (prompt.session_id, prompt.kind, cost, len(answers), len(answers) - len(costs), calls, because)


def _day(recount: Recount, at: datetime | None) -> date | None:
    return None if at is None or at == LAST else recount.day(at)


def background(recount: Recount) -> Iterator[Fact]:
    """fct_tool_calls: what went on alone."""
    return (((call.session_id, call.id, call.is_background), call.where) for call in recount.calls)


def responses(recount: Iterable[Message]) -> Iterator[Fact]:
    """fct_messages: effort, thinking and what a response was spent on."""
    for message in recount:
        fact = (message.session_id, message.kind, message.effort, message.thinking)
        yield (*fact, message.skill, message.plugin, message.mcp_server), message.where
