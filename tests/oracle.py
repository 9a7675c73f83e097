"""A recount of a projects directory in plain Python: dicts, loops and Decimal, apart from the SQL that it checks.

Follows docs/how-we-count.md rule by rule and is written to be read, not to be fast. Times are aware datetimes in
UTC, tokens are tuples in the order of TOKENS, costs are exact Decimals (None: no price).
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

PRICE_LIST = Path(__file__).resolve().parents[1] / "dbt" / "seeds" / "model_pricing.csv"
TOKENS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
FILE_TOOLS = ("Read", "Write", "Edit", "MultiEdit", "NotebookEdit")
ACTIVE_GAP = timedelta(minutes=5)
BLOCK_LENGTH = timedelta(hours=5)
LAST = datetime.max.replace(tzinfo=UTC)  # where a missing time sorts

Json = Any
Tokens = tuple[int, int, int, int, int]


# Facts


@dataclass
class Entry:
    """One copy of one entry; what an agent_progress entry embeds stands in its place."""

    key: str
    type: str
    session_id: str | None
    project_id: str
    source_file: str
    line: int
    at: datetime | None
    is_sidechain: bool
    agent_id: str | None
    message: Json  # a dict, or what a broken line has instead
    tool_result: Json
    document: dict[str, Json]  # the whole document; the outer one of an embedded entry

    @property
    def order(self) -> tuple[Any, ...]:
        """The earliest copy stands, then the smallest session, then the smallest file."""
        return (self.at or LAST, self.session_id or "", self.source_file, self.line)

    @property
    def content(self) -> Json:
        return self.message.get("content") if isinstance(self.message, dict) else None

    @property
    def blocks(self) -> list[dict[str, Json]]:
        return [block for block in self.content if isinstance(block, dict)] if isinstance(self.content, list) else []

    @property
    def text(self) -> str:
        return text_of(self.content)


@dataclass
class Message:
    """A response, or a user entry."""

    key: str
    session_id: str
    kind: str
    at: datetime
    is_sidechain: bool
    agent_id: str | None
    is_queued: bool = False
    model: str | None = None
    tokens: Tokens | None = None
    cost: Decimal | None = None
    is_lower_bound: bool = False
    is_fast: bool = False
    calls: int = 0

    @property
    def is_prompt(self) -> bool:
        """A prompt of a person, typed or queued."""
        return self.kind in ("prompt", "slash_command") and not self.is_sidechain


@dataclass
class ToolCall:
    """A tool_use id with its result."""

    id: str
    session_id: str
    response_key: str
    tool: str
    input: dict[str, Json]
    called_at: datetime | None
    finished_at: datetime | None
    status: str
    error_class: str | None
    is_sidechain: bool
    agent_id: str | None
    spawned_agent_id: str | None
    is_commit: bool
    is_pull_request: bool
    is_retry_followed: bool = False

    @property
    def duration_ms(self) -> int | None:
        if self.called_at is None or self.finished_at is None or self.finished_at < self.called_at:
            return None
        return round((self.finished_at - self.called_at).total_seconds() * 1000)

    @property
    def sameness(self) -> tuple[str, str]:
        """Calls with equal values do the same."""
        return (self.tool, json.dumps(self.input, separators=(",", ":")))


@dataclass
class FileOperation:
    """What a call did to one file."""

    call: ToolCall
    path: str | None
    operation: str
    added: int
    removed: int


@dataclass
class Session:
    """Everything of one sessionId; counts are read from the facts in `Recount`."""

    session_id: str
    project_id: str
    title: str | None
    started_at: datetime | None
    ended_at: datetime | None
    active_ms: int
    active_ms_by_day: Counter[date]
    entry_count: int
    user_entry_count: int
    assistant_entry_count: int
    compactions: int
    is_resumed: bool
    is_automated: bool


@dataclass
class Recount:
    """All facts of a projects directory, and sums over them."""

    timezone: ZoneInfo
    documents: int = 0
    malformed: int = 0
    entries: int = 0
    copies: int = 0  # documents that are another one's copy
    messages: list[Message] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    file_operations: list[FileOperation] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)

    @cached_property
    def responses(self) -> list[Message]:
        return [message for message in self.messages if message.kind == "response"]

    @cached_property
    def prompts(self) -> list[Message]:
        return [message for message in self.messages if message.is_prompt and not message.is_queued]

    @property
    def cost(self) -> Decimal:
        return sum((message.cost for message in self.responses if message.cost is not None), Decimal(0))

    def day(self, at: datetime) -> date:
        """The local day of an instant."""
        return at.astimezone(self.timezone).date()

    def headline(self) -> dict[str, Any]:
        """The headline numbers, in the shape of expected.json beside the sample transcripts."""
        by_model: defaultdict[str, list[Message]] = defaultdict(list)
        for message in self.responses:
            by_model[message.model or ""].append(message)
        return {
            "entries": self.documents,
            "bad_lines": self.malformed,
            "sessions": len(self.sessions),
            "prompts": len(self.prompts),
            "responses": len(self.responses),
            "tokens": _four_kinds(self.responses),
            "cost_usd": round(float(self.cost), 6),
            "by_model": {
                model: {**_four_kinds(messages), "responses": len(messages)}
                for model, messages in sorted(by_model.items())
            },
            "tool_calls": len(self.calls),
            "tools": dict(Counter(call.tool for call in self.calls).most_common()),
            "status": dict(Counter(call.status for call in self.calls)),
            "file_operations": len(self.file_operations),
            "lines_added": sum(operation.added for operation in self.file_operations),
            "lines_removed": sum(operation.removed for operation in self.file_operations),
        }


def _four_kinds(messages: Iterable[Message]) -> dict[str, int]:
    totals = [sum(kind) for kind in zip(*(message.tokens or (0,) * 5 for message in messages), strict=True)]
    return {"input": totals[0], "output": totals[1], "write": totals[2] + totals[3], "read": totals[4]}


# Reading


def documents_of(line: bytes) -> list[dict[str, Json]] | None:
    """The JSON objects of a line: one, seldom several glued together. None when it is anything else."""
    text = line.strip(b"\0 \t\r").decode("utf-8", "replace")
    found = []
    at = 0
    try:
        while at < len(text):
            document, at = json.JSONDecoder().raw_decode(text, at)
            if not isinstance(document, dict):
                return None
            found.append(document)
            while at < len(text) and text[at] in " \t\r\0":
                at += 1
    except (ValueError, RecursionError):
        return None
    return found or None


def read_entries(projects: Path, recount: Recount) -> Iterator[Entry]:
    """All copies of all entries; counts documents and malformed lines."""
    for path in sorted(projects.rglob("*.jsonl")):
        source_file = path.relative_to(projects).as_posix()
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            documents = documents_of(line)
            if documents is None:
                # half a line at the end is still being written
                recount.malformed += number < len(lines) - 1
                continue
            for document in documents:
                recount.documents += 1
                yield entry_of(document, source_file, number)


def entry_of(document: dict[str, Json], source_file: str, line: int) -> Entry:
    """The entry of a document; the embedded one of an agent_progress document."""
    path = PurePosixPath(source_file)
    inner: dict[str, Json] = document
    data = document.get("data")
    is_embedded = False
    if document.get("type") == "progress" and isinstance(data, dict) and data.get("type") == "agent_progress":
        embedded = data.get("message")
        if isinstance(embedded, dict) and embedded.get("type") in ("user", "assistant"):
            inner, is_embedded = embedded, True
    uuid = inner.get("uuid")
    entry_type = inner.get("type")
    session_id = document.get("sessionId")
    if session_id is not None and not isinstance(session_id, str):
        session_id = json.dumps(session_id)
    if session_id is None and entry_type in ("user", "assistant"):
        session_id = path.stem  # a conversation line that does not say its session is its file's
    return Entry(
        key=uuid if isinstance(uuid, str) else "content:" + json.dumps(document, sort_keys=True),
        type=entry_type if isinstance(entry_type, str) else json.dumps(entry_type),
        session_id=session_id,
        project_id=path.parts[0],
        source_file=source_file,
        line=line,
        at=instant(inner.get("timestamp")) or instant(document.get("timestamp")),
        is_sidechain=is_embedded or document.get("isSidechain") is True,
        agent_id=data["agentId"] if is_embedded and isinstance(data, dict) else document.get("agentId"),
        message=inner.get("message"),
        tool_result=inner.get("toolUseResult"),
        document=document,
    )


def instant(text: Json) -> datetime | None:
    """ISO 8601 in UTC, or nothing."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def text_of(content: Json) -> str:
    """A string, or the text blocks of a list of blocks, a line each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


# Messages


def kind_of_user_entry(entry: Entry) -> str:
    """message_kind. What Claude Code marks decides first, then how the text begins."""
    types = {block.get("type") for block in entry.blocks}
    text = entry.text.lstrip()
    origin = entry.document.get("origin")
    origin_kind = origin.get("kind") if isinstance(origin, dict) else None
    if "tool_result" in types:
        return "tool_result"
    if entry.document.get("isCompactSummary") is True:
        return "compact_summary"
    if entry.document.get("isMeta") is True or not (entry.text or types & {"image", "document"}):
        return "meta"
    if entry.is_sidechain:
        return "subagent_prompt"
    if text.startswith("[Request interrupted by user"):
        return "interrupt"
    if is_slash_command(text):
        return "slash_command"
    if origin_kind not in (None, "human"):
        return "command_output"
    if entry.document.get("promptSource") == "system":
        return "meta"
    if origin_kind == "human" or entry.document.get("promptSource") in ("typed", "queued"):
        return "prompt"
    if re.match("<(local-command-(stdout|stderr|caveat)|bash-(input|stdout|stderr)|task-notification)>", text):
        return "command_output"
    return "prompt"


def is_slash_command(text: str) -> bool:
    return text.lstrip().startswith(("<command-name>", "<command-message>"))


def user_messages(entries: list[Entry]) -> Iterator[Message]:
    """One message per user entry, and one per queued prompt whose text stands in no user line of its session."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.type == "user" and entry.session_id:
            said[entry.session_id].add(entry.text.strip())
            kind = kind_of_user_entry(entry)
            yield Message(entry.key, entry.session_id, kind, entry.at or LAST, entry.is_sidechain, entry.agent_id)
    seen = set()
    for entry in entries:
        attachment = entry.document.get("attachment")
        if entry.type != "attachment" or not entry.session_id or not isinstance(attachment, dict):
            continue
        if attachment.get("type") != "queued_command" or attachment.get("commandMode") != "prompt":
            continue
        text = text_of(attachment.get("prompt"))
        same = (entry.session_id, text.strip(), entry.at)
        if text.strip() in said[entry.session_id] or same in seen or entry.document.get("isMeta") is True:
            continue
        seen.add(same)
        kind = "slash_command" if is_slash_command(text) else "prompt"
        yield Message(
            entry.key, entry.session_id, kind, entry.at or LAST, entry.is_sidechain, entry.agent_id, is_queued=True
        )


