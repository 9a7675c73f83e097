"""Sessions as functions and as pages: without these a search could miss what a line writes as `\\u00fc`, a timeline
could lose a response's cost or show another session's copy, and hidden text could still be read."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
import session_data
from analytics.cli import cli
from analytics.errors import ConfigError
from analytics.sessions.edits import recent_edits
from analytics.sessions.export import as_html, as_markdown
from analytics.sessions.find import find
from analytics.sessions.limits import limits
from analytics.sessions.model import HIDDEN, NOTICE, PROMPT
from analytics.sessions.prompts import beginnings
from analytics.sessions.reader import Reader, open_reader
from analytics.sessions.search import Query, search
from analytics.sessions.statusline import statusline
from analytics.sessions.timeline import NoSession, timeline
from analytics.settings import Settings
from analytics.web import snapshot
from analytics.web.pages import Pages
from click.testing import CliRunner
from playwright.sync_api import Browser, expect
from web_server import TOKEN, WebServer


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return session_data.build(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[WebServer]:
    with WebServer(settings.data_dir) as running:
        yield running


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


def test_a_search_goes_on_where_the_time_was_over(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.sessions.search.CHUNK_ENTRIES", 1)
    found, parts, start = [], 0, 0
    while start is not None:
        part = search(reader, Query(text="kaboom", start=start), seconds=0)
        found += [item.session["session_id"] for item in part.rows]
        parts += 1
        assert part.is_cut == (part.next is not None)
        start = part.next
    assert parts > 3
    assert found == ["work"]


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
    assert sum(line.kinds.values()) == line.session["cost_usd"]
    assert (line.kinds["input"], line.kinds["cache reads"]) == (Decimal("0.05"), 0)
    assert line.turns[1].because[0].startswith("sub-agents 9")
    assert any(step.label == "Compacted" and "150,000" in step.text for step in line.steps if step.kind == NOTICE)
    assert [size for _, size, kind in line.contexts if kind == "response"] == [1000, 1000, 1000, 1000, 5000]
    assert (line.state, line.lanes, line.slowest) == ("ended", 1, agent)
    assert [step.turn for step, _ in find(line, "quince")] == [2, 2]


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


def test_prompts_begin_with_their_first_characters(reader: Reader) -> None:
    keys = [
        row["message_key"] for row in reader.rows("select message_key from fct_messages where prompt_key is not null")
    ]
    told = beginnings(reader, keys)
    assert told["entry:work-1"] == 'say "hello world" in two lines'
    assert max(map(len, told.values())) == 80  # a hostile one is longer
    assert beginnings(reader, ["entry:nothing"]) == beginnings(reader, []) == {}


def test_recent_edits_lead_to_the_call(reader: Reader) -> None:
    (edit,) = recent_edits(reader, text="CART")
    assert (edit["file_path"], edit["tool_use_id"], edit["session_id"]) == ("/home/ada/app/shop/cart.py", "t1", "work")
    assert (edit["lines_added"], edit["lines_removed"], edit["change_count"]) == (1, 1, 1)


# Terminal


def report(settings: Settings, *arguments: str, **environment: str) -> str:
    variables = {"DATA_DIR": str(settings.data_dir), "COLUMNS": "120", **environment}
    done = CliRunner(env=variables).invoke(cli, ["report", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_terminal_tells_one_session(settings: Settings) -> None:
    text = report(settings, "session", "work")
    assert text.startswith("Mend the cart\n")
    assert "now look around" in text
    assert "[sub-agents 9" in text
    assert "Explore, 1 responses, $5." in text
    assert "The quince is in the cellar" in report(settings, "session", "wor", "--full")
    document = json.loads(report(settings, "session", "work", "--json"))
    assert [turn["number"] for turn in document["turns"]] == [1, 2]
    assert sum(turn["cost_usd"] for turn in document["turns"]) == pytest.approx(document["session"]["cost_usd"])
    hidden = report(settings, "session", "work", "--full", SHOW_TEXT="false")
    assert "quince" not in hidden + report(settings, "session", "work", SHOW_TEXT="false")


def test_the_terminal_says_which_session_is_none(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no session 'nobody'"):
        report(settings, "session", "nobody")
    with pytest.raises(ConfigError, match="2 sessions begin with 'f': first, fork"):
        report(settings, "session", "f")


@pytest.mark.parametrize("name", ["machine", "person", "subagent", "skill", "plugin", "mcp", "pr"])
def test_reports_of_who_and_what_equal_the_facts(settings: Settings, reader: Reader, name: str) -> None:
    document = json.loads(report(settings, name, "--json"))
    facts = "message_kind in ('response', 'advisor')"
    where = {
        "machine": facts,
        "person": facts,
        "subagent": f"{facts} and is_sidechain",
        "skill": f"{facts} and attribution_skill is not null",
        "plugin": f"{facts} and attribution_plugin is not null",
        "mcp": f"{facts} and attribution_mcp_server is not null",
        "pr": f"{facts} and session_id in (select session_id from dim_sessions where pull_requests > 0)",
    }[name]
    (row,) = reader.rows(f"select count(*) as responses, sum(cost_usd) as usd from fct_messages where {where}")
    assert (document["totals"] or {"response_count": 0})["response_count"] == row["responses"]
    assert (document["totals"] or {}).get("cost_usd") or pytest.approx(float(row["usd"] or 0)) == 0


@pytest.mark.parametrize(
    ("name", "column"),
    [("skill", "attribution_skill"), ("plugin", "attribution_plugin"), ("mcp", "attribution_mcp_server")],
)
def test_notes_are_of_the_responses_shown(settings: Settings, reader: Reader, name: str, column: str) -> None:
    (row,) = reader.rows(f"select count(*) as found from fct_messages where {column} is not null and not is_priced")
    notes = " ".join(json.loads(report(settings, name, "--json"))["notes"])
    counts = re.findall(r"\((\d+) responses?\)", notes.partition("no price for ")[2])
    assert sum(map(int, counts)) == row["found"]


def test_limits_are_printed_in_one_form(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="--json and --csv: give one"):
        report(settings, "limits", "--json", "--csv")


def test_periods_are_compared_broken_down_and_sorted(settings: Settings) -> None:
    months = json.loads(report(settings, "monthly", "--compare", "--json"))["rows"]
    april, may, august = months
    assert april["cost_change_usd"] is None
    assert may["cost_change_usd"] == pytest.approx(may["cost_usd"] - april["cost_usd"])
    assert august["cost_change_usd"] == pytest.approx(august["cost_usd"])  # nothing in July
    by_model = json.loads(report(settings, "monthly", "--breakdown", "--sort", "cost_usd", "--json"))
    costs = [row["cost_usd"] for row in by_model["rows"] if row["cost_usd"] is not None]
    assert costs == sorted(costs, reverse=True)
    assert by_model["totals"]["cost_usd"] == pytest.approx(sum(row["cost_usd"] or 0 for row in months))
    with pytest.raises(ConfigError, match="--sort 'size': this report has month"):
        report(settings, "monthly", "--sort", "size")


def test_limits_are_estimates_until_claude_code_says_them(settings: Settings, tmp_path: Path) -> None:
    at = datetime(2026, 5, 1, 11, tzinfo=UTC)
    with open_reader(settings.model_copy(update={"plan_limit_5h_usd": 20.0})) as reader:
        five, seven = limits(reader, at)
        (row,) = reader.rows("select sum(cost_usd) as usd from fct_messages where session_id = 'work'")
        assert five.cost_usd == seven.cost_usd == row["usd"]
        assert five.used_ratio == pytest.approx(float(row["usd"]) / 20)
        assert five.basis == "estimate: share of PLAN_LIMIT_5H_USD=20"
        assert (five.is_estimate, five.resets_at) == (True, datetime(2026, 5, 1, 15, tzinfo=UTC))
        assert seven.basis.startswith("estimate: share of the largest 7 days so far")
    given = {"rate_limits": {"five_hour": {"used_percentage": 80, "resets_at": at.timestamp() + 600}}}
    statusline(json.dumps(given), settings.data_dir, at.timestamp())
    with open_reader(settings) as reader:
        five, seven = limits(reader, at + timedelta(minutes=5))
        assert (five.used_ratio, five.is_estimate, five.told_at) == (0.8, False, at)
        assert seven.is_estimate
        assert limits(reader, at + timedelta(minutes=11))[0].is_estimate


def test_publish_writes_what_the_status_line_shows(settings: Settings) -> None:
    figures = json.loads((settings.data_dir / "statusline.json").read_text())
    assert {"today_usd", "today_ends_at", "month_usd", "month_ends_at"} <= figures.keys()


# Pages


@pytest.mark.browser
def test_a_session_is_read_from_the_list_to_the_sub_agent(browser: Browser, server: WebServer) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 700}).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{server.base}sessions?token={TOKEN}")
    page.get_by_role("link", name="Mend the cart").click()
    expect(page.locator("h1")).to_have_text("Mend the cart")
    assert page.locator(".step.prompt .said").all_inner_texts() == [
        'say "hello world" in\ntwo lines',
        "now look around",
    ]
    page.locator("summary", has_text="Edit").click()
    assert page.locator(".diff .plus").inner_text() == "+total = 2"
    page.locator("details.branch > summary").click()
    expect(page.locator("details.branch .said")).to_have_text("The quince is in the cellar")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".step.current .said")).to_have_text("now look around")
    page.fill("#find", "KABOOM")
    page.locator("ol.found a").click()
    page.wait_for_url("**#here")
    assert "kaboom" in page.locator("#here pre").last.inner_text()
    page.locator("ol.dear a").first.click()
    expect(page.locator("#here .said")).to_have_text("now look around")
    page.locator("#focus").click()
    expect(page.locator("ol.timeline > .step")).to_have_count(4)
    assert complaints == []


@pytest.mark.browser
def test_what_a_transcript_holds_stays_text(browser: Browser, server: WebServer, reader: Reader) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    page.goto(f"{server.base}?token={TOKEN}")
    (hostile,) = reader.rows("select session_id from dim_sessions where session_id like 's1%'")
    at = f"sessions/{quote(hostile['session_id'], safe='')}"
    for path in ("sessions", "sessions?q=onerror", at, f"{at}/find?q=alert", f"{at}/steps?from=0", "edits"):
        page.goto(server.base + path)
        for summary in page.locator(".step summary").all()[:8]:
            summary.click()
        assert page.locator("main :is(img, i, script, svg[onload]), .step a[href^=javascript]").count() == 0
        assert page.locator(":is(img, script:not([src]))").count() == 0
        assert "\x1b" not in page.locator("main, body > *").first.inner_text()
    assert page.locator("td", has_text="onerror").count() > 0
    assert complaints == []


def test_a_session_is_a_file_to_send(server: WebServer) -> None:
    for kind, words in (("md", "> The quince is in the cellar"), ("html", "The quince is in the cellar")):
        status, text = server.get(f"sessions/work/session.{kind}")
        assert status == 200
        assert words in text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("sessions/nobody", 404, "There is no session 'nobody'"),
        ("sessions/nobody/session.md", 404, "There is no session"),
        ("sessions/work?turn=9", 404, "There is no turn '9': the session has 2"),
        ("sessions/work?turn=x", 404, "There is no turn"),
        ("sessions/work?step=x", 404, "There is no such step"),
        ("sessions/work?call=x", 404, "There is no such tool call"),
        ("sessions/work/steps?from=-1", 400, "use a number from 0"),
        ("sessions/work/text?step=x&part=y", 404, "There is no such text"),
        ("sessions/work/branch/x", 404, "There is no such sub-agent"),
        ("sessions?sort=size", 400, "cannot be chosen"),
        ("sessions?start=many", 400, "use a number from 0"),
        ("sessions?from=tomorrow", 400, "is no day"),
        ("sessions?project=<img>", 404, "There is no project"),
    ],
)
def test_bad_addresses_are_one_sentence(server: WebServer, path: str, status: int, said: str) -> None:
    found, text = server.get(path)
    assert found == status
    assert said in html.unescape(text)
    assert "Traceback" not in text


# Each question as a reader asks it: pages by their addresses, of which every one but the first stands on the page
# before as a link, and commands; and what the last of them says.
QUESTIONS = {
    "what did I do last Tuesday, and what did it cost": (
        ["sessions?from=2026-04-07&to=2026-04-07"],
        [">ship it<", ">$0.09<"],
    ),
    "which prompts were the most expensive, and why": (
        ["dashboards/cost?range=all", "cards/expensive_prompts/body?range=all", "sessions/work?step=work-8"],
        ['id="here" data-turn="2"', "now look around", "sub-agents 98%", "$5.0"],
    ),
    "show me the conversation of this session": (
        ["sessions", "sessions/work"],
        ["The first line.\nThe second line."],
    ),
    "which sub-agent burnt the tokens": (
        ["sessions", "sessions/work", "sessions/work/branch/a1"],
        ["The quince is in the cellar", "$5.0050"],
    ),
    "which MCP server costs how much": (["report mcp"], ["tracker"]),
    "which skill costs how much": (["report skill"], ["shop:deploy"]),
    "which plugin costs how much": (["report plugin"], ["shop "]),
    "did my cache hit rate change since I changed CLAUDE.md": (
        ["", "compare", "compare?day=2026-05-01&days=14"],
        ["Cache hit rate"],
    ),
    "am I near my five-hour or weekly limit": (["report limits"], ["5 hours", "7 days"]),
    "this month against last": (["report monthly --compare"], ["change $", "2026-05"]),
    "who spent what, by machine": (["report machine"], ["$"]),
    "who spent what, by person": (["report person"], ["ada", "cost $"]),
    "what does a pull request cost": (["report pr"], ["ship it", "0.09"]),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_in_three_steps(settings: Settings, server: WebServer, question: str) -> None:
    steps, says = QUESTIONS[question]
    assert len(steps) <= 3
    text = ""
    for number, step in enumerate(steps):
        if step.startswith("report "):
            text = report(settings, *step.split()[1:])
            continue
        if number and "day=" not in step:  # a form asks for the day
            assert f'"/analytics/{step}' in text, (step, "is no link of the page before")
        status, text = server.get(step)
        text = html.unescape(text)
        assert status == 200
    for words in says:
        assert words in text


def test_how_prompts_begin_is_looked_up_once_a_version(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(settings, "/analytics/")
    first = pages.card_body("expensive_prompts", {"range": "all"})["view"].rows
    assert any(row[0].text != "(open)" for row in first)
    with monkeypatch.context() as again:
        again.setattr(pages.reader.documents, "texts", lambda _: pytest.fail("the raw layer is read again"))
        assert pages.card_body("expensive_prompts", {"range": "all"})["view"].rows == first
    looked: list[str] = []
    monkeypatch.setattr("analytics.web.pages.beginnings", lambda _, keys: looked.extend(keys) or {})
    monkeypatch.setattr(type(pages.published), "version", settings.data_dir / "another")
    pages._beginnings(["entry:gone"])
    pages._beginnings(["entry:gone"])
    assert looked == ["entry:gone"]


def test_a_session_needs_the_token(server: WebServer) -> None:
    for path in ("sessions", "sessions/work", "sessions/work/steps", "sessions/work/session.md", "edits"):
        status, text = server.get(path, token=None)
        assert status in (302, 403)
        assert "hello" not in text


# What was said in the sessions of these tests, titles included; paths, branches and names of tools are none of it.
SAID = (
    *("hello world", "look around", "Perhaps umlauts", "zwetschge", "kaboom", "Found it", "quince", "Mend the cart"),
    *("The second line", "ask once", "temp\\new", "in French", "Voil", "pamplemousse", "ship it", "total = 2"),
    *(f"=1+1{field}" for field in ("title", "summary", "prompt", "result", "stdout", "command", "url")),
)


def test_hidden_text_is_on_no_page(settings: Settings) -> None:
    """Every address that a page leads to, asked for on the real server."""
    with WebServer(settings.data_dir, SHOW_TEXT="false") as hiding:
        waiting, seen = [""], {""}
        while waiting:
            path = waiting.pop()
            status, text = hiding.get(path)
            assert status in (200, 404), (path, text[:200])
            text = html.unescape(text)
            assert [words for words in SAID if words in text] == [], path
            for found in re.findall(r"""(?:href|hx-get|data-src|src|action)=["']/analytics/([^"'#]*)""", text):
                kind = found.partition("?")[0]
                if kind not in seen:  # one address of each page
                    seen.add(kind)
                    waiting.append(found)
        for kind in ("md", "html"):
            assert f"sessions/work/session.{kind}" in seen
        assert {"sessions/work/branch/a1", "cards/latest_sessions", "edits", "runs"} <= seen
        for key in ("latest_sessions", "expensive_prompts", "expensive_sessions"):
            for kind in ("csv", "json"):
                assert [words for words in SAID if words in hiding.get(f"cards/{key}.{kind}?range=all")[1]] == []


def test_hidden_text_is_in_no_report_and_no_file_to_send(settings: Settings, tmp_path: Path) -> None:
    for name in ("", "session", "session work", "session work --full", "session work --json", "pr", "waste", "limits"):
        for kind in ("", "--json", "--csv"):
            if kind and (not name or " " in name):
                continue
            text = report(settings, *name.split(), *filter(None, [kind]), SHOW_TEXT="false")
            assert [words for words in SAID if words in text] == [], (name, kind)
    target = tmp_path / "sent.html"
    snapshot.write(settings.model_copy(update={"show_text": False}), {"range": "all"}, target=target)
    assert [words for words in SAID if words in html.unescape(target.read_text())] == []
    assert "ship it" in report(settings, "pr")
