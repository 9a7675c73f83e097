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
from transcript_generator.truth import AttributionTruth, Counts, TurnTruth, WasteTruth, usd

_NANO = Decimal("1e-9")
FIVE_MINUTES_MS, ONE_HOUR_MS = 300_000, 3_600_000
COLD_CONTEXT, LONG_CONTEXT, LONG_OUTPUT = 20_000, 200_000, 8_000  # what makes a response expensive


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
    attributed: tuple[tuple[str, str], ...] = ()  # kinds and names of what it is a call of
    is_background: bool = False

    def again(self) -> Call:
        """The same call, to be made once more."""
        return replace(self, id="", response=None)


@dataclass(slots=True)
class Extras:
    """What a response's usage says beside its tokens (2.1.200 on)."""

    searches: int = 0
    geo: bytes = b""
    tier: bytes = b"standard"
    thinking: int | None = None
    advisor: Tokens | None = None  # an advisor's answer, which the totals leave out
    is_fast: bool = False
    milli_factor: int = 1_000  # what place and tier make of the price, in thousandths


def usage_json(tokens: Tokens, output: int, speed: bytes | None, extras: Extras, *, is_split: bool) -> bytes:
    """JSON text of a response's usage; `output` may still be partial."""
    split = b""
    if is_split:
        split = b',"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d}' % tokens[2:4]
    more = b""
    if speed is not None:
        more = (
            b',"server_tool_use":{"web_search_requests":%d,"web_fetch_requests":0},"inference_geo":"%b","speed":"%b"'
            % (extras.searches, extras.geo, speed)
        )
    if extras.thinking is not None:
        more += b',"output_tokens_details":{"thinking_tokens":%d}' % min(output, extras.thinking)
    if extras.advisor is not None:
        item = b'{"type":"%b",%b"input_tokens":%d,"output_tokens":%d,"cache_read_input_tokens":%d}'
        more += b',"iterations":[%b,%b]' % (
            item % (b"message", b"", tokens[0], output, tokens[4]),
            item
            % (
                b"advisor_message",
                b'"model":"%b",' % words.ADVISOR_MODEL.encode(),
                *extras.advisor[:2],
                extras.advisor[4],
            ),
        )
    return (
        b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d%b'
        b',"output_tokens":%d,"service_tier":"%b"%b}'
        % (tokens[0], tokens[2] + tokens[3], tokens[4], split, output, extras.tier, more)
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
        self._turn_truth: TurnTruth | None = None
        self._last_answer_ms: dict[tuple[bool, str | None], int] = {}  # by chain, advisors' included
        self.skill = ""  # what the running turn is spent on
        self.spent_nano = 0
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

    def _open_turn(self) -> None:
        self.close_turn()
        self._turn = [self.clock_ms, 0]
        self._turn_truth = TurnTruth()
        self.own.turns.append(self._turn_truth)
        self.skill = ""

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
        is_priced = chain.model != words.GATEWAY_MODEL
        if self.geo:
            extras.geo = self.geo
            if chain.model in words.US_MODELS:
                extras.milli_factor = extras.milli_factor * 11 // 10
        if self.tier == b"batch":
            extras.tier = self.tier
            if chain.model.startswith(("claude", "anthropic/")):
                extras.milli_factor //= 2
        if not is_priced:
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

    def _count_response(
        self,
        chain: Chain,
        at_ms: int,
        response: Response,
        extras: Extras,
        attributed: list[tuple[str, str]],
        is_lower_bound: bool,
    ) -> None:
        tokens = response.tokens
        context = tokens[0] + tokens[2] + tokens[3] + tokens[4]
        quarter = at_ms // QUARTER_MS
        # fast mode has one price for all prompts
        rates = self.prices.rates(chain.model, self.calendar.local(quarter)[0], 0 if extras.is_fast else context)
        nano = None
        if rates:
            nano = rates.nano_usd(
                tokens, is_fast=extras.is_fast, milli_factor=extras.milli_factor, searches=extras.searches
            )
        response.nano_usd = nano
        day = self.calendar.local(quarter)[0]
        parts = [self.truth.attribution[day, self.folder, kind, name] for kind, name in attributed]
        self._sum_up(chain, quarter, chain.model, response, parts, is_lower_bound)
        self.kinds["response"] = self.kinds.get("response", 0) + 1
        if extras.thinking is not None:
            self.own.thinking_tokens = (self.own.thinking_tokens or 0) + min(extras.thinking, tokens[1])
        self._see(context, quarter, at_ms, chain, response)
        if extras.advisor is not None:
            self._count_advisor(chain, at_ms, response, extras, parts, is_lower_bound)
        if not chain.is_side:
            if self._asked_ms is not None:
                self.own.response_ms.append(at_ms - self._asked_ms)
            if self._turn:
                self._turn[1] = at_ms
        self._find_rebuild(chain, at_ms, response, rates, extras)

    def _count_advisor(
        self,
        chain: Chain,
        at_ms: int,
        response: Response,
        extras: Extras,
        parts: list[AttributionTruth],
        is_lower_bound: bool,
    ) -> None:
        """An advisor's answer is a response of its own model, of the same moment, with what its line says of itself."""
        tokens = extras.advisor
        assert tokens is not None
        quarter, context = at_ms // QUARTER_MS, tokens[0] + tokens[4]
        rates = self.prices.rates(words.ADVISOR_MODEL, self.calendar.local(quarter)[0], context)
        factor = 1_000
        if extras.geo:
            factor = factor * 11 // 10
        if extras.tier == b"batch":
            factor //= 2
        nano = rates.nano_usd(tokens, milli_factor=factor) if rates else None
        advisor = Response(f"{response.key}#1", tokens, nano, 0)
        self._sum_up(chain, quarter, words.ADVISOR_MODEL, advisor, parts, False)
        self.kinds["advisor"] = self.kinds.get("advisor", 0) + 1
        self._see(context, quarter, at_ms, chain, advisor)

    def _see(self, context: int, quarter: int, at_ms: int, chain: Chain, response: Response) -> None:
        """The largest context, the hour, the turn, and what a response cost."""
        own, nano = self.own, response.nano_usd
        if own.max_context_tokens is None or context > own.max_context_tokens:
            own.max_context_tokens = context
        hour = self.truth.hours[quarter // 4]
        if hour.first_response_ms is None or at_ms < hour.first_response_ms:
            hour.first_response_ms = at_ms
        if hour.last_response_ms is None or at_ms > hour.last_response_ms:
            hour.last_response_ms = at_ms
        key = (chain.is_side, chain.agent_id)
        pause = at_ms - self._last_answer_ms.get(key, at_ms)
        self._last_answer_ms[key] = at_ms
        if self._turn_truth is not None:
            turn, reason = self._turn_truth, None
            if context >= COLD_CONTEXT and response.tokens[4] * 2 < context and pause >= FIVE_MINUTES_MS:
                reason = "cold cache"
            elif context >= LONG_CONTEXT:
                reason = "long context"
            elif response.tokens[1] >= LONG_OUTPUT:
                reason = "long output"
            reason = "sub-agents" if chain.is_side else reason
            turn.response_count += 1
            turn.unpriced_response_count += nano is None
            turn.tool_use_count += response.calls
            if nano is not None:
                turn.nano_usd = (turn.nano_usd or 0) + nano
                if reason:
                    turn.weights[reason] += nano
        if nano is not None:
            self.spent_nano += nano
            self._costs.append((nano, response))
            own.subagent_nano_usd += nano * chain.is_side

    def _sum_up(
        self,
        chain: Chain,
        quarter: int,
        model: str,
        response: Response,
        parts: list[AttributionTruth],
        is_lower_bound: bool,
    ) -> None:
        """Count a response wherever it belongs."""
        tokens, nano = response.tokens, response.nano_usd
        cell = self.cell(quarter, model)
        sums: list[Counts] = [cell, chain.counts, *parts] if chain.is_side else [cell, *parts]
        for counts in sums:
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

    def _find_rebuild(self, chain: Chain, at_ms: int, response: Response, rates: Rates | None, extras: Extras) -> None:
        """Waste: the cache was written anew after a pause longer than it lives."""
        key = (chain.is_side, chain.agent_id)
        before = self._last_response_ms.get(key)
        self._last_response_ms[key] = at_ms
        writes = response.tokens[2:4]
        if before is None or sum(writes) <= max(20_000, response.tokens[4]):
            return
        if at_ms - before >= (ONE_HOUR_MS if writes[1] >= writes[0] else FIVE_MINUTES_MS):
            written: Tokens = (0, 0, *writes, 0)
            nano = rates.nano_usd(written, is_fast=extras.is_fast, milli_factor=extras.milli_factor) if rates else None
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
        self.own.background_call_count += call.is_background
        for kind, name in call.attributed:
            self.truth.attribution[self.day(call.at_ms), self.folder, kind, name].call_count += 1

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