def response_key(entry: Entry) -> str:
    message_id = entry.message.get("id") if isinstance(entry.message, dict) else None
    return message_id if isinstance(message_id, str) else entry.key


def responses(copies: list[Entry], standing: list[Entry], prices: Prices, timezone: ZoneInfo) -> Iterator[Message]:
    """One message per API response: all lines of all files with its message.id, and the largest usage of them."""
    lines: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in copies:
        if entry.type == "assistant" and isinstance(entry.message, dict) and entry.session_id:
            lines[response_key(entry)].append(entry)
    calls: Counter[str] = Counter()
    for entry in standing:
        if entry.type == "assistant":
            calls[response_key(entry)] += sum(block.get("type") == "tool_use" for block in entry.blocks)
    for key, copies_of_lines in lines.items():
        first = min(copies_of_lines, key=lambda entry: entry.order)
        largest = max(copies_of_lines, key=lambda entry: sum(tokens_of(entry.message)))
        model = largest.message.get("model")
        at = first.at or LAST
        if any(entry.message.get("model") == "<synthetic>" for entry in copies_of_lines):
            yield Message(key, first.session_id or "", "api_error", at, first.is_sidechain, first.agent_id, model=model)
            continue
        tokens = tokens_of(largest.message)
        is_fast = any(usage_of(entry.message).get("speed") == "fast" for entry in copies_of_lines)
        yield Message(
            key,
            first.session_id or "",
            "response",
            at,
            first.is_sidechain,
            first.agent_id,
            model=model,
            tokens=tokens,
            cost=prices.cost(model, at.astimezone(timezone).date(), tokens, is_fast),
            is_lower_bound=all(entry.message.get("stop_reason") is None for entry in copies_of_lines),
            is_fast=is_fast,
            calls=calls[key],
        )


