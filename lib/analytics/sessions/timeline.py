"""One session's timeline, put together from its entries' texts and what the marts say of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from analytics.common.clock import utc_now
from analytics.common.text import clean
from analytics.errors import AnalyticsError
from analytics.sessions import vitals
from analytics.sessions.building import Building
from analytics.sessions.content import decoded
from analytics.sessions.model import (
    HIDDEN,
    Row,
    Step,
    Timeline,
    Turn,
)
from analytics.sessions.reader import Reader
from analytics.sessions.steps import Entry
from analytics.sessions.turns import measured


class NoSession(AnalyticsError):
    """There is no session of that id."""


def timeline(reader: Reader, session_id: str) -> Timeline:
    """A session's timeline; without any text when `SHOW_TEXT` is false.

    Raises:
        NoSession: no session has that id.
        AnalyticsError: nothing is published yet, or the raw layer cannot be read.
    """
    session = session_row(reader, session_id)
    entries, others = _entries(reader, session_id)
    messages = {
        row["message_key"]: row
        for row in reader.rows("select * from fct_messages where session_id = $id", {"id": session_id})
    }
    calls = reader.rows("select * from fct_tool_calls where session_id = $id order by called_at", {"id": session_id})
    made = Building(entries, messages, calls)
    turns = measured(made.turns, messages.values(), calls)
    made.number_steps()
    state, note = vitals.state(made.main, utc_now())
    built = Timeline(
        session=session,
        state=state,
        state_note=note,
        turns=turns,
        steps=made.main,
        branches=made.branches,
        parts=vitals.cost_parts(messages.values()),
        contexts=vitals.contexts(messages.values(), made.main),
        tool_seconds=vitals.tool_seconds(calls),
        slowest=vitals.slowest(made.calls_on_timeline.values()),
        lanes=vitals.lanes(made.branches.values()),
        malformed_lines=_malformed(reader, session_id),
        other_entries=others + made.silent,
        shows_text=reader.shows_text,
    )
    if not reader.shows_text:
        _hide(built)
    return built


def session_row(reader: Reader, session_id: str) -> Row:
    """A session's row of dim_sessions with its project's label and path.

    Raises:
        NoSession: no session has that id.
    """
    found = reader.rows("select * from dim_sessions where session_id = $id", {"id": session_id})
    if not found:
        raise NoSession(f"there is no session {session_id!r} in the published data")
    (session,) = found
    projects = reader.rows("select * from dim_projects where project_id = $id", {"id": session["project_id"]})
    project = projects[0] if projects else {}
    label = project.get("project_label") or project.get("project_name") or session["project_id"]
    title = session["title"] if reader.shows_text else None
    row = {**session, "title": title, "project_label": label, "project_path": project.get("project_path")}
    return {
        name: clean(value) if isinstance(value, str) and name != "session_id" else value for name, value in row.items()
    }


def _entries(reader: Reader, session_id: str) -> tuple[list[Entry], int]:
    """The standing entries in the order they happened, and how many have no place on a timeline."""
    rows = reader.rows(
        """
        with mine as (
            select * from staging.stg_entries where session_id = $id
        ),

        -- a line that was copied into several sessions stands in the first of them, as in the marts
        copies as (
            select
                document_id,
                row_number() over (
                    partition by entry_key
                    order by occurred_at nulls last, session_id, source_file nulls last, document_id
                ) as position
            from staging.stg_entries
            where entry_key in (select entry_key from mine)
        )

        select
            mine.document_id,
            mine.entry_key,
            mine.entry_type,
            mine.system_subtype,
            mine.occurred_at,
            mine.is_sidechain,
            mine.agent_id,
            mine.response_key,
            documents.date,
            documents.uuid,
            documents.parent_uuid
        from mine
        inner join copies on mine.document_id = copies.document_id and copies.position = 1
        inner join raw.conversations as documents on mine.document_id = documents._id
        order by mine.occurred_at nulls first, mine.entry_key
        """,
        {"id": session_id},
    )
    shown = [row for row in rows if row["entry_type"] in ("user", "assistant", "attachment", "system", "pr-link")]
    days: dict[date, list[str]] = defaultdict(list)
    for row in shown:
        days[row["date"]].append(row["document_id"])
    texts = reader.documents.texts(days)
    found = [
        Entry(
            key=row["entry_key"],
            kind=row["entry_type"],
            subtype=row["system_subtype"],
            at=row["occurred_at"],
            agent_id=row["agent_id"],
            is_sidechain=bool(row["is_sidechain"]),
            response_key=row["response_key"],
            says=decoded(texts.get(row["document_id"], "{}")),
        )
        for row in _in_order(shown)
    ]
    return found, len(rows) - len(shown)


def _in_order(rows: list[Row]) -> list[Row]:
    """Rows of one instant with what was answered before its answer."""
    ordered: list[Row] = []
    waiting: list[Row] = []

    def place() -> None:
        by_uuid = {row["uuid"]: row for row in waiting if row["uuid"]}
        placed: set[str] = set()

        def put(row: Row, depth: int = 0) -> None:
            if row["document_id"] in placed:
                return
            placed.add(row["document_id"])
            if (parent := by_uuid.get(row["parent_uuid"])) is not None and depth < 500:
                put(parent, depth + 1)
            ordered.append(row)

        for row in waiting:
            put(row)
        waiting.clear()

    for row in rows:
        if waiting and waiting[-1]["occurred_at"] != row["occurred_at"]:
            place()
        waiting.append(row)
    place()
    return ordered


def _malformed(reader: Reader, session_id: str) -> int:
    """Lines of the session's files that could not be stored."""
    (row,) = reader.rows(
        """
        select count(*) as lines
        from raw.dead_letters
        where source_file in (select source_file from staging.stg_entries where session_id = $id)
        """,
        {"id": session_id},
    )
    return int(row["lines"])


def _hide(timeline: Timeline) -> None:
    for step in timeline.every_step():
        _hide_step(step)
    _hide_turns(timeline.turns)


def _hide_turns(turns: Iterable[Turn]) -> None:
    for turn in turns:
        turn.text = HIDDEN


def _hide_step(step: Step) -> None:
    step.text = HIDDEN if step.text else ""
    if step.call is not None:
        step.call.summary = step.call.arguments = ""
        step.call.result = HIDDEN if step.call.has_result else ""
        step.call.diff = []
        step.call.file_path = None
