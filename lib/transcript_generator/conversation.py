"""Prompts, responses, tool calls and their results, and everything that is counted of them."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import orjson

from transcript_generator import pools
from transcript_generator import vocabulary as words
from transcript_generator.prices import Rates, Tokens
from transcript_generator.transcript import QUARTER_MS, Chain, Transcript
from transcript_generator.truth import WasteTruth, usd

_NANO = Decimal("1e-9")
FIVE_MINUTES_MS, ONE_HOUR_MS = 300_000, 3_600_000


@dataclass(slots=True)
class Response:
    """What later findings need to know of a response."""

    key: str
    tokens: Tokens
    nano_usd: int | None
    calls: int


@dataclass(slots=True)
class Call:
    """A tool call. `complete` writes its result; a call that nobody answers has none."""

    tool: str
    input: bytes  # JSON text
    complete: Callable[[Call], None]
    operation: str | None = None  # of a file tool: read, create, overwrite or edit
    file: tuple[str, str] = ("", "")  # its path and language
    id: str = ""
    at_ms: int = 0
    line: int = 0  # where it stands in its chain's lines
    uuid: bytes = b""
    response: Response | None = None

    def again(self) -> Call:
        """The same call, to be made once more."""
        return replace(self, id="", response=None)


def usage_json(tokens: Tokens, output: int, speed: bytes | None, *, is_split: bool) -> bytes:
    """JSON text of a response's usage; `output` may still be partial."""
    split = b""
    if is_split:
        split = b',"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d}' % tokens[2:4]
    more = b""
    if speed is not None:
        more = (
            b',"server_tool_use":{"web_search_requests":0,"web_fetch_requests":0},"inference_geo":"","speed":"%b"'
            % speed
        )
    return (
        b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d%b'
        b',"output_tokens":%d,"service_tier":"standard"%b}'
        % (tokens[0], tokens[2] + tokens[3], tokens[4], split, output, more)
    )


