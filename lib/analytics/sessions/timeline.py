"""One session's timeline, put together from its entries' texts and what the marts say of them."""

from __future__ import annotations

from analytics.common.clock import utc_now
from analytics.common.text import clean
from analytics.errors import AnalyticsError
from analytics.sessions import vitals
from analytics.sessions.building import Building
from analytics.sessions.content import decoded
from analytics.sessions.model import HIDDEN, Row, Timeline
from analytics.sessions.reader import STANDING, Reader
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
    messages = {
        row["message_key"]: row
        for row in reader.rows("select * from fct_messages where session_id = $id", {"id": session_id})
    }
    entries = _entries(reader, session_id, messages)
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
        kinds=vitals.cost_kinds(messages.values()),
        contexts=vitals.contexts(messages.values(), made.main),
        tool_seconds=vitals.tool_seconds(calls),
        slowest=vitals.slowest(made.calls_on_timeline.values()),
        lanes=vitals.lanes(made.branches.values()),
        malformed_lines=_malformed(reader, session_id),
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
    found = reader.rows(
        """
        select sessions.*, projects.project_label, projects.project_path
        from dim_sessions as sessions
        left join dim_projects as projects on sessions.project_id = projects.project_id
        where sessions.session_id = $id
        """,
        {"id": session_id},
    )
    if not found:
        raise NoSession(f"there is no session {session_id!r} in the published data")
    return {
        name: clean(value) if isinstance(value, str) and name != "session_id" else value
        for name, value in found[0].items()
    }


def _response_key(row: Row, messages: dict[str, Row]) -> str | None:
    """The message an assistant's line belongs to: some proxies give every response one id, which is then none."""
    key = row["response_key"]
    if key is None or key in messages:
        return key
    same = [message for name, message in messages.items() if name.startswith(f"{key}/")]
    for message in same:
        if message["message_key"] == f"{key}/{row['request_id']}":
            return message["message_key"]
    side = ("input_tokens", "cache_read_tokens")
    found = [message for message in same if all((message[name] or 0) == (row[name] or 0) for name in side)]
    return found[0]["message_key"] if found else key


def _entries(reader: Reader, session_id: str, messages: dict[str, Row]) -> list[Entry]:
    """The standing entries that have a place on a timeline, in the order they happened."""
    rows = reader.rows(
        f"""
        with mine as (
            select entry_key from staging.stg_entries where session_id = $id
        )

        select
            entries.document_id,
            entries.entry_key,
            entries.entry_type,
            entries.system_subtype,
            entries.occurred_at,
            entries.is_sidechain,
            entries.agent_id,
            entries.response_key,
            entries.request_id,
            entries.input_tokens,
            entries.cache_read_tokens,
            documents.date,
            documents.uuid,
            documents.parent_uuid
        from ({STANDING}) as entries
        inner join raw.conversations as documents on entries.document_id = documents._id
        where
            entries.session_id = $id
            and entries.entry_type in ('user', 'assistant', 'attachment', 'system', 'pr-link')
        order by entries.occurred_at nulls first, entries.entry_key
        """,
        {"id": session_id},
    )
    texts = reader.texts(rows)
    return [
        Entry(
            key=row["entry_key"],
            kind=row["entry_type"],
            subtype=row["system_subtype"],
            at=row["occurred_at"],
            agent_id=row["agent_id"],
            is_sidechain=bool(row["is_sidechain"]),
            response_key=_response_key(row, messages),
            says=decoded(texts.get(row["document_id"], "{}")),
        )
        for row in _in_order(rows)
    ]


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
    for turn in timeline.turns:
        turn.text = HIDDEN
    for step in timeline.every_step():
        step.text = HIDDEN if step.text else ""
        if step.call is not None:
            step.call.summary = step.call.arguments = ""
            step.call.result = HIDDEN if step.call.has_result else ""
            step.call.diff = []
            step.call.file_path = None
