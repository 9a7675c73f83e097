"""`make truth PROJECTS=FOLDER`: is what the pipeline says of a history what a recount in plain Python says?

Builds the folder's numbers in a temporary place, with the prices published, and compares every response, message,
turn, tool call, file operation, session, compaction and failed request, hooks, what was spent on what, and Claude
Code's own sums with `oracle.py` and `oracle_work.py`, which share no code with the SQL. Each difference is a line with
the file and line it is about. Nothing of your own workspace is read or written but the transcripts.

    python tests/truth.py FOLDER [--timezone ZONE] [--lines N]
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import oracle
import oracle_work
from analytics.common.text import one_line
from analytics.errors import AnalyticsError
from analytics.raw.extract import extract
from analytics.settings import load_settings
from analytics.warehouse.load import load
from analytics.warehouse.transform import transform

Facts = dict[Any, tuple[Any, ...]]


def headline(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The pipeline's headline figures, in the shape of `oracle.Recount.headline`."""
    kinds = "input_tokens, output_tokens, cache_write_5m_tokens + cache_write_1h_tokens, cache_read_tokens"
    names = ("input", "output", "write", "read")
    sums = ", ".join(f"coalesce(sum({kind}), 0)" for kind in kinds.split(", "))
    of_responses = "from marts.fct_messages where message_kind in ('response', 'advisor')"

    def value(query: str) -> Any:
        return connection.execute(query).fetchall()[0][0]

    def counts(query: str) -> dict[str, int]:
        return dict(connection.execute(query).fetchall())

    return {
        "entries": value("select count(*) from raw.conversations"),
        "bad_lines": value("select count(*) from raw.dead_letters"),
        "sessions": value("select count(*) from marts.dim_sessions"),
        "prompts": value("select coalesce(sum(prompt_count), 0) from marts.dim_sessions"),
        "responses": value(f"select count(*) {of_responses}"),
        "tokens": dict(zip(names, connection.execute(f"select {sums} {of_responses}").fetchall()[0], strict=True)),
        "cost_usd": round(float(value(f"select coalesce(sum(cost_usd), 0) {of_responses}")), 6),
        "by_model": {
            model: {**dict(zip(names, row, strict=True)), "responses": responses}
            for model, responses, *row in connection.execute(
                f"select coalesce(model, ''), count(*), {sums} {of_responses} group by 1 order by 1"
            ).fetchall()
        },
        "tool_calls": value("select count(*) from marts.fct_tool_calls"),
        "tools": counts("select tool_name, count(*) from marts.fct_tool_calls group by 1"),
        "status": counts("select status, count(*) from marts.fct_tool_calls group by 1"),
        "file_operations": value("select count(*) from marts.fct_file_operations"),
        "lines_added": value("select coalesce(sum(lines_added), 0)::bigint from marts.fct_file_operations"),
        "lines_removed": value("select coalesce(sum(lines_removed), 0)::bigint from marts.fct_file_operations"),
    }


def differences(connection: duckdb.DuckDBPyConnection, recount: oracle.Recount) -> list[str]:
    """A line for each figure and fact in which the pipeline and the recount differ, with file and line."""
    ours, theirs = headline(connection), recount.headline()
    found = [f"{name}: pipeline {ours[name]}, recount {theirs[name]}" for name in theirs if ours[name] != theirs[name]]
    found += _differing(
        "message",
        connection.execute(
            """
            select
                session_id, message_kind, model, input_tokens, output_tokens, cache_write_5m_tokens,
                cache_write_1h_tokens, cache_read_tokens, cost_usd, is_sidechain
            from marts.fct_messages
            """
        ).fetchall(),
        (
            (
                (m.session_id, m.kind, m.model, *(m.tokens or (None,) * 5), m.cost, m.is_sidechain),
                m.where,
            )
            for m in recount.messages
        ),
    )
    found += _differing(
        "tool call",
        connection.execute(
            "select session_id, tool_use_id, tool_name, status, duration_ms, error_class from marts.fct_tool_calls"
        ).fetchall(),
        (((c.session_id, c.id, c.tool, c.status, c.duration_ms, c.error_class), c.where) for c in recount.calls),
    )
    found += _differing(
        "file operation",
        connection.execute(
            "select session_id, tool_use_id, operation, lines_added, lines_removed from marts.fct_file_operations"
        ).fetchall(),
        (
            ((f.call.session_id, f.call.id, f.operation, f.added, f.removed), f.call.where)
            for f in recount.file_operations
        ),
    )
    found += _differing(
        "session",
        connection.execute(
            """
            select
                session_id, project_id, title, (active_seconds * 1000)::bigint, entry_count, compactions, is_resumed,
                is_automated
            from marts.dim_sessions
            """
        ).fetchall(),
        (
            (
                (
                    s.session_id,
                    s.project_id,
                    s.title,
                    s.active_ms,
                    s.entry_count,
                    s.compactions,
                    s.is_resumed,
                    s.is_automated,
                ),
                f"{s.project_id}/{s.session_id}.jsonl",
            )
            for s in recount.sessions.values()
        ),
    )
    for what, (query, facts) in WORK.items():
        found += _differing(what, connection.execute(query).fetchall(), facts(recount))
    return found


