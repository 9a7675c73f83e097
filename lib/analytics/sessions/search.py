"""The list of sessions, and the search in what they are called, what they touched and what was said in them."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from analytics.common.text import clean
from analytics.sessions import content, pattern
from analytics.sessions.reader import STANDING, Reader, Row

PAGE = 50
HITS = 25
# Entries looked through before what was found is counted; more cost memory, fewer time.
CHUNK_ENTRIES = 60_000
# After this long a search shows what it has and offers to go on.
SECONDS = 2.5
# Hits of one session that are compared; the first that stands is shown.
KEPT_HITS = 5
AROUND = 90

# What a hit is worth showing, the best first.
_RANKS = {"prompt": 0, "answer": 1, "thinking": 3, "tool input": 2, "tool result": 4, "note": 5}

SORTS = {
    "started": "started_at",
    "cost": "cost_usd",
    "prompts": "prompt_count",
    "active": "active_seconds",
    "context": "max_context_tokens",
    "errors": "error_count",
    "lines": "lines_added + lines_removed",
}


@dataclass(frozen=True)
class Query:
    """What sessions are asked for.

    Attributes:
        text: words that stand in the title, a file's path, the branch, the project, the id, or the conversation.
        first, last: days in which the session was active, both included.
        projects: ids.
        sort: a key of SORTS; a search by text is always by time, the newest first.
        start: how many sessions of the order are passed over.
    """

    text: str = ""
    first: date | None = None
    last: date | None = None
    projects: tuple[str, ...] = ()
    machine: str | None = None
    person: str | None = None
    branch: str | None = None
    sort: str = "started"
    descending: bool = True
    start: int = 0


@dataclass(frozen=True)
class Hit:
    """Where a session matched: the text around it, and the step or the call that says it ("" when there is none)."""

    where: str
    before: str
    match: str
    after: str
    key: str = ""
    call: str = ""
    document_id: str = ""


@dataclass(frozen=True)
class Found:
    """A session, and why it was found."""

    session: Row
    hit: Hit | None = None


@dataclass
class Result:
    """What was found.

    Attributes:
        total: sessions that there are without a text being searched for; None with one.
        next: where to go on; None at the end.
        is_cut: the time was over before everything was looked through.
    """

    rows: list[Found] = field(default_factory=list)
    total: int | None = None
    next: int | None = None
    is_cut: bool = False
    entries: int = 0


def search(reader: Reader, query: Query, *, seconds: float = SECONDS) -> Result:
    """Sessions that fit a query.

    Args:
        seconds: how long texts are looked through; what was found until then is the result.

    Raises:
        AnalyticsError: nothing is published yet, or the raw layer cannot be read.
    """
    if not query.text.strip():
        return _listed(reader, query)
    ordered = _sessions(reader, replace(query, sort="started", descending=True))
    result = Result()
    deadline = time.monotonic() + seconds
    named, files = _named(reader, query.text, ordered), _files(reader, query.text)
    place = query.start
    while place < len(ordered) and len(result.rows) < HITS:
        chunk, days, entries = _chunk(reader, ordered, place, query)
        said: dict[str, list[Hit]] = {}
        if reader.shows_text:
            # the first part is looked through to its end: going on leads further each time
            until = deadline if place > query.start else math.inf
            said, ended = _said(reader, query.text, {row["session_id"] for row in chunk}, days, until)
            if ended:
                result.is_cut = True
                break
            result.entries += entries
        standing = _standing(reader, said)
        for number, row in enumerate(chunk):
            session = row["session_id"]
            hit = _best_of(named.get(session), standing.get(session), files.get(session))
            if hit is not None and len(result.rows) < HITS:
                result.rows.append(Found(row, hit))
                if len(result.rows) == HITS:
                    place += number + 1
                    break
        else:
            place += len(chunk)
        if time.monotonic() > deadline:
            result.is_cut = len(result.rows) < HITS and place < len(ordered)
            break
    result.next = place if place < len(ordered) else None
    return result


def _listed(reader: Reader, query: Query) -> Result:
    rows = _sessions(reader, query)
    shown = rows[query.start : query.start + PAGE]
    following = query.start + PAGE
    return Result([Found(row) for row in shown], total=len(rows), next=following if following < len(rows) else None)


def _sessions(reader: Reader, query: Query) -> list[Row]:
    """Rows of dim_sessions that fit everything but the text, in order."""
    conditions, parameters = ["true"], dict[str, Any]()
    if query.projects:
        conditions.append("list_contains($projects, sessions.project_id)")
        parameters["projects"] = list(query.projects)
    for column, value in (("machine", query.machine), ("person", query.person), ("git_branch", query.branch)):
        if value:
            conditions.append(f"sessions.{column} = ${column}")
            parameters[column] = value
    if query.first:
        ended = f"cast(timezone('{reader.settings.tz.key}', sessions.ended_at) as date)"
        conditions.append(f"coalesce({ended}, sessions.started_date_key) >= $first")
        parameters["first"] = query.first
    if query.last:
        conditions.append("sessions.started_date_key <= $last")
        parameters["last"] = query.last
    direction = "desc" if query.descending else "asc"
    return reader.rows(
        f"""
        select sessions.*, projects.* exclude (project_id, cost_usd, prompt_count, tool_call_count)
        from dim_sessions as sessions
        left join dim_projects as projects on sessions.project_id = projects.project_id
        where {" and ".join(conditions)}
        order by {SORTS[query.sort].replace("lines_", "sessions.lines_")} {direction} nulls last, session_id
        """,
        parameters,
    )


def _named(reader: Reader, text: str, sessions: Sequence[Row]) -> dict[str, Hit]:
    """Hits in what sessions are called."""
    found: dict[str, Hit] = {}
    sought = pattern.for_text(text)
    for row in sessions:
        for where, value in (
            ("title", row["title"]),
            ("id", row["session_id"]),
            ("branch", row["git_branch"]),
            ("project", row["project_path"] or row["project_id"]),
        ):
            if value and (match := sought.search(clean(value))):
                found[row["session_id"]] = hit_in(where, clean(value), match)
                break
    return found


def _files(reader: Reader, text: str) -> dict[str, Hit]:
    """Hits in the paths of the files that sessions touched, the newest of each session."""
    found: dict[str, Hit] = {}
    sought = pattern.for_text(text)
    words = " ".join(text.lower().split())
    for row in reader.rows(
        """
        select
            session_id,
            arg_max(file_path, (operated_at, tool_use_id)) as file_path,
            arg_max(tool_use_id, (operated_at, tool_use_id)) as tool_use_id
        from fct_file_operations
        where contains(lower(file_path), $words)
        group by session_id
        """,
        {"words": words},
    ):
        if row["file_path"] and (match := sought.search(path := clean(row["file_path"]))):
            found[row["session_id"]] = replace(hit_in("file", path, match), call=row["tool_use_id"] or "")
    return found


def _best_of(named: Hit | None, said: Hit | None, file: Hit | None) -> Hit | None:
    """What was said in words, then what the session is called, then a file, then what tools said."""
    if said is not None and said.where in ("prompt", "answer"):
        return said
    return named or file or said


def _chunk(reader: Reader, ordered: Sequence[Row], place: int, query: Query) -> tuple[list[Row], set[date], int]:
    """The next sessions, the days that hold them as far as they are asked for, and how many entries they have."""
    known = reader.days()
    # the raw layer's days are those of UTC
    first = query.first - timedelta(days=1) if query.first else date.min
    last = query.last + timedelta(days=1) if query.last else date.max
    chunk: list[Row] = []
    days: set[date] = set()
    entries = 0
    for row in ordered[place:]:
        chunk.append(row)
        of_session = {day: count for day, count in known.get(row["session_id"], {}).items() if first <= day <= last}
        days |= of_session.keys()
        entries += sum(of_session.values())
        if entries >= CHUNK_ENTRIES:
            break
    return chunk, days, entries


def _said(
    reader: Reader, text: str, sessions: set[str], days: Iterable[date], deadline: float
) -> tuple[dict[str, list[Hit]], bool]:
    """The best hits of each session in what was said in it, and whether the time was over."""
    sought = pattern.for_text(text)
    found: dict[str, list[tuple[int, Hit]]] = defaultdict(list)
    done: set[str] = set()
    for number, (document_id, session_id, source_file, entry) in enumerate(
        reader.documents.matching(days, pattern.for_json(text), pattern.ESCAPED_ASCII)
    ):
        if number % 200 == 0 and time.monotonic() > deadline:
            return _best(found), True
        session = session_id or _stem(source_file)
        if session not in sessions or session in done:
            continue
        for where, said in said_in(content.decoded(entry)):
            if match := sought.search(said):
                hits = found[session]
                hits.append((_RANKS.get(where, 9), replace(hit_in(where, said, match), document_id=document_id)))
                if sum(rank == 0 for rank, _ in hits) >= KEPT_HITS:
                    done.add(session)
                break
    return _best(found), False


def _best(found: dict[str, list[tuple[int, Hit]]]) -> dict[str, list[Hit]]:
    return {
        session: [hit for _, hit in sorted(hits, key=lambda item: item[0])[:KEPT_HITS]]
        for session, hits in found.items()
    }


def said_in(entry: content.Json) -> Iterable[tuple[str, str]]:
    """Texts of an entry, and what they are: prompt, answer, thinking, tool input, tool result or note."""
    kind = entry.get("type")
    for block, text in content.searchable(entry):
        if block in ("tool_use", "tool_result"):
            yield f"tool {'input' if block == 'tool_use' else 'result'}", text
        elif block == "thinking":
            yield "thinking", text
        elif kind == "assistant":
            yield "answer", text
        elif kind == "user" and not any(entry.get(name) for name in ("isMeta", "isCompactSummary", "isSidechain")):
            yield "prompt", text
        elif kind in ("user", "system", "attachment"):
            yield "note", text


def _standing(reader: Reader, said: dict[str, list[Hit]]) -> dict[str, Hit]:
    """The first hit of each session whose document stands in it: copies of forked sessions do not."""
    ids = [hit.document_id for hits in said.values() for hit in hits]
    if not ids:
        return {}
    rows = reader.rows(
        f"""
        with mine as (
            select entry_key from staging.stg_entries where list_contains($ids, document_id)
        )

        select document_id, session_id, entry_key from ({STANDING})
        """,
        {"ids": ids},
    )
    keys = {(row["session_id"], row["document_id"]): row["entry_key"] for row in rows}
    found: dict[str, Hit] = {}
    for session, hits in said.items():
        for hit in hits:
            if (key := keys.get((session, hit.document_id))) is not None:
                found[session] = replace(hit, key=key)
                break
    return found


def hit_in(where: str, text: str, match: re.Match[str]) -> Hit:
    """A match with the text around it, on one line."""
    start, end = match.span()
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return Hit(
        where,
        ("…" if start > AROUND else "") + " ".join(before.split()) + (" " if before[-1:].isspace() else ""),
        " ".join(match.group().split()) or match.group(),
        (" " if after[:1].isspace() else "") + " ".join(after.split()) + ("…" if end + AROUND < len(text) else ""),
    )


def _stem(source_file: str | None) -> str:
    """The session of a line that does not say it: its file's name, as in the marts."""
    name = re.split(r"[/\\]", source_file or "")[-1]
    return name.removesuffix(".jsonl") if name.endswith(".jsonl") else "unknown"