def usage_of(message: dict[str, Json]) -> dict[str, Json]:
    usage = message.get("usage")
    return usage if isinstance(usage, dict) else {}


def tokens_of(message: dict[str, Json]) -> Tokens:
    """Tokens in the order of TOKENS; cache writes whose life is not said last five minutes."""
    usage = usage_of(message)
    split = usage.get("cache_creation") or {}
    writes = usage.get("cache_creation_input_tokens") or 0
    one_hour = split.get("ephemeral_1h_input_tokens") or 0
    five_minutes = max(writes - one_hour, split.get("ephemeral_5m_input_tokens") or 0)
    return (
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        five_minutes,
        one_hour,
        usage.get("cache_read_input_tokens") or 0,
    )


class Prices:
    """A price list: longest prefix, newest day not after the response's, band of its prompt."""

    def __init__(self, path: Path = PRICE_LIST) -> None:
        with path.open() as file:
            self.rows = list(csv.DictReader(line for line in file if not line.startswith("#")))

    def row(self, model: str | None, day: date, prompt_tokens: int) -> dict[str, str] | None:
        """The row in force; None for a model without a price."""
        fitting = [row for row in self.rows if model and model.startswith(row["model_prefix"])]
        if not fitting:
            return None
        prefix = max((row["model_prefix"] for row in fitting), key=len)
        fitting = [
            row for row in fitting if row["model_prefix"] == prefix and date.fromisoformat(row["effective_from"]) <= day
        ]
        if not fitting:
            return None
        newest = max(row["effective_from"] for row in fitting)
        fitting = [
            row for row in fitting if row["effective_from"] == newest and int(row["prompt_tokens_over"]) < prompt_tokens
        ]
        return max(fitting, key=lambda row: int(row["prompt_tokens_over"]), default=None)

    def cost(self, model: str | None, day: date, tokens: Tokens, is_fast: bool) -> Decimal | None:
        """USD of a response, nine decimals."""
        row = self.row(model, day, tokens[0] + sum(tokens[2:]))
        if row is None:
            return None
        usd = sum((Decimal(row[kind]) * count for kind, count in zip(TOKENS, tokens, strict=True)), Decimal(0))
        if is_fast:
            usd *= Decimal(row["fast_multiplier"])
        return (usd / 1_000_000).quantize(Decimal("1e-9"), ROUND_HALF_UP)


