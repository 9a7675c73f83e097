"""Usage that was probably avoidable, with the session it happened in and the keys of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import Report, Row, counted, fetch, instant, sums
from analytics.reports.selection import Selection
from analytics.reports.table import Column
from analytics.warehouse.measures import TOKENS

if TYPE_CHECKING:
    import duckdb

MEASURES = ("occurrence_count", *TOKENS, "cost_usd", "unpriced_response_count", "lower_bound_response_count")


def waste(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per session and finding, the most expensive first; with days chosen, those seen on one of them.

    Findings overlap (a repeated read can be an outlier too), so only findings of one kind are added up.
    """
    connection.execute(f"""
        create or replace temp table waste_evidence as
        with evidence as (
            select
                waste_key,
                unnest(evidence_keys) as evidence_key
            from agg_waste
            where session_id in (select session_id from selected_sessions)
        ),

        -- evidence is a call or a response; a call's tokens are a share of its response's
        known as (
            select tool_call_key as evidence_key, message_key, called_date_key as date_key
            from fct_tool_calls
            where tool_call_key in (select evidence_key from evidence)
            union all
            select message_key, message_key, created_date_key
            from fct_messages
            where message_key in (select evidence_key from evidence)
        )

        select
            evidence.waste_key,
            known.message_key,
            coalesce({selection.days("known.date_key")}, false) as is_selected
        from evidence
        inner join known
            on evidence.evidence_key = known.evidence_key
    """)
    rows = fetch(
        connection,
        f"""
        with evidence as (
            select
                waste_evidence.waste_key,
                bool_or(waste_evidence.is_selected) as is_selected,
                bool_and(waste_evidence.is_selected) as is_whole,
                count(distinct messages.message_key) filter (where not messages.is_priced) as unpriced_response_count,
                count(distinct messages.message_key) filter (where messages.output_is_lower_bound)
                    as lower_bound_response_count
            from waste_evidence
            left join (select * from fct_messages where message_key in (select message_key from waste_evidence))
                as messages
                on waste_evidence.message_key = messages.message_key
            group by waste_evidence.waste_key
        )

        select
            waste.finding,
            waste.session_id,
            sessions.title,
            projects.project_label as project,
            waste.project_id,
            sessions.machine,
            epoch_ms(waste.first_at) as first_at,
            epoch_ms(waste.last_at) as last_at,
            waste.occurrence_count,
            {", ".join(f"waste.{name}" for name in TOKENS)},
            waste.cost_usd,
            evidence.unpriced_response_count,
            -- a rebuild is its cache writes, which are known from the first line on
            case when waste.finding = 'cache_rebuild' then 0 else evidence.lower_bound_response_count end
                as lower_bound_response_count,
            waste.evidence_keys,
            evidence.is_whole
        from agg_waste as waste
        inner join evidence
            on waste.waste_key = evidence.waste_key
        inner join selected_sessions as sessions
            on waste.session_id = sessions.session_id
        left join dim_projects as projects
            on waste.project_id = projects.project_id
        where evidence.is_selected
        order by waste.cost_usd desc nulls last, waste.occurrence_count desc, waste.session_id, waste.finding
        """,
    )
    partial = sum(not row.pop("is_whole") for row in rows)
    for row in rows:
        row["first_at"], row["last_at"] = instant(row["first_at"]), instant(row["last_at"])
    by_finding = []
    for finding in sorted({row["finding"] for row in rows}):
        same = [row for row in rows if row["finding"] == finding]
        total = sums(same, MEASURES)
        if all(row["cost_usd"] is None for row in same):
            total["cost_usd"] = None
        by_finding.append({"finding": finding, "session_count": len(same), **total})
    notes = []
    if rows:
        listed = [
            f"total {total['finding'].replace('_', ' ')}: {_cost(total)}, "
            f"{counted(total['occurrence_count'], 'time')} in {counted(total['session_count'], 'session')}"
            for total in by_finding
        ]
        notes = [
            *listed,
            "note: heuristics: probably avoidable, not certainly. Kinds of findings overlap: do not add them up",
        ]
    if partial:
        notes.append(
            f"note: {counted(partial, 'finding')} also occurred outside these days, with which it is counted: "
            "tokens and cost are of the whole finding"
        )
    columns = [
        Column("finding", lambda row, number: row["finding"].replace("_", " "), is_text=True),
        cells.text("session", "session_id", shrinks_to=8, is_key=True),
        cells.text("title", "title", optional=2, shrinks_to=16),
        cells.text("project", "project", optional=1, shrinks_to=10),
        cells.local_time("last", "last_at", zone, optional=3),
        cells.count("times", "occurrence_count"),
        *cells.tokens(),
        cells.cost(),
    ]
    fields = (
        *("finding", "session_id", "title", "project", "project_id", "machine", "first_at", "last_at"),
        *MEASURES,
        "evidence_keys",
    )
    return Report("waste", fields, rows, None, columns, notes, {"totals_by_finding": by_finding})


def _cost(total: Row) -> str:
    if total["cost_usd"] is None:
        return "no price"
    bound = cells.at_least(total, "unpriced_response_count", "lower_bound_response_count")
    return f"{bound}${total['cost_usd']:,.2f}"
