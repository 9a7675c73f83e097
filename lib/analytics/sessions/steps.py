"""From entries to steps: what each line of a transcript puts on the timeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analytics.common.text import clean
from analytics.sessions import content
from analytics.sessions.content import Block, Json
from analytics.sessions.model import ANSWER, NOTICE, PROMPT, THINKING, TOOL, Call, Row, Step

# How user entries that are neither prompt nor result of a tool are called, by message_kind.
_LABELS = {
    "prompt": "Prompt",
    "slash_command": "Command",
    "shell_command": "Shell command",
    "subagent_prompt": "Task given",
    "compact_summary": "Summary of what was compacted",
    "meta": "Note of Claude Code",
    "interrupt": "Interrupted",
    "command_output": "Output",
    "teammate_message": "Message of a teammate",
    "scheduled": "Scheduled task",
    "channel": "Message of a channel",
    "api_error": "API error",
    "placeholder": "Placeholder",
    "advisor": "Advisor",
}
_BAD = {"interrupt", "api_error"}
_FAILED = {"error", "rejected", "interrupted"}


@dataclass(frozen=True)
class Entry:
    """A standing entry of the session: columns of staging.stg_entries, and its text decoded."""

    key: str
    kind: str
    subtype: str | None
    at: datetime | None
    agent_id: str | None
    is_sidechain: bool
    response_key: str | None
    says: Json

    @property
    def chain(self) -> str | None:
        """The sub-agent it belongs to, "" when that is not said; None on the main chain."""
        return (self.agent_id or "") if self.is_sidechain else None

    @property
    def blocks(self) -> list[Block]:
        """What it says."""
        return content.blocks(self.says)


def steps_of(entry: Entry, message: Row | None, calls: Mapping[tuple[str, str], Row]) -> Iterator[Step]:
    """The steps of an entry, in order; results of tools are none.

    Args:
        message: its row of fct_messages, when it has one.
        calls: rows of fct_tool_calls by message_key and tool_use_id.
    """
    if entry.kind == "assistant":
        yield from _assistant(entry, message, calls)
    elif entry.kind == "user" or (entry.kind == "attachment" and message is not None):
        yield from _user(entry, message)
    elif entry.kind == "attachment":
        yield from _attachment(entry)
    elif entry.kind == "system":
        yield from _system(entry)
    elif entry.kind == "pr-link":
        says = f"{entry.says.get('prUrl') or entry.says.get('prNumber') or ''}"
        yield Step(entry.key, NOTICE, entry.at, label="Pull request", text=clean(says))


def _assistant(entry: Entry, message: Row | None, calls: Mapping[tuple[str, str], Row]) -> Iterator[Step]:
    kind = message["message_kind"] if message else "response"
    if kind not in ("response", "advisor"):
        text = "\n".join(block.text for block in entry.blocks)
        yield Step(entry.key, NOTICE, entry.at, label=_LABELS.get(kind, kind), text=text, tone=_tone(kind))
        return
    found = entry.blocks or [Block("thinking", "")]
    for number, block in enumerate(found):
        key = entry.key if number == 0 else f"{entry.key}.{number}"
        if block.kind == "tool_use":
            row = calls.get((entry.response_key or "", block.tool_use_id))
            yield Step(key, TOOL, entry.at, label=block.name, call=call_of(block, row), tone=_call_tone(row))
        elif block.kind == "thinking":
            yield Step(key, THINKING, entry.at, label="Thinking", text=block.text)
        elif block.kind == "tool_result":
            yield Step(key, NOTICE, entry.at, label="Result of the server's tool", text=block.text)
        elif block.text.strip():
            yield Step(key, ANSWER, entry.at, label="Answer", text=block.text)


def call_of(block: Block, row: Row | None) -> Call:
    """A call of a tool, with what fct_tool_calls knows of it."""
    path = block.arguments.get("file_path") or block.arguments.get("notebook_path")
    return Call(
        name=block.name,
        summary=content.summary(block.arguments),
        arguments=content.dumps(block.arguments) if block.arguments else block.text,
        tool_use_id=block.tool_use_id,
        status=row["status"] if row else None,
        error_class=row["error_class"] if row else None,
        duration_ms=row["duration_ms"] if row else None,
        file_path=clean(path) if isinstance(path, str) else None,
        diff=content.diff(block.arguments, None)
        if block.name in ("Edit", "MultiEdit", "Write", "NotebookEdit")
        else [],
    )


def add_result(step: Step, entry: Entry, block: Block) -> None:
    """Put a result to the call it belongs to."""
    call = step.call
    if call is None or call.has_result:
        return
    call.has_result, call.result = True, block.text
    if call.diff and isinstance(result := entry.says.get("toolUseResult"), dict) and result.get("structuredPatch"):
        call.diff = content.diff({}, result)
    if call.status is None and block.is_error:
        step.tone = "bad"


def _user(entry: Entry, message: Row | None) -> Iterator[Step]:
    kind = message["message_kind"] if message else "meta"
    text = "\n".join(block.text for block in entry.blocks if block.kind != "tool_result" and block.text)
    if kind == "tool_result":
        if text.strip():
            yield Step(entry.key, NOTICE, entry.at, label="Beside the result", text=text)
        return
    is_prompt = kind in ("prompt", "slash_command") and not entry.is_sidechain
    label = "Queued prompt" if message and message["is_queued"] else _LABELS.get(kind, kind.replace("_", " "))
    yield Step(
        entry.key,
        PROMPT if is_prompt else NOTICE,
        entry.at,
        label=label,
        text=content.spoken(text),
        tone=_tone(kind),
    )


def _attachment(entry: Entry) -> Iterator[Step]:
    says = entry.says.get("attachment")
    if not isinstance(says, dict) or not str(says.get("type", "")).startswith("hook_"):
        return
    name = clean(str(says.get("hookName") or says.get("hookEvent") or "hook"))
    outcome = str(says["type"]).removeprefix("hook_").replace("_", " ")
    took = says.get("durationMs")
    label = f"Hook {name}: {clean(outcome)}" + (f", {took:,} ms" if isinstance(took, int) else "")
    bad = "bad" if any(word in outcome for word in ("error", "cancelled", "blocking")) else ""
    yield Step(entry.key, NOTICE, entry.at, label=label, text="\n".join(b.text for b in entry.blocks), tone=bad)


def _system(entry: Entry) -> Iterator[Step]:
    says, subtype = entry.says, entry.subtype or ""
    text = "\n".join(block.text for block in entry.blocks)
    if subtype == "compact_boundary":
        meta = _object(says.get("compactMetadata"))
        before, after = meta.get("preTokens"), meta.get("postTokens")
        told = [str(meta.get("trigger") or ""), f"{before:,} tokens before" if isinstance(before, int) else ""]
        told.append(f"{after:,} after" if isinstance(after, int) else "")
        yield Step(entry.key, NOTICE, entry.at, label="Compacted", text=clean(", ".join(filter(None, told))))
    elif subtype == "api_error":
        error = _object(says.get("error"))
        # its headers name an organisation: nothing of them is shown
        told = [str(error.get("status") or ""), f"attempt {says['retryAttempt']}" if says.get("retryAttempt") else ""]
        label = "API request failed"
        yield Step(entry.key, NOTICE, entry.at, label=label, text=clean(", ".join(filter(None, told))), tone="bad")
    elif subtype == "stop_hook_summary":
        errors = says.get("hookErrors")
        text = "\n".join(map(str, errors)) if isinstance(errors, list) else text
        yield Step(entry.key, NOTICE, entry.at, label="Stop hooks", text=clean(text), tone="bad" if text else "")
    elif text.strip() and subtype != "turn_duration":
        yield Step(entry.key, NOTICE, entry.at, label=clean(subtype.replace("_", " ") or "System"), text=text)


def _tone(kind: str) -> str:
    return "bad" if kind in _BAD else ""


def _call_tone(row: Row | None) -> str:
    return "bad" if row and row["status"] in _FAILED else ""


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
