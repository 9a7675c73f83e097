"""What is counted of a session's responses, calls and files, and what of them was probably avoidable."""

from __future__ import annotations

import statistics
from collections import deque
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from transcript_generator import vocabulary as words
from transcript_generator.prices import Rates, Tokens
from transcript_generator.transcript import QUARTER_MS, Chain, Transcript
from transcript_generator.truth import AttributionTruth, Counts, TurnTruth, WasteTruth, usd
from transcript_generator.usage import Call, Extras, Response

_NANO = Decimal("1e-9")
FIVE_MINUTES_MS, ONE_HOUR_MS = 300_000, 3_600_000
COLD_CONTEXT, LONG_CONTEXT, LONG_OUTPUT = 20_000, 200_000, 8_000  # what makes a response expensive


class Counted(Transcript):
    """A session's counts; nothing here writes a line."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
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
                tokens, is_fast=extras.is_fast, milli_factor=extras.milli_factor(chain.model), searches=extras.searches
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
        nano = rates.nano_usd(tokens, milli_factor=extras.milli_factor(words.ADVISOR_MODEL)) if rates else None
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
            nano = (
                rates.nano_usd(written, is_fast=extras.is_fast, milli_factor=extras.milli_factor(chain.model))
                if rates
                else None
            )
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