# Tool calls


def tool_calls(standing: list[Entry]) -> Iterator[tuple[ToolCall, Entry | None]]:
    """Calls paired with their results by id; each with the entry its result stands in."""
    results: dict[str, tuple[Entry, dict[str, Json]]] = {}
    for entry in sorted(standing, key=lambda entry: entry.order):
        for block in entry.blocks:
            if block.get("type") == "tool_result" and block.get("tool_use_id"):
                results.setdefault(block["tool_use_id"], (entry, block))
    seen = set()
    for entry in sorted(standing, key=lambda entry: entry.order):
        for block in entry.blocks:
            if block.get("type") != "tool_use" or not block.get("id") or block["id"] in seen or not entry.session_id:
                continue
            seen.add(block["id"])
            result_entry, result = results.get(block["id"], (None, None))
            status = status_of(result_entry, result)
            tool = block.get("name") or "unknown"
            error = text_of(result.get("content")) if result else ""
            tool_input = block["input"] if isinstance(block.get("input"), dict) else {}
            command = tool_input.get("command") if tool in ("Bash", "PowerShell") else None
            succeeded = status == "success" and isinstance(command, str)
            outcome = result_entry.tool_result if result_entry and isinstance(result_entry.tool_result, dict) else {}
            denial = result_entry.document.get("toolDenialKind") if result_entry else None
            has_failed = status in ("error", "rejected")
            call = ToolCall(
                id=block["id"],
                session_id=entry.session_id,
                response_key=response_key(entry),
                tool=tool,
                input=tool_input,
                called_at=entry.at,
                finished_at=result_entry.at if result_entry else None,
                status=status,
                error_class=error_class(status, tool, error, denial) if has_failed else None,
                is_sidechain=entry.is_sidechain,
                agent_id=entry.agent_id,
                spawned_agent_id=outcome.get("agentId"),
                is_commit=succeeded and runs(command, GIT_COMMIT),
                is_pull_request=succeeded and runs(command, PULL_REQUEST),
            )
            yield call, result_entry


