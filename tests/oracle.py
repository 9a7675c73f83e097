"""A recount of a projects directory in plain Python: dicts, loops and Decimal, apart from the SQL that it checks.

Follows docs/how-we-count.md rule by rule and is written to be read, not to be fast. Times are aware datetimes in
UTC, tokens are tuples in the order of TOKENS, costs are exact Decimals (None: no price).
"""

from __future__ import annotations

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
    inner: dict[str, Json]  # the entry's own fields
    document: dict[str, Json]  # the whole document; the outer one of an embedded entry
    own_key: str = ""  # of the line itself: a forked line's `key` is that of the line it was forked from
    is_forked: bool = False
    is_standing: bool = True

    @property
    def where(self) -> str:
        """File and line, for people."""
        return f"{self.source_file}:{self.line + 1}"

    @property
    def order(self) -> tuple[Any, ...]:
        """What was not forked stands, then the earliest copy, then the smallest session, then the smallest file."""
        return (self.is_forked, self.at or LAST, self.session_id or "", self.source_file, self.line)

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
    where: str = ""  # file and line of its (first) entry
    effort: str | None = None
    thinking: int | None = None  # tokens, a part of the output
    skill: str | None = None  # what it was spent on
    plugin: str | None = None
    mcp_server: str | None = None
    error_status: str | None = None

    @property
    def is_response(self) -> bool:
        """Something on the assistant's side."""
        return self.kind in ("response", "advisor", "api_error", "placeholder")

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
    where: str = ""
    written: str | None = None  # what a Write did, as its result's text says
    skill: str | None = None
    subagent_type: str | None = None
    result_length: int | None = None
    is_background: bool = False

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
    added: int | None  # None: nothing says how many
    removed: int | None


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
    standing: list[Entry] = field(default_factory=list)

    @cached_property
    def responses(self) -> list[Message]:
        return [message for message in self.messages if message.kind in ("response", "advisor")]

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
            "lines_added": sum(operation.added or 0 for operation in self.file_operations),
            "lines_removed": sum(operation.removed or 0 for operation in self.file_operations),
        }


def _four_kinds(messages: Iterable[Message]) -> dict[str, int]:
    totals = [sum(kind) for kind in zip(*(message.tokens or (0,) * 5 for message in messages), strict=True)]
    return {"input": totals[0], "output": totals[1], "write": totals[2] + totals[3], "read": totals[4]}


# Reading


def documents_of(line: bytes) -> tuple[list[dict[str, Json]], bool]:
    """The JSON objects of a line, and whether something in it is none: one as a rule, several glued, a torn head."""
    text = line.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r").decode("utf-8", "replace")
    found: list[dict[str, Json]] = []
    is_torn = not text
    at = 0
    while at < len(text):
        try:
            document, end = json.JSONDecoder().raw_decode(text, at)
            if not isinstance(document, dict) or (is_torn and not {"type", "uuid", "sessionId"} & set(document)):
                raise ValueError("no entry")
        except (ValueError, RecursionError):
            is_torn = True
            # a whole entry can be glued behind a torn one
            at = text.find('{"', at + 1)
            if at < 0:
                break
            continue
        found.append(document)
        at = end
        while at < len(text) and text[at] in " \t\r\0":
            at += 1
    return found, is_torn


