"""Sub-agents: in the main file, beside it or in its folder, embedded in progress entries, and requests of their own."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import orjson

from transcript_generator import pools
from transcript_generator import vocabulary as words
from transcript_generator.conversation import Conversation
from transcript_generator.tools import pick
from transcript_generator.transcript import Chain
from transcript_generator.usage import Call
from transcript_generator.work import work


def agent_chain(s: Conversation, agent_id: str, model: str, *, of_workflow: bool = False) -> Chain:
    """A new side chain. Of old versions it stands in the main file and has no agent id; a workflow's lies deeper."""
    if s.era.subagents == "inline":
        chain = Chain(s.main.lines, model, is_side=True)
    else:
        name = f"agent-{agent_id}.jsonl"
        path = PurePosixPath(s.folder, name)
        if s.era.subagents == "folder":
            path = PurePosixPath(s.folder, s.id, "subagents", name)
        if of_workflow:
            folder = PurePosixPath(s.folder, s.id, "subagents", "workflows", f"wf_{agent_id[:8]}")
            path = folder / name
            # what a workflow notes of itself is no entry
            s.files[folder / "journal.jsonl"] = [b'{"type":"started","agentId":"%b"}' % agent_id.encode()]
        chain = Chain(s.files.setdefault(path, []), model, is_side=True, agent_id=agent_id)
    s.settle(chain)
    return chain


def start_agent(s: Conversation) -> None:
    """The main chain asks a sub-agent, which works until it has an answer."""
    rnd = s.rnd
    agent_id = f"{s.rng.getrandbits(68):017x}" if s.era.has_attachments else f"{s.rng.getrandbits(28):07x}"
    kind = pick(s, words.SUBAGENTS)
    model = words.SUBAGENT_MODELS[s.era.has_attachments] if kind == "Explore" else s.main.model
    prompt = f"Find out where {pick(s, words.PATTERNS)} is used and report the files. Thoroughness: medium."
    tool_input: dict[str, Any] = {"description": "Look around", "prompt": prompt, "subagent_type": kind}
    is_async = s.era.has_attachments and rnd() < 0.2
    if is_async:
        tool_input["run_in_background"] = True
    answer = [{"type": "text", "text": "Found it: it is used in three files."}]
    started_ms = s.clock_ms

    def finish(call: Call, chain: Chain) -> None:
        outcome: dict[str, Any] = {
            "status": "completed",
            "prompt": prompt,
            "content": answer,
            "totalDurationMs": s.clock_ms - started_ms,
            "totalTokens": chain.context,  # only the last context
            "totalToolUseCount": 3,
        }
        if chain.agent_id:
            outcome |= {"agentId": chain.agent_id, "agentType": kind}
        s.result(s.main, call, orjson.dumps(answer), orjson.dumps(outcome))

    def launch(call: Call, chain: Chain) -> None:
        outcome = {"isAsync": True, "status": "async_launched", "agentId": chain.agent_id, "prompt": prompt}
        s.result(s.main, call, b'"Async agent launched successfully."', orjson.dumps(outcome))

    def complete(call: Call) -> None:
        chain = agent_chain(s, agent_id, model, of_workflow=s.era.marks_origin and s.rarely(0.15))
        chain.agent_type = kind
        if is_async:
            launch(call, chain)
        first = len(chain.lines)
        s.entry(chain, b"user", b'"message":{"role":"user","content":%b}' % orjson.dumps(prompt))
        s.count_message("subagent_prompt")
        for _ in range(1 + int(rnd() * rnd() * 14)):
            s.tick(400, 3_000)
            work(s, chain)
        s.respond(chain, text=orjson.dumps(answer[0]))
        if s.era.embeds_progress:
            embed(s, chain, first, call)
        s.tick(50, 500)
        if is_async:
            notify(s)
        else:
            finish(call, chain)
        if chain.agent_id:
            s.own.subagent_count += 1
            s.truth.subagents[call.id] = chain.counts

    call = Call(s.era.agent_tool, orjson.dumps(tool_input), complete)
    call.attributed, call.is_background = (("subagent_type", kind),), is_async
    s.respond(s.main, calls=[call])
    s.tick(30, 300)
    call.complete(call)


def notify(s: Conversation) -> None:
    """A line that tells Claude of the end of a task in the background."""
    text = "<task-notification>\n<task-id>b1en6q7cs</task-id>\n<status>completed</status>\n</task-notification>"
    marks = b',"origin":{"kind":"task-notification"}' if s.era.marks_origin else b""
    s.user_line(orjson.dumps(text), "command_output", marks)


def embed(s: Conversation, chain: Chain, first: int, call: Call) -> None:
    """agent_progress entries in the main file embed the agent's entries; sometimes they are all there is of them."""
    is_only_copy = s.rnd() < 0.2
    kept = []
    for line in chain.lines[first:]:
        inner = orjson.loads(line)
        if inner["type"] not in ("user", "assistant"):
            kept.append(line)
            continue
        names = ("type", "message", "uuid", "timestamp", "requestId")
        data: dict[str, Any] = {
            "message": {name: inner[name] for name in names if name in inner},
            "normalizedMessages": [],
            "type": "agent_progress",
            "prompt": "",
            "agentId": chain.agent_id,
        }
        # the outer entry has the inner one's time and says it is on the main chain
        outer = {name: inner[name] for name in ("cwd", "sessionId", "version", "gitBranch", "userType", "timestamp")}
        s.main.lines.append(
            orjson.dumps(
                {
                    "parentUuid": orjson.loads(s.main.parent),
                    "isSidechain": False,
                    "type": "progress",
                    "data": data,
                    "toolUseID": f"agent_{inner['message'].get('id', 'msg')}",
                    "parentToolUseID": call.id,
                    "uuid": s.uuid().decode(),
                    **outer,
                }
            )
        )
        # what the agent's file loses, the main file gains
        if not is_only_copy:
            s.truth.documents += 1
            s.truth.entry_copies += 1
    if is_only_copy:
        chain.lines[first:] = kept


def side_request(s: Conversation, name: str) -> None:
    """Real API usage without a call in the parent: of a compaction, or of a suggested prompt."""
    chain = agent_chain(s, f"{name}-{s.rng.getrandbits(24):06x}", s.main.model)
    chain.context = s.main.context
    s.entry(chain, b"user", b'"message":{"role":"user","content":"Summarize the conversation so far."}')
    s.count_message("subagent_prompt")
    s.tick(200, 3_000)
    s.respond(chain, text=pick(s, pools.texts("ANSWERS")))