def status_of(entry: Entry | None, result: dict[str, Json] | None) -> str:
    """Claude Code's own word about a denial wins over the text of the result."""
    if entry is None or result is None:
        return "pending"
    denial = entry.document.get("toolDenialKind")
    outcome = entry.tool_result if isinstance(entry.tool_result, dict) else {}
    text = text_of(result.get("content"))
    if isinstance(denial, str) and "cancel" not in denial.lower():
        if "interrupt" in denial.lower():
            return "interrupted"
        return "rejected" if re.search("user|reject", denial.lower()) else "error"
    if result.get("is_error") is True:
        if re.search(r"user (doesn.t|does not) want to proceed|tool use was rejected|user rejected", text, re.I):
            return "rejected"
        if "interrupted by user" in text or "interrupted by the user" in text:
            return "interrupted"
        return "error"
    return "interrupted" if outcome.get("interrupted") is True else "success"


# What an error's text contains, first match wins; `where` is how much of the text is searched.
ERROR_CLASSES: list[tuple[str, str, str]] = [
    ("cancelled_parallel_call", "all", r"cancelled: parallel tool call|sibling tool call errored"),
    ("file_not_read_first", "all", r"file has not been read yet|has been (unexpectedly )?modified since"),
    (
        "string_not_found",
        "all",
        r"string to replace not found|string not found|found \d+ matches of the string|old_string and new_string are",
    ),
    (
        "validation",
        "all",
        r"inputvalidationerror|no such tool available|exceeds maximum allowed (size|tokens)|required parameter",
    ),
    ("blocked_by_hook", "line", r"blocked by .*hook|hook (blocked|error|denied)|pretooluse:"),
    (
        "permission_denied",
        "line",
        r"permission to use|requested permissions|haven.t granted|has been denied|doesn.t want to take this action",
    ),
    ("timeout", "line", r"timed? ?out|timeout"),
    ("command_failed", "shell", r""),
    ("command_failed", "line", r"^\s*(error:\s*)?exit code \d+"),
    (
        "file_not_found",
        "all",
        r"file does not exist|no such file or directory|enoent|(path|directory) does not exist|eisdir",
    ),
    (
        "network",
        "all",
        r"econn|enotfound|socket|network|fetch failed|unable to (fetch|connect)|status code [45]\d\d|getaddrinfo",
    ),
]


def error_class(status: str, tool: str, text: str, denial: Json) -> str:
    """Why a call failed. What a shell command printed is not searched for causes."""
    if status == "rejected":
        return "permission_denied"
    if isinstance(denial, str) and "cancel" not in denial.lower():
        return "blocked_by_hook" if "hook" in denial.lower() else "permission_denied"
    text = text[:1000]
    for name, where, pattern in ERROR_CLASSES:
        if where == "shell":
            if tool in ("Bash", "PowerShell", "BashOutput"):
                return name
        elif re.search(pattern, text.split("\n")[0] if where == "line" else text, re.I):
            return name
    return "other"


