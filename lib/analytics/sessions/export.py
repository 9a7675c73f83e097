"""A session as a document to keep or to send: Markdown, or one HTML file that loads nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from analytics.common import formats
from analytics.common.page import page
from analytics.common.text import clean
from analytics.sessions.model import ANSWER, NOTICE, PROMPT, THINKING, TOOL, Branch, Response, Step, Timeline, Turn


def as_markdown(timeline: Timeline, timezone: str) -> str:
    """The whole session as Markdown; texts of transcripts stand in fences or quotes and stay texts."""
    lines = [
        f"# {_plain(_title(timeline))}",
        "",
        *(f"- {name}: {_plain(value)}" for name, value in facts(timeline, timezone)),
    ]
    lines += _markdown_steps(timeline, timeline.steps, timezone, 2)
    return "\n".join(lines) + "\n"


def _markdown_steps(timeline: Timeline, steps: list[Step], timezone: str, level: int) -> Iterator[str]:
    for step in steps:
        at = formats.instant(step.at, timezone) if step.at else ""
        if step.kind == PROMPT:
            turn = timeline.opened_by(step)
            yield f"\n{'#' * level} {step.label}{f' {turn.number}' if turn else ''} ({at})\n"
            if turn:
                yield f"*{_plain(turn_line(turn))}*\n"
            yield _quote(step.text)
        elif step.kind == ANSWER:
            yield f"\n**Answer** {at}{_plain(_used(step.response))}\n\n{_quote(step.text)}"
        elif step.kind == THINKING:
            if step.text:
                yield f"\n*Thinking* {at}{_plain(_used(step.response))}\n\n{_quote(step.text)}"
        elif step.kind == TOOL and step.call is not None:
            took = f", {formats.show('ms', step.call.duration_ms)}" if step.call.duration_ms is not None else ""
            outcome = f"{step.call.status or 'unknown'}{took}{_plain(_used(step.response))}"
            yield f"\n**{_plain(step.call.name)}** {at}: {outcome}\n"
            for name, text in (
                ("diff" if step.call.diff else "", "\n".join(step.call.diff) or step.call.arguments),
                ("", step.call.result),
            ):
                if text:
                    yield _fenced(text, name)
        elif step.kind == NOTICE:
            yield f"\n*{_plain(step.label)}* {at}{_plain(_used(step.response))}\n" + (
                f"\n{_fenced(step.text)}" if step.text else ""
            )
        if step.branch is not None:
            yield f"\n{'#' * min(6, level + 1)} Sub-agent: {_plain(branch_line(step.branch))}\n"
            yield from _markdown_steps(timeline, step.branch.steps, timezone, level + 2)
            yield f"\n*End of sub-agent {_plain(clean(step.branch.agent_id))}*\n"


def as_html(timeline: Timeline, timezone: str) -> str:
    """The whole session as one HTML file, without scripts, under a policy that loads nothing."""
    return page(
        *(_title(timeline), "sessions", "session.html"),
        style=(Path(__file__).parent / "templates" / "session.css").read_text(encoding="utf-8"),
        timeline=timeline,
        facts=facts(timeline, timezone),
        at=lambda step: formats.instant(step.at, timezone) if step.at else "",
        used=_used,
        turn_line=turn_line,
        branch_line=branch_line,
    )


def facts(timeline: Timeline, timezone: str) -> list[tuple[str, str]]:
    """What stands at the head of a session: name and value."""
    row = timeline.session
    bound = "≥" if row["lower_bound_response_count"] and row["cost_usd"] is not None else ""
    parts, kinds = (
        ", ".join(f"{name} {formats.usd(float(usd))}" for name, usd in (given or {}).items())
        for given in (timeline.parts, timeline.kinds)
    )
    told = [
        ("Session", clean(timeline.session_id)),
        ("Project", str(row["project_path"] or row["project_label"])),
        ("Branch", str(row["git_branch"] or "")),
        ("Machine", str(row["machine"] or "")),
        ("Started", formats.show("datetime", row["started_at"], timezone)),
        ("Active", formats.show("duration", row["active_seconds"])),
        ("State", f"{timeline.state} ({timeline.state_note})"),
        ("Cost", f"{bound}{formats.show('usd', row['cost_usd'])}" + (f" ({parts})" if parts else "")),
        ("Paid for", kinds),
        ("Prompts", f"{row['prompt_count']:,}"),
        ("Tool calls", f"{row['tool_call_count']:,}, {row['tool_error_count']:,} failed"),
    ]
    return [(name, value) for name, value in told if value]


def turn_line(turn: Turn) -> str:
    """What a turn cost, and why."""
    cost = formats.show("usd", turn.cost_usd)
    why = f"; {', '.join(turn.because)}" if turn.because else ""
    return f"{cost}, {turn.response_count:,} responses, {turn.call_count:,} tool calls{why}"


def branch_line(branch: Branch) -> str:
    """What a sub-agent was and cost."""
    cost = formats.show("usd", branch.cost_usd)
    return f"{branch.agent_type or clean(branch.agent_id)}, {branch.response_count:,} responses, {cost}"


def _title(timeline: Timeline) -> str:
    return " ".join(str(timeline.session["title"] or f"Session {clean(timeline.session_id)}").split())


def _used(response: Response | None) -> str:
    if response is None:
        return ""
    return f" · {response.model or 'unknown model'} · {formats.show('usd_fine', response.cost_usd)}"


def _plain(text: str) -> str:
    """A text on one line that Markdown takes literally."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", " ".join(text.split()))


def _quote(text: str) -> str:
    """Somebody's own Markdown, quoted: what it says of HTML stays text."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return "\n".join(f"> {line}" for line in safe.split("\n"))


def _fenced(text: str, language: str = "") -> str:
    """A text between fences that are longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
