"""The dashboards as their reader has them: the real server, the real browser. Without these a card could stay empty, a
chart could call home, a title from a transcript could run, and a filter could show other numbers than it says.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from analytics.cards.definitions import definition
from analytics.cards.model import load_dashboards
from analytics.cards.query import Selection, bound
from analytics.common import formats
from analytics.settings import Settings, load_settings
from analytics.warehouse.marts import connect
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect
from web_server import TOKEN, WebServer

pytestmark = pytest.mark.browser

BOARDS = load_dashboards()
CARDS = {card.key: card for board in BOARDS for card in board.cards}


class Visit:
    """A browser's page, and everything it complained about or asked the network for."""

    def __init__(self, browser: Browser, server: WebServer, **context: Any) -> None:
        self.server = server
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 900}, **context).new_page()
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._asked)
        self.page.goto(f"{server.base}?token={TOKEN}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def go(self, path: str) -> None:
        self.page.goto(self.server.base + path)
        self.loaded()

    def loaded(self) -> None:
        expect(self.page.locator(".body[aria-busy]")).to_have_count(0, timeout=30_000)
        expect(self.page.locator(".chart:not([data-drawn])")).to_have_count(0, timeout=30_000)

    def assert_quiet(self) -> None:
        assert self.complaints == []
        foreign = [
            url for url in self.requests if not url.startswith((f"http://127.0.0.1:{self.server.port}/", "data:"))
        ]
        assert foreign == []


def rows(settings: Settings, key: str, selection: Selection | None = None) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        found = connection.execute(*bound(re.sub(r"limit\s+\d+\s*$", "", CARDS[key].sql), selection))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.key)
def test_every_card_of_a_dashboard_shows_something_and_nothing_complains(
    browser: Browser, server: WebServer, board: Any
) -> None:
    visit = Visit(browser, server)
    for choice in ("?range=all", "?range=30", "?from=2026-10-01&to=2026-10-31"):
        visit.go(f"dashboards/{board.key}{choice}")
        visit.assert_quiet()
        assert visit.page.locator("article[data-card]").count() == len(board.cards)
        assert visit.page.locator("article .error").count() == 0
        if choice == "?range=all":
            shown = visit.page.locator("article[data-card] .body").all_inner_texts()
            drawn = visit.page.locator(".chart svg").count()
            assert sum(bool(text.strip()) for text in shown) + drawn >= len(board.cards)


def test_numbers_are_those_of_the_marts(browser: Browser, server: WebServer, history: Settings) -> None:
    visit = Visit(browser, server)
    visit.go("dashboards/cost?range=all")
    spend = rows(history, "spend")[-1]["cost_usd"]
    assert visit.page.locator("#spend .value").inner_text() == f"≥{formats.show('usd', spend)}"
    models = visit.page.locator("#spend_by_model tbody tr").all_inner_texts()
    expected = [row["model"] for row in rows(history, "spend_by_model")]
    assert [text.split("\t")[0].strip() for text in models] == expected[: len(models)]


def test_a_click_on_a_bar_a_project_and_a_model_narrows(browser: Browser, server: WebServer, history: Settings) -> None:
    visit = Visit(browser, server)
    visit.go("dashboards/cost?range=all")
    project = visit.page.locator("#spend_by_project ol.bars a").first
    name = project.inner_text()
    project.click()
    visit.loaded()
    assert visit.page.locator("select[name=project] option:checked").inner_text() == name
    with connect(history) as connection:
        (path,) = connection.execute(
            "select project_path from dim_projects where project_label = $name", {"name": name}
        ).fetchone()
    spend = rows(history, "spend", Selection(projects=(path,)))[-1]["cost_usd"]
    assert visit.page.locator("#spend .value").inner_text() == f"≥{formats.show('usd', spend)}"
    visit.page.locator("#spend_by_model tbody a").first.click()
    visit.loaded()
    assert visit.page.locator("select[name=model]").input_value() != ""
    visit.page.locator("#spend_by_day .chart svg .mark-rect path").first.click()
    visit.loaded()
    assert visit.page.locator("input[name=from]").input_value() != ""
    assert "from=" in visit.page.url
    visit.assert_quiet()