GIT_COMMIT = ("git", "commit")
PULL_REQUEST = ("gh", "pr", "create")


def runs(command: str, wanted: tuple[str, ...]) -> bool:
    """Whether one of the simple commands a shell command is made of begins with the wanted words."""
    for segment in re.split(r"[\n;|&(]+", command):
        tokens = segment.split()
        while tokens and re.fullmatch(r"\w+=\S*|sudo|time|env|command|nohup|exec|do|then|else|rtk", tokens[0]):
            tokens.pop(0)
        if tokens[:1] == ["git"]:  # options between git and its command
            while len(tokens) > 1 and tokens[1].startswith("-"):
                del tokens[1 : 3 if tokens[1] in ("-C", "-c") else 2]
        if tuple(tokens[: len(wanted)]) == wanted and "--dry-run" not in tokens:
            return True
    return False


def mark_retries(calls: list[ToolCall]) -> None:
    """A call is followed by a retry when one of its session's next three calls does the same."""
    by_session: defaultdict[str, list[ToolCall]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: (call.called_at or datetime.min.replace(tzinfo=UTC), call.id)):
        by_session[call.session_id].append(call)
    for own in by_session.values():
        for number, call in enumerate(own):
            call.is_retry_followed = any(later.sameness == call.sameness for later in own[number + 1 : number + 4])


# Files


def file_operation(call: ToolCall, result_entry: Entry | None) -> FileOperation:
    """What a call of a file tool did: lines of the recorded patch, or all lines of a new file."""
    outcome = result_entry.tool_result if result_entry and isinstance(result_entry.tool_result, dict) else {}
    path = call.input.get("file_path") or call.input.get("notebook_path")
    is_update = outcome.get("type") == "update"
    if call.tool == "Read":
        return FileOperation(call, path, "read", 0, 0)
    operation = "edit" if call.tool != "Write" else "overwrite" if is_update else "create"
    if call.status != "success":
        return FileOperation(call, path, operation, 0, 0)
    patch = outcome.get("structuredPatch")
    lines = [line for hunk in patch if isinstance(hunk, dict) for line in hunk.get("lines") or []] if patch else []
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    if operation == "create" and not added and not removed:
        content = outcome.get("content") if isinstance(outcome.get("content"), str) else call.input.get("content")
        added = number_of_lines(content or "")
    return FileOperation(call, path, operation, added, removed)


def number_of_lines(text: str) -> int:
    """A last newline ends a line and does not open another."""
    return text.count("\n") + (not text.endswith("\n")) if text else 0


# Sessions


def sessions(copies: list[Entry], standing: list[Entry], timezone: ZoneInfo) -> dict[str, Session]:
    """Every sessionId with a user or assistant entry."""
    own: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in standing:
        if entry.session_id:
            own[entry.session_id].append(entry)
    resumed = resumed_sessions(copies)
    titles = titles_by_session(copies, standing)
    found = {}
    for session_id, entries in own.items():
        users = sum(entry.type == "user" for entry in entries)
        assistants = sum(entry.type == "assistant" for entry in entries)
        if not users + assistants:
            continue
        times = sorted(entry.at for entry in entries if entry.at)
        active = active_ms_by_day(entries, timezone)
        found[session_id] = Session(
            session_id=session_id,
            project_id=project_of(entries),
            title=titles.get(session_id) or first_prompt_line(entries),
            started_at=times[0] if times else None,
            ended_at=times[-1] if times else None,
            active_ms=sum(active.values()),
            active_ms_by_day=active,
            entry_count=len(entries),
            user_entry_count=users,
            assistant_entry_count=assistants,
            compactions=max(
                sum(entry.document.get("subtype") == "compact_boundary" for entry in entries if entry.type == "system"),
                sum(entry.document.get("isCompactSummary") is True for entry in entries),
            ),
            is_resumed=session_id in resumed or any(is_resume_hook(entry) for entry in entries),
            is_automated=any(
                str(entry.document.get("entrypoint") or "").startswith("sdk")
                or entry.document.get("promptSource") == "sdk"
                for entry in entries
            ),
        )
    return found


