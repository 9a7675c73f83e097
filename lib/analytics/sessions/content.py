"""What an entry says: its JSON text decoded into blocks of text that are fit to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from analytics.common.text import clean

Json = Mapping[str, Any]

# The input that says in one line what a call is about, the first that is there.
_TELLING = (
    *("description", "command", "file_path", "notebook_path", "pattern", "path", "url", "query", "skill"),
    *("prompt", "subagent_type"),
)
SUMMARY_LENGTH = 160
_COMMAND = re.compile(r"<command-(name|message|args|contents)>(.*?)</command-\1>", re.DOTALL)
_WRAPPED = re.compile(r"^\s*<([a-z][\w-]*)(?:\s[^>]*)?>(.*?)</\1>\s*$", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of a message.

    Attributes:
        kind: text, thinking, tool_use, tool_result, or what else an entry calls its block.
        text: what it says; of a call its input's values.
        tool_use_id: of calls and results.
        name: of the tool.
        arguments: of a call.
        is_error: of a result.
    """

    kind: str
    text: str
    tool_use_id: str = ""
    name: str = ""
    arguments: Json = field(default_factory=dict)
    is_error: bool = False


def decoded(text: str) -> Json:
    """The entry of a document's JSON text; the sub-agent's own where a progress entry embeds one."""
    try:
        entry = orjson.loads(text)
    except orjson.JSONDecodeError:  # half of a surrogate pair is JSON, and no text
        try:
            entry = json.loads(text)
        except ValueError:
            return {}
    if not isinstance(entry, dict):
        return {}
    inner = _object(_object(entry.get("data")).get("message"))
    if entry.get("type") == "progress" and inner.get("type") in ("user", "assistant"):
        return inner
    return entry


def blocks(entry: Json) -> list[Block]:
    """The blocks of a message, an attachment or a system entry, in order."""
    attachment = _object(entry.get("attachment"))
    if attachment:
        told = [attachment.get(name) for name in ("prompt", "content", "stdout", "stderr", "blockingError")]
        return [Block("text", clean("\n".join(part for part in map(_flat, told) if part)))]
    content = _object(entry.get("message")).get("content", entry.get("content"))
    if isinstance(content, str):
        return [Block("text", clean(content))]
    if not isinstance(content, list):
        return []
    return [_block(item) for item in content if isinstance(item, dict)]


def _block(item: Json) -> Block:
    kind = str(item.get("type") or "")
    if kind == "tool_use" or kind == "server_tool_use":
        given = _object(item.get("input"))
        return Block(
            "tool_use",
            clean("\n".join(_strings(item.get("input")))),
            tool_use_id=str(item.get("id") or ""),
            name=clean(str(item.get("name") or "")),
            arguments=given,
        )
    if kind.endswith("tool_result"):
        return Block(
            "tool_result",
            clean(_flat(item.get("content"))),
            tool_use_id=str(item.get("tool_use_id") or ""),
            is_error=item.get("is_error") is True,
        )
    if kind in ("image", "document"):
        return Block("text", f"[{kind}]")
    return Block("thinking" if kind == "thinking" else "text", clean(_flat(item.get(kind, item.get("text")))))


def searchable(entry: Json) -> Iterator[tuple[str, str]]:
    """Everything of an entry that a search looks into: kind and text."""
    for block in blocks(entry):
        yield block.kind, f"{block.name}\n{block.text}" if block.name else block.text


def summary(arguments: Json) -> str:
    """A call's input in one line."""
    for name in _TELLING:
        value = arguments.get(name)
        if isinstance(value, str) and value.strip():
            return _line(value)
    return _line(dumps(arguments)) if arguments else ""


def dumps(value: Any) -> str:
    """A value as indented JSON, fit to be shown."""
    return clean(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def diff(arguments: Json, result: object) -> list[str]:
    """The lines of an edit, each with `+`, `-`, a space, or `@` before a part; empty when there are none.

    What Claude Code says it changed (`structuredPatch`), else what the call asked for.
    """
    found: list[str] = []
    patch = _object(result).get("structuredPatch")
    if isinstance(patch, list):
        for hunk in patch:
            lines = _object(hunk).get("lines")
            if isinstance(lines, list):
                found.append(f"@ line {_object(hunk).get('newStart', '?')}")
                found += [str(line) for line in lines]
    if not found:
        edits = arguments.get("edits") if isinstance(arguments.get("edits"), list) else [arguments]
        for edit in filter(None, map(_object, edits or [])):
            for sign, name in (("-", "old_string"), ("+", "new_string"), ("+", "content"), ("+", "new_source")):
                if isinstance(edit.get(name), str):
                    found += [sign + line for line in edit[name].splitlines()]
    return [clean(line) for line in found]


def spoken(text: str) -> str:
    """A user's entry as the person meant it: a slash command without its tags, a wrapped output without its wrapper."""
    parts = dict(_COMMAND.findall(text))
    if "name" in parts or "message" in parts:
        name = parts.get("name") or f"/{parts['message']}"
        return f"{name.strip()} {parts.get('args', '').strip()}".strip()
    wrapped = _WRAPPED.match(text)
    return wrapped.group(2).strip() if wrapped else text


def first_line(text: str, length: int = SUMMARY_LENGTH) -> str:
    """The beginning of a text, on one line."""
    return _line(text, length)


def _line(text: str, length: int = SUMMARY_LENGTH) -> str:
    line = " ".join(clean(text[: length * 4]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _flat(value: Any) -> str:
    """The texts of a value that may be a text, a list of blocks, or nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(part for part in map(_flat, value) if part)
    if isinstance(value, dict):
        if value.get("type") in ("image", "document"):
            return f"[{value['type']}]"
        for name in ("text", "content", "blockingError", "title"):
            if name in value:
                return _flat(value[name])
        return "\n".join(_strings(value))
    return ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
