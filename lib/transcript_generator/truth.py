"""What a generated history holds, written down while it is generated and never recomputed from the files.

Names are the gold columns' names, so that a test compares them without a translation. Money is counted in billionths of
a USD: costs have nine decimals, so sums are exact. Days and hours are local to the history's time zone.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any

TOKEN_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
BLOCK_HOURS = 5
MANY_CALLS = 25


def usd(nano: int) -> Decimal:
    """USD of billionths of a USD."""
    return Decimal(nano).scaleb(-9)


@dataclass(slots=True)
class Counts:
    """What is counted of anything: of a quarter of an hour, a day, a session, a project, a model, everything."""

    message_count: int = 0
    prompt_count: int = 0
    queued_prompt_count: int = 0
    response_count: int = 0
    unpriced_response_count: int = 0
    lower_bound_response_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    nano_usd: int = 0
    tool_call_count: int = 0
    tool_error_count: int = 0
    rejected_tool_call_count: int = 0
    commits: int = 0
    pull_requests: int = 0
    file_read_count: int = 0
    file_write_count: int = 0
    file_edit_count: int = 0
    lines_added: int = 0
    lines_removed: int = 0
    active_ms: int = 0

    def add(self, other: Counts) -> None:
        """Add the counts of a part."""
        for name, here, more in zip(_NAMES, _ALL(self), _ALL(other), strict=True):
            if more:
                setattr(self, name, here + more)

    @property
    def cost_usd(self) -> Decimal:
        """Cost of the responses that have a price."""
        return usd(self.nano_usd)

    @property
    def active_seconds(self) -> Decimal:
        """Gaps of up to five minutes between main-chain entries."""
        return Decimal(self.active_ms).scaleb(-3)

    @property
    def tokens(self) -> dict[str, int]:
        """Tokens by kind."""
        return {kind: getattr(self, f"{kind}_tokens") for kind in TOKEN_KINDS}


_NAMES = tuple(item.name for item in fields(Counts))
_ALL = attrgetter(*_NAMES)


@dataclass
class WasteTruth:
    """One finding of one session."""

    evidence: list[str] = field(default_factory=list)  # tool_use ids or response keys, in order of time
    tokens: list[int] = field(default_factory=lambda: [0] * 5)
    cost_usd: Decimal | None = None

    def add(self, key: str, tokens: tuple[int, ...], cost_usd: Decimal | None) -> None:
        """Another occurrence."""
        self.evidence.append(key)
        self.tokens = [here + more for here, more in zip(self.tokens, tokens, strict=True)]
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or Decimal(0)) + cost_usd


@dataclass(slots=True)
class TurnTruth:
    """What one prompt set off until the next: the columns turn_… of its row in fct_messages."""

    nano_usd: int | None = None
    response_count: int = 0
    unpriced_response_count: int = 0
    tool_use_count: int = 0
    weights: Counter[str] = field(default_factory=Counter)  # billionths of a USD by reason

    @property
    def expensive_because(self) -> str | None:
        """The weightiest reason from a quarter of the cost on, else many calls."""
        if not self.nano_usd:
            return None
        reasons = ("cold cache", "long context", "long output", "sub-agents")
        weightiest = max(reasons, key=lambda name: (self.weights[name], -reasons.index(name)))
        if self.weights[weightiest] * 4 >= self.nano_usd:
            return weightiest
        return "many calls" if self.tool_use_count >= MANY_CALLS else None

    @property
    def columns(self) -> tuple[Any, ...]:
        """Cost in USD (None: no price), responses, those without a price, tool calls, and the reason: as in the row."""
        cost = None if self.nano_usd is None else usd(self.nano_usd)
        return (cost, self.response_count, self.unpriced_response_count, self.tool_use_count, self.expensive_because)


@dataclass(slots=True)
class HookTruth:
    """Runs of one hook on one local day in one project: the columns of agg_hooks."""

    run_count: int = 0
    blocked_count: int = 0
    cancelled_count: int = 0
    durations_ms: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class AttributionTruth(Counts):
    """Calls and responses of one skill, plugin, MCP server or type of sub-agent: the columns of agg_attribution."""

    call_count: int = 0
    failure_count: int = 0
    result_characters: int = 0


@dataclass(slots=True)
class SessionTruth(Counts):
    """One session: the columns of dim_sessions, and what agg_session_metrics are quantiles of."""

    project_id: str = ""
    title: str | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    entry_count: int = 0
    user_entry_count: int = 0
    assistant_entry_count: int = 0
    api_error_count: int = 0
    compactions: int = 0
    interrupts: int = 0
    subagent_count: int = 0
    max_context_tokens: int | None = None
    claude_version: str | None = None
    git_branch: str | None = None
    entrypoint: str | None = None
    is_automated: bool = False
    is_resumed: bool = False
    models: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    subagent_nano_usd: int = 0
    response_ms: array[int] = field(default_factory=lambda: array("q"))  # waiting for a main-chain response
    turn_ms: array[int] = field(default_factory=lambda: array("q"))
    prompt_lengths: array[int] = field(default_factory=lambda: array("q"))
    waste: dict[str, WasteTruth] = field(default_factory=dict)  # by finding
    is_forked: bool = False
    forked_from_session_id: str | None = None
    person: str | None = None
    turn_duration_ms: int | None = None  # Claude Code's own
    hook_ms: int | None = None
    pull_request_links: set[str] = field(default_factory=set)
    efforts: Counter[str] = field(default_factory=Counter)  # responses by effort
    thinking_tokens: int | None = None
    background_call_count: int = 0
    turns: list[TurnTruth] = field(default_factory=list)
    compactions_told: list[tuple[str | None, int | None, int | None, int | None]] = field(default_factory=list)
    api_errors_told: list[tuple[str | None, int | None, bool]] = field(
        default_factory=list
    )  # status, attempt, is_final
    stated_nano_usd: int | None = None  # what Claude Code thinks it cost

    @property
    def effort(self) -> str | None:
        """That of most of its responses; of equals the first by name."""
        return min(self.efforts, key=lambda name: (-self.efforts[name], name), default=None)

    @property
    def primary_model(self) -> str | None:
        """The most used model; of equally used ones the first by name."""
        return min(self.models, key=lambda name: (-self.models[name], name), default=None)

    @property
    def primary_tool(self) -> str | None:
        """The most used tool; of equally used ones the first by name."""
        return min(self.tools, key=lambda name: (-self.tools[name], name), default=None)


@dataclass(slots=True)
class ProjectTruth(Counts):
    """One project: the columns of dim_projects."""

    session_count: int = 0
    first_seen_ms: int | None = None
    last_active_ms: int | None = None
    paths: Counter[str] = field(default_factory=Counter)  # main-chain entries by working directory

    @property
    def project_path(self) -> str | None:
        """Where its main chain worked most; None when no entry says where."""
        return min(self.paths, key=lambda path: (-self.paths[path], path), default=None)


@dataclass(slots=True)
class DayTruth(Counts):
    """One local day: the columns of agg_daily_summary."""

    session_count: int = 0


@dataclass(slots=True)
class HourTruth(Counts):
    """The responses of one hour (UTC), which billing blocks are made of."""

    sessions: set[str] = field(default_factory=set)
    first_response_ms: int | None = None
    last_response_ms: int | None = None


@dataclass(slots=True)
class ToolTruth:
    """One tool: the columns of agg_tool_efficiency."""

    call_count: int = 0
    status: Counter[str] = field(default_factory=Counter)
    retried_count: int = 0
    session_count: int = 0
    durations_ms: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class CodeTruth:
    """Successful file operations in one language on one local day: the columns of agg_code_changes."""

    paths: set[str] = field(default_factory=set)  # changed files
    edit_count: int = 0
    create_count: int = 0
    overwrite_count: int = 0
    read_count: int = 0
    lines_added: int = 0
    lines_removed: int = 0


@dataclass(slots=True)
class Truth(Counts):
    """Ground truth of a whole history.

    Covers the numbers of fct_messages (by kind), fct_tool_calls (by tool, status, error class; durations, retries,
    sub-agents' sums), fct_file_operations (by operation and language), dim_sessions, dim_projects, dim_models,
    agg_daily_summary, agg_daily_usage, agg_hourly_activity, agg_session_metrics, agg_tool_efficiency,
    agg_code_changes, agg_waste, agg_billing_blocks, agg_attribution, agg_hooks, agg_cost_reconciliation,
    fct_compactions, fct_api_errors and the raw layer's documents and dead letters. Not covered:
    texts and what is read from them (has_code_block, is_question, task_category, error_text), seconds_since_previous,
    is_current.
    """

    documents: int = 0  # whole JSON objects: what the raw layer stores
    malformed: int = 0  # what becomes dead letters
    unfinished: int = 0  # half lines at the end of a file: left for the next time
    entry_copies: int = 0  # documents whose entry stands in another document
    entries_without_time: int = 0  # user and assistant entries without a usable timestamp
    unknown_types: Counter[str] = field(default_factory=Counter)
    api_errors: int = 0
    messages_by_kind: Counter[str] = field(default_factory=Counter)
    error_classes: Counter[str] = field(default_factory=Counter)
    file_operations: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)  # file operations by language
    tool_facts: defaultdict[str, ToolTruth] = field(default_factory=lambda: defaultdict(ToolTruth))
    subagents: dict[str, Counts] = field(default_factory=dict)  # by the id of the call that started it
    sessions: dict[str, SessionTruth] = field(default_factory=dict)
    projects: defaultdict[str, ProjectTruth] = field(default_factory=lambda: defaultdict(ProjectTruth))
    models: defaultdict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    days: defaultdict[str, DayTruth] = field(default_factory=lambda: defaultdict(DayTruth))
    usage: defaultdict[tuple[str, str, str], Counts] = field(default_factory=lambda: defaultdict(Counts))
    weekly_hours: defaultdict[tuple[int, int], Counts] = field(default_factory=lambda: defaultdict(Counts))
    hours: defaultdict[int, HourTruth] = field(default_factory=lambda: defaultdict(HourTruth))
    code_changes: defaultdict[tuple[str, str], CodeTruth] = field(default_factory=lambda: defaultdict(CodeTruth))

    hooks: defaultdict[tuple[str, str, str], HookTruth] = field(default_factory=lambda: defaultdict(HookTruth))
    # by day, project, kind and name
    attribution: defaultdict[tuple[str, str, str, str], AttributionTruth] = field(
        default_factory=lambda: defaultdict(AttributionTruth)
    )

    @property
    def tools(self) -> dict[str, int]:
        """Calls by tool."""
        return {name: tool.call_count for name, tool in self.tool_facts.items()}

    @property
    def status(self) -> dict[str, int]:
        """Calls by status."""
        total: Counter[str] = Counter()
        for tool in self.tool_facts.values():
            total.update(tool.status)
        return {name: count for name, count in total.items() if count}

    @property
    def retries(self) -> int:
        """Calls that are followed by the same one again."""
        return sum(tool.retried_count for tool in self.tool_facts.values())

    @property
    def responses_by_model(self) -> dict[str, int]:
        """Responses by model."""
        return {name: counts.response_count for name, counts in self.models.items()}

    @property
    def tokens_by_model(self) -> dict[str, dict[str, int]]:
        """Tokens by model and kind."""
        return {name: counts.tokens for name, counts in self.models.items()}

    def billing_blocks(self) -> dict[int, HourTruth]:
        """Blocks of five hours by their first hour, in hours since 1970."""
        blocks: dict[int, HourTruth] = {}
        start = -BLOCK_HOURS
        for hour in sorted(self.hours):
            if hour >= start + BLOCK_HOURS:
                start = hour
                blocks[start] = HourTruth()
            block, part = blocks[start], self.hours[hour]
            block.add(part)
            block.sessions |= part.sessions
            block.first_response_ms = earliest(block.first_response_ms, part.first_response_ms)
            block.last_response_ms = latest(block.last_response_ms, part.last_response_ms)
        return blocks

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: decimals as strings, sets sorted, keys of several parts joined by a bar."""
        return _plain(self)


def earliest(one: int | None, other: int | None) -> int | None:
    """The earlier of two times, of which either may be missing."""
    return min((at for at in (one, other) if at is not None), default=None)


def latest(one: int | None, other: int | None) -> int | None:
    """The later of two times, of which either may be missing."""
    return max((at for at in (one, other) if at is not None), default=None)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, array):
        return list(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {"|".join(map(str, key)) if isinstance(key, tuple) else key: _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        plain = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        if isinstance(value, Counts):
            plain["cost_usd"] = str(value.cost_usd)
        return plain
    return value
