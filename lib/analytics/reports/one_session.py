"""One session on the terminal: what it was, what each turn cost and why, what its sub-agents did."""

from __future__ import annotations

import json
from typing import Any

from analytics.common.text import for_json, one_line, shortened
from analytics.errors import ConfigError
from analytics.reports import cells
from analytics.reports.render import jsonable
from analytics.sessions.export import as_markdown, branch_line, facts
from analytics.sessions.model import Branch, Timeline, Turn
from analytics.sessions.reader import Reader
from analytics.sessions.timeline import timeline

SUGGESTED = 5


def session_id_of(reader: Reader, word: str) -> str:
    """The session that goes by an id, or by the beginning of one.

    Raises:
        ConfigError: none does, or several do.
    """
    if not reader.rows("select 1 from dim_sessions where session_id = $word", {"word": word}):
        rows = reader.rows(
            "select session_id from dim_sessions where starts_with(session_id, $word) order by session_id",
            {"word": word},
        )
        if len(rows) == 1:
            return str(rows[0]["session_id"])
        if rows:
            listed = ", ".join(row["session_id"] for row in rows[:SUGGESTED])
            raise ConfigError(
                f"{len(rows)} sessions begin with {word!r}: {listed}{', …' if len(rows) > SUGGESTED else ''}"
            )
        raise ConfigError(f"no session {word!r}: `claude-analytics report session` lists them")
    return word


def as_text(line: Timeline, timezone: str, width: int) -> str:
    """Facts, turns and sub-agents; a line each."""
    told = [one_line(line.session["title"] or f"Session {line.session_id}"), ""]
    told += [f"  {name:<11} {one_line(value)}" for name, value in facts(line, timezone)]
    tools = ", ".join(f"{name} {count:,}" for name, count, _ in line.tool_seconds[:6])
    told += [f"  {'Tools':<11} {one_line(tools)}"] if tools else []
    told += ["", "Turns (number, cost, responses, tool calls, why)"] if line.turns else []
    told += [_turn(turn, width) for turn in line.turns]
    if line.branches:
        told += ["", "Sub-agents"]
        told += [shortened(f"  {one_line(branch_line(branch))}", width) for branch in _dearest(line)]
    return "\n".join(told)


def _turn(turn: Turn, width: int) -> str:
    cost = "no price" if turn.cost_usd is None else f"${cells.dollars(turn.cost_usd)}"
    why = f" [{', '.join(turn.because)}]" if turn.because else ""
    head = (
        f"{'*' if turn.is_expensive else ' '} {turn.number:>3} {cost:>9} {turn.response_count:>4} {turn.call_count:>4}"
    )
    return shortened(f"{head}{one_line(why)} {one_line(turn.text)}", width)


def _dearest(line: Timeline) -> list[Branch]:
    return sorted(line.branches.values(), key=lambda branch: (-(branch.cost_usd or 0), branch.agent_id))


def as_json(line: Timeline) -> str:
    """The same as one JSON object."""
    document: dict[str, Any] = {
        "report": "session",
        "session": line.session,
        "state": line.state,
        "cost_parts": line.parts or {},
        "cost_kinds": line.kinds or {},
        "turns": [vars(turn) for turn in line.turns],
        "subagents": [
            {
                "agent_id": branch.agent_id,
                "agent_type": branch.agent_type,
                "response_count": branch.response_count,
                "cost_usd": branch.cost_usd,
                "seconds": branch.seconds,
            }
            for branch in _dearest(line)
        ],
    }
    return for_json(json.dumps(document, ensure_ascii=False, indent=2, default=jsonable))


def report_session(reader: Reader, word: str, timezone: str, *, to_json: bool, full: bool, width: int) -> str:
    """One session as text, JSON or, with `full`, as Markdown with everything that was said.

    Raises:
        ConfigError: there is no such session.
    """
    line = timeline(reader, session_id_of(reader, word))
    if to_json:
        return as_json(line)
    return as_markdown(line, timezone) if full else as_text(line, timezone, width)
