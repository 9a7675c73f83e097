"""Sessions as functions: without these a search could miss what a line writes as `\\u00fc`, a timeline could lose a
response's cost or show another session's copy, and hidden text could still be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import session_data
from analytics.sessions.edits import recent_edits
from analytics.sessions.export import as_html, as_markdown
from analytics.sessions.find import find
from analytics.sessions.model import HIDDEN, NOTICE, PROMPT
from analytics.sessions.reader import Reader, open_reader
from analytics.sessions.search import Query, search
from analytics.sessions.timeline import NoSession, timeline
from analytics.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return session_data.build(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(scope="module")
def reader(settings: Settings) -> Iterator[Reader]:
    with open_reader(settings) as reading:
        yield reading


def found(reader: Reader, text: str, **more: object) -> dict[str, str]:
    """Session ids that a search finds, with where."""
    return {
        item.session["session_id"]: item.hit.where if item.hit else ""
        for item in search(reader, Query(text=text, **more), seconds=60).rows
    }


@pytest.mark.parametrize(
    ("text", "session", "where"),
    [
        ("Mend the CART", "work", "title"),
        ("shop/cart.py", "work", "file"),
        ('"hello world"', "work", "prompt"),
        ("world in two", "work", "prompt"),  # the text has quotes and a line break there
        ('world" in\ntwo lines', "work", "prompt"),
        ("line. the SECOND", "work", "answer"),
        ("umlauts: Ä", "work", "thinking"),
        ("zwetschge", "work", "tool input"),
        ("kaboom", "work", "tool result"),
        ("quince is in the cellar", "work", "answer"),
        ("grüsse", None, None),
        ("GRÜßE, 😀", "first", "answer"),
        ("C:\\temp\\new", "first", "answer"),
        ("pamplemousse", "escaped", "prompt"),
        ("in French", "fork", "prompt"),
        ("old_string", None, None),  # a key, no text
    ],
)
def test_a_search_finds_what_a_reader_reads(reader: Reader, text: str, session: str | None, where: str | None) -> None:
    hits = found(reader, text)
    if text == "world in two":
        assert hits == {}  # the quote stands between
    elif session is None:
        assert hits == {}
    else:
        assert hits.get(session) == where


def test_copies_of_a_fork_are_found_where_they_stand(reader: Reader) -> None:
    assert set(found(reader, "ask once")) == {"first"}


def test_a_search_is_narrowed_and_reads_only_those_days(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[date] = set()
    matching = reader.documents.matching

    def noting(days: set[date], *patterns: str) -> object:
        read.update(days)
        return matching(days, *patterns)

    monkeypatch.setattr(reader.documents, "matching", noting)
    day = date(2026, 5, 2)
    assert set(found(reader, "the", first=day, last=day)) == {"first"}
    assert read == {day}


def test_a_search_goes_on_where_the_time_was_over(reader: Reader) -> None:
    cut = search(reader, Query(text="kaboom"), seconds=0)
    assert (cut.rows, cut.is_cut) == ([], True)
    assert cut.next is not None


def test_a_list_sorts_and_pages(reader: Reader) -> None:
    whole = search(reader, Query(sort="cost")).rows
    costs = [item.session["cost_usd"] for item in whole if item.session["cost_usd"] is not None]
    assert costs == sorted(costs, reverse=True)
    assert [item.session["session_id"] for item in search(reader, Query(sort="cost", start=2)).rows] == [
        item.session["session_id"] for item in whole[2:]
    ]


def test_every_response_stands_once_and_the_costs_add_up(reader: Reader) -> None:
    for row in reader.rows("select session_id, cost_usd, response_count from dim_sessions"):
        line = timeline(reader, row["session_id"])
        responses = [step.response for step in line.every_step() if step.response]
        assert len({used.key for used in responses}) == len(responses) == row["response_count"]
        assert sum((used.cost_usd or Decimal(0) for used in responses), Decimal(0)) == (row["cost_usd"] or 0)
        assert sum((turn.cost_usd or Decimal(0) for turn in line.turns), Decimal(0)) == (row["cost_usd"] or 0)


def test_a_timeline_tells_what_happened(reader: Reader) -> None:
    line = timeline(reader, "work")
    assert [turn.text for turn in line.turns] == ['say "hello world" in two lines', "now look around"]
    edit, command, agent = (step for step in line.steps if step.call)
    assert edit.call
    assert edit.call.diff == ["@ line 7", "-total = 1", "+total = 2"]
    assert command.call
    assert (command.call.status, command.tone, command.call.duration_ms) == ("error", "bad", 120_000)
    assert command.call.result == "Exit code 1\n1 failed: kaboom"
    assert agent.branch
    assert [step.text for step in agent.branch.steps] == [
        "Look around thoroughly for quinces",
        "The quince is in the cellar",
    ]
    assert agent.branch.cost_usd == Decimal("5.005")
    assert line.parts == {"main chain": line.session["cost_usd"] - Decimal("5.005"), "sub-agents": Decimal("5.005")}
    assert line.turns[1].because[0].startswith("sub-agents 9")
    assert any(step.label == "Compacted" and "150,000" in step.text for step in line.steps if step.kind == NOTICE)
    assert [size for _, size, kind in line.contexts if kind == "response"] == [1000, 1000, 1000, 1000, 5000]
    assert (line.state, line.lanes, line.slowest) == ("ended", 1, agent)
    assert [hit.step.turn for hit in find(line, "quince")] == [2, 2]


def test_a_fork_shows_what_came_after(reader: Reader) -> None:
    assert [step.text for step in timeline(reader, "fork").steps if step.kind == PROMPT] == ["and now in French"]


def test_malformed_lines_are_counted(reader: Reader) -> None:
    (hostile,) = reader.rows("select session_id from dim_sessions where session_id like 's1%'")
    assert timeline(reader, hostile["session_id"]).malformed_lines == 1


def test_an_unknown_session_is_one_line(reader: Reader) -> None:
    with pytest.raises(NoSession, match="no session 'nobody'"):
        timeline(reader, "nobody")


def test_hidden_text_is_nowhere(settings: Settings) -> None:
    hiding = settings.model_copy(update={"show_text": False})
    with open_reader(hiding) as reader:
        line = timeline(reader, "work")
        shown = as_markdown(line, "UTC") + as_html(line, "UTC") + repr(line)
        for words in ("hello", "kaboom", "zwetschge", "quince", "total =", "Mend", "umlauts", "The second", "cart"):
            assert words not in shown
        assert {step.text for step in line.steps if step.kind == PROMPT} == {HIDDEN}
        assert line.session["cost_usd"] > 0
        assert search(reader, Query(text="kaboom")).rows == []
        assert search(reader, Query(text="Mend")).rows == []
        assert [item.session["session_id"] for item in search(reader, Query(text="cart.py")).rows] == ["work"]


def test_exports_hold_the_conversation_and_nothing_that_runs(reader: Reader, tmp_path: Path) -> None:
    for row in reader.rows("select session_id from dim_sessions"):
        line = timeline(reader, row["session_id"])
        page, plain = as_html(line, "UTC"), as_markdown(line, "UTC")
        assert "<img" not in page
        assert "<script" not in page
        outside = "".join(part for place, part in enumerate(plain.split("```")) if place % 2 == 0)
        assert re.search(r"(?<!\\)<\w", outside) is None
        assert "\x1b" not in page + plain
    work = timeline(reader, "work")
    for words in ("hello world", "total = 2", "kaboom", "The quince is in the cellar", "$"):
        assert words in as_markdown(work, "UTC")


def test_recent_edits_lead_to_the_call(reader: Reader) -> None:
    (edit,) = recent_edits(reader, text="CART")
    assert (edit["file_path"], edit["tool_use_id"], edit["session_id"]) == ("/home/ada/app/shop/cart.py", "t1", "work")
    assert (edit["lines_added"], edit["lines_removed"], edit["change_count"]) == (1, 1, 1)
