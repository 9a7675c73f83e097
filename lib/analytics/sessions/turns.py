"""What each turn cost, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from analytics.sessions.model import Row, Turn

EXPENSIVE_TURNS = 5


def measured(turns: list[Turn], messages: Iterable[Row], calls: Iterable[Row]) -> list[Turn]:
    """Sums of the marts' messages and calls in `turns`, which are returned.

    A turn is what follows a human prompt up to the next one, on the main chain and in sub-agents (`prompt_key`).
    """
    by_key = {turn.key: turn for turn in turns}
    prompts: dict[str, Row] = {}
    responses: dict[str, list[Row]] = defaultdict(list)
    ended: dict[str, datetime] = {}
    turn_of_message: dict[str, Turn] = {}
    for message in messages:
        turn = by_key.get(message["prompt_key"] or "")
        if turn is None:
            continue
        turn_of_message[message["message_key"]] = turn
        if message["message_key"] == turn.key:
            prompts[turn.key] = message
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
        _sum(turn, prompts[turn.key], responses[turn.key])
        if turn.at is not None and turn.key in ended:
            turn.seconds = max(0.0, (ended[turn.key] - turn.at).total_seconds())
    dear = sorted((turn for turn in turns if turn.cost_usd), key=lambda turn: -(turn.cost_usd or 0))
    total = sum((turn.cost_usd or Decimal(0) for turn in turns), Decimal(0))
    for turn in dear[:EXPENSIVE_TURNS]:
        turn.is_expensive = len(turns) > 1 and (turn.cost_usd or 0) > 2 * total / len(turns)
    return turns


def _sum(turn: Turn, prompt: Row, responses: list[Row]) -> None:
    turn.response_count = prompt["turn_response_count"]
    turn.unpriced_count = prompt["turn_unpriced_response_count"]
    turn.cost_usd = prompt["turn_cost_usd"] if responses else Decimal(0)
    main = [row["context_tokens"] or 0 for row in responses if not row["is_sidechain"]]
    turn.max_context_tokens = max(main, default=0)
    turn.because = reasons(prompt, responses)


def reasons(prompt: Row, responses: list[Row]) -> list[str]:
    """Why a turn cost what it did, the weightiest first, with what each reason's responses have of its cost.

    Args:
        prompt: the row of fct_messages that opens the turn: its `expensive_because` says whether there is a reason.
        responses: the rows of the turn's responses.
    """
    if prompt["expensive_because"] is None:
        return []
    weights: dict[str, Decimal] = defaultdict(Decimal)
    for row in responses:
        if reason := "sub-agents" if row["is_sidechain"] else row["expensive_because"]:
            weights[reason] += row["cost_usd"] or Decimal(0)
    shares = {name: f"{weight / prompt['turn_cost_usd']:.0%}" for name, weight in weights.items()}
    found = [
        f"{name} {shares[name]}"
        for name in sorted(weights, key=lambda name: (-weights[name], name))
        if shares[name] != "0%"
    ]
    return (
        [f"{prompt['turn_tool_use_count']:,} tool calls", *found]
        if prompt["expensive_because"] == "many calls"
        else found
    )