def project_of(entries: list[Entry]) -> str:
    """The folder most entries of the main chain stand in."""
    main = Counter(entry.project_id for entry in entries if not entry.is_sidechain)
    every = Counter(entry.project_id for entry in entries)
    return min(every, key=lambda project: (-main[project], -every[project], project))


def active_ms_by_day(entries: list[Entry], timezone: ZoneInfo) -> Counter[date]:
    """Gaps of up to five minutes between main-chain entries, each on the local day it began."""
    times = sorted(entry.at for entry in entries if entry.at and not entry.is_sidechain)
    active: Counter[date] = Counter()
    for earlier, later in itertools.pairwise(times):
        if later - earlier <= ACTIVE_GAP:
            active[earlier.astimezone(timezone).date()] += round((later - earlier).total_seconds() * 1000)
    return active


def is_resume_hook(entry: Entry) -> bool:
    values = [entry.document.get("attachment"), entry.document.get("data")]
    return any(isinstance(value, dict) and value.get("hookName") == "SessionStart:resume" for value in values)


def resumed_sessions(copies: list[Entry]) -> set[str]:
    """Sessions that stand behind another one in a transcript that is not a sub-agent's."""
    starts: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    for entry in copies:
        path = PurePosixPath(entry.source_file)
        if entry.at and entry.session_id and "subagents" not in path.parts and not path.name.startswith("agent-"):
            own = starts[entry.source_file]
            own[entry.session_id] = min(entry.at, own.get(entry.session_id, entry.at))
    return {
        session_id
        for own in starts.values()
        for session_id in sorted(own, key=lambda session_id: (own[session_id], session_id))[1:]
    }


def titles_by_session(copies: list[Entry], standing: list[Entry]) -> dict[str, str]:
    """The user's title, else Claude's, else a summary; of several of one kind the one written most often."""
    session_of = {entry.key: entry.session_id for entry in standing}
    written: defaultdict[str, Counter[tuple[int, str]]] = defaultdict(Counter)
    for entry in copies:
        for rank, key in enumerate(("customTitle", "aiTitle", "summary")):
            title = entry.document.get(key)
            if not isinstance(title, str):
                continue
            leaf = entry.document.get("leafUuid")
            session_id = entry.session_id if leaf is None else session_of.get(leaf)
            if session_id:
                written[session_id][rank, title] += 1
            break
    return {
        session_id: min(counts, key=lambda title: (title[0], -counts[title], title[1]))[1]
        for session_id, counts in written.items()
    }


def first_prompt_line(entries: list[Entry]) -> str | None:
    """The first line of the first text a person wrote."""
    for entry in sorted(entries, key=lambda entry: (entry.at or LAST, entry.key)):
        text = entry.text.strip()
        is_prompt = entry.type == "user" and entry.at and text and kind_of_user_entry(entry) == "prompt"
        if is_prompt and not text.startswith(("<", "[Request interrupted")):
            return text[:300].split("\n")[0].strip()
    return None


# Everything


def recount(projects: Path, *, prices: Path = PRICE_LIST, timezone: str = "UTC") -> Recount:
    """Count everything below a projects directory."""
    found = Recount(timezone=ZoneInfo(timezone))
    copies = list(read_entries(projects, found))
    by_key: dict[str, Entry] = {}
    for entry in sorted(copies, key=lambda entry: entry.order):
        by_key.setdefault(entry.key, entry)
    standing = list(by_key.values())
    found.entries = len(standing)
    found.copies = len(copies) - len(standing)
    found.sessions = sessions(copies, standing, found.timezone)
    found.messages = [
        *user_messages(standing),
        *responses(copies, standing, Prices(prices), found.timezone),
    ]
    for call, result_entry in tool_calls(standing):
        found.calls.append(call)
        if call.tool in FILE_TOOLS:
            found.file_operations.append(file_operation(call, result_entry))
    mark_retries(found.calls)
    return found
