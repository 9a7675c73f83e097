"""What each turn cost, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from analytics.sessions.model import Row, Turn

# A reason is told when it stands behind this share of a turn's cost.
TELLING_SHARE = Decimal("0.25")
EXPENSIVE_TURNS = 5
# After a pause the cache is gone: a context this large that is written anew was read from it before.
COLD_CONTEXT, PAUSE_SECONDS = 20_000, 300
LONG_CONTEXT, LONG_OUTPUT, MANY_CALLS = 200_000, 8_000, 25


def because(message: Row) -> str | None:
    """Why a response was expensive: cold cache, long context or long output; None when it is ordinary.

    Args:
        message: its row of fct_messages.
    """
    context = message["context_tokens"] or 0
    written = (message["cache_write_5m_tokens"] or 0) + (message["cache_write_1h_tokens"] or 0)
    uncached = written + (message["input_tokens"] or 0)
    if context >= COLD_CONTEXT and uncached > context / 2 and (message["seconds_since_previous"] or 0) >= PAUSE_SECONDS:
        return "cold cache"
    if context >= LONG_CONTEXT:
        return "long context"
    return "long output" if (message["output_tokens"] or 0) >= LONG_OUTPUT else None


def measured(turns: list[Turn], messages: Iterable[Row], calls: Iterable[Row]) -> list[Turn]:
    """Sums of the marts' messages and calls in `turns`, which are returned.

    A turn is what follows a human prompt up to the next one, on the main chain and in sub-agents (`prompt_key`).
    """
    by_key = {turn.key: turn for turn in turns}
    responses: dict[str, list[Row]] = defaultdict(list)
    ended: dict[str, datetime] = {}
    turn_of_message: dict[str, Turn] = {}
    for message in messages:
        turn = by_key.get(message["prompt_key"] or "")
        if turn is None:
            continue
        turn_of_message[message["message_key"]] = turn
        if message["created_at"] is not None:
            ended[turn.key] = max(ended.get(turn.key, message["created_at"]), message["created_at"])
        if message["message_kind"] in ("response", "advisor"):
            responses[turn.key].append(message)
    for call in calls:
        turn = turn_of_message.get(call["message_key"])
        if turn is not None:
            turn.call_count += 1
            turn.error_count += call["status"] == "error"
    for turn in turns:
        _sum(turn, responses[turn.key])
        if turn.at is not None and turn.key in ended:
            turn.seconds = max(0.0, (ended[turn.key] - turn.at).total_seconds())
    dear = sorted((turn for turn in turns if turn.cost_usd), key=lambda turn: -(turn.cost_usd or 0))
    total = sum((turn.cost_usd or Decimal(0) for turn in turns), Decimal(0))
    for turn in dear[:EXPENSIVE_TURNS]:
        turn.is_expensive = len(turns) > 1 and (turn.cost_usd or 0) > 2 * total / len(turns)
    return turns


def _sum(turn: Turn, responses: list[Row]) -> None:
    costs = [row["cost_usd"] for row in responses if row["cost_usd"] is not None]
    turn.response_count = len(responses)
    turn.unpriced_count = len(responses) - len(costs)
    turn.cost_usd = None if responses and not costs else sum(costs, Decimal(0))
    main = [row["context_tokens"] or 0 for row in responses if not row["is_sidechain"]]
    turn.max_context_tokens = max(main, default=0)
    turn.because = reasons(turn, responses)


def reasons(turn: Turn, responses: list[Row]) -> list[str]:
    """Why a turn cost what it did, the weightiest first: reasons of its responses, sub-agents, many calls."""
    if not turn.cost_usd:
        return []
    weights: dict[str, Decimal] = defaultdict(Decimal)
    for row in responses:
        cost = row["cost_usd"] or Decimal(0)
        if row["is_sidechain"]:
            weights["sub-agents"] += cost
        elif reason := because(row):
            weights[reason] += cost
    found = [
        f"{name} {weight / turn.cost_usd:.0%}"
        for name, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0]))
        if weight / turn.cost_usd >= TELLING_SHARE
    ]
    if turn.call_count >= MANY_CALLS:
        found.append(f"{turn.call_count:,} tool calls")
    return found
