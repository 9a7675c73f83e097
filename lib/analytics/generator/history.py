"""One session after another, in the shapes Claude Code has written over its versions."""

from __future__ import annotations

import hashlib
import random
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import orjson

from analytics.generator import vocabulary as words
from analytics.generator.prices import response_cost
from analytics.generator.truth import TOKEN_KINDS, SessionTruth, Truth

ACTIVE_GAP_MS = 300_000

Json = dict[str, Any]


@dataclass
class Chain:
    """Where entries go: the main chain or one sub-agent's."""

    lines: list[bytes]
    agent_id: str | None = None
    parent: str | None = None
    context: int = 0  # tokens in the prompt cache


@dataclass
class Call:
    """A tool call that waits for its result."""

    id: str
    tool: str
    entry_uuid: str
    input: Json
    file: tuple[str, str] | None = None


@dataclass
class Session:
    """Writes one session's transcripts and its share of the truth."""

    truth: Truth
    rng: random.Random
    number: int
    project: tuple[str, str]
    era: words.Era
    model: str
    clock_ms: int  # Unix time in milliseconds
    automated: bool
    files: dict[PurePosixPath, list[bytes]] = field(default_factory=dict)
    ids: int = 0
    last_main_ms: int | None = None
    calls_seen: int = 0
    has_mode: bool = False
    recent_calls: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=3))

    def __post_init__(self) -> None:
        self.id = self._uuid()
        self.cwd, self.branch = self.project
        self.folder = re.sub(r"[^A-Za-z0-9]", "-", self.cwd)
        self.transcript = PurePosixPath(self.folder, f"{self.id}.jsonl")
        self.files[self.transcript] = []
        self.main = Chain(self.files[self.transcript])
        self.own = SessionTruth(project_id=self.folder, is_automated=self.automated)
        self.truth.sessions[self.id] = self.own
        self.truth.projects.add(self.folder)

    # Identity and time

    def _uuid(self) -> str:
        self.ids += 1
        digest = hashlib.md5(b"%d %d %d" % (self.rng.getrandbits(32), self.number, self.ids)).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"

    def _id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}_01G{self.number:07d}{self.ids:07d}"

    def tick(self, low_ms: int, high_ms: int) -> None:
        """Let time pass."""
        self.clock_ms += self.rng.randint(low_ms, high_ms)

    @property
    def day(self) -> str:
        return datetime.fromtimestamp(self.clock_ms // 1000, UTC).date().isoformat()

    def _timestamp(self) -> str:
        seconds, ms = divmod(self.clock_ms, 1000)
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms:03d}Z"

    # Lines

    def line(self, chain: Chain, document: Json) -> None:
        """Append a document as it is."""
        chain.lines.append(orjson.dumps(document))
        self.truth.documents += 1

    def entry(self, chain: Chain, kind: str, **fields: Any) -> str:
        """Append an entry with its envelope; returns its uuid."""
        uuid = self._uuid()
        document: Json = {
            "parentUuid": chain.parent,
            "isSidechain": chain.agent_id is not None,
            "type": kind,
            **fields,
            "uuid": uuid,
            "timestamp": self._timestamp(),
            "userType": "external",
            "cwd": self.cwd,
            "sessionId": self.id,
            "version": self.era.version,
            "gitBranch": self.branch,
        }
        if self.era.attachments:
            document["entrypoint"] = "sdk-cli" if self.automated else "cli"
        if chain.agent_id:
            document["agentId"] = chain.agent_id
        self.line(chain, document)
        chain.parent = uuid
        if chain.agent_id is None:
            self._see_main()
        return uuid

    def _see_main(self) -> None:
        if self.last_main_ms is not None and self.clock_ms - self.last_main_ms <= ACTIVE_GAP_MS:
            self.own.active_ms += self.clock_ms - self.last_main_ms
        self.last_main_ms = self.clock_ms

    # What a person does

    def prompt(self, text: str, *, image: bool = False) -> None:
        """A person's prompt."""
        content: Any = text
        if image:
            source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" + "A" * 400}
            content = [{"type": "text", "text": text}, {"type": "image", "source": source}]
        marks = {}
        if self.era.marks_origin:
            marks = {"promptSource": "sdk" if self.automated else "typed"}
            if not self.automated:
                marks["origin"] = {"kind": "human"}
        self.entry(self.main, "user", message={"role": "user", "content": content}, **marks)
        self._count_prompt("prompt")
        if self.own.title is None:
            self.own.title = text.split("\n")[0]

    def _count_prompt(self, kind: str) -> None:
        self.truth.messages_by_kind[kind] += 1
        self.truth.prompts += 1
        self.own.prompts += 1
        self.truth.days[self.day].prompts += 1

    def slash_command(self) -> None:
        """A slash command and what it printed."""
        text = "<command-name>/context</command-name>\n<command-message>context</command-message>"
        self.entry(self.main, "user", message={"role": "user", "content": text})
        self._count_prompt("slash_command")
        self.tick(5, 50)
        self._user_text("<local-command-stdout>Context: 45k of 200k tokens</local-command-stdout>", "command_output")

    def _user_text(self, text: str, kind: str, **fields: Any) -> None:
        self.entry(self.main, "user", message={"role": "user", "content": text}, **fields)
        self.truth.messages_by_kind[kind] += 1

    def asides(self) -> None:
        """User lines nobody typed."""
        roll = self.rng.random()
        if roll < 0.3:
            self._user_text("Caveat: the messages below were generated by commands.", "meta", isMeta=True)
        elif roll < 0.5:
            self._user_text("<bash-input>make</bash-input>", "command_output")
            self._user_text("<bash-stdout>ok</bash-stdout><bash-stderr></bash-stderr>", "command_output")
        elif roll < 0.7:
            fields = {"origin": {"kind": "task-notification"}} if self.era.marks_origin else {}
            text = "<task-notification>\n<task-id>b1</task-id>\n<status>completed</status>\n</task-notification>"
            self._user_text(text, "command_output", **fields)

    def queued_prompt(self, *, stands_again: bool) -> None:
        """A prompt typed while Claude works."""
        text = f"also {self.rng.choice(words.PROMPTS)} ({self.ids})"
        attachment = {"type": "queued_command", "prompt": text, "commandMode": "prompt"}
        self.entry(self.main, "attachment", attachment=attachment)
        if stands_again:
            self.tick(5, 20)
            self.prompt(text)
        else:
            self.truth.messages_by_kind["prompt"] += 1
            self.truth.queued_prompts += 1
            self.own.queued_prompts += 1

    def interrupt(self) -> None:
        """The user stops Claude."""
        content = [{"type": "text", "text": "[Request interrupted by user]"}]
        self.entry(self.main, "user", message={"role": "user", "content": content})
        self.truth.messages_by_kind["interrupt"] += 1
        self.own.interrupts += 1

    # What Claude does

    def respond(
        self, chain: Chain, *, text: str | None = None, tools: list[tuple[str, Json]] | None = None, big: bool = False
    ) -> list[Call]:
        """One API response, a line a block; returns its tool calls."""
        rng = self.rng
        blocks: list[Json] = []
        if rng.random() < 0.35:
            if rng.random() < 0.05:
                blocks.append({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"})
            else:
                thinking = "" if self.era.attachments else "Let me look at this step by step."
                blocks.append({"type": "thinking", "thinking": thinking, "signature": "ErUBCkYIBBgC" + "x" * 120})
        if text is not None:
            blocks.append({"type": "text", "text": text})
        calls = []
        for tool, tool_input in tools or []:
            call = Call(self._id("toolu"), tool, "", tool_input)
            blocks.append({"type": "tool_use", "id": call.id, "name": tool, "input": tool_input})
            calls.append(call)

        tokens = self._tokens(chain, big=big)
        is_fast = self.model in words.FAST_MODELS and self.era.marks_origin and rng.random() < 0.2
        message_id, request_id = self._id("msg"), self._id("req")
        stop_reason = "tool_use" if calls else "end_turn"
        has_request_id = rng.random() > 0.005
        by_id = {call.id: call for call in calls}
        created_day = None
        for position, block in enumerate(blocks):
            is_last = position == len(blocks) - 1
            final = self.era.final_lines == "all" or (self.era.final_lines == "last" and is_last)
            output = tokens[1] if final or (self.era.final_lines == "none" and is_last) else min(tokens[1], 2)
            message = {
                "model": self.model,
                "id": message_id,
                "type": "message",
                "role": "assistant",
                "content": [block],
                "stop_reason": stop_reason if final else None,
                "stop_sequence": None,
                "usage": self._usage(tokens, output, is_fast),
            }
            fields: Json = {"requestId": request_id} if has_request_id else {}
            created_day = created_day or self.day
            uuid = self.entry(chain, "assistant", message=message, **fields)
            if block.get("id") in by_id:
                by_id[block["id"]].entry_uuid = uuid
            if not is_last:
                self.tick(100, 2_000)
            if position == 0 and rng.random() < 0.08:
                # another line in between: the lines of one response need not be adjacent
                self.entry(chain, "system", subtype="informational", content="Checkpoint", isMeta=False)
        self._count_response(tokens, created_day or self.day, is_fast=is_fast)
        for call in calls:
            self._count_call(call)
        return calls

    def _tokens(self, chain: Chain, *, big: bool) -> tuple[int, int, int, int, int]:
        rng = self.rng
        fresh = rng.randint(200, 4_000) + (150_000 if big else 0)
        read, chain.context = chain.context, chain.context + fresh
        written = fresh
        if read and rng.random() < 0.03:  # the cache had gone
            read, written = 0, chain.context
        one_hour = self.era.attachments and rng.random() < 0.8
        five_minute_tokens, one_hour_tokens = (0, written) if one_hour else (written, 0)
        return rng.randint(1, 12), rng.randint(20, 1_200), five_minute_tokens, one_hour_tokens, read

    def _usage(self, tokens: tuple[int, int, int, int, int], output: int, is_fast: bool) -> Json:
        usage: Json = {
            "input_tokens": tokens[0],
            "cache_creation_input_tokens": tokens[2] + tokens[3],
            "cache_read_input_tokens": tokens[4],
            "output_tokens": output,
            "service_tier": "standard",
        }
        if tokens[3] or self.era.version != "1.0.17":
            usage["cache_creation"] = {
                "ephemeral_5m_input_tokens": tokens[2],
                "ephemeral_1h_input_tokens": tokens[3],
            }
        if self.era.marks_origin:
            usage["speed"] = "fast" if is_fast else "standard"
        return usage

    def _count_response(self, tokens: tuple[int, int, int, int, int], day: str, *, is_fast: bool) -> None:
        truth, day_truth = self.truth, self.truth.days[day]
        truth.responses += 1
        truth.messages_by_kind["response"] += 1
        truth.responses_by_model[self.model] += 1
        self.own.responses += 1
        day_truth.responses += 1
        if self.era.final_lines == "none":
            truth.lower_bound_responses += 1
        for kind, count in zip(TOKEN_KINDS, tokens, strict=True):
            truth.tokens[kind] += count
            truth.tokens_by_model[self.model][kind] += count
            day_truth.tokens[kind] += count
        cost = response_cost(self.model, day, tokens, is_fast=is_fast)
        if cost is None:
            truth.unpriced_responses += 1
            return
        truth.cost_usd += cost
        self.own.cost_usd += cost
        day_truth.cost_usd += cost

    def _count_call(self, call: Call) -> None:
        self.truth.tools[call.tool] += 1
        self.own.tool_calls += 1
        self.truth.days[self.day].tool_calls += 1
        key = call.tool + orjson.dumps(call.input).decode()
        # a call is followed by a retry when the next same one is at most three calls later
        for position, (number, earlier) in enumerate(self.recent_calls):
            if earlier == key:
                self.truth.retries += 1
                self.recent_calls[position] = (number, "")
        self.calls_seen += 1
        self.recent_calls.append((self.calls_seen, key))

    def result(
        self,
        chain: Chain,
        call: Call,
        content: Any,
        tool_result: Any = None,
        *,
        status: str = "success",
        error_class: str | None = None,
        **fields: Any,
    ) -> None:
        """The result of a call."""
        block: Json = {"tool_use_id": call.id, "type": "tool_result", "content": content}
        if status in ("error", "rejected"):
            block["is_error"] = True
        if status == "interrupted":
            tool_result = {"stdout": "", "stderr": "", "interrupted": True, "isImage": False}
        if tool_result is not None and chain.agent_id is None:  # side-chain results have none
            fields["toolUseResult"] = tool_result
        if status == "rejected" and self.era.marks_origin:
            fields["toolDenialKind"] = "user-rejected"
        if self.era.progress:
            fields["sourceToolAssistantUUID"] = call.entry_uuid
        self.entry(chain, "user", message={"role": "user", "content": [block]}, **fields)
        self.truth.messages_by_kind["tool_result"] += 1
        self._count_status(call, status, error_class)

    def _count_status(self, call: Call, status: str, error_class: str | None) -> None:
        self.truth.status[status] += 1
        if error_class:
            self.truth.error_classes[error_class] += 1
        if status == "error":
            self.own.tool_errors += 1
        elif status == "rejected":
            self.own.rejected += 1

    def count_file(self, operation: str, file: tuple[str, str], added: int = 0, removed: int = 0) -> None:
        """A file operation's share of the truth."""
        self.truth.file_operations[operation] += 1
        self.truth.languages[file[1]] += 1
        self.truth.lines_added += added
        self.truth.lines_removed += removed
        self.own.lines_added += added
        self.own.lines_removed += removed

    # Calls of every kind

    def work(self, chain: Chain) -> None:
        """One response with calls, and their results."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.06:
            self._failing(chain)
        elif roll < 0.08:
            self._rejected(chain)
        elif roll < 0.085:
            call = self._single(chain, "Bash", {"command": f"sleep {rng.randint(100, 999)}"})
            self.result(chain, call, "[Request interrupted by user for tool use]", status="interrupted")
            if chain.agent_id is not None:  # without toolUseResult nothing tells it from a success
                self.truth.status["interrupted"] -= 1
                self.truth.status["success"] += 1
        elif roll < 0.40:
            self._bash(chain)
        elif roll < 0.60:
            self._read(chain)
        elif roll < 0.76:
            self._edit(chain)
        elif roll < 0.81:
            self._write(chain)
        elif roll < 0.83:
            self._parallel(chain)
        elif roll < 0.85:
            self._notebook(chain)
        elif roll < 0.90:
            self._commit(chain)
        elif roll < 0.93:
            tool = rng.choice(words.SERVER_TOOLS)
            call = self._single(chain, tool, {"query": f"q{self.ids}"})
            self.result(chain, call, [{"type": "text", "text": "[]"}], [{"type": "text", "text": "[]"}])
        elif roll < 0.97 or chain.agent_id is not None:
            call = self._single(chain, "Grep", {"pattern": f"def f{self.ids}", "output_mode": "content"})
            self.result(chain, call, "No matches found", {"mode": "content", "numFiles": 0, "filenames": []})
        else:
            self._subagent()

    def _single(self, chain: Chain, tool: str, tool_input: Json) -> Call:
        text = self.rng.choice(words.ANSWERS) if self.rng.random() < 0.3 else None
        [call] = self.respond(chain, text=text, tools=[(tool, tool_input)])
        self.tick(30, 9_000)
        return call

    def _bash(self, chain: Chain) -> None:
        command = f"{self.rng.choice(words.COMMANDS)} # {self.ids}"
        call = self._single(chain, "Bash", {"command": command, "description": "Run it"})
        output = "ok\n" * self.rng.randint(1, 40)
        self.result(chain, call, output, {"stdout": output, "stderr": "", "interrupted": False, "isImage": False})
        if self.rng.random() < 0.04:  # the same again
            again = self._single(chain, "Bash", {"command": command, "description": "Run it"})
            self.result(chain, again, output, {"stdout": output, "stderr": "", "interrupted": False, "isImage": False})

    def _file(self) -> tuple[str, str]:
        path, language = self.rng.choice(words.FILES)
        return f"{self.cwd}/{path}", language

    def _read(self, chain: Chain) -> None:
        file = self._file()
        call = self._single(chain, "Read", {"file_path": file[0], "offset": self.ids})
        text = "\n".join(f"{n:>6}\tline {n}" for n in range(1, self.rng.randint(5, 120)))
        self.result(chain, call, text, {"type": "text", "file": {"filePath": file[0], "numLines": 5, "startLine": 1}})
        self.count_file("read", file)

    def _patch(self) -> tuple[list[Json], int, int]:
        added, removed = self.rng.randint(1, 12), self.rng.randint(0, 8)
        lines = [" context", *["-old line"] * removed, *["+new line"] * added, " context"]
        hunk = {"oldStart": 1, "oldLines": removed + 2, "newStart": 1, "newLines": added + 2, "lines": lines}
        return [hunk], added, removed

    def _edit(self, chain: Chain) -> None:
        file = self._file()
        tool = "MultiEdit" if self.era.version == "1.0.17" and self.rng.random() < 0.3 else "Edit"
        tool_input = {"file_path": file[0], "old_string": f"old {self.ids}", "new_string": "new"}
        call = self._single(chain, tool, tool_input)
        patch, added, removed = self._patch()
        result = {"filePath": file[0], "oldString": "old", "newString": "new", "structuredPatch": patch}
        self.result(chain, call, f"The file {file[0]} has been updated.", result)
        if chain.agent_id is not None:  # no patch is written for side chains
            added = removed = 0
        self.count_file("edit", file, added, removed)

    def _write(self, chain: Chain) -> None:
        file = self._file()
        lines = self.rng.randint(1, 60)
        content = "\n".join(f"line {n} {self.ids}" for n in range(lines))
        call = self._single(chain, "Write", {"file_path": file[0], "content": content})
        if self.rng.random() < 0.7 or chain.agent_id is not None:
            result: Json = {"type": "create", "filePath": file[0], "content": content, "structuredPatch": []}
            self.result(chain, call, f"File created successfully at: {file[0]}", result)
            self.count_file("create", file, lines, 0)
        else:
            patch, added, removed = self._patch()
            result = {"type": "update", "filePath": file[0], "content": content, "structuredPatch": patch}
            self.result(chain, call, f"The file {file[0]} has been updated.", result)
            self.count_file("overwrite", file, added, removed)

    def _notebook(self, chain: Chain) -> None:
        file = (f"{self.cwd}/analysis/explore.ipynb", "Jupyter")
        call = self._single(chain, "NotebookEdit", {"notebook_path": file[0], "new_source": f"x = {self.ids}"})
        self.result(chain, call, "Updated cell 3", {"cell_type": "code", "language": "python", "edit_mode": "replace"})
        self.count_file("edit", file)

    def _parallel(self, chain: Chain) -> None:
        """Two calls in one response; the second one's result comes first, sometimes before its call's line."""
        files = [self._file(), self._file()]
        tools = [("Read", {"file_path": file[0], "limit": self.ids + n}) for n, file in enumerate(files)]
        calls = self.respond(chain, tools=tools)
        for call, file in zip(reversed(calls), reversed(files), strict=True):
            self.tick(20, 900)
            self.result(chain, call, "1\tx", {"type": "text", "file": {"filePath": file[0], "numLines": 1}})
            self.count_file("read", file)
        if self.rng.random() < 0.3:
            lines = chain.lines
            lines[-1], lines[-3] = lines[-3], lines[-1]  # a result before its call

    def _failing(self, chain: Chain) -> None:
        error_class, tool, text = self.rng.choice(words.ERRORS)
        file = self._file()
        tool_input: Json = {
            "Bash": {"command": f"pytest -x # {self.ids}"},
            "Edit": {"file_path": file[0], "old_string": f"gone {self.ids}", "new_string": "x"},
            "Read": {"file_path": f"{file[0]}", "offset": self.ids},
        }.get(tool, {"argument": self.ids})
        for _ in range(2 if self.rng.random() < 0.2 else 1):  # sometimes the same failing call again
            call = self._single(chain, tool, tool_input)
            # on error the result is a string
            self.result(chain, call, text, f"Error: {text}", status="error", error_class=error_class)
            self.truth.days[self.day].tool_errors += 1
            if tool in ("Edit", "Read"):
                self.count_file({"Edit": "edit", "Read": "read"}[tool], file)

    def _rejected(self, chain: Chain) -> None:
        call = self._single(chain, "Bash", {"command": f"rm -rf build # {self.ids}"})
        self.result(
            chain, call, words.REJECTION, "User rejected tool use", status="rejected", error_class="permission_denied"
        )

    def _commit(self, chain: Chain) -> None:
        command, commits, pull_requests = self.rng.choice(
            [
                (f"git add -A && git commit -m 'Change {self.ids}'", 1, 0),
                (f"cd {self.cwd} && git commit --amend --no-edit # {self.ids}", 1, 0),
                (f"git push -u origin x && gh pr create --title 'Change {self.ids}' --body ''", 0, 1),
                (f"git log --grep commit -n {self.ids}", 0, 0),
            ]
        )
        call = self._single(chain, "Bash", {"command": command})
        self.result(chain, call, "done", {"stdout": "done", "stderr": "", "interrupted": False, "isImage": False})
        self.truth.commits += commits
        self.truth.pull_requests += pull_requests
        self.own.commits += commits
        self.own.pull_requests += pull_requests
        if pull_requests and self.era.attachments:
            url = f"https://github.com/ada/shop/pull/{self.ids}"
            self.line(
                self.main,
                {
                    "type": "pr-link",
                    "sessionId": self.id,
                    "prNumber": self.ids,
                    "prUrl": url,
                    "timestamp": self._timestamp(),
                },
            )
            self._see_main()

    # Sub-agents

    def _subagent(self) -> None:
        rng, era = self.rng, self.era
        agent_id = hashlib.md5(b"%d %d" % (self.number, self.ids)).hexdigest()[:7]
        call = self._single(
            self.main, era.agent_tool, {"description": "Look", "prompt": f"Find {self.ids}", "subagent_type": "Explore"}
        )
        chain = self._agent_chain(agent_id)
        prompt_text = f"Find {self.ids}"
        first = len(chain.lines)
        self.entry(chain, "user", message={"role": "user", "content": prompt_text})
        self.truth.messages_by_kind["subagent_prompt"] += 1
        for _ in range(rng.randint(1, 5)):
            self.tick(500, 4_000)
            self.work(chain)
        self.respond(chain, text="Found it.")
        if era.progress:
            self._embed(chain, chain.lines[first:], call)
        self.tick(50, 500)
        result = {"status": "completed", "agentId": agent_id, "totalTokens": chain.context, "totalDurationMs": 1}
        self.result(self.main, call, [{"type": "text", "text": "Found it."}], result)
        self.own.subagents += 1

    def _agent_chain(self, agent_id: str) -> Chain:
        if self.era.subagents == "inline":
            return Chain(self.main.lines, agent_id=agent_id)
        name = f"agent-{agent_id}.jsonl"
        path = PurePosixPath(self.folder, name)
        if self.era.subagents == "folder":
            path = PurePosixPath(self.folder, self.id, "subagents", name)
        return Chain(self.files.setdefault(path, []), agent_id=agent_id)

    def _embed(self, chain: Chain, lines: list[bytes], call: Call) -> None:
        """agent_progress entries in the main file; sometimes they are all there is of the sub-agent."""
        only_here = self.rng.random() < 0.2
        for line in lines:
            inner = orjson.loads(line)
            if inner["type"] not in ("user", "assistant"):
                continue
            message = {key: inner[key] for key in ("type", "message", "uuid", "timestamp", "requestId") if key in inner}
            data = {"message": message, "normalizedMessages": [], "type": "agent_progress", "agentId": chain.agent_id}
            # the outer entry has the inner one's time and says it is on the main chain
            document = {
                "parentUuid": self.main.parent,
                "isSidechain": False,
                "type": "progress",
                "data": data,
                "toolUseID": f"agent_{inner['uuid']}",
                "parentToolUseID": call.id,
                "uuid": self._uuid(),
                "timestamp": inner["timestamp"],
                "userType": "external",
                "cwd": self.cwd,
                "sessionId": self.id,
                "version": self.era.version,
                "gitBranch": self.branch,
            }
            self.line(self.main, document)
            if not only_here:
                self.truth.entry_copies += 1
        if only_here:
            others = [line for line in lines if orjson.loads(line)["type"] not in ("user", "assistant")]
            self.truth.documents -= len(lines) - len(others)
            del chain.lines[-len(lines) :]
            chain.lines += others

    def side_request(self, name: str) -> None:
        """Real API usage without a tool call in the parent: a compaction's or a suggestion's own request."""
        chain = self._agent_chain(f"{name}-{self.ids:06x}")
        self.entry(chain, "user", message={"role": "user", "content": "Summarize the conversation."})
        self.truth.messages_by_kind["subagent_prompt"] += 1
        self.tick(200, 3_000)
        self.respond(chain, text="Summary.")

    # Events

    def compaction(self) -> None:
        """Claude Code compacts the context."""
        if self.era.subagents == "folder":
            self.side_request("acompact")
        parent, self.main.parent = self.main.parent, None
        metadata = {"trigger": "auto", "preTokens": self.main.context}
        self.entry(
            self.main,
            "system",
            subtype="compact_boundary",
            content="Conversation compacted",
            isMeta=False,
            compactMetadata=metadata,
            logicalParentUuid=parent,
        )
        self.tick(1, 5)
        self._user_text(
            "This session is being continued from a previous conversation.",
            "compact_summary",
            isCompactSummary=True,
            isVisibleInTranscriptOnly=True,
        )
        self.main.context = 12_000
        self.own.compactions += 1

    def api_error(self) -> None:
        """A failed request."""
        usage = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        message = {
            "id": self._uuid(),
            "model": "<synthetic>",
            "role": "assistant",
            "type": "message",
            "usage": usage,
            "stop_reason": "stop_sequence",
            "content": [{"type": "text", "text": "API Error: 529 overloaded"}],
        }
        self.entry(self.main, "system", subtype="api_error", level="error", retryAttempt=1, maxRetries=10)
        self.entry(self.main, "assistant", message=message, isApiErrorMessage=True)
        self.truth.api_errors += 1
        self.truth.messages_by_kind["api_error"] += 1

    def housekeeping(self) -> None:
        """Entries that are not conversation: no uuid, often no time or session, unknown types and keys."""
        rng = self.rng
        snapshot = {"messageId": self._uuid(), "trackedFileBackups": {}, "timestamp": self._timestamp()}
        self.line(
            self.main,
            {
                "type": "file-history-snapshot",
                "messageId": snapshot["messageId"],
                "snapshot": snapshot,
                "isSnapshotUpdate": False,
            },
        )
        if self.era.attachments:
            attachment = {"type": "hook_success", "hookName": "PostToolUse:Bash", "content": "", "exitCode": 0}
            self.entry(self.main, "attachment", attachment=attachment)
            # written at every turn, and the same every time: copies of one entry
            for _ in range(rng.randint(1, 2)):
                self.line(self.main, {"type": "permission-mode", "permissionMode": "default", "sessionId": self.id})
                self.truth.entry_copies += self.has_mode
                self.has_mode = True
            self.line(self.main, {"type": "last-prompt", "lastPrompt": f"p{self.ids}", "sessionId": self.id})
        if self.era.progress:
            self.entry(self.main, "progress", data={"type": "hook_progress", "hookEvent": "PostToolUse"})
        if self.era.marks_origin:
            self.line(self.main, {"type": "cost-state", "sessionId": self.id, "totals": {"n": self.ids}})
            if rng.random() < 0.1:
                self.line(
                    self.main, {"type": "future-thing", "sessionId": self.id, "a.b": {"$c": 2**60 + 1}, "n": self.ids}
                )

    def title(self) -> None:
        """A title of one of the kinds."""
        text = f"{self.rng.choice(words.TITLES)} ({self.number})"
        roll = self.rng.random()
        if roll < 0.45 and self.era.attachments:
            self.line(self.main, {"type": "ai-title", "aiTitle": text, "sessionId": self.id})
        elif roll < 0.6 and self.era.attachments:
            self.line(self.main, {"type": "ai-title", "aiTitle": "Something else", "sessionId": self.id})
            self.line(self.main, {"type": "custom-title", "customTitle": text, "sessionId": self.id})
        elif roll < 0.8 and not self.era.attachments:
            self.line(self.main, {"type": "summary", "summary": text, "leafUuid": self.main.parent})
        else:
            return
        self.own.title = text

    # The whole session

    def turn(self) -> None:
        """A prompt and everything until Claude is done."""
        rng = self.rng
        if rng.random() < 0.1 and not self.automated:
            self.slash_command()
            self.tick(2_000, 20_000)
        self.prompt(f"{rng.choice(words.PROMPTS)} #{self.ids}", image=rng.random() < 0.02)
        self.tick(1_000, 8_000)
        for _ in range(min(40, 1 + int(rng.expovariate(0.16)))):
            self.work(self.main)
            self.tick(500, 12_000)
            if rng.random() < 0.02:
                self.queued_prompt(stands_again=rng.random() < 0.5)
                self.tick(100, 900)
        roll = rng.random()
        if roll < 0.03:
            self.interrupt()
        elif roll < 0.045:
            self.api_error()
        else:
            self.respond(self.main, text=rng.choice(words.ANSWERS), big=rng.random() < 0.01)
            if self.era.marks_origin and rng.random() < 0.05:
                self.side_request("aprompt_suggestion")
        if rng.random() < 0.15:
            self.asides()
        if rng.random() < 0.5:
            self.housekeeping()
        if self.main.context > 160_000:
            self.compaction()

    def finish(self) -> None:
        """Close the session: a call that nobody answered, a title."""
        if self.rng.random() < 0.08:
            self.respond(self.main, tools=[("Bash", {"command": f"make watch # {self.ids}"})])
            self.truth.status["pending"] += 1
        self.title()


def carry_on(earlier: Session, session: Session) -> None:
    """A new transcript begins with a copy of another session's lines, which keep their old sessionId."""
    lines = [line for line in earlier.main.lines if b'"uuid"' in line and b'"type":"progress"' not in line]
    copied = lines[: max(1, len(lines) * 4 // 5)]
    session.main.lines[:0] = copied
    session.truth.documents += len(copied)
    session.truth.entry_copies += len(copied)
    session.own.is_resumed = True


def start_times(rng: random.Random, days: int, end: datetime) -> Any:
    """Endless Unix milliseconds at which sessions start: working hours on weekdays, fewer at night and weekends."""
    first = end - timedelta(days=days)
    while True:
        day = first + timedelta(days=rng.randrange(days))
        if day.weekday() >= 5 and rng.random() < 0.75:
            continue
        hour = min(23.4, max(0.0, rng.gauss(10.5, 1.6) if rng.random() < 0.55 else rng.gauss(15.5, 2.2)))
        start = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hour)
        if first <= start < end - timedelta(hours=1):
            yield int(start.timestamp() * 1000) + rng.randrange(1000)
