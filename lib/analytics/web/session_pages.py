"""Sessions in the browser: the list with its search, one session's timeline, and parts of it as one scrolls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from analytics.common import formats
from analytics.common.text import clean
from analytics.sessions.edits import recent_edits
from analytics.sessions.export import as_html, as_markdown
from analytics.sessions.find import find
from analytics.sessions.model import Step, Timeline
from analytics.sessions.search import SORTS, Found, Hit, Query, search
from analytics.sessions.timeline import NoSession, timeline
from analytics.web.choice import BadAddress, Choice, number_of, parse
from analytics.web.export import TYPES, File
from analytics.web.pages import Pages, quoted
from analytics.web.published import Facts, require
from analytics.web.session_views import FIRST_STEPS, STEPS, SessionView
from analytics.web.tables import Cell, Head, one_of

# Timelines kept, since a page asks for its parts one after the other.
KEPT = 4
EDITS_SHOWN = 100

_HEADS = [
    ("Session", "", False),
    ("Project", "", False),
    ("Started", "started", False),
    ("Active", "active", True),
    ("Prompts", "prompts", True),
    ("Largest context", "context", True),
    ("Errors", "errors", True),
    ("Lines ±", "lines", True),
    ("Cost", "cost", True),
]


def sessions(pages: Pages, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The list of sessions, or what a search found.

    Raises:
        BadAddress: a filter, an order or a place that is none.
    """
    facts = require(pages.published)
    choice = parse({"range": "all", **arguments}, facts)
    query = _query(choice, arguments)
    result = search(pages.reader, query)
    words = {"q": query.text, "branch": query.branch or ""}

    def address(**changes: str) -> str:
        given = {**words, "sort": query.sort if query.sort != "started" or not query.descending else ""}
        given["up"] = "" if query.descending else "1"
        return choice.address() + "".join(
            f"&{key}={quoted(value)}" for key, value in (given | changes).items() if value
        )

    return {
        **pages.frame("sessions", "Sessions", facts, choice),
        **pages.filters(choice, facts),
        "query": query,
        "heads": [_head(title, key, is_number, query, address) for title, key, is_number in _HEADS],
        "found": [_found(pages, facts, choice, item) for item in result.rows],
        "result": result,
        "total": "" if result.total is None else f"{result.total:,} session{'' if result.total == 1 else 's'}",
        "next": address(start=str(result.next)) if result.next is not None else "",
        "shows_text": pages.reader.shows_text,
    }


def _query(choice: Choice, arguments: Mapping[str, str]) -> Query:
    sort = one_of(arguments, "sort", tuple(SORTS)) or "started"
    return Query(
        text=clean(arguments.get("q", "").strip())[:500],
        first=choice.first,
        last=choice.last,
        projects=choice.project.ids if choice.project else (),
        machine=choice.machine,
        person=choice.person,
        branch=arguments.get("branch") or None,
        sort=sort,
        descending=arguments.get("up") != "1",
        start=number_of(arguments, "start", 0),
    )


def _head(title: str, key: str, is_number: bool, query: Query, address: Any) -> Head:
    if not key or query.text:
        return Head(title, key, is_number)
    now = query.sort == key
    up = "1" if now and query.descending else ""
    words = {"sort": key, "up": up}
    direction = ("descending" if query.descending else "ascending") if now else ""
    return Head(title, key, is_number, sorted=direction, href=address(**words))


def _found(pages: Pages, facts: Facts, choice: Choice, item: Found) -> dict[str, Any]:
    row, zone = item.session, pages.settings.analytics_tz
    project = facts.project_by_word.get(row["project_id"])
    label = clean(project.label if project else row["project_label"])
    at = f"{pages.base}sessions/{quoted(row['session_id'])}"
    hit = item.hit
    cells = [
        Cell(clean(row["title"] or row["session_id"]), title=clean(row["session_id"]), href=at, wraps=True),
        Cell(label, href=f"{pages.base}sessions{choice.address(project=project)}" if project else None),
        Cell(formats.show("datetime", row["started_at"], zone)),
        Cell(formats.show("duration", row["active_seconds"]), is_number=True),
        Cell(formats.show("count", row["prompt_count"]), is_number=True),
        Cell(formats.show("tokens", row["max_context_tokens"]), is_number=True),
        Cell(formats.show("count", row["error_count"]), is_number=True),
        Cell(f"+{row['lines_added']:,} {formats.MINUS}{row['lines_removed']:,}", is_number=True),
        Cell(cost(row), is_number=True),
    ]
    return {
        "cells": cells,
        "hit": hit,
        "href": _hit_address(at, hit),
        "where": hit.where if hit else "",
    }


def _hit_address(at: str, hit: Hit | None) -> str:
    if hit and hit.key:
        return f"{at}?step={quoted(hit.key)}#here"
    return f"{at}?call={quoted(hit.call)}#here" if hit and hit.call else at


def cost(row: Mapping[str, Any]) -> str:
    """A session's cost; ≥ where some of its output was never counted."""
    text = formats.show("usd", row["cost_usd"])
    return f"≥{text}" if row["cost_usd"] is not None and row["lower_bound_response_count"] else text


