"""Prompts, responses, tool calls and their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from transcript_generator import pools
from transcript_generator import vocabulary as words
from transcript_generator.counted import FIVE_MINUTES_MS, ONE_HOUR_MS, Counted
from transcript_generator.prices import Tokens
from transcript_generator.transcript import Chain
from transcript_generator.usage import Call, Extras, Response, usage_json


class Conversation(Counted):
    """A session's messages and calls."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.context_limit = 160_000 if self.rnd() < 0.93 else 600_000
        self.said: set[str] = set()  # prompts that stand in a user line
        self.queued: set[str] = set()
        is_new = self.era.marks_origin
        if is_new and self.main.model in words.OTHER_IDS and self.rarely(0.6):
            self.main.model = words.OTHER_IDS[self.main.model]
        self.effort = self.more.choice(["high", "high", "xhigh", "medium"]) if is_new else None
        self.geo = b"us" if is_new and self.rarely(0.15) else b""
        self.tier = b"batch" if self.own.is_automated and self.rarely(0.7) else b"standard"
        # of other vendors some give one id to all responses, or count their calls anew in every response
        self.constant_id = b"chatcmpl-%b" % self.id[:8].encode() if self.rarely(0.7) else b""
        self.counts_calls = self.rarely(0.5)

    # What a person says

    def user_line(self, content: bytes, kind: str, extra: bytes = b"") -> None:
        """A user entry of the main chain with JSON content."""
        self.entry(self.main, b"user", b'"message":{"role":"user","content":%b}%b' % (content, extra))
        self.count_message(kind)
        self._asked_ms = self.clock_ms

    def prompt(self, text: str, *, before: Sequence[dict[str, Any]] = ()) -> None:
        """A person's prompt, with blocks before its text."""
        content: Any = text
        length = len(text)
        if before:
            content = [*before, {"type": "text", "text": text}]
            length += sum(len(block["text"]) + 1 for block in before if block["type"] == "text")
        marks = b""
        if self.era.marks_origin:
            marks = b',"promptSource":"%b"' % (b"sdk" if self.own.is_automated else b"typed")
            if not self.own.is_automated:
                marks += b',"origin":{"kind":"human"}'
        self.user_line(orjson.dumps(content), "prompt", marks)
        self.said.add(text)
        self.moment().prompt_count += 1
        self.own.prompt_lengths.append(length)
        self._open_turn()
        if self.own.title is None and not any(block["type"] == "text" for block in before):
            self.own.title = text[:300].split("\n")[0].strip()

    def odd_user_line(self, text: str, missing: str) -> None:
        """A user line, nobody's prompt, without its `timestamp` or its `sessionId`: its file says whose it is."""
        document = {
            "parentUuid": orjson.loads(self.main.parent),
            "isSidechain": False,
            "type": "user",
            "isMeta": True,
            "message": {"role": "user", "content": text},
            "uuid": self.uuid().decode(),
            "timestamp": self.now(),
            "cwd": self.cwd,
            "sessionId": self.id,
        }
        del document[missing]
        self.odd_line(document)
        self.own.user_entry_count += 1
        self.count_message("meta")
        if missing == "timestamp":
            self.truth.entries_without_time += 1
        else:
            self._asked_ms = self.clock_ms

    def slash_command(self, name: str) -> None:
        """A slash command."""
        text = f"<command-name>/{name}</command-name>\n            <command-message>{name}</command-message>"
        self.user_line(orjson.dumps(text), "slash_command")
        self.moment().prompt_count += 1
        self.own.prompt_lengths.append(len(text))
        self._open_turn()

    def queued_prompt(self, text: str) -> None:
        """A prompt that was typed while Claude worked and stands in no user line."""
        self.queue(text)
        self.queued.add(text)
        self.count_message("prompt")
        self.moment().queued_prompt_count += 1
        self._asked_ms = self.clock_ms
        self._open_turn()

    def queue(self, text: str) -> None:
        """The attachment of a queued prompt."""
        attachment = {"type": "queued_command", "prompt": text, "commandMode": "prompt"}
        self.entry(self.main, b"attachment", b'"attachment":%b' % orjson.dumps(attachment))

    # What Claude does

    def respond(
        self,
        chain: Chain,
        *,
        text: bytes | None = None,
        calls: Sequence[Call] = (),
        fresh: int | None = None,
        answers_between: bool = False,
    ) -> None:
        """One API response, a line a block.

        Args:
            text: a text block, JSON.
            fresh: tokens of the prompt that are new.
            answers_between: each call's result stands right behind the call, between the response's lines.
        """
        rnd = self.rnd
        blocks: list[tuple[bytes, Call | None]] = []
        if rnd() < 0.45:
            blocks.append((self._thought(), None))
        if text is not None:
            blocks.append((text, None))
        if rnd() < 0.004:
            blocks.append((b'{"type":"server_tool_use","id":"srvtoolu_01","name":"web_search","input":{}}', None))
            blocks.append((b'{"type":"web_search_tool_result","tool_use_id":"srvtoolu_01","content":[]}', None))
        for made in calls:
            made.id = self.id_of(b"toolu").decode()
            if self.counts_calls and chain.model == words.GATEWAY_MODEL and made.tool not in ("Task", "Agent"):
                made.id = f"{made.tool}:{len(blocks)}"
            block = b'{"type":"tool_use","id":"%b","name":"%b","input":%b}'
            blocks.append((block % (made.id.encode(), made.tool.encode(), made.input), made))
        if self.era.subagents == "inline" and len(calls) < 2 and rnd() < 0.3:  # all blocks in one line
            blocks = [(b",".join(block for block, _ in blocks), calls[0] if calls else None)]

        final = self.era.final_side_lines if chain.is_side else self.era.final_lines
        if rnd() < 0.004:
            final = "none"  # the stream broke off
        tokens = self._tokens(chain, fresh, is_final=final != "none")
        is_fast = chain.model in words.FAST_MODELS and self.era.marks_origin and rnd() < 0.25
        speed = (b"fast" if is_fast else b"standard") if self.era.has_attachments else None
        is_split = self.era.splits_cache_writes
        extras = self._extras(chain, tokens, is_fast)
        whole = usage_json(tokens, tokens[1], speed, extras, is_split=is_split)
        partial = whole
        if final == "last" and len(blocks) > 1:
            partial = usage_json(tokens, min(tokens[1], 2), speed, extras, is_split=is_split)

        is_gateway = chain.model == words.GATEWAY_MODEL
        has_id = not (is_gateway and len(blocks) == 1 and rnd() < 0.3)
        message_id = self.id_of(b"msg")
        request = b"" if is_gateway else b',"requestId":"%b"' % self.id_of(b"req")
        key = message_id
        given = b'"id":"%b",' % message_id
        if not has_id:
            given = b'"id":"",' if self.rarely(0.5) else b""
        elif is_gateway and self.constant_id and not chain.is_side:
            # only the request tells its responses apart
            key = self.constant_id + b"/" + message_id.replace(b"msg", b"req")
            given = b'"id":"%b",' % self.constant_id
            request = b',"requestId":"%b"' % message_id.replace(b"msg", b"req")
        marks, attributed = self._marks(chain)
        start = b'"message":{"model":"%b",%b"type":"message","role":"assistant","content":[' % (
            chain.model.encode(),
            given,
        )
        stop = b'"tool_use"' if calls else b'"end_turn"'
        created_ms = self.clock_ms
        response = Response(key.decode(), tokens, None, len(calls))
        last = len(blocks) - 1
        for position, (block, call) in enumerate(blocks):
            is_final = final == "all" or (final == "last" and position == last)
            usage = whole if position == last or final != "last" else partial
            reason = stop if is_final else b"null"
            body = b'%b%b],"stop_reason":%b,"stop_sequence":null,"usage":%b}%b%b'
            uuid = self.entry(chain, b"assistant", body % (start, block, reason, usage, request, marks))
            if not has_id:
                response.key = uuid.decode()
            if position == 0:
                self._count_response(chain, created_ms, response, extras, attributed, final == "none")
            if call is not None:
                call.at_ms, call.line, call.uuid, call.response = self.clock_ms, len(chain.lines) - 1, uuid, response
                self._count_call(call)
                if answers_between:
                    self.tick(20, 900)
                    call.complete(call)
            if position < last:
                self.tick(30, 1_500)
                if rnd() < 0.05:  # the lines of one response need not be adjacent
                    self.entry(chain, b"system", b'"subtype":"informational","content":"Checkpoint","isMeta":false')

    def _extras(self, chain: Chain, tokens: Tokens, is_fast: bool) -> Extras:
        """Web searches, place, tier, thinking and an advisor."""
        extras = Extras(is_fast=is_fast)
        if not self.era.marks_origin:
            return extras
        extras.geo, extras.tier = self.geo, self.tier
        if chain.model == words.GATEWAY_MODEL:  # it has no price
            return extras
        if self.rarely(0.01):
            extras.searches = self.more.randint(1, 5)
        if self.rarely(0.8):
            extras.thinking = int(tokens[1] * self.more.random())
        if not chain.is_side and self.rarely(0.008):
            extras.advisor = (
                self.more.randint(1, 50),
                self.more.randint(200, 12_000),
                0,
                0,
                self.more.randint(0, 250_000),
            )
        return extras

    def _marks(self, chain: Chain) -> tuple[bytes, list[tuple[str, str]]]:
        """What a response's lines say it was spent on and how hard it was thought about; and the former counted."""
        marks, found = b"", []
        if self.effort and self.rarely(0.9):
            marks = b',"effort":"%b"' % self.effort.encode()
            self.own.efforts[self.effort] += 1
        if self.skill and not chain.is_side:
            marks += b',"attributionSkill":"%b"' % self.skill.encode()
            found.append(("skill", self.skill))
            if ":" in self.skill:
                plugin = self.skill.split(":")[0]
                marks += b',"attributionPlugin":"%b"' % plugin.encode()
                found.append(("plugin", plugin))
        if self.era.marks_origin and self.rarely(0.01):
            marks += b',"attributionMcpServer":"github"'
            found.append(("mcp_server", "github"))
        if chain.agent_id:
            found.append(("subagent_type", chain.agent_type))
        return marks, found

    def _thought(self) -> bytes:
        thoughts = pools.thoughts()
        if self.rnd() < 0.03:
            return thoughts[-1]
        offset = 16 if self.era.final_lines in ("last", "all") else 0
        return thoughts[offset + int(self.rnd() * 16)]

    def _tokens(self, chain: Chain, fresh: int | None, *, is_final: bool) -> Tokens:
        """Tokens of the next response of a chain, whose context grows with it."""
        rnd = self.rnd
        key = (chain.is_side, chain.agent_id)
        is_one_hour = self.era.has_attachments and not chain.is_side and rnd() < 0.97
        last_ms = self._last_response_ms.get(key, self.clock_ms)
        expired = self.clock_ms - last_ms > (ONE_HOUR_MS if is_one_hour else FIVE_MINUTES_MS)
        if fresh is None:
            fresh = pools.skewed(1_300, 40_000, 1.1)[int(rnd() * 1024)]
        if not chain.context:
            read, written = (int(rnd() * 14_000) if rnd() < 0.7 else 0), 6_000 + int(rnd() * 14_000) + fresh
            chain.context = read + written
        else:
            read, written = chain.context, fresh
            chain.context += fresh
            if expired or rnd() < 0.004:  # the cache is gone
                read, written = 0, chain.context
        # without its end a response's count is a placeholder
        output = pools.skewed(190, 32_000, 1.3)[int(rnd() * 1024)] if is_final else 1 + int(rnd() * 8)
        fresh_input = 1 + int(rnd() * 10)
        return (fresh_input, output, 0, written, read) if is_one_hour else (fresh_input, output, written, 0, read)

    # Results

    def result(
        self,
        chain: Chain,
        call: Call,
        content: bytes,
        outcome: bytes | None = None,
        *,
        status: str = "success",
        error_class: str | None = None,
        added: int = 0,
        removed: int = 0,
        is_error: bool | None = None,
    ) -> None:
        """The result of a call.

        Args:
            content: JSON text of the tool_result's content.
            outcome: JSON text of toolUseResult; side chains have none.
            added, removed: lines of a successful file operation.
            is_error: what the result says, where the status does not tell.
        """
        if is_error is None:
            is_error = status in ("error", "rejected")
        extra = b""
        if outcome is not None and not chain.is_side:
            extra = b',"toolUseResult":%b' % outcome
        if status == "rejected" and self.era.marks_origin:
            extra += b',"toolDenialKind":"user-rejected"'
        if self.era.subagents == "folder":
            extra += b',"sourceToolAssistantUUID":"%b"' % call.uuid
        body = b'"message":{"role":"user","content":[{"tool_use_id":"%b","type":"tool_result","content":%b%b}]}%b'
        error = b',"is_error":true' if is_error else b',"is_error":false' if self.era.splits_cache_writes else b""
        self.entry(chain, b"user", body % (call.id.encode(), content, error, extra))
        self.count_message("tool_result")
        if not chain.is_side:
            self._asked_ms = self.clock_ms
            if self._turn:
                self._turn[1] = self.clock_ms
        self.truth.tool_facts[call.tool].durations_ms.append(self.clock_ms - call.at_ms)
        self._count_status(call, status, error_class)
        for kind, name in call.attributed:
            part = self.truth.attribution[self.day(call.at_ms), self.folder, kind, name]
            part.failure_count += status in ("error", "rejected")
            said = orjson.loads(content)
            part.result_characters += len(said if isinstance(said, str) else said[0]["text"])
        if call.operation:
            self._count_file(call, status, added, removed)
        if status == "success" and call.operation == "read":
            self._find_repeated_read(chain, call)
        elif status == "error":
            if (call.tool, call.input) in self._failures:
                self._waste_call("repeated_failing_call", call)
            self._failures.add((call.tool, call.input))
        if self.rnd() < 0.008:  # a result before its call
            chain.lines[-1], chain.lines[call.line] = chain.lines[call.line], chain.lines[-1]

    def leave_pending(self, call: Call) -> None:
        """Nobody answers a call."""
        self._count_status(call, "pending", None)
        if call.operation:
            self._count_file(call, "pending", 0, 0)
