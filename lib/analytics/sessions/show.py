"""A session in a notebook: the same timeline as in the browser, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.common.text import clean
from analytics.sessions.model import Step, Timeline
from analytics.sessions.reader import Reader, reader_of
from analytics.sessions.timeline import timeline
from analytics.settings import load_settings

if TYPE_CHECKING:
    import duckdb
    import pandas

SHOWN = 400


def reader(connection: duckdb.DuckDBPyConnection) -> Reader:
    """What the functions of this room read from, by a notebook's connection to the published marts."""
    return reader_of(connection, load_settings())


def read(connection: duckdb.DuckDBPyConnection, session_id: str | None) -> Timeline | None:
    """A session's timeline; None when there is no session to choose.

    Raises:
        NoSession: no session has that id.
    """
    return None if session_id is None else timeline(reader(connection), session_id)


def turns(line: Timeline | None) -> pandas.DataFrame:
    """Turns: number, prompt, cost, why, responses, tool calls, largest context, seconds."""
    import pandas

    names = ("turn", "prompt", "cost_usd", "why", "responses", "tool_calls", "max_context_tokens", "seconds")
    found = [
        (
            *(turn.number, turn.text[:SHOWN], None if turn.cost_usd is None else float(turn.cost_usd)),
            *(", ".join(turn.because), turn.response_count, turn.call_count, turn.max_context_tokens, turn.seconds),
        )
        for turn in (line.turns if line else [])
    ]
    return pandas.DataFrame(found, columns=list(names))


def steps(line: Timeline | None, turn: int | None = None) -> pandas.DataFrame:
    """Steps of one turn, or of all, sub-agents' included: when, what, what it says, status, cost."""
    import pandas

    names = ("at", "turn", "kind", "what", "says", "status", "duration_ms", "cost_usd")
    found = [_step(step) for step in (line.every_step() if line else ()) if turn is None or step.turn == turn]
    return pandas.DataFrame(found, columns=list(names))


def _step(step: Step) -> tuple[object, ...]:
    call = step.call
    cost = step.response.cost_usd if step.response else None
    return (
        *(step.at, step.turn, step.kind, clean(step.label), (call.summary if call else step.text)[:SHOWN]),
        *(call.status if call else None, call.duration_ms if call else None, None if cost is None else float(cost)),
    )


def contexts(line: Timeline | None) -> pandas.DataFrame:
    """Context size of the main chain's responses by number, and where it was compacted."""
    import pandas

    found = [(number, at, size, kind) for number, (at, size, kind) in enumerate(line.contexts if line else [], 1)]
    return pandas.DataFrame(found, columns=["number", "at", "context_tokens", "kind"])