class Conversation(Transcript):
    """A session's messages and calls."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.context_limit = 160_000 if self.rnd() < 0.93 else 600_000
        self.said: set[str] = set()  # prompts that stand in a user line
        self.queued: set[str] = set()
        self.calls_seen = 0
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=3)
        self._asked_ms: int | None = None
        self._turn: list[int] | None = None  # start and last answer of the running turn
        self._last_response_ms: dict[tuple[bool, str | None], int] = {}
        self._costs: list[tuple[int, Response]] = []
        self._file_versions: dict[str, int] = {}
        self._reads: dict[tuple[str | None, bytes], tuple[int, int]] = {}
        self._failures: set[tuple[str, bytes]] = set()

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

    def _open_turn(self) -> None:
        self.close_turn()
        self._turn = [self.clock_ms, 0]

    def close_turn(self) -> None:
        """A turn lasts from its prompt to the last response or tool result before the next one."""
        if self._turn and self._turn[1]:
            self.own.turn_ms.append(self._turn[1] - self._turn[0])
        self._turn = None

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
        whole = usage_json(tokens, tokens[1], speed, is_split=is_split)
        partial = whole
        if final == "last" and len(blocks) > 1:
            partial = usage_json(tokens, min(tokens[1], 2), speed, is_split=is_split)

        is_gateway = chain.model == words.GATEWAY_MODEL
        has_id = not (is_gateway and len(blocks) == 1 and rnd() < 0.3)
        message_id = self.id_of(b"msg")
        request = b"" if is_gateway else b',"requestId":"%b"' % self.id_of(b"req")
        start = b'"message":{"model":"%b",%b"type":"message","role":"assistant","content":[' % (
            chain.model.encode(),
            b'"id":"%b",' % message_id if has_id else b"",
        )
        stop = b'"tool_use"' if calls else b'"end_turn"'
        created_ms = self.clock_ms
        response = Response(message_id.decode(), tokens, None, len(calls))
        last = len(blocks) - 1
        for position, (block, call) in enumerate(blocks):
            is_final = final == "all" or (final == "last" and position == last)
            usage = whole if position == last or final != "last" else partial
            reason = stop if is_final else b"null"
            body = b'%b%b],"stop_reason":%b,"stop_sequence":null,"usage":%b}%b'
            uuid = self.entry(chain, b"assistant", body % (start, block, reason, usage, request))
            if not has_id:
                response.key = uuid.decode()
            if position == 0:
                self._count_response(chain, created_ms, response, is_fast, final == "none")
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

    def _count_response(
        self, chain: Chain, at_ms: int, response: Response, is_fast: bool, is_lower_bound: bool
    ) -> None:
        tokens = response.tokens
        context = tokens[0] + tokens[2] + tokens[3] + tokens[4]
        quarter = at_ms // QUARTER_MS
        # fast mode has one price for all prompts
        rates = self.prices.rates(chain.model, self.calendar.local(quarter)[0], 0 if is_fast else context)
        nano = rates.nano_usd(tokens, is_fast=is_fast) if rates else None
        response.nano_usd = nano
        cell = self.cell(quarter, chain.model)
        for counts in (cell, chain.counts) if chain.is_side else (cell,):
            counts.message_count += 1
            counts.response_count += 1
            counts.lower_bound_response_count += is_lower_bound
            counts.input_tokens += tokens[0]
            counts.output_tokens += tokens[1]
            counts.cache_write_5m_tokens += tokens[2]
            counts.cache_write_1h_tokens += tokens[3]
            counts.cache_read_tokens += tokens[4]
            if nano is None:
                counts.unpriced_response_count += 1
            else:
                counts.nano_usd += nano
        own = self.own
        self.kinds["response"] = self.kinds.get("response", 0) + 1
        if own.max_context_tokens is None or context > own.max_context_tokens:
            own.max_context_tokens = context
        hour = self.truth.hours[quarter // 4]
        if hour.first_response_ms is None or at_ms < hour.first_response_ms:
            hour.first_response_ms = at_ms
        if hour.last_response_ms is None or at_ms > hour.last_response_ms:
            hour.last_response_ms = at_ms
        if nano is not None:
            self._costs.append((nano, response))
            own.subagent_nano_usd += nano * chain.is_side
        if not chain.is_side:
            if self._asked_ms is not None:
                own.response_ms.append(at_ms - self._asked_ms)
            if self._turn:
                self._turn[1] = at_ms
        self._find_rebuild(chain, at_ms, response, rates, is_fast)

    def _find_rebuild(self, chain: Chain, at_ms: int, response: Response, rates: Rates | None, is_fast: bool) -> None:
        """Waste: the cache was written anew after a pause longer than it lives."""
        key = (chain.is_side, chain.agent_id)
        before = self._last_response_ms.get(key)
        self._last_response_ms[key] = at_ms
        writes = response.tokens[2:4]
        if before is None or sum(writes) <= max(20_000, response.tokens[4]):
            return
        if at_ms - before >= (ONE_HOUR_MS if writes[1] >= writes[0] else FIVE_MINUTES_MS):
            written: Tokens = (0, 0, *writes, 0)
            nano = rates.nano_usd(written, is_fast=is_fast) if rates else None
            self._waste("cache_rebuild", response.key, written, usd(nano) if nano else None)

    def _count_call(self, call: Call) -> None:
        self.moment().tool_call_count += 1
        self.own.tools[call.tool] += 1
        tool = self.truth.tool_facts[call.tool]
        tool.call_count += 1
        # a call is followed by a retry when the next same one is at most three calls later
        key = (call.tool, call.input)
        recent = self._recent
        if key in recent:
            tool.retried_count += 1
            recent[recent.index(key)] = ("", b"")
        recent.append(key)

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
    ) -> None:
        """The result of a call.

        Args:
            content: JSON text of the tool_result's content.
            outcome: JSON text of toolUseResult; side chains have none.
            added, removed: lines of a successful file operation.
        """
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

    def _count_status(self, call: Call, status: str, error_class: str | None) -> None:
        self.truth.tool_facts[call.tool].status[status] += 1
        if error_class:
            self.truth.error_classes[error_class] += 1
        # a day's errors are those of the calls made on it
        moment = self.cell(call.at_ms // QUARTER_MS, "")
        if status == "error":
            moment.tool_error_count += 1
        elif status == "rejected":
            moment.rejected_tool_call_count += 1

    def count_git(self, call: Call, *, commits: int = 0, pull_requests: int = 0) -> None:
        """A successful call committed or opened a pull request."""
        moment = self.cell(call.at_ms // QUARTER_MS, "")
        moment.commits += commits
        moment.pull_requests += pull_requests

    def _count_file(self, call: Call, status: str, added: int, removed: int) -> None:
        path, language = call.file
        operation = call.operation or ""
        if status != "success":
            added = removed = 0
            if operation == "overwrite":
                operation = "create"  # nothing says that the file was there
        self.truth.file_operations[operation] += 1
        self.truth.languages[language] += 1
        if status != "success":
            return
        quarter = call.at_ms // QUARTER_MS
        moment = self.cell(quarter, "")
        moment.lines_added += added
        moment.lines_removed += removed
        code = self.truth.code_changes[self.calendar.local(quarter)[0], language]
        code.lines_added += added
        code.lines_removed += removed
        if operation == "read":
            moment.file_read_count += 1
            code.read_count += 1
            return
        self._file_versions[path] = self._file_versions.get(path, 0) + 1
        code.paths.add(path)
        if operation == "edit":
            moment.file_edit_count += 1
            code.edit_count += 1
        else:
            moment.file_write_count += 1
            if operation == "create":
                code.create_count += 1
            else:
                code.overwrite_count += 1

    # Findings

    def _find_repeated_read(self, chain: Chain, call: Call) -> None:
        """Waste: the same lines of a file read again, unchanged since and still in the context."""
        key = (chain.agent_id, call.input)
        state = (self._file_versions.get(call.file[0], 0), 0 if chain.agent_id else self.own.compactions)
        if self._reads.get(key) == state:
            self._waste_call("repeated_read", call)
        self._reads[key] = state

    def _waste_call(self, finding: str, call: Call) -> None:
        """A call bears its share of the response that made it."""
        response = call.response
        assert response is not None
        calls = max(response.calls, 1)
        cost = None
        if response.nano_usd is not None:
            cost = (usd(response.nano_usd) / calls).quantize(_NANO, ROUND_HALF_UP)
        self._waste(finding, call.id, tuple(count // calls for count in response.tokens), cost)

    def _waste(self, finding: str, key: str, tokens: tuple[int, ...], cost: Decimal | None) -> None:
        self.own.waste.setdefault(finding, WasteTruth()).add(key, tokens, cost)

    def find_outliers(self) -> None:
        """Waste: responses that cost more than a dollar and ten times the session's median."""
        if self._costs:
            limit = max(1_000_000_000, 10 * statistics.median(cost for cost, _ in self._costs))
            for cost, response in self._costs:
                if cost > limit:
                    self._waste("cost_outlier", response.key, response.tokens, usd(cost))