# What Claude Code says of its own work, and what was spent on what: a query, and the recount of its rows.
WORK: dict[str, tuple[str, Callable[[oracle.Recount], Iterable[oracle_work.Fact]]]] = {
    "spent on": (
        """
        select
            session_id, message_kind, effort, thinking_tokens, attribution_skill, attribution_plugin,
            attribution_mcp_server
        from marts.fct_messages
        """,
        lambda recount: oracle_work.responses(recount.messages),
    ),
    "turn": (
        """
        select
            session_id, message_kind, turn_cost_usd, turn_response_count, turn_unpriced_response_count,
            turn_tool_use_count, expensive_because
        from marts.fct_messages where message_key = prompt_key
        """,
        oracle_work.turns,
    ),
    "background work": (
        "select session_id, tool_use_id, is_background from marts.fct_tool_calls",
        oracle_work.background,
    ),
    "session's own times": (
        """
        select
            session_id, (turn_seconds * 1000)::bigint, (hook_seconds * 1000)::bigint, pull_request_links, effort, person
        from marts.dim_sessions
        """,
        lambda recount: oracle_work.sessions(recount, socket.gethostname()),
    ),
    "hook": (
        """
        select
            date_key, project_id, hook_name, run_count, blocked_count, cancelled_count, error_count, total_duration_ms
        from marts.agg_hooks
        """,
        oracle_work.hooks,
    ),
    "compaction": (
        "select session_id, trigger, pre_tokens, post_tokens, duration_ms from marts.fct_compactions",
        oracle_work.compactions,
    ),
    "failed request": (
        "select session_id, error_status, retry_attempt, is_final from marts.fct_api_errors",
        oracle_work.api_errors,
    ),
    "attribution": (
        """
        select
            date_key, project_id, kind, name, call_count, failure_count, result_characters, response_count,
            input_tokens, output_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, cost_usd
        from marts.agg_attribution
        """,
        oracle_work.attribution,
    ),
    "Claude Code's own sum": (
        """
        select session_id, our_cost_usd, claude_code_cost_usd, is_within_1_percent
        from marts.agg_cost_reconciliation
        """,
        oracle_work.cost_states,
    ),
}


def _differing(what: str, ours: Iterable[tuple[Any, ...]], theirs: Iterable[tuple[tuple[Any, ...], str]]) -> list[str]:
    """Facts that only one side has, in how often they occur."""
    left = Counter(ours)
    right: Counter[tuple[Any, ...]] = Counter()
    where: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for fact, place in theirs:
        right[fact] += 1
        where[fact].append(place)
    only_theirs, only_ours = right - left, left - right
    lines = [f"{what} only in the recount: {where[fact][-1]}: {_shown(fact)}" for fact in only_theirs]
    # what the pipeline says of the same session and id stands where the recount found it
    places = {fact[:2]: places[0] for fact, places in where.items()}
    lines += [
        f"{what} only in the pipeline: {places.get(fact[:2], 'session ' + str(fact[0]))}: {_shown(fact)}"
        for fact in only_ours
    ]
    return sorted(lines)


def _shown(fact: tuple[Any, ...]) -> str:
    return one_line(", ".join("-" if value is None else str(value)[:80] for value in fact))


def main() -> int:
    """Exit code 0: no difference; 1: some; 2: the folder cannot be read."""
    parser = argparse.ArgumentParser(description="Compare the pipeline's figures with an independent recount.")
    parser.add_argument("projects", type=Path, help="a folder such as ~/.claude/projects")
    parser.add_argument("--timezone", default="UTC", help="IANA name (default UTC)")
    parser.add_argument("--lines", type=int, default=50, help="differences to print (default 50)")
    given = parser.parse_args()
    folder = given.projects.expanduser().resolve()
    if not folder.is_dir():
        print(f"error: {folder} is no folder", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(
            source="jsonl",
            data_dir=Path(directory),
            claude_projects_dir=folder,
            analytics_tz=given.timezone,
            redact_secrets=False,
            pricing_overrides=None,
            project_aliases=None,
            people=None,
        )
        try:
            print(extract(settings))
            load(settings)
            transform(settings)
        except AnalyticsError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        with duckdb.connect(str(settings.build_path), read_only=True) as connection:
            recount = oracle.recount(folder, timezone=given.timezone)
            found = differences(connection, recount)
    for name, value in recount.headline().items():
        if not isinstance(value, dict):
            print(f"{name:16} {value:>20,}")
    for line in found[: given.lines]:
        print(f"differs: {line}")
    if len(found) > given.lines:
        print(f"and {len(found) - given.lines} more")
    facts = len(recount.messages) + len(recount.calls) + len(recount.file_operations) + len(recount.sessions)
    facts += sum(1 for _, of_recount in WORK.values() for _ in of_recount(recount))
    print(f"{len(found)} differences in {facts:,} facts" if found else f"no difference in {facts:,} facts")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
