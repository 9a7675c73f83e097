"""Usage by skill, plugin, MCP server, sub-agent and pull request: what spent how much."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import Report, fetch, instant, response_notes, sums
from analytics.reports.selection import Selection
from analytics.warehouse.measures import RESPONSE_SUMS, RESPONSES

if TYPE_CHECKING:
    import duckdb

CALLS = ("call_count", "failure_count", "result_characters")


def skill(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per skill: its calls, and the responses that Claude Code says were spent on it."""
    return _attributed(connection, "skill", "calls.skill", "attribution_skill", "true")


def mcp(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per MCP server: its calls, and the responses that Claude Code says were spent on it."""
    return _attributed(connection, "mcp", "tools.mcp_server", "attribution_mcp_server", "tools.is_mcp")


def plugin(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per plugin: calls of its skills, and the responses that Claude Code says were spent on it."""
    called = "case when contains(calls.skill, ':') then split_part(calls.skill, ':', 1) end"
    return _attributed(connection, "plugin", called, "attribution_plugin", "true")


def _attributed(
    connection: duckdb.DuckDBPyConnection, name: str, called: str, attributed: str, condition: str
) -> Report:
    rows = fetch(
        connection,
        f"""
        with calls as (
            select
                {called} as name,
                count(*) as call_count,
                count(*) filter (where calls.status in ('error', 'rejected')) as failure_count,
                cast(coalesce(sum(calls.result_length), 0) as bigint) as result_characters
            from selected_tool_calls as calls
            left join dim_tools as tools on calls.tool_name = tools.tool_name
            where {called} is not null and {condition}
            group by 1
        ),

        responses as (
            select
                {attributed} as name,
                {RESPONSE_SUMS}
            from selected_responses
            where {attributed} is not null
            group by 1
        )

        select
            name as {name},
            {", ".join(f"coalesce({name}, 0) as {name}" for name in (*CALLS, *RESPONSES) if name != "cost_usd")},
            cost_usd
        from calls
        full join responses using (name)
        order by cost_usd desc nulls last, call_count desc, name
        """,
    )
    columns = [
        cells.text("MCP server" if name == "mcp" else name, name, shrinks_to=20),
        cells.count("calls", "call_count"),
        cells.count("failed", "failure_count", optional=1),
        cells.count("result\ncharacters", "result_characters", optional=3),
        cells.count("responses", "response_count", optional=2),
        *cells.tokens(),
        cells.cost(unknown=""),
    ]
    notes = response_notes(connection, f"(from selected_responses where {attributed} is not null)")
    if rows:
        notes.append(
            "note: tokens and cost are those of responses that Claude Code attributes (2.1.200 and later); "
            "what a result costs as later context is in no row"
        )
    totals = sums(rows, (*CALLS, *RESPONSES)) if rows else None
    if totals and all(row["cost_usd"] is None for row in rows):
        totals["cost_usd"] = None
    return Report(name, (name, *CALLS, *RESPONSES), rows, totals, columns, notes)


def subagent(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per type of sub-agent, of its own responses; the most expensive first."""
    rows = fetch(
        connection,
        f"""
        with types as (
            select
                session_id,
                spawned_agent_id as agent_id,
                min(subagent_type) as subagent_type
            from fct_tool_calls
            where spawned_agent_id is not null
            group by all
        )

        select
            coalesce(types.subagent_type, '(not called by a tool)') as subagent,
            count(distinct messages.agent_id) as agent_count,
            count(distinct messages.session_id) as session_count,
            {RESPONSE_SUMS}
        from selected_responses as messages
        left join types
            on messages.session_id = types.session_id
            and messages.agent_id = types.agent_id
        where messages.is_sidechain
        group by 1
        order by cost_usd desc nulls last, 1
        """,
    )
    columns = [
        cells.text("sub-agent", "subagent", shrinks_to=20),
        cells.count("agents", "agent_count"),
        cells.count("sessions", "session_count", optional=2),
        cells.count("responses", "response_count", optional=1),
        *cells.tokens(),
        cells.cost(),
    ]
    fields = ("subagent", "agent_count", "session_count", *RESPONSES)
    notes = response_notes(connection, "(from selected_responses where is_sidechain)")
    return Report("subagent", fields, rows, sums(rows, ("agent_count", *RESPONSES)), columns, notes)


def pr(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per session that made pull requests, the most expensive per pull request first."""
    # what a pull request costs is what its sessions cost, whole
    selection.whole_sessions().apply(connection)
    rows = fetch(
        connection,
        f"""
        select
            session_id,
            title,
            (select project_label from dim_projects where project_id = sessions.project_id) as project,
            project_id,
            epoch_ms(started_at) as started_at,
            pull_requests,
            commits,
            prompt_count,
            response_count,
            unpriced_response_count,
            lower_bound_response_count,
            cost_usd,
            cast(cost_usd / pull_requests as decimal(18, 9)) as cost_per_pull_request_usd
        from selected_sessions as sessions
        where pull_requests > 0 and {selection.days("started_date_key")}
        order by cost_per_pull_request_usd desc nulls last, session_id
        """,
    )
    for row in rows:
        row["started_at"] = instant(row["started_at"])
    summed = ("pull_requests", "commits", "prompt_count", "response_count", "cost_usd")
    totals = sums(rows, (*summed, "unpriced_response_count", "lower_bound_response_count"))
    if rows:
        known = totals["cost_usd"] is not None and totals["pull_requests"]
        totals["cost_per_pull_request_usd"] = totals["cost_usd"] / totals["pull_requests"] if known else None
    columns = [
        cells.local_time("started", "started_at", zone, optional=3),
        cells.text("session", "session_id", shrinks_to=8, is_key=True),
        cells.text("title", "title", shrinks_to=10),
        cells.text("project", "project", optional=2, shrinks_to=12),
        cells.count("pull\nrequests", "pull_requests"),
        cells.count("commits", "commits", optional=4),
        cells.count("prompts", "prompt_count", optional=1),
        cells.cost(),
        cells.cost("$ per pull\nrequest", "cost_per_pull_request_usd"),
    ]
    fields = (
        *("session_id", "title", "project", "project_id", "started_at", "pull_requests", "commits", "prompt_count"),
        *("response_count", "unpriced_response_count", "lower_bound_response_count", "cost_usd"),
        "cost_per_pull_request_usd",
    )
    notes = (
        ["note: the whole cost of the sessions that made them; a session of several shares it evenly"] if rows else []
    )
    return Report("pr", fields, rows, totals, columns, notes)