def test_a_table_sorts_searches_and_shows_all(browser: Browser, server: WebServer, history: Settings) -> None:
    visit = Visit(browser, server)
    visit.go("dashboards/cost?range=all")
    card = visit.page.locator("#expensive_sessions")
    total = len(rows(history, "expensive_sessions"))
    assert f"of {total}" in card.inner_text()
    card.get_by_role("button", name="Prompts").click()
    visit.page.wait_for_selector("#expensive_sessions th[aria-sort=descending]")
    column = [head.strip() for head in card.locator("th").all_inner_texts()]
    at = next(place for place, head in enumerate(column) if head.startswith("Prompts"))
    counts = [int(text.replace(",", "")) for text in card.locator(f"tbody td:nth-child({at + 1})").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == max(row["prompt_count"] for row in rows(history, "expensive_sessions"))
    card.get_by_text("show all").click()
    expect(card.locator("tbody tr")).to_have_count(total)
    visit.assert_quiet()


def test_a_session_in_a_table_leads_to_its_page(browser: Browser, server: WebServer, history: Settings) -> None:
    visit = Visit(browser, server)
    visit.go("dashboards/cost?range=all")
    first = visit.page.locator("#expensive_sessions tbody a").first
    title = first.inner_text()
    first.click()
    expect(visit.page.locator("h1")).to_contain_text(title[:30])
    assert rows(history, "expensive_sessions")[0]["session_id"] in visit.page.url
    visit.assert_quiet()


def test_how_a_number_is_counted_shows_its_examples_as_code(server: WebServer) -> None:
    explained = [key for key, card in CARDS.items() if "```" in definition(card.definition)]
    assert explained
    for key in explained:
        status, text = server.get(f"cards/{key}")
        assert status == 200
        assert "<pre><code" in text
        assert "```" not in text


def test_a_chart_turns_into_its_table_and_back(browser: Browser, server: WebServer) -> None:
    visit = Visit(browser, server)
    visit.go("dashboards/cost?range=all")
    toggle = visit.page.locator("#spend_by_day button.as-table")
    toggle.click()
    visit.page.wait_for_selector("#spend_by_day tbody tr")
    toggle.click()
    visit.page.wait_for_selector("#spend_by_day .chart[data-drawn] svg")
    # what a click on a bar does, the keyboard does in the table
    toggle.click()
    visit.page.locator("#spend_by_day tbody a").first.press("Enter")
    visit.page.wait_for_url("**from=**to=**")
    visit.loaded()
    visit.assert_quiet()


def test_filters_act_at_once_and_stand_in_the_address(browser: Browser, server: WebServer) -> None:
    visit = Visit(browser, server)
    visit.go("dashboards/productivity")
    visit.page.select_option("select[name=range]", "90")
    visit.loaded()
    assert "range=90" in visit.page.url
    visit.page.fill("input[name=from]", "2026-10-05")
    visit.page.dispatch_event("input[name=from]", "change")
    visit.page.wait_for_url("**from=2026-10-05**")
    visit.loaded()
    # what is chosen goes along to the other pages, and onto paper
    project = visit.page.locator("select[name=project] option").nth(1)
    label = project.inner_text()
    visit.page.select_option("select[name=project]", project.get_attribute("value"))
    visit.page.wait_for_url("**project=**")
    visit.page.locator(".tabs").get_by_text("Cost & usage").click()
    visit.loaded()
    assert visit.page.locator(".tabs [aria-current]").inner_text() == "Cost & usage"
    assert visit.page.locator("input[name=from]").input_value() == "2026-10-05"
    assert visit.page.locator("select[name=project] option:checked").inner_text() == label
    visit.page.emulate_media(media="print")
    assert visit.page.locator("#range-text").inner_text().endswith(f"· {label}")
    for hidden in (".tabs", ".filters select", "article .tools", ".on-screen"):
        assert not visit.page.locator(hidden).first.is_visible()
    visit.assert_quiet()


def test_files_hold_all_rows(server: WebServer, history: Settings) -> None:
    status, text = server.get("cards/expensive_sessions.csv?range=all")
    found = list(csv.DictReader(io.StringIO(text)))
    assert (status, len(found)) == (200, len(rows(history, "expensive_sessions")))
    status, text = server.get("cards/spend_by_day.json?range=all")
    sums = sum(row["cost_usd"] for row in json.loads(text)["rows"])
    assert sums == pytest.approx(float(rows(history, "spend")[-1]["cost_usd"]))


def test_a_picture_is_a_png(server: WebServer) -> None:
    assert server.get("cards/spend_by_day.png?range=all")[0] == 200
    assert server.get("cards/spend_by_project.png?range=all")[0] == 200
    assert server.get("cards/active_hours.png?range=all")[0] == 200
    assert server.get("cards/waste.png?range=all")[0] == 404


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("dashboards/cost?from=tomorrow", 400, "is no day"),
        ("dashboards/cost?from=2026-11-05&to=2026-11-01", 400, "is after"),
        ("dashboards/cost?range=decade", 400, "is no range"),
        ("dashboards/cost?project=<img src=x onerror=alert(1)>", 404, "There is no project"),
        ("dashboards/cost?model=' or 1=1 --", 404, "There is no model"),
        ("dashboards/nothing", 404, "There is no dashboard"),
        ("cards/nothing", 404, "There is no card"),
        ("cards/nothing.csv", 404, "There is no card"),
        ("runs/../../etc/passwd", 404, "There is no"),
        ("runs/%2e%2e", 404, "There is no"),
        ("compare?day=x", 400, "is no day"),
        ("compare?days=0&day=2026-11-01", 400, "use a number from 1 to 366"),
        ("anything", 404, "There is no such page"),
    ],
)
def test_bad_addresses_are_one_sentence(server: WebServer, path: str, status: int, said: str) -> None:
    found, text = server.get(path)
    assert found == status
    assert said in re.sub(r"&#?\w+;", "", text)
    assert "<img" not in text
    assert "Traceback" not in text


