"""Every card against what is true of a generated history. Without this, a card could sum the wrong column, lose the
rows without a price, or compare with the wrong days, and still look plausible.

What a card should show is worked out here in plain Python: from the truth that the generator wrote down, and where
that says nothing (single prompts, commands, files) from rows of the fact tables, which other tests hold against it.
"""

from __future__ import annotations

import calendar
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import duckdb
import pytest
from analytics.cards.model import Card, load_dashboards, load_value_cards
from analytics.cards.query import Selection, bound
from analytics.raw.extract import extract
from analytics.settings import load_settings
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform
from transcript_generator import Counts, Truth, generate
from transcript_generator.truth import SessionTruth

END = datetime(2026, 11, 20, 15, tzinfo=UTC)
CARDS: dict[str, Card] = {card.key: card for board in load_dashboards() for card in board.cards}
CARDS |= {card.key: card for card in load_value_cards()}
CONTEXT = ("input", "cache_write_5m", "cache_write_1h", "cache_read")
KINDS = {
    "input": "input",
    "output": "output",
    "cache write, 5 min": "cache_write_5m",
    "cache write, 1 h": "cache_write_1h",
    "cache read": "cache_read",
}


@dataclass
class History:
    """A generated history, built and published."""

    truth: Truth
    marts: duckdb.DuckDBPyConnection

    @cached_property
    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        return self.marts.execute("select min(date_key), max(date_key) from dim_date").fetchone()

    @cached_property
    def names(self) -> dict[str, str]:
        """Projects' names by id; in this history no two have the same."""
        found = dict(self.marts.execute("select project_id, project_label from dim_projects").fetchall())
        assert len(set(found.values())) == len(found)
        return found

    def facts(self, table: str, *columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of a mart."""
        return self.marts.execute(f"select {', '.join(columns)} from {table} where {where}").fetchall()

    def rows(self, key: str, first: date | None = None, last: date | None = None) -> list[dict[str, Any]]:
        """What a card shows."""
        found = self.marts.execute(*bound(CARDS[key].sql, Selection(first, last)))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def built_at(self, at: datetime) -> None:
        """Let the numbers say that they were built then."""
        self.marts.execute("use memory.marts")
        self.marts.execute("create or replace table agg_data_quality as select * from published.marts.agg_data_quality")
        self.marts.execute(
            "update agg_data_quality set check_value = ? where check_name = 'published_at'", [at.timestamp()]
        )

    def sessions(self, first: date, last: date, **equal: Any) -> list[SessionTruth]:
        """Sessions begun in these days."""
        return [
            session
            for session in self.truth.sessions.values()
            if started(session) is not None
            and first <= started(session) <= last
            and all(getattr(session, name) == value for name, value in equal.items())
        ]

    def usage(self, first: date, last: date) -> Counts:
        """Responses of these days."""
        return total(
            facts for (day, _, _), facts in self.truth.usage.items() if first <= date.fromisoformat(day) <= last
        )

    def day(self, first: date, last: date) -> Counts:
        """Everything of these days."""
        return total(facts for day, facts in self.truth.days.items() if first <= date.fromisoformat(day) <= last)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    root = tmp_path_factory.mktemp("history")
    truth = generate(root / "projects", seed=7, entries=9_000, days=60, end=END, hostile=True)
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    extract(settings)
    load(settings)
    transform(settings, as_of=END)
    publish(settings)
    # the marts by the names that cards use, and a table of its own for the time at which they were built
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.published_path.resolve()}' as published (read_only)")
        connection.execute("create schema memory.marts")
        names = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'published' and schema_name = 'marts'"
        ).fetchall()
        for (name,) in names:
            connection.execute(f"create view memory.marts.{name} as select * from published.marts.{name}")
        connection.execute("drop view memory.marts.agg_data_quality")
        connection.execute("set timezone = 'UTC'")
        found = History(truth, connection)
        found.built_at(END)
        yield found


# Small arithmetic


def total(parts: Iterable[Counts]) -> Counts:
    found = Counts()
    for part in parts:
        found.add(part)
    return found


def grouped(parts: Iterable[tuple[Any, Counts]]) -> dict[Any, Counts]:
    found: defaultdict[Any, Counts] = defaultdict(Counts)
    for key, part in parts:
        found[key].add(part)
    return dict(found)


def started(session: SessionTruth) -> date | None:
    """Null where no entry has a usable time."""
    return None if session.started_ms is None else instant(session.started_ms).date()


def instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def cost(facts: Counts) -> float | None:
    """Null where there are responses and none has a price."""
    return None if 0 < facts.response_count == facts.unpriced_response_count else float(facts.cost_usd)


def costs(parts: Iterable[Counts]) -> float | None:
    known = [found for found in map(cost, parts) if found is not None]
    return sum(known) if known else None


def over(value: float | None, count: float) -> float | None:
    return None if value is None or not count else value / count


def hit_rate(facts: Counts) -> float | None:
    return over(facts.cache_read_tokens, sum(facts.tokens[kind] for kind in CONTEXT))


def quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def same(shown: Any, expected: Any) -> bool:
    if isinstance(expected, float) and shown is not None:
        # medians of milliseconds and shares of costs are rounded on the way
        return float(shown) == pytest.approx(expected, rel=1e-6, abs=0.0011)
    return shown == expected


def assert_shows(shown: list[dict[str, Any]], expected: list[dict[str, Any]], *keys: str) -> None:
    """The same rows; in the order of the card unless `keys` say what tells them apart."""
    if keys:

        def order(row: dict[str, Any]) -> list[str]:
            return [str(row[key]) for key in keys]

        shown, expected = sorted(shown, key=order), sorted(expected, key=order)
    assert len(shown) == len(expected)
    for row, wanted in zip(shown, expected, strict=True):
        wrong = {name: (row[name], value) for name, value in wanted.items() if not same(row[name], value)}
        assert not wrong, row


# Numbers with their trend: what they are of the days from `first` to `last`


def mean_prompts(history: History, first: date, last: date) -> float | None:
    sessions = history.sessions(first, last, is_automated=False)
    return over(float(sum(session.prompt_count for session in sessions)), len(sessions))


def subagents_share(history: History, first: date, last: date) -> float | None:
    rows = history.facts(
        "fct_messages", "is_sidechain", "cost_usd", "created_date_key", where="message_kind in ('response', 'advisor')"
    )
    priced = [(side, usd) for side, usd, day in rows if usd is not None and first <= day <= last]
    return over(float(sum(usd for side, usd in priced if side)), float(sum(usd for _, usd in priced)))


def response_seconds(history: History, first: date, last: date) -> list[float]:
    rows = history.facts(
        "fct_messages",
        "response_seconds",
        "created_date_key",
        where="message_kind = 'response' and not is_sidechain and response_seconds is not null",
    )
    return [float(waited) for waited, day in rows if first <= day <= last]


def calls(history: History, first: date, last: date, column: str, value: Any, of: str) -> float | None:
    rows = history.facts("fct_tool_calls", "called_date_key", column, where=of)
    asked = [found == value for day, found in rows if first <= day <= last]
    return over(float(sum(asked)), len(asked))


def reads_per_change(history: History, first: date, last: date) -> float | None:
    parts = [code for (day, _), code in history.truth.code_changes.items() if first <= date.fromisoformat(day) <= last]
    changed = sum(code.edit_count + code.create_count + code.overwrite_count for code in parts)
    return over(float(sum(code.read_count for code in parts)), changed)


Measure = Callable[[History, date, date], Any]
SCALARS: dict[str, Measure] = {
    "spend": lambda h, *days: cost(h.usage(*days)),
    "cache_hit_rate": lambda h, *days: hit_rate(h.usage(*days)),
    "cost_per_prompt": lambda h, *days: over(cost(h.usage(*days)), h.day(*days).prompt_count),
    "sessions_started": lambda h, *days: len(h.sessions(*days)),
    "active_time": lambda h, *days: float(sum(session.active_seconds for session in h.sessions(*days))),
    "prompts_per_session": mean_prompts,
    "commits": lambda h, *days: h.day(*days).commits,
    "tool_success_rate": lambda h, *days: calls(h, *days, "status", "success", "status <> 'pending'"),
    "tool_rejection_rate": lambda h, *days: calls(h, *days, "status", "rejected", "status <> 'pending'"),
    "tool_retry_rate": lambda h, *days: calls(h, *days, "is_retry_followed", True, "true"),
    "median_response": lambda h, *days: statistics.median(response_seconds(h, *days)),
    "subagent_cost_share": subagents_share,
    "active_projects": lambda h, *days: len({session.project_id for session in h.sessions(*days)}),
    "lines_added": lambda h, *days: h.day(*days).lines_added,
    "lines_removed": lambda h, *days: h.day(*days).lines_removed,
    "reads_per_edit": reads_per_change,
}


@pytest.mark.parametrize("key", SCALARS)
def test_number_and_its_trend(history: History, key: str) -> None:
    first, last = history.days
    measure, value = SCALARS[key], CARDS[key].view["value"]
    everything = history.rows(key)
    assert same(everything[-1][value], measure(history, first, last))
    assert everything[0][value] is None, "nothing is known before the first day"
    begin = last - timedelta(days=19)
    assert_shows(
        history.rows(key, begin, last),
        [
            {
                "period": begin - timedelta(days=1),
                value: measure(history, begin - timedelta(days=20), begin - timedelta(days=1)),
            },
            {"period": last, value: measure(history, begin, last)},
        ],
    )
    most = first + timedelta(days=5)
    assert history.rows(key, most, last)[0][value] is None, "a period that is only partly known is no measure"


def test_a_day_without_work_is_zero_and_not_the_number_before(history: History) -> None:
    """Metabase shows the newest number there is: were a quiet period unknown, it would show the one before."""
    first, last = history.days
    worked = {date.fromisoformat(day) for day in history.truth.days} | {
        started(s) for s in history.truth.sessions.values()
    }
    quiet = next(day for day in (last - timedelta(days=n) for n in range(1, (last - first).days)) if day not in worked)
    for key in (
        "spend",
        "sessions_started",
        "active_time",
        "commits",
        "active_projects",
        "lines_added",
        "lines_removed",
    ):
        assert history.rows(key, quiet, quiet)[-1][CARDS[key].view["value"]] == 0, key


def test_month_to_date_and_its_projection(history: History) -> None:
    _, last = history.days
    month, before = last.replace(day=1), (last.replace(day=1) - timedelta(days=1)).replace(day=1)
    end = before + timedelta(days=last.day - 1)
    assert history.days[0] <= before
    spent = cost(history.usage(month, last))
    assert_shows(
        history.rows("month_to_date", last, last),
        [{"period": end, "cost_usd": cost(history.usage(before, end))}, {"period": last, "cost_usd": spent}],
    )
    whole = month - timedelta(days=1)
    days = calendar.monthrange(last.year, last.month)[1]
    assert_shows(
        history.rows("projected_month", last, last),
        [
            {"period": whole, "cost_usd": cost(history.usage(before, whole))},
            {"period": last, "cost_usd": spent * days / last.day},
        ],
    )
    # the same numbers, built when the month was over: nothing is to be projected any more
    over = datetime(last.year, last.month, days, tzinfo=UTC) + timedelta(days=2)
    history.built_at(over)
    assert history.rows("projected_month", last, last)[-1] == {"period": last, "cost_usd": float(spent)}
    history.built_at(END)


# Charts and tables


def check_spend(history: History) -> None:
    usage = history.truth.usage
    by_day = grouped(((day, model), facts) for (day, _, model), facts in usage.items())
    assert_shows(
        history.rows("spend_by_day"),
        [
            {"period_start": date.fromisoformat(day), "model": model, "cost_usd": cost(facts)}
            for (day, model), facts in by_day.items()
            if cost(facts) is not None
        ],
        "period_start",
        "model",
    )
    by_project = grouped((history.names[project], facts) for (_, project, _), facts in usage.items())
    dearest = sorted(by_project, key=lambda name: -by_project[name].cost_usd)[:12]
    assert_shows(
        history.rows("spend_by_project"),
        [{"project_label": name, "cost_usd": cost(by_project[name])} for name in dearest],
    )


def check_models(history: History) -> None:
    models = history.truth.models
    spent = float(history.truth.cost_usd)
    assert any(cost(facts) is None for facts in models.values())
    assert_shows(
        history.rows("spend_by_model"),
        [
            {
                "model": model,
                "cost_usd": cost(facts),
                "cost_share": over(cost(facts), spent),
                "response_count": facts.response_count,
                "cost_per_response_usd": over(cost(facts), facts.response_count - facts.unpriced_response_count),
                "output_tokens": facts.output_tokens,
                "cache_hit_rate": hit_rate(facts),
                "lower_bound_share": over(float(facts.lower_bound_response_count), facts.response_count),
                "unpriced_response_count": facts.unpriced_response_count,
            }
            for model, facts in models.items()
        ],
        "model",
    )
    real = [row for row in history.rows("model_prices") if row["model"] != "<synthetic>"]
    assert_shows(
        real,
        [{"model": model, "response_count": facts.response_count} for model, facts in models.items()],
        "model",
    )
    assert {row["model"] for row in real if row["price"] == "no price"} == {
        model for model, facts in models.items() if cost(facts) is None
    }
    assert models.keys() <= {row["model"] for row in history.rows("known_models")}


def check_days_of_responses(history: History) -> None:
    days = grouped((date.fromisoformat(day), facts) for (day, _, _), facts in history.truth.usage.items())
    assert_shows(
        history.rows("tokens_by_kind"),
        [
            {"period_start": day, "token_kind": kind, "tokens": facts.tokens[name]}
            for day, facts in days.items()
            for kind, name in KINDS.items()
            if facts.tokens[name]
        ],
        "period_start",
        "token_kind",
    )
    assert_shows(
        history.rows("cache_hit_trend"),
        [{"period_start": day, "cache_hit_rate": hit_rate(facts)} for day, facts in sorted(days.items())],
    )
    assert_shows(
        history.rows("response_quality"),
        [
            {
                "period_start": day,
                "lower_bound_share": over(float(facts.lower_bound_response_count), facts.response_count),
                "unpriced_share": over(float(facts.unpriced_response_count), facts.response_count),
            }
            for day, facts in sorted(days.items())
        ],
    )


def check_sessions(history: History) -> None:
    def shown(session: SessionTruth, session_id: str) -> dict[str, Any]:
        return {
            "title": (session.title or session_id)[:100],
            "cost_usd": cost(session),
            "project_label": history.names[session.project_id],
            "started_at": instant(session.started_ms),
            "prompt_count": session.prompt_count,
            "active_seconds": float(session.active_seconds),
        }

    sessions = history.truth.sessions
    priced = [session_id for session_id, session in sessions.items() if cost(session) is not None]
    dearest = sorted(priced, key=lambda session_id: (-sessions[session_id].cost_usd, session_id))[:15]
    assert_shows(
        history.rows("expensive_sessions"),
        [
            shown(session, session_id)
            | {
                "cost_per_prompt_usd": over(cost(session), session.prompt_count),
                "response_count": session.response_count,
                "max_context_tokens": session.max_context_tokens,
            }
            for session_id, session in ((session_id, sessions[session_id]) for session_id in dearest)
        ],
    )
    newest = sorted(sessions, key=lambda session_id: (-(sessions[session_id].started_ms or 0), session_id))[:20]
    assert_shows(
        history.rows("latest_sessions"),
        [
            shown(session, session_id)
            | {
                "lines_added": session.lines_added,
                "lines_removed": session.lines_removed,
                "commits": session.commits,
            }
            for session_id, session in ((session_id, sessions[session_id]) for session_id in newest)
        ],
    )


def check_prompts(history: History) -> None:
    prompts = {
        key: (category, counted, at)
        for key, category, counted, at in history.facts(
            "fct_messages",
            "message_key",
            "coalesce(task_category, 'other')",
            "message_kind in ('prompt', 'slash_command') and not is_sidechain and not is_queued",
            "created_at",
        )
    }
    answers: defaultdict[str, list[tuple[Any, int]]] = defaultdict(list)
    for key, usd, tools in history.facts(
        "fct_messages",
        *("prompt_key", "cost_usd", "tool_use_count"),
        where="message_kind in ('response', 'advisor') and prompt_key is not null",
    ):
        answers[key].append((usd, tools))
    spent = {
        key: sum(usd for usd, _ in found if usd is not None)
        for key, found in answers.items()
        if any(usd is not None for usd, _ in found)
    }
    dearest = sorted(spent, key=lambda key: (-spent[key], key))[:15]
    assert_shows(
        history.rows("expensive_prompts"),
        [
            {
                "cost_usd": float(spent[key]),
                "created_at": prompts[key][2],
                "response_count": len(answers[key]),
            }
            for key in dearest
        ],
    )
    categories: defaultdict[str, list[str]] = defaultdict(list)
    for key, (category, counted, _) in prompts.items():
        if counted:
            categories[category].append(key)
    found = history.rows("task_categories")
    assert_shows(
        found,
        [
            {
                "task_category": category,
                "prompt_count": len(keys),
                "cost_usd": float(sum(spent.get(key, 0) for key in keys)),
                "tools_per_prompt": sum(tools for key in keys for _, tools in answers[key]) / len(keys),
            }
            for category, keys in categories.items()
        ],
        "task_category",
    )
    assert sum(row["prompt_count"] for row in found) == history.truth.prompt_count


def check_blocks(history: History) -> None:
    blocks = sorted(history.truth.billing_blocks().items(), reverse=True)[:15]
    found = history.rows("billing_blocks")
    assert_shows(
        found,
        [
            {
                "started_at": instant(hour * 3_600_000),
                "cost_usd": cost(block),
                "response_count": block.response_count,
                "output_tokens": block.output_tokens,
                "unpriced_response_count": block.unpriced_response_count,
            }
            for hour, block in blocks
        ],
    )
    for row, (_, block) in zip(found, blocks, strict=True):
        hours = (block.last_response_ms - block.first_response_ms) / 3_600_000
        if row["burn_rate_usd_per_hour"] is not None:
            assert float(row["burn_rate_usd_per_hour"]) == pytest.approx(cost(block) / hours, rel=1e-6)
    assert any(row["burn_rate_usd_per_hour"] for row in found)


def check_waste(history: History) -> None:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for session in history.truth.sessions.values():
        for finding, waste in session.waste.items():
            found[finding].append(waste)
    said = {
        "repeated_read": "The same unchanged file read again",
        "repeated_failing_call": "The same failing call tried again",
        "cost_outlier": "A response that cost ten times the session's median",
        "cache_rebuild": "Prompt cache rebuilt after a pause",
    }
    assert_shows(
        history.rows("waste"),
        [
            {
                "what_happened": said[finding],
                "cost_usd": float(sum(waste.cost_usd or 0 for waste in parts)),
                "occurrence_count": sum(len(waste.evidence) for waste in parts),
                "session_count": len(parts),
            }
            for finding, parts in found.items()
        ],
        "what_happened",
    )


def check_sessions_over_time(history: History) -> None:
    sessions = [session for session in history.truth.sessions.values() if started(session)]
    kinds = Counter(
        (started(session), "automated (SDK, -p)" if session.is_automated else "interactive") for session in sessions
    )
    assert_shows(
        history.rows("sessions_by_day"),
        [
            {"period_start": day, "session_kind": kind, "session_count": count}
            for (day, kind), count in sorted(kinds.items())
        ],
    )
    active = grouped((started(session), session) for session in sessions)
    assert_shows(
        history.rows("active_time_by_day"),
        [
            {"period_start": day, "active_hours": float(facts.active_seconds) / 3600}
            for day, facts in sorted(active.items())
        ],
    )
    projects = grouped((session.project_id, session) for session in sessions)
    largest = sorted(projects, key=lambda project: (-projects[project].active_ms, project))[:8]
    hours = grouped(
        ((started(s), history.names[s.project_id] if s.project_id in largest else "all others"), s) for s in sessions
    )
    assert_shows(
        history.rows("project_activity"),
        [
            {"period_start": day, "project_label": name, "active_hours": float(facts.active_seconds) / 3600}
            for (day, name), facts in hours.items()
        ],
        "period_start",
        "project_label",
    )


def check_hours(history: History) -> None:
    rows = history.facts(
        "fct_messages",
        "isodow(created_date_key)",
        "created_hour",
        where="message_kind in ('prompt', 'slash_command', 'response') and not is_sidechain",
    )
    expected = Counter(rows)
    found = history.rows("active_hours")
    assert len(found) == 168
    assert {
        (1 + list(calendar.day_name).index(row["day_name"]), row["hour_of_day"]): row["message_count"]
        for row in found
        if row["message_count"]
    } == expected


def check_days(history: History) -> None:
    days = {date.fromisoformat(day): facts for day, facts in history.truth.days.items()}
    shipped = {day: facts for day, facts in days.items() if facts.commits or facts.pull_requests}
    assert_shows(
        history.rows("shipped"),
        [
            {"period_start": day, "commit_count": facts.commits, "pull_request_count": facts.pull_requests}
            for day, facts in sorted(shipped.items())
        ],
    )
    found = history.rows("coverage")
    assert len(found) == (history.days[1] - history.days[0]).days + 1
    assert {row["period_start"] for row in found if row["active_day_count"]} == {
        day for day, facts in days.items() if facts.message_count + facts.tool_call_count
    }


def check_tools(history: History) -> None:
    tools = history.truth.tool_facts
    rows = history.rows("tools")
    assert [row["tool_name"] for row in rows] == sorted(tools, key=lambda name: (-tools[name].call_count, name))[:25]
    for row in rows:
        tool = tools[row["tool_name"]]
        finished = tool.call_count - tool.status["pending"]
        assert row["call_count"] == tool.call_count
        assert row["session_count"] == tool.session_count
        assert same(row["success_rate"], over(float(tool.status["success"]), finished))
        assert same(row["rejection_rate"], over(float(tool.status["rejected"]), finished))
        assert same(row["retry_rate"], tool.retried_count / tool.call_count)
        if tool.durations_ms:
            assert row["median_duration_ms"] == pytest.approx(quantile(tool.durations_ms, 0.5), abs=0.6)
            assert row["p95_duration_ms"] == pytest.approx(quantile(tool.durations_ms, 0.95), abs=0.6)
            assert same(row["total_seconds"], sum(tool.durations_ms) / 1000)


def check_failures(history: History) -> None:
    assert {row["error_class"]: row["error_count"] for row in history.rows("error_classes")} == dict(
        history.truth.error_classes.most_common(12)
    )
    programs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for program, status in history.facts(
        "fct_tool_calls", "command_program", "status", where="command_program is not null and status <> 'pending'"
    ):
        programs[program][status] += 1
    failing = {name: found for name, found in programs.items() if found["error"]}
    first = sorted(failing, key=lambda name: (-failing[name]["error"], -failing[name].total(), name))[:12]
    assert_shows(
        history.rows("failing_programs"),
        [
            {
                "command_program": name,
                "error_count": failing[name]["error"],
                "call_count": failing[name].total(),
                "error_rate": failing[name]["error"] / failing[name].total(),
            }
            for name in first
        ],
    )
    failing_tools = {name: tool for name, tool in history.truth.tool_facts.items() if tool.status["error"]}
    for row in (rows := history.rows("tool_failures")):
        tool = failing_tools[row["tool_name"]]
        finished = tool.call_count - tool.status["pending"]
        assert (row["error_count"], row["call_count"]) == (tool.status["error"], finished)
        assert same(row["error_rate"], tool.status["error"] / finished)
    assert len(rows) == min(12, len(failing_tools))
    bash = history.truth.tool_facts["Bash"]
    assert sum(found["error"] for found in programs.values()) <= bash.status["error"]


def check_response_times(history: History) -> None:
    known = sorted(ms / 1000 for session in history.truth.sessions.values() for ms in session.response_ms)
    assert sorted(response_seconds(history, *history.days)) == pytest.approx(known, abs=0.0011)
    found = history.rows("response_time_trend")
    assert found
    for row in found:
        waited = response_seconds(history, row["period_start"], row["period_start"])
        assert same(row["median_seconds"], statistics.median(waited))
        assert same(row["p90_seconds"], quantile(waited, 0.9))


def check_subagents(history: History) -> None:
    truth = history.truth.subagents
    kinds = dict(history.facts("fct_tool_calls", "tool_use_id", "subagent_type", where="spawned_agent_id is not null"))
    assert kinds.keys() == truth.keys()
    found = grouped((kinds[call], facts) for call, facts in truth.items())
    known = Counter(kinds[call] for call, facts in truth.items() if cost(facts) is not None)
    asked = Counter(kinds.values())
    assert_shows(
        history.rows("subagents"),
        [
            {
                "subagent_type": kind,
                "call_count": asked[kind],
                "response_count": facts.response_count,
                "cost_usd": cost(facts),
                "cost_per_call_usd": over(cost(facts), known[kind]),
            }
            for kind, facts in found.items()
        ],
        "subagent_type",
    )


def check_lengths(history: History) -> None:
    sizes = [(0, "0"), (1, "1"), (5, "2 to 5"), (10, "6 to 10"), (20, "11 to 20"), (50, "21 to 50"), (10**9, "over 50")]
    found: defaultdict[str, list[SessionTruth]] = defaultdict(list)
    for session in history.truth.sessions.values():
        if not session.is_automated:
            found[next(name for most, name in sizes if session.prompt_count <= most)].append(session)
    assert_shows(
        history.rows("conversation_lengths"),
        [
            {
                "prompts": name,
                "session_count": len(found[name]),
                "cost_usd": costs(found[name]),
                "cost_per_prompt_usd": over(
                    costs(found[name]), sum(s.prompt_count for s in found[name] if cost(s) is not None)
                ),
                "active_seconds": statistics.mean(float(s.active_seconds) for s in found[name]),
                "compactions": statistics.mean(float(s.compactions) for s in found[name]),
            }
            for _, name in sizes
            if name in found
        ],
    )


def check_projects(history: History) -> None:
    found = grouped((session.project_id, session) for session in history.truth.sessions.values())
    begun = Counter(session.project_id for session in history.truth.sessions.values())

    def status(last_active_ms: int | None) -> str:
        if last_active_ms is None:
            return "dormant"
        days = (END.date() - instant(last_active_ms).date()).days
        return "active" if days <= 7 else "recent" if days <= 30 else "dormant"

    truth = history.truth.projects
    assert_shows(
        history.rows("project_list"),
        [
            {
                "project_label": history.names[project],
                "activity_status": status(truth[project].last_active_ms),
                "last_active_at": instant(truth[project].last_active_ms),
                "session_count": begun[project],
                "prompt_count": facts.prompt_count,
                "active_seconds": float(facts.active_seconds),
                "cost_usd": cost(facts),
                "lines_added": facts.lines_added,
                "lines_removed": facts.lines_removed,
                "commits": facts.commits,
            }
            for project, facts in found.items()
        ],
        "project_label",
    )
    paths = {project.project_path for project in truth.values()} - {None}
    assert [row["project_path"] for row in history.rows("known_projects")] == sorted(paths)
    machines = {machine for (machine,) in history.facts("dim_sessions", "machine")} - {None}
    assert [row["machine"] for row in history.rows("known_machines")] == sorted(machines)
    people = {person for (person,) in history.facts("dim_sessions", "person")} - {None}
    assert [row["person"] for row in history.rows("known_people")] == sorted(people)
    assert {row["tool_name"] for row in history.rows("known_tools")} >= history.truth.tools.keys()


def check_code(history: History) -> None:
    changes = history.truth.code_changes
    languages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (_, language), code in changes.items():
        languages[language].update(
            read_count=code.read_count,
            change_count=code.edit_count + code.create_count + code.overwrite_count,
            lines_added=code.lines_added,
            lines_removed=code.lines_removed,
        )
    most = sorted(languages, key=lambda name: (-languages[name]["change_count"], name))[:12]
    assert_shows(
        history.rows("languages"),
        [
            {
                **{name: languages[language][name] for name in ("read_count", "change_count")},
                "language": language,
                "lines_added": languages[language]["lines_added"],
                "lines_removed": languages[language]["lines_removed"],
                "reads_per_edit": over(float(languages[language]["read_count"]), languages[language]["change_count"]),
            }
            for language in most
        ],
    )
    files: defaultdict[str, set[str]] = defaultdict(set)
    for language, path in history.facts(
        "fct_file_operations", "coalesce(language, 'other')", "file_path", where="status = 'success'"
    ):
        files[language].add(path)
    assert all(row["file_count"] == len(files[row["language"]]) for row in history.rows("languages"))
    size = {name: found["lines_added"] + found["lines_removed"] for name, found in languages.items()}
    seven = sorted(size, key=lambda name: (-size[name], name))[:7]
    lines: Counter[tuple[date, str, bool]] = Counter()
    for (day, language), code in changes.items():
        name = language if language in seven else "all others"
        lines[date.fromisoformat(day), name, True] += code.lines_added
        lines[date.fromisoformat(day), name, False] += code.lines_removed
    assert sorted(
        (r["period_start"], r["language"], int(r["lines"])) for r in history.rows("lines_by_language")
    ) == sorted(
        (day, f"{name}, {'added' if added else 'removed'}", count if added else -count)
        for (day, name, added), count in lines.items()
        if count
    )


def check_files(history: History) -> None:
    paths = dict(history.facts("dim_projects", "project_id", "project_path"))
    found: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for project, path, session, added, removed in history.facts(
        "fct_file_operations",
        *("project_id", "file_path", "session_id", "lines_added", "lines_removed"),
        where="status = 'success' and operation <> 'read'",
    ):
        found[project, path.removeprefix(f"{paths[project]}/")].append((session, added, removed))
    most = sorted(found, key=lambda key: (-len(found[key]), key[1], key[0]))[:15]
    assert_shows(
        history.rows("files_changed"),
        [
            {
                "file_name": name,
                "project_label": history.names[project],
                "change_count": len(found[project, name]),
                "session_count": len({session for session, _, _ in found[project, name]}),
                "lines_added": sum(added or 0 for _, added, _ in found[project, name]),
                "lines_removed": sum(removed or 0 for _, _, removed in found[project, name]),
            }
            for project, name in most
        ],
    )


def check_quality(history: History) -> None:
    truth = history.truth
    found = {row["check_name"]: row for row in history.rows("quality_checks")}
    assert found["documents_stored"]["found"] == str(truth.documents)
    assert found["dead_letters"]["status"] == "warn"
    bound = f"{truth.lower_bound_response_count} of {truth.response_count}"
    assert found["lower_bound_responses"]["found"] == bound
    assert found["unpriced_responses"]["found"] == f"{truth.unpriced_response_count} of {truth.response_count}"
    strip = {row["what"]: (row["now"], row["status"]) for row in history.rows("data_status")}
    assert strip["Unreadable lines"] == (str(truth.malformed), "warn")
    assert strip["Unknown entry types"] == (str(len(truth.unknown_types)), "warn")
    assert strip["Output is a lower bound"][0] == f"{bound} responses"
    assert all(
        model in strip["Models without a price"][0] for model, facts in truth.models.items() if cost(facts) is None
    )
    versions: defaultdict[str, list[SessionTruth]] = defaultdict(list)
    for session in truth.sessions.values():
        versions[session.claude_version or "unknown"].append(session)
    for row in history.rows("lower_bound_by_version"):
        sessions = versions[row["claude_version"]]
        answered = sum(session.response_count for session in sessions)
        assert (row["session_count"], row["response_count"]) == (len(sessions), answered)
        bounds = sum(session.lower_bound_response_count for session in sessions)
        assert same(row["lower_bound_share"], over(float(bounds), answered))
        assert same(row["cost_usd"], costs(sessions))


def check_attribution(history: History) -> None:
    """Calls by what the generator made, whoever they are shown under."""
    truth = history.truth
    rows = history.rows("attribution")
    calls: Counter[str] = Counter()
    for row in rows:
        calls[row["kind"]] += row["call_count"]
    assert calls["mcp server"] == sum(count for tool, count in truth.tools.items() if tool.startswith("mcp__"))
    assert calls["subagent type"] == truth.tools.get("Task", 0) + truth.tools.get("Agent", 0)
    for row in history.rows("background_work"):
        same = [other for other in history.rows("background_work") if other["tool_name"] == row["tool_name"]]
        assert sum(other["call_count"] for other in same) == truth.tools[row["tool_name"]]
    answered = truth.messages_by_kind["response"]
    assert sum(row["response_count"] for row in history.rows("effort")) == answered
    made = {(kind.replace("_", " "), name) for _, _, kind, name in truth.attribution}
    assert {(row["kind"], row["name"]) for row in rows} == made
    for row in rows:
        parts = [
            part
            for (_, _, kind, name), part in truth.attribution.items()
            if (kind.replace("_", " "), name) == (row["kind"], row["name"])
        ]
        assert float(row["cost_usd"] or 0) == pytest.approx(float(sum(part.cost_usd for part in parts)))
        assert row["response_count"] == sum(part.response_count for part in parts)
        assert row["result_characters"] == sum(part.result_characters for part in parts)


def check_people(history: History) -> None:
    truth = history.truth
    rows = history.rows("spend_by_person")
    assert sum(row["session_count"] for row in rows) == len(truth.sessions)
    assert sum(row["prompt_count"] for row in rows) == truth.prompt_count
    assert float(sum(row["cost_usd"] or 0 for row in rows)) == pytest.approx(float(truth.cost_usd))
    active = sum(float(row["active_seconds"]) for row in history.rows("turn_times"))
    assert active == pytest.approx(sum(session.active_ms for session in truth.sessions.values()) / 1000)


def check_own_words(history: History) -> None:
    """What Claude Code says of its own work."""
    truth = history.truth
    failed = history.rows("api_errors")
    assert sum(row["final_count"] for row in failed) == truth.api_errors
    told = sum(len(session.api_errors_told) for session in truth.sessions.values())
    assert sum(row["failure_count"] for row in failed) == told
    compactions = sum(session.compactions for session in truth.sessions.values())
    assert sum(row["compaction_count"] for row in history.rows("compactions")) == compactions
    for row in history.rows("hooks"):
        hooks = [hook for (_, _, name), hook in truth.hooks.items() if name == row["hook_name"]]
        assert row["run_count"] == sum(hook.run_count for hook in hooks)
        assert row["blocked_count"] == sum(hook.blocked_count for hook in hooks)
        assert float(row["total_seconds"] or 0) == sum(sum(hook.durations_ms) for hook in hooks) / 1000
    for row in history.rows("cost_reconciliation"):
        session = truth.sessions[row["session_id"]]
        assert (None if row["our_cost_usd"] is None else float(row["our_cost_usd"])) == cost(session)
        assert float(row["claude_code_cost_usd"]) == (session.stated_nano_usd or 0) / 1e9


CHECKS: dict[Callable[[History], None], tuple[str, ...]] = {
    check_spend: ("spend_by_day", "spend_by_project"),
    check_models: ("spend_by_model", "model_prices", "known_models"),
    check_days_of_responses: ("tokens_by_kind", "cache_hit_trend", "response_quality"),
    check_sessions: ("expensive_sessions", "latest_sessions"),
    check_prompts: ("expensive_prompts", "task_categories"),
    check_blocks: ("billing_blocks",),
    check_waste: ("waste",),
    check_sessions_over_time: ("sessions_by_day", "active_time_by_day", "project_activity"),
    check_hours: ("active_hours",),
    check_days: ("shipped", "coverage"),
    check_tools: ("tools",),
    check_failures: ("error_classes", "failing_programs", "tool_failures"),
    check_response_times: ("response_time_trend",),
    check_subagents: ("subagents",),
    check_lengths: ("conversation_lengths",),
    check_projects: ("project_list", "known_projects", "known_machines", "known_people", "known_tools"),
    check_code: ("languages", "lines_by_language"),
    check_files: ("files_changed",),
    check_attribution: ("attribution", "background_work", "effort"),
    check_people: ("spend_by_person", "turn_times"),
    check_own_words: ("api_errors", "compactions", "hooks", "cost_reconciliation"),
    check_quality: ("quality_checks", "data_status", "lower_bound_by_version"),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_cards_show_what_is_true(history: History, check: Callable[[History], None]) -> None:
    check(history)


def test_every_card_is_held_against_the_truth() -> None:
    held = {"month_to_date", "projected_month", *SCALARS, *(key for keys in CHECKS.values() for key in keys)}
    assert held == set(CARDS)
