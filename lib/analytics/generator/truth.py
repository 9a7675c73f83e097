"""What a generated history holds, written down while it is generated and never recomputed from the files."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from typing import Any

TOKEN_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")


@dataclass
class SessionTruth:
    """Ground truth of one session; the columns of `dim_sessions` of the same names."""

    project_id: str
    title: str | None = None
    prompts: int = 0
    queued_prompts: int = 0
    responses: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    rejected: int = 0
    commits: int = 0
    pull_requests: int = 0
    compactions: int = 0
    interrupts: int = 0
    subagents: int = 0
    lines_added: int = 0
    lines_removed: int = 0
    active_ms: int = 0
    cost_usd: Decimal = Decimal(0)
    is_automated: bool = False
    is_resumed: bool = False


@dataclass
class DayTruth:
    """Ground truth of one UTC day; the columns of `agg_daily_summary` of the same names."""

    prompts: int = 0
    responses: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    cost_usd: Decimal = Decimal(0)
    tokens: Counter[str] = field(default_factory=Counter)


@dataclass
class Truth:
    """Ground truth of a whole history.

    Covers fct_messages (count by kind, tokens, cost, lower bound), fct_tool_calls (by tool, status, error class,
    retries), fct_file_operations (by operation and language, lines), dim_sessions, dim_projects (count),
    agg_daily_summary (UTC) and the dead letters.
    """

    documents: int = 0  # whole JSON objects: what the raw layer stores
    malformed: int = 0  # what becomes dead letters
    entry_copies: int = 0  # documents whose entry stands in another document
    responses: int = 0
    api_errors: int = 0
    lower_bound_responses: int = 0
    unpriced_responses: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    tokens_by_model: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    responses_by_model: Counter[str] = field(default_factory=Counter)
    cost_usd: Decimal = Decimal(0)
    messages_by_kind: Counter[str] = field(default_factory=Counter)
    prompts: int = 0
    queued_prompts: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    status: Counter[str] = field(default_factory=Counter)
    error_classes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    file_operations: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)  # file operations by language
    lines_added: int = 0
    lines_removed: int = 0
    commits: int = 0
    pull_requests: int = 0
    projects: set[str] = field(default_factory=set)
    sessions: dict[str, SessionTruth] = field(default_factory=dict)
    days: defaultdict[str, DayTruth] = field(default_factory=lambda: defaultdict(DayTruth))

    @property
    def tool_calls(self) -> int:
        """Number of tool calls."""
        return sum(self.tools.values())

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: decimals as strings, sets sorted."""

        def plain(value: Any) -> Any:
            if isinstance(value, Decimal):
                return str(value)
            if isinstance(value, set):
                return sorted(value)
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()}
            if is_dataclass(value):
                return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
            return value

        return plain(self)
