"""A session as a document to keep or to send: Markdown, or one HTML file that loads nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from analytics.common import formats
from analytics.common.page import page
from analytics.common.text import clean
from analytics.sessions.model import ANSWER, NOTICE, PROMPT, THINKING, TOOL, Branch, Response, Step, Timeline, Turn

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; max-width: 900px; margin: 24px auto; padding: 0 16px; }
body { color: #1c2025; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 20px; }
h2 { font-size: 15px; border-top: 1px solid #ddd; padding-top: 14px; }
.meta { color: #575f6a; font-size: 12px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f2; padding: 8px; border-radius: 6px; }
pre { font: 12px/1.5 ui-monospace, monospace; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; }
.branch { border-left: 3px solid #cfcfc8; padding-left: 12px; }
.bad { color: #b3261e; }
"""


def as_markdown(timeline: Timeline, timezone: str) -> str:
    """The whole session as Markdown; texts of transcripts stand in fences or quotes and stay texts."""
    lines = [
        f"# {_plain(_title(timeline))}",
        "",
        *(f"- {name}: {_plain(value)}" for name, value in facts(timeline, timezone)),
    ]
    turns = {turn.number: turn for turn in timeline.turns}
    lines += _markdown_steps(timeline.steps, turns, timezone, 2)
    return "\n".join(lines) + "\n"


def _markdown_steps(steps: list[Step], turns: dict[int, Turn], timezone: str, level: int) -> Iterator[str]:
    told: set[int] = set()
    for step in steps:
        at = formats.instant(step.at, timezone) if step.at else ""
        turn = turns.get(step.turn) if step.kind == PROMPT and step.turn not in told else None
        if step.kind == PROMPT:
            told.add(step.turn)
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
            yield from _markdown_steps(step.branch.steps, {}, timezone, level + 2)
            yield f"\n*End of sub-agent {_plain(clean(step.branch.agent_id))}*\n"


def as_html(timeline: Timeline, timezone: str) -> str:
    """The whole session as one HTML file, without scripts, under a policy that loads nothing."""
    title = _title(timeline)
    told = "".join(f"<li>{html.escape(name)}: {html.escape(value)}</li>" for name, value in facts(timeline, timezone))
    turns = {turn.number: turn for turn in timeline.turns}
    body = "\n".join(_html_steps(timeline.steps, turns, timezone))
    return page(title, f"<main><h1>{html.escape(title)}</h1>\n<ul>{told}</ul>\n{body}</main>", style=_STYLE)


def _html_steps(steps: list[Step], turns: dict[int, Turn], timezone: str) -> Iterator[str]:
    told: set[int] = set()
    for step in steps:
        at = formats.instant(step.at, timezone) if step.at else ""
        meta = f'<span class="meta">{html.escape(at + _used(step.response))}</span>'
        bad = ' class="bad"' if step.tone else ""
        if step.kind == PROMPT:
            turn = turns.get(step.turn) if step.turn not in told else None
            told.add(step.turn)
            yield f"<h2>{html.escape(step.label)}{f' {turn.number}' if turn else ''} {meta}</h2>"
            if turn:
                yield f'<p class="meta">{html.escape(turn_line(turn))}</p>'
            yield f'<div class="said">{html.escape(step.text)}</div>'
        elif step.kind == ANSWER:
            yield f'<p><b>Answer</b> {meta}</p><div class="said">{html.escape(step.text)}</div>'
        elif step.call is not None:
            shown = "\n".join(step.call.diff) or step.call.arguments
            parts = "".join(f"<pre>{html.escape(text)}</pre>" for text in (shown, step.call.result) if text)
            head = f"<b{bad}>{html.escape(step.call.name)}</b> {html.escape(step.call.summary)}"
            yield f"<details><summary>{head} {html.escape(step.call.status or '')} {meta}</summary>{parts}</details>"
        elif step.text:
            head = f"<span{bad}>{html.escape(step.label)}</span> {meta}"
            yield f"<details><summary>{head}</summary><pre>{html.escape(step.text)}</pre></details>"
        else:
            yield f"<p><span{bad}>{html.escape(step.label)}</span> {meta}</p>"
        if step.branch is not None:
            inside = "\n".join(_html_steps(step.branch.steps, {}, timezone))
            head = html.escape(branch_line(step.branch))
            yield f'<details class="branch"><summary>Sub-agent: {head}</summary>{inside}</details>'


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