class _Kept:
    """The timelines looked at last, of the version that is published."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, bool], Timeline] = OrderedDict()

    def get(self, pages: Pages, session_id: str) -> Timeline:
        key = (pages.reader.version, session_id, pages.reader.shows_text)
        if (found := self._kept.get(key)) is None:
            try:
                found = timeline(pages.reader, session_id)
            except NoSession:
                raise BadAddress(f"There is no session {clean(session_id)!r} in the published data.", 404) from None
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


_kept = _Kept()


def _view(pages: Pages, session_id: str, arguments: Mapping[str, str]) -> SessionView:
    require(pages.published)
    return SessionView(
        _kept.get(pages, session_id),
        base=f"{pages.base}sessions/{quoted(session_id)}",
        timezone=pages.settings.analytics_tz,
        focus=arguments.get("focus") == "1",
    )


def session(pages: Pages, session_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A session's page: what is known of it, and the first of its steps, or those around the one asked for.

    Raises:
        BadAddress: there is no such session, turn or step.
    """
    view = _view(pages, session_id, arguments)
    here = _asked(view, arguments)
    start = max(0, view.place_of(here) - 2) if here is not None else 0
    facts = require(pages.published)
    row = view.timeline.session
    origin = row.get("forked_from_session_id")
    project = facts.project_by_word.get(row["project_id"])
    return {
        **pages.frame("sessions", clean(row["title"] or row["session_id"]), facts),
        "view": view,
        "row": row,
        "cost": cost(row),
        "project_href": f"{pages.base}sessions?project={quoted(row['project_id'])}" if project else None,
        "branch_href": f"{pages.base}sessions?branch={quoted(row['git_branch'])}" if row["git_branch"] else None,
        "from_href": f"{pages.base}sessions/{quoted(origin)}" if origin else None,
        "steps": view.part(start, FIRST_STEPS, here),
        "here": here,
    }


def _asked(view: SessionView, arguments: Mapping[str, str]) -> Step | None:
    """The step that an address asks for."""
    if word := arguments.get("turn"):
        found = view.prompt_of(int(word)) if word.isascii() and word.isdigit() and len(word) < 9 else None
        if found is None:
            raise BadAddress(f"There is no turn {word!r}: the session has {len(view.timeline.turns)}.", 404)
        return found
    if word := arguments.get("call"):
        if (called := view.call(word)) is None:
            raise BadAddress("There is no such tool call in this session.", 404)
        return called
    if word := arguments.get("step"):
        if (found := view.timeline.find_step(word)) is None:
            raise BadAddress("There is no such step in this session.", 404)
        return found
    return None


def steps(pages: Pages, session_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A part of the timeline.

    Raises:
        BadAddress: no such session, or no place.
    """
    view = _view(pages, session_id, arguments)
    start, is_up = number_of(arguments, "from", 0), arguments.get("up") == "1"
    part = view.part(max(0, start - STEPS), min(start, STEPS), None) if is_up else view.part(start, STEPS, None)
    part["has_later"] &= not is_up
    part["has_earlier"] &= is_up
    return {"view": view, "steps": part, "here": None}


def branch(pages: Pages, session_id: str, agent_id: str) -> dict[str, Any]:
    """The steps of a sub-agent.

    Raises:
        BadAddress: no such session or sub-agent.
    """
    view = _view(pages, session_id, {})
    agent_id = "" if agent_id == "-" else agent_id
    if agent_id not in view.timeline.branches:
        raise BadAddress("There is no such sub-agent in this session.", 404)
    return {"view": view, "steps": view.branch_part(agent_id), "here": None}


def text(pages: Pages, session_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A long text in full.

    Raises:
        BadAddress: no such session, step or part of it.
    """
    view = _view(pages, session_id, arguments)
    return {"text": view.whole_text(arguments.get("step", ""), arguments.get("part", ""))}


def found_in(pages: Pages, session_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Steps of a session that hold a text."""
    view = _view(pages, session_id, arguments)
    return {"view": view, "q": arguments.get("q", ""), "hits": find(view.timeline, arguments.get("q", ""))}


def exported(pages: Pages, session_id: str, kind: str, arguments: Mapping[str, str]) -> File:
    """A session as a document: md or html."""
    write = as_markdown if kind == "md" else as_html
    text = write(_view(pages, session_id, arguments).timeline, pages.settings.analytics_tz)
    return File(text, TYPES[kind], f"session.{kind}")


def edits(pages: Pages, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Files changed lately, each with the session and the call that changed it."""
    facts = require(pages.published)
    choice = parse({"range": "all", **arguments}, facts)
    rows = recent_edits(
        pages.reader,
        projects=choice.project.ids if choice.project else (),
        text=arguments.get("q", ""),
        limit=EDITS_SHOWN,
    )
    section = {
        "key": "edits",
        "title": "Changed files, the newest first",
        "about": "A file's last change; the link leads to the call that made it.",
        "heads": ["File", "Changed", "What", "Lines ±", "Session", "Changes in all"],
        "rows": [_edit_cells(pages, row) for row in rows],
    }
    return {
        **pages.frame("edits", "Recent edits", facts),
        "intro": "Which files were changed lately, and where in which conversation.",
        "sections": [section],
    }


def _edit_cells(pages: Pages, row: Mapping[str, Any]) -> list[Cell]:
    at = f"{pages.base}sessions/{quoted(row['session_id'])}"
    lines = (
        "" if row["lines_added"] is None else f"+{row['lines_added']:,} {formats.MINUS}{row['lines_removed'] or 0:,}"
    )
    return [
        Cell(clean(row["file_path"]), href=f"{at}?call={quoted(row['tool_use_id'])}#here", wraps=True),
        Cell(formats.show("datetime", row["operated_at"], pages.settings.analytics_tz)),
        Cell(row["operation"]),
        Cell(lines, is_number=True),
        Cell(clean(row["title"] or row["session_id"]), href=at, wraps=True),
        Cell(f"{row['change_count']:,}", is_number=True),
    ]