def read_entries(projects: Path, recount: Recount) -> Iterator[Entry]:
    """All copies of all entries; counts documents and malformed lines."""
    for path in sorted(projects.rglob("*.jsonl")):
        if path.name == "journal.jsonl" and "workflows" in path.parts:
            continue  # what a workflow notes of itself
        source_file = path.relative_to(projects).as_posix()
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            documents, is_torn = documents_of(line)
            # half a line at the end is still being written
            recount.malformed += is_torn and number < len(lines) - 1
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
    fork = document.get("forkedFrom") if not is_embedded else None
    fork = fork if isinstance(fork, dict) else {}
    own_key = uuid if isinstance(uuid, str) else "content:" + json.dumps(document, sort_keys=True)
    return Entry(
        key=fork.get("messageUuid") or own_key,
        own_key=own_key,
        is_forked=bool(fork),
        inner=inner,
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
    if "tool_result" in types:
        return "tool_result"
    if entry.inner.get("isCompactSummary") is True:
        return "compact_summary"
    if entry.inner.get("isMeta") is True or not (entry.text.strip() or types & {"image", "document"}):
        return "meta"
    if entry.is_sidechain:
        return "subagent_prompt"
    origin = entry.document.get("origin")
    origin_kind = origin.get("kind") if isinstance(origin, dict) else None
    return kind_of_text(entry.text, origin_kind, entry.document.get("promptSource"))


# How texts begin that nobody typed as a prompt.
BEGINNINGS = [
    ("interrupt", r"\[Request interrupted by user"),
    ("slash_command", r"<command-(name|message)>"),
    ("shell_command", r"<bash-input>"),
    ("teammate_message", r"(Another Claude session sent a message:\s*)?<teammate-message\b"),
    ("scheduled", r"<scheduled-task\b"),
    ("channel", r"<channel\s[^>]*source="),
    ("compact_summary", r"This session is being continued from a previous conversation"),
    ("command_output", r"<(local-command-(stdout|stderr|caveat)|bash-(stdout|stderr)|task-notification)>"),
    # a person's text can stand behind what Claude Code reminds of
    ("meta", r"<system-reminder>(?!.*</system-reminder>\s*[^<\s])"),
]


def kind_of_text(text: str, origin: str | None, source: Json) -> str:
    """Who wrote a text of the main chain."""
    begins = next((kind for kind, start in BEGINNINGS if re.match(start, text[:300].lstrip(), re.DOTALL)), None)
    if begins in ("interrupt", "slash_command", "shell_command"):
        return begins
    if origin in ("peer", "teammate"):
        return "teammate_message"
    if origin == "channel":
        return "channel"
    if origin is not None and re.search("schedul|cron", origin):
        return "scheduled"
    if begins in ("teammate_message", "scheduled", "channel"):
        return begins
    if origin not in (None, "human"):
        return "command_output"
    if source == "system":
        return "meta"
    if origin == "human" or source in ("typed", "queued"):
        return "prompt"
    return begins or "prompt"


def is_slash_command(text: str) -> bool:
    return text.lstrip().startswith(("<command-name>", "<command-message>"))


def user_messages(entries: list[Entry]) -> Iterator[Message]:
    """One message per user entry, and one per queued prompt whose text stands in no user line of its session."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.type == "user" and entry.session_id:
            said[entry.session_id].add(entry.text.strip())
            kind = kind_of_user_entry(entry)
            yield Message(
                entry.key,
                entry.session_id,
                kind,
                entry.at or LAST,
                entry.is_sidechain,
                entry.agent_id,
                where=entry.where,
            )
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
        origin = entry.document.get("origin") or attachment.get("origin")
        kind = kind_of_text(text, origin.get("kind") if isinstance(origin, dict) else None, None)
        kind = "prompt" if kind == "interrupt" else kind
        yield Message(
            entry.key,
            entry.session_id,
            kind,
            entry.at or LAST,
            entry.is_sidechain,
            entry.agent_id,
            is_queued=True,
            where=entry.where,
        )


def message_id(entry: Entry) -> str | None:
    """The id of a response; an empty one is none."""
    given = entry.message.get("id") if isinstance(entry.message, dict) else None
    return given.strip() or None if isinstance(given, str) else None


def input_side(entry: Entry) -> tuple[int, ...]:
    tokens = tokens_of(entry.message)
    return (tokens[0], *tokens[2:])


def tool_ids(entry: Entry) -> str:
    return " ".join(
        str(block.get("id")) for block in entry.blocks if block.get("type") == "tool_use" and block.get("id")
    )


def shared_ids(copies: list[Entry]) -> set[str]:
    """Message ids that a proxy gives to every response: what was asked differs, and so does the request or the calls.

    Seen within one session; in no session is it an id then.
    """
    lines: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in copies:
        given = message_id(entry)
        if entry.type != "assistant" or not given or not entry.session_id:
            continue
        if sum(input_side(entry)) and entry.message.get("model") != "<synthetic>":
            lines[given, entry.session_id].append(entry)
    found = set()
    for (given, _), entries in lines.items():
        if len({input_side(entry) for entry in entries}) < 2:
            continue
        requests = {entry.inner.get("requestId") or None for entry in entries}
        calls = {tool_ids(entry) for entry in entries} - {""}
        if len(requests - {None}) > 1 or (None in requests and len(calls) > 1):
            found.add(given)
    return found


def response_key(entry: Entry, shared: set[str]) -> str:
    """message.id; without one the entry's key; of a shared one the request, else what was asked in which session."""
    given = message_id(entry)
    if given is None:
        return entry.key
    if given not in shared:
        return given
    return f"{given}/{entry.inner.get('requestId') or (entry.session_id, input_side(entry))}"


def responses(copies: list[Entry], prices: Prices, timezone: ZoneInfo) -> Iterator[Message]:
    """One message per API response: all lines of all files with its message.id, and the largest usage of them.

    The few without a time are put at their session's beginning.
    """
    beginnings: dict[str, datetime] = {}
    for entry in copies:
        if entry.type in ("user", "assistant") and entry.is_standing and entry.session_id and entry.at:
            beginnings[entry.session_id] = min(entry.at, beginnings.get(entry.session_id, LAST))
    shared = shared_ids(copies)
    lines: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in copies:
        if entry.type == "assistant" and isinstance(entry.message, dict) and entry.session_id:
            if "role" not in entry.message and "content" not in entry.message:
                continue
            if entry.is_standing or message_id(entry) not in shared:
                lines[response_key(entry, shared)].append(entry)
    for key, own in lines.items():
        first = min(own, key=lambda entry: (not entry.is_standing, entry.at or LAST, entry.session_id, entry.order))
        at = min((entry.at for entry in own if entry.at), default=beginnings.get(first.session_id or "", LAST))
        largest = max(own, key=lambda entry: (sum(tokens_of(entry.message)), len(advisors_of(entry))))
        model = largest.message.get("model")
        message = Message(
            key,
            first.session_id or "",
            "response",
            at,
            first.is_sidechain,
            first.agent_id,
            model=model,
            where=first.where,
        )
        for name in ("effort", "skill", "plugin", "mcp_server"):
            said = SAID[name]
            setattr(message, name, max((text for entry in own if (text := entry.inner.get(said))), default=None))
        if any(entry.message.get("model") == "<synthetic>" for entry in own):
            failed = any(entry.inner.get("isApiErrorMessage") is True for entry in own)
            message.kind = "api_error" if failed else "placeholder"
            if failed:
                message.error_status = max((status for entry in own if (status := failure_of(entry))), default=None)
            yield message
            continue
        thinking = mapping_of(usage_of(largest.message).get("output_tokens_details")).get("thinking_tokens")
        message.thinking = thinking if isinstance(thinking, int) else None
        day = at.astimezone(timezone).date() if at != LAST else None
        searches = max(
            whole((usage_of(entry.message).get("server_tool_use") or {}).get("web_search_requests")) for entry in own
        )
        geo = max((str(usage_of(entry.message).get("inference_geo") or "") for entry in own), default="")
        tier = max((str(usage_of(entry.message).get("service_tier") or "") for entry in own), default="")
        message.tokens = tokens_of(largest.message)
        message.is_fast = any(usage_of(entry.message).get("speed") == "fast" for entry in own)
        message.is_lower_bound = all(entry.message.get("stop_reason") is None for entry in own)
        message.calls = sum(
            block.get("type") == "tool_use" for entry in own if entry.is_standing for block in entry.blocks
        )
        message.cost = prices.cost(
            model, day, message.tokens, is_fast=message.is_fast, geo=geo, tier=tier, searches=searches
        )
        yield message
        for number, advisor in enumerate(advisors_of(largest), 1):
            tokens = tokens_of({"usage": advisor})
            advised_by = advisor.get("model") or largest.inner.get("advisorModel")
            yield Message(
                f"{key}#{number}",
                first.session_id or "",
                "advisor",
                at,
                first.is_sidechain,
                first.agent_id,
                model=advised_by,
                tokens=tokens,
                cost=prices.cost(advised_by, day, tokens, is_fast=False, geo=geo, tier=tier, searches=0),
                where=first.where,
                **{name: getattr(message, name) for name in SAID},
            )


# What a response's lines say of it, by the name it has here.
SAID = {
    "effort": "effort",
    "skill": "attributionSkill",
    "plugin": "attributionPlugin",
    "mcp_server": "attributionMcpServer",
}


def failure_of(entry: Entry) -> str | None:
    """The HTTP status of a request that failed, as its placeholder says."""
    status = entry.document.get("apiErrorStatus")
    if status is not None:
        return str(status)
    found = re.match(r"API Error: (\d{3})\b", entry.text)
    return found[1] if found else None


def mapping_of(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def advisors_of(entry: Entry) -> list[dict[str, Json]]:
    """Answers of an advisor, whose tokens stand nowhere else."""
    items = usage_of(entry.message).get("iterations")
    items = items if isinstance(items, list) else []
    return [item for item in items if isinstance(item, dict) and item.get("type") == "advisor_message"]


def whole(number: Json) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 10**8 else 0


def usage_of(message: dict[str, Json]) -> dict[str, Json]:
    usage = message.get("usage")
    return usage if isinstance(usage, dict) else {}


def tokens_of(message: dict[str, Json]) -> Tokens:
    """Tokens in the order of TOKENS; cache writes whose life is not said last five minutes."""
    usage = usage_of(message)
    split = usage.get("cache_creation")
    split = split if isinstance(split, dict) else {}
    one_hour = whole(split.get("ephemeral_1h_input_tokens"))
    five_minutes = max(
        whole(usage.get("cache_creation_input_tokens")) - one_hour, whole(split.get("ephemeral_5m_input_tokens"))
    )
    return (
        whole(usage.get("input_tokens")),
        whole(usage.get("output_tokens")),
        five_minutes,
        one_hour,
        whole(usage.get("cache_read_input_tokens")),
    )


# Of the whole response in fast mode; others have no such mode.
FAST = {
    "claude-opus-4-6": 6,
    "claude-opus-4-7": 6,
    "claude-opus-4-8": 2,
    "claude-opus-5": 2,
    "claude-opus-5-5": 2,
    "claude-fable-5-2": 2,
    "claude-mythos-5-2": 2,
}
# What the library does not know: USD per million tokens in the order of TOKENS, from and until a day.
MORE_PRICES: list[tuple[str, str, str, int, tuple[str, ...]]] = [
    ("claude-mythos-5", "2024-01-01", "9999-12-31", -1, ("10", "50", "12.5", "20", "1")),
    ("claude-mythos-5-1", "2024-01-01", "9999-12-31", -1, ("10", "50", "12.5", "20", "0.25")),
    ("claude-sonnet-5-5", "2024-01-01", "2026-10-07", -1, ("2", "10", "2.5", "4", "0.2")),
    ("claude-sonnet-4", "2024-01-01", "2026-04-30", 200_000, ("6", "22.5", "7.5", "12", "0.6")),
    ("claude-sonnet-4-5", "2026-04-30", "9999-12-31", -1, ("3", "15", "3.75", "6", "0.3")),
]
ROUTED = r"^(?:.*/)?(?P<aws>(?:(?P<region>[a-z-]+)\.)?anthropic\.)?(?P<name>[^/]+)$"
SUFFIX = r"(\[\w+\]|@\w+|-20\d{6}|-20\d\d-\d\d-\d\d|-latest|-v\d+(:\d+)?|:(beta|thinking|extended))+$"


class Prices:
    """List prices as genai-prices itself works them out for a response, and what the library lacks."""

    def __init__(self) -> None:
        self._unit: dict[tuple[str, date, bool], Any] = {}

    def cost(
        self, model: Json, day: date | None, tokens: Tokens, *, is_fast: bool, geo: str, tier: str, searches: int
    ) -> Decimal | None:
        """USD of a response, nine decimals; None when nobody knows."""
        if not isinstance(model, str) or day is None or day < date(2024, 1, 1):
            return None
        found = re.match(ROUTED, model.strip().lower())
        if found is None:
            return None
        name = re.sub(SUFFIX, "", re.sub(r"(?<=\d)\.(?=\d)", "-", found["name"]))
        # claude-4-5-sonnet is claude-sonnet-4-5, and claude-opus-4-0 is claude-opus-4
        name = re.sub(r"^claude-([4-9](?:-\d)?)-([a-z]+)$", r"claude-\2-\1", name)
        name = re.sub(r"^claude-([a-z]+)-(3-\d)$", r"claude-\2-\1", name)
        name = re.sub(r"^(claude-[a-z]+-\d+)-0$", r"\1", name)
        prompt = 0 if is_fast else tokens[0] + sum(tokens[2:])
        usd = None
        for more, start, until, over, prices in MORE_PRICES:
            if name == more and start <= day.isoformat() < until and prompt > over and not found["aws"]:
                usd = sum((Decimal(price) * count for price, count in zip(prices, tokens, strict=True)), Decimal(0))
        if usd is None:
            usd = self._listed(name, found, day, tokens, prompt)
        if usd is None or (is_fast and name not in FAST):
            return None
        numbers = [int(number) for number in re.findall(r"\d+", name)]
        usd *= FAST[name] if is_fast else 1
        if name.startswith("claude") and not found["aws"] and geo == "us" and numbers >= [4, 6]:
            usd *= Decimal("1.1")
        if name.startswith("claude") and tier == "batch":
            usd *= Decimal("0.5")
        usd = usd / 1_000_000 + Decimal(searches) / 100
        return usd.quantize(Decimal("1e-9"), ROUND_HALF_UP)

    def _listed(self, name: str, found: re.Match[str], day: date, tokens: Tokens, prompt: int) -> Decimal | None:
        """Micro-USD by the library, for a prompt of this size."""
        from genai_prices import Usage, calc_price

        provider = "anthropic"
        if found["aws"]:
            provider = "aws"
            # Bedrock's ids are matched with their date and region; any region but `global` is a regional one
            region = "global." if found["region"] == "global" else "us." if found["region"] else ""
            name = f"{region}anthropic.{found['name']}"
        elif not name.startswith("claude"):
            starts = {"gpt": "openai", "glm": "zai", "kimi": "moonshotai", "minimax": "minimax", "gemini": "google"}
            starts |= {"deepseek": "deepseek", "grok": "x-ai"}
            provider = next((known for start, known in starts.items() if name.startswith(start)), "")
            name = found["name"]
        key = (f"{provider}:{name}", day, prompt > 0)
        if key not in self._unit:
            at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            try:
                info = calc_price(Usage(), name, provider_id=provider, genai_request_timestamp=at)
            except LookupError:
                info = None
            if info is not None and provider == "anthropic" and not is_same_model(name, info.model.id):
                info = None
            self._unit[key] = info
        info = self._unit[key]
        if info is None:
            return None
        price = info.model_price
        fallbacks = (
            (price.input_mtok,),
            (price.output_mtok,),
            (price.cache_write_mtok, price.input_mtok),
            (price.cache_write_1h_mtok, price.cache_write_mtok, price.input_mtok),
            (price.cache_read_mtok, price.input_mtok),
        )
        usd = Decimal(0)
        for kinds, count in zip(fallbacks, tokens, strict=True):
            chosen = next((kind for kind in kinds if kind is not None), Decimal(0))
            if not isinstance(chosen, Decimal):  # tiers are cliffs
                over = [tier.price for tier in chosen.tiers if prompt > tier.start]
                chosen = over[-1] if over else chosen.base
            usd += chosen * count
        return usd


def is_same_model(name: str, library_name: str) -> bool:
    """The library knows some models by how their names begin: a point release is another model."""
    return sorted(re.findall("[a-z]+", name)) == sorted(
        re.findall("[a-z]+", re.sub("-(latest|0)$", "", library_name))
    ) and re.findall(r"\d+", name) == re.findall(r"\d+", re.sub("-0$", "", library_name))


# Tool calls


Block = dict[str, Json]


def tool_calls(standing: list[Entry], shared: set[str]) -> Iterator[tuple[ToolCall, Entry | None]]:
    """Calls paired with their results; each with the entry its result stands in."""
    calls: dict[tuple[str, str], tuple[Entry, Block]] = {}
    results: list[tuple[Entry, Block]] = []
    by_time = sorted(
        standing, key=lambda entry: (entry.at or LAST, entry.session_id or "", entry.source_file, entry.line)
    )
    for entry in by_time:
        for block in entry.blocks:
            if not entry.session_id:
                continue
            if block.get("type") == "tool_use" and block.get("id"):
                calls.setdefault((response_key(entry, shared), block["id"]), (entry, block))
            if block.get("type") == "tool_result" and block.get("tool_use_id"):
                results.append((entry, block))
    used = Counter(tool_id for _, tool_id in calls)
    found: dict[tuple[str, str], tuple[Entry, Block]] = {}
    only = {tool_id: key for key in calls if used[tool_id := key[1]] == 1}
    for entry, block in results:
        tool_id = block["tool_use_id"]
        if tool_id in only:
            found.setdefault(only[tool_id], (entry, block))
            continue
        # an id that recurs: the nearest earlier call of the session and chain
        chain = (entry.session_id, entry.is_sidechain, entry.agent_id)
        earlier = [
            (call.at or LAST, call.source_file, call.line, key)
            for key, (call, _) in calls.items()
            if key[1] == tool_id
            and (call.session_id, call.is_sidechain, call.agent_id) == chain
            and (call.at or LAST) <= (entry.at or LAST)
        ]
        if earlier:
            found.setdefault(max(earlier)[-1], (entry, block))
    for key, (entry, block) in calls.items():
        result_entry, result = found.get(key, (None, None))
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
            session_id=entry.session_id or "",
            response_key=key[0],
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
            where=entry.where,
            written=written_by(error) if tool == "Write" else None,
            skill=(tool_input.get("skill") or str(tool_input.get("command") or "").lstrip("/") or None)
            if tool == "Skill"
            else None,
            subagent_type=tool_input.get("subagent_type")
            or (outcome.get("agentType") if outcome.get("agentId") else None),
            result_length=len(error) if result else None,
            is_background=tool_input.get("run_in_background") is True
            or outcome.get("isAsync") is True
            or outcome.get("backgroundTaskId") is not None,
        )
        yield call, result_entry


def written_by(text: str) -> str | None:
    """What a Write did, as its result says."""
    if re.match(r"\s*File created successfully", text):
        return "create"
    return "overwrite" if re.match(r"\s*The file [^\n]* has been (updated|overwritten)", text) else None


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
        # what a command printed behind its exit code is the command's
        said = "" if re.match(r"\s*(error:\s*)?exit code \d", text, re.I) else text.split("\n")[0].lower()
        if re.search(r"user (doesn.t|does not) want to proceed|tool use was rejected", text, re.I):
            return "rejected"
        if re.search(r"user rejected|rejected by (the )?user", said):
            return "rejected"
        if re.search(r"interrupted by (the )?user", said) or re.search(
            r"^\s*\[request interrupted by user", text, re.I | re.M
        ):
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


def file_operation(call: ToolCall, result_entry: Entry | None) -> FileOperation | None:
    """What a call of a file tool did: lines of the recorded patch, or all lines of a new file."""
    outcome = result_entry.tool_result if result_entry and isinstance(result_entry.tool_result, dict) else None
    path = call.input.get("file_path") or call.input.get("notebook_path")
    if not isinstance(path, str):
        return None
    if call.tool == "Read":
        return FileOperation(call, path, "read", 0, 0)
    operation = "edit" if call.tool != "Write" else "create"
    if call.tool == "Write" and "overwrite" in (
        "overwrite" if outcome and outcome.get("type") == "update" else None,
        call.written if not (outcome and outcome.get("type")) else None,
    ):
        operation = "overwrite"
    if call.status != "success":
        return FileOperation(call, path, operation, 0, 0)
    if outcome is None:  # side chains: only the text says what was done, and not how many lines were there
        if operation == "create" and call.written == "create":
            return FileOperation(call, path, operation, number_of_lines(call.input.get("content") or ""), 0)
        return FileOperation(call, path, operation, None, None)
    patch = outcome.get("structuredPatch")
    lines = [line for hunk in patch if isinstance(hunk, dict) for line in hunk.get("lines") or []] if patch else []
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    if operation == "create" and not added and not removed:
        content = outcome.get("content") if isinstance(outcome.get("content"), str) else call.input.get("content")
        added = number_of_lines(content or "")
    elif patch is None:
        return FileOperation(call, path, operation, None, None)
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


def mark_standing(copies: list[Entry]) -> list[Entry]:
    """One copy of every entry stands, whatever the order of arrival; returns those."""
    by_key: dict[str, Entry] = {}
    for entry in sorted(copies, key=lambda entry: entry.order):
        by_key.setdefault(entry.key, entry)
    # the line a fork was made from may be a fork's itself, under a uuid of its own
    forks = {entry.own_key for entry in copies if entry.own_key != entry.key}
    for entry in copies:
        entry.is_standing = by_key[entry.key] is entry and not (entry.is_forked and entry.key in forks)
    return [entry for entry in copies if entry.is_standing]


def recount(projects: Path, *, timezone: str = "UTC") -> Recount:
    """Count everything below a projects directory."""
    found = Recount(timezone=ZoneInfo(timezone))
    copies = list(read_entries(projects, found))
    standing = mark_standing(copies)
    found.entries = len(standing)
    found.copies = len(copies) - len(standing)
    found.standing = standing
    found.sessions = sessions(copies, standing, found.timezone)
    found.messages = [*user_messages(standing), *responses(copies, Prices(), found.timezone)]
    for call, result_entry in tool_calls(standing, shared_ids(copies)):
        found.calls.append(call)
        if call.tool in FILE_TOOLS and (operation := file_operation(call, result_entry)):
            found.file_operations.append(operation)
    mark_retries(found.calls)
    return found
