"""What Claude does of which tool how often, with what hooks say to it."""

from __future__ import annotations

from transcript_generator import pools
from transcript_generator.conversation import Conversation
from transcript_generator.tools import (
    Tool,
    ask_user,
    bash,
    edit,
    exit_plan,
    failing,
    git,
    glob,
    grep,
    interrupted_bash,
    notebook,
    pick,
    read,
    rejected,
    server_tool,
    skill,
    task_create,
    task_update,
    todo_write,
    tool_search,
    web_fetch,
    web_search,
    write,
)
from transcript_generator.transcript import Chain
from transcript_generator.usage import Call

# Tools by how often they are used, of an old and of a new Claude Code.
_COMMON: list[tuple[float, Tool]] = [
    (36, bash),
    (17, read),
    (15, edit),
    (4.5, write),
    (3.0, git),
    (1.9, failing),
    (3.0, grep),
    (2.0, glob),
    (1.5, server_tool),
    (1.0, web_fetch),
    (1.0, web_search),
    (0.5, notebook),
    (0.35, rejected),
    (0.25, interrupted_bash),
]
_OLD = [*_COMMON, (5.0, todo_write), (0.7, exit_plan)]
_NEW = [
    *_COMMON,
    (3.0, task_create),
    (5.0, task_update),
    (0.7, exit_plan),
    (0.5, ask_user),
    (0.5, skill),
    (0.7, tool_search),
]


def _table(weights: list[tuple[float, Tool]]) -> list[Tool]:
    """The tools repeated by weight, to be drawn from with one random number."""
    return [tool for weight, tool in weights for _ in range(round(weight * 20))]


_OLD_TABLE, _NEW_TABLE = _table(_OLD), _table(_NEW)
_READ_ONLY: list[Tool] = [*[read] * 7, *[bash] * 5, grep, grep, glob, failing]
_REPEATABLE = (bash, read, grep, failing)


def work(s: Conversation, chain: Chain) -> None:
    """A response with a call or several, and their results; now and then the same call again."""
    rnd = s.rnd
    text = pick(s, pools.texts("REMARKS")) if rnd() < 0.4 else None
    if rnd() < 0.06:
        _work_in_parallel(s, chain, text)
        return
    tool = pick(s, _NEW_TABLE if s.era.has_attachments else _OLD_TABLE)
    call = tool(s, chain)
    _ask_and_answer(s, chain, call, text)
    if tool in _REPEATABLE and rnd() < (0.25 if tool is failing else 0.03):
        s.tick(200, 2_000)
        _ask_and_answer(s, chain, call.again(), None)


def _ask_and_answer(s: Conversation, chain: Chain, call: Call, text: bytes | None) -> None:
    s.respond(chain, text=text, calls=[call])
    s.clock_ms += 15 + pools.skewed(350, 600_000, 1.6)[int(s.rnd() * 1024)]
    call.complete(call)
    hooks(s, chain, call)


def _work_in_parallel(s: Conversation, chain: Chain, text: bytes | None) -> None:
    """Several calls in one response; their results come in any order."""
    calls: list[Call] = []
    for _ in range(2 + int(s.rnd() * 3)):
        call = pick(s, _READ_ONLY)(s, chain)
        if all(call.input != other.input for other in calls):
            calls.append(call)
    answers_between = s.rnd() < 0.4
    s.respond(chain, text=text, calls=calls, answers_between=answers_between)
    if not answers_between:
        if s.rnd() < 0.5:
            calls.reverse()
        for call in calls:
            s.tick(20, 900)
            call.complete(call)


def hooks(s: Conversation, chain: Chain, call: Call) -> None:
    """What hooks say after a call: progress entries, later attachments."""
    if s.rnd() > 0.85:
        return
    s.tick(1, 30)
    name = b"PostToolUse:%b" % call.tool.encode()
    if s.era.has_attachments:
        body = (
            b'"attachment":{"type":"hook_success","hookName":"%b","toolUseID":"%b","hookEvent":"PostToolUse","content":"",'
            b'"stdout":"","stderr":"","exitCode":0,"command":"/home/ada/.claude/hooks/format.sh","durationMs":%d}'
        )
        duration = 20 + int(s.more.random() * 200)
        s.entry(chain, b"attachment", body % (name, call.id.encode(), duration))
        s.count_hook(name.decode(), duration)
    elif s.era.embeds_progress:
        body = (
            b'"data":{"type":"hook_progress","hookEvent":"PostToolUse","hookName":"%b","command":"callback"},'
            b'"parentToolUseID":"%b","toolUseID":"%b"'
        )
        s.entry(chain, b"progress", body % (name, call.id.encode(), call.id.encode()))
        s.count_hook(name.decode(), None)