ODD = (
    "' or 1=1 --",
    "<img src=x onerror=alert(1)>",
    "\u202e\u0000",
    "9" * 400,
    "../../etc/passwd",
    "{{7*7}}",
    "%zz",
    "None",
)
PARAMETERS = {
    "dashboards/interaction": ("range", "from", "to", "project", "model", "machine", "person", "tool"),
    "cards/spend": ("range", "from", "to", "project", "model", "machine", "person", "tool"),
    "cards/tools/body": ("sort", "down", "all", "view", "range", "from", "project", "tool"),
    "cards/tools.csv": ("range", "from", "to", "project", "model", "machine", "person", "tool"),
    "compare": ("from", "to", "before_from", "before_to", "day", "days", "project"),
}


@pytest.mark.parametrize("path", PARAMETERS)
def test_anything_in_any_parameter_is_one_sentence(server: WebServer, path: str) -> None:
    for name in PARAMETERS[path]:
        for value in ODD:
            status, text = server.get(f"{path}?{name}={quote(value, safe='')}")
            assert status in (400, 404), (name, value, status)
            assert "<img" not in text
            assert "Traceback" not in text
            said = re.search(r"<p>(.*?)</p>", text, re.DOTALL)
            assert said, text
            assert said[1].strip().endswith("."), said[1]


def test_any_search_is_a_search(server: WebServer) -> None:
    for value in ODD:
        status, text = server.get(f"cards/expensive_sessions/body?range=all&q={quote(value, safe='')}")
        assert status == 200
        assert "<img" not in text


def test_nothing_is_shown_without_the_token_or_to_a_foreign_host(server: WebServer) -> None:
    for path in ("", "dashboards/cost", "cards/spend/body", "cards/spend.csv", "runs", "data-docs/index.html"):
        assert server.get(path, token=None)[0] in (302, 403)
        assert server.get(path, headers={"Host": "evil.example"})[0] == 403


def test_a_publish_shows_at_the_next_request(tmp_path: Path, history: Settings) -> None:
    from analytics.raw.repair import repair
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform

    copy = tmp_path / "data"
    shutil.copytree(history.data_dir, copy, symlinks=True)
    settings = load_settings(data_dir=copy, claude_projects_dir=history.claude_projects_dir)
    repair(settings)
    (copy / "analytics.db").unlink()
    (copy / "analytics.db").symlink_to((copy / "versions").glob("*").__next__())
    with WebServer(copy) as server:
        before = server.get("cards/data_status/body?range=all")[1]
        from analytics.warehouse.load import load

        load(settings, even_if_unchanged=True)
        transform(settings, as_of=datetime(2026, 11, 21, tzinfo=UTC))
        publish(settings)
        assert server.get("cards/data_status/body?range=all")[1] != before


def test_the_file_to_send_shows_the_choice_without_a_script(
    browser: Browser, history: Settings, tmp_path: Path
) -> None:
    from analytics.web.snapshot import write

    path = write(history, {"from": "2026-10-01", "to": "2026-10-31"}, keys=("cost",), target=tmp_path / "cost.html")
    assert path.stat().st_mode & 0o077 == 0
    text = path.read_text()
    assert "<script" not in text
    requests: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert complaints == []
    spend = rows(history, "spend", Selection(datetime(2026, 10, 1).date(), datetime(2026, 10, 31).date()))[-1][
        "cost_usd"
    ]
    assert page.locator("#spend .value").inner_text() == f"≥{formats.show('usd', spend)}"
    assert page.locator("#spend_by_day svg").count() == 1


def test_the_comparison_equals_the_marts(server: WebServer, history: Settings) -> None:
    status, text = server.get("compare?from=2026-11-01&to=2026-11-10&before_from=2026-10-01&before_to=2026-10-10")
    assert status == 200
    with duckdb.connect(str(history.published_path.resolve()), read_only=True) as connection:
        for first, last in (("2026-11-01", "2026-11-10"), ("2026-10-01", "2026-10-10")):
            cost, prompts = connection.execute(
                "select sum(cost_usd), sum(prompt_count) from marts.agg_daily_summary where date_key between ? and ?",
                [first, last],
            ).fetchone()
            assert formats.show("usd", cost) in html.unescape(text)
            assert f">{prompts:,}<" in text
