"""The HTML report as a reader meets it. Without these, a script error could leave cards empty, a chart library could
call home, and the page's own arithmetic could drift from the SQL that Metabase runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dashboard_data
import pytest
import raw_tables
from analytics.cards.model import Card, load_dashboards
from analytics.cards.query import Selection, filtered_sql
from analytics.settings import Settings
from analytics.web import html
from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.browser

BOARDS = load_dashboards()
CARDS: dict[str, Card] = {card.key: card for board in BOARDS for card in board.cards}
READY = "html[data-ready=yes]"


@dataclass
class Report:
    """An open report and everything it complained about or asked the network for."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def show(self, board: str, selection: Selection | None = None) -> None:
        """Go to a dashboard with filters set, without loading the file again."""
        hash_ = f"#{board}?{urlencode(choice(selection or Selection()), doseq=True)}"
        self.page.evaluate(
            "hash => { delete document.documentElement.dataset.ready; location.hash = '#'; location.hash = hash; }",
            hash_,
        )
        self.page.wait_for_selector(READY, state="attached")

    def rows(self, key: str) -> list[list[Any]]:
        """The rows that a card shows, as the page holds them."""
        return self.page.evaluate(
            """key => {
                const found = window.report.results.get(key);
                const plain = (value) => (value === undefined ? null : value);
                if (!Array.isArray(found.rows)) throw new Error("rows of " + key);
                return found.rows.map((row) => Array.from(row, plain));
            }""",
            key,
        )

    def text(self, key: str) -> str:
        return self.page.locator(f"article[data-card={key}]:visible .body").inner_text()

    def assert_quiet(self) -> None:
        assert self.complaints == []
        assert self.requests == []


def choice(selection: Selection) -> dict[str, Any]:
    """A selection as the page writes it into its address."""
    chosen: dict[str, Any] = {"range": "all"}
    if selection.first_day or selection.last_day:
        chosen = {"range": "custom", "from": str(selection.first_day), "to": str(selection.last_day)}
    if selection.projects:
        chosen["project"] = selection.projects
    if selection.models:
        chosen["model"] = selection.models
    return chosen


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, theme: str = "light", hash_: str = ""
) -> Iterator[Report]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    report = Report(page, path.as_uri())

    def asked(request: Request) -> None:
        if request.url.partition("#")[0] != report.address and not request.url.startswith("data:"):
            report.requests.append(request.url)

    page.on("request", asked)
    page.on(
        "console",
        lambda message: report.complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: report.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (report.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(f"{report.address}{hash_}")
    page.wait_for_selector(READY, state="attached")
    yield report
    context.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, samples_dir: Path) -> tuple[Settings, Path]:
    """A report of real transcripts."""
    settings = dashboard_data.published(
        tmp_path_factory.mktemp("real"), raw_tables.transcripts(samples_dir / "projects")
    )
    return settings, html.render(settings)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_card_is_drawn_and_nothing_is_fetched(
    browser: Browser, real: tuple[Settings, Path], width: int, theme: str
) -> None:
    with opened(browser, real[1], width=width, theme=theme) as report:
        for board in BOARDS:
            report.show(board.key)
            visible = report.page.locator("article[data-card]:visible")
            keys = [visible.nth(place).get_attribute("data-card") for place in range(visible.count())]
            assert keys == [card.key for card in board.cards]
            assert report.page.locator("article[data-card][data-rendered=yes]:visible").count() == len(keys)
            for card in board.cards:
                assert report.text(card.key).strip(), card.key
            wide, window = report.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert wide <= window, f"{board.key} is wider than the window"
        report.assert_quiet()


@pytest.mark.slow
def test_numbers_equal_those_of_the_sql(browser: Browser, real: tuple[Settings, Path]) -> None:
    settings, path = real
    with html.connect(settings) as connection, opened(browser, path) as report:
        connection.execute("set timezone = 'UTC'")
        for selection in dashboard_data.selections(connection):
            if len(selection.projects) > 1 or "no such project" in "".join(selection.projects):
                continue  # the page offers one project at a time, and only those there are
            for board in BOARDS:
                report.show(board.key, selection)
                for card in board.cards:
                    expected = connection.execute(filtered_sql(card.sql, selection)).fetchall()
                    assert_equal(report.rows(card.key), [list(row) for row in expected], f"{card.key}, {selection}")
        report.assert_quiet()


def assert_equal(shown: list[list[Any]], expected: list[list[Any]], where: str) -> None:
    assert len(shown) == len(expected), f"{where}: {len(shown)} rows instead of {len(expected)}"
    for row, wanted in zip(shown, expected, strict=True):
        values = [plain(value) for value in wanted]
        assert row == [
            pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value for value in values
        ], where


def plain(value: Any) -> Any:
    """A value of DuckDB as the page holds it: days since 1970, milliseconds, doubles."""
    if isinstance(value, datetime):
        return float((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000) // 1
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    return float(value) if isinstance(value, Decimal) else value


def test_filters_change_the_numbers(browser: Browser, real: tuple[Settings, Path]) -> None:
    with opened(browser, real[1], hash_="#cost?range=all") as report:
        page = report.page
        everything = report.text("spend")
        page.select_option("#project", index=1)
        page.wait_for_selector(READY, state="attached")
        one_project = report.text("spend")
        assert one_project != everything
        page.select_option("#project", index=0)
        page.fill("#from", "2026-04-01")
        page.fill("#to", "2026-04-15")
        page.wait_for_selector(READY, state="attached")
        assert report.text("spend") not in (everything, one_project)
        page.reload()
        page.wait_for_selector(READY, state="attached")
        assert page.input_value("#to") == "2026-04-15", "the address does not keep what was chosen"
        page.locator("#clear").click()
        page.wait_for_selector(READY, state="attached")
        assert report.text("spend") == everything
        report.assert_quiet()


def test_a_trend_needs_a_whole_period_before(browser: Browser, real: tuple[Settings, Path]) -> None:
    settings, path = real
    with html.connect(settings) as connection:
        first, last = connection.execute("select min(date_key), max(date_key) from dim_date").fetchone()
    with opened(browser, path) as report:
        report.show("productivity", Selection(first + (last - first) / 3, last))
        assert "no whole period before it" in report.text("sessions_started")
        report.show("productivity", Selection(first + (last - first) * 2 / 3, last))
        assert " from " in report.text("sessions_started")
        report.assert_quiet()


def test_a_filter_that_changes_nothing_cannot_be_chosen(browser: Browser, real: tuple[Settings, Path]) -> None:
    with opened(browser, real[1], hash_="#cost") as report:
        for board in BOARDS:
            report.show(board.key)
            assert report.page.locator("#model").is_disabled() == ("model" not in board.filters)


def test_sentences_are_not_squeezed_on_a_phone(browser: Browser, real: tuple[Settings, Path]) -> None:
    with opened(browser, real[1], width=390, hash_="#quality") as report:
        cells = report.page.locator("article[data-card=quality_checks]:visible tbody tr:first-child td")
        room = report.page.locator("article[data-card=quality_checks]:visible .body").bounding_box()
        for place in range(cells.count()):
            box = cells.nth(place).bounding_box()
            assert box["x"] >= room["x"]
            assert box["x"] + box["width"] <= room["x"] + room["width"] + 1


def test_a_printed_dashboard_keeps_every_row(browser: Browser, real: tuple[Settings, Path]) -> None:
    with opened(browser, real[1], theme="dark", hash_="#quality") as report:
        report.page.emulate_media(media="print")
        assert report.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not report.page.locator("[role=tablist]").is_visible()
        for card in report.page.locator("article[data-card]:visible").all():
            body, bands = card.locator(".body").bounding_box(), card.bounding_box()
            assert body["y"] + body["height"] <= bands["y"] + bands["height"] + 1, card.get_attribute("data-card")
        assert report.page.pdf().startswith(b"%PDF")


def test_dashboards_are_reached_by_keyboard(browser: Browser, real: tuple[Settings, Path]) -> None:
    with opened(browser, real[1], hash_="#cost") as report:
        report.page.locator("[role=tab][aria-selected=true]").focus()
        report.page.keyboard.press("ArrowRight")
        chosen = report.page.locator("[role=tab][aria-selected=true]")
        assert chosen.inner_text() == BOARDS[1].title
        assert chosen.evaluate("node => node === document.activeElement")
        assert report.page.locator("main h2:visible").inner_text() == BOARDS[1].title


def test_every_card_explains_how_it_is_counted(browser: Browser, real: tuple[Settings, Path]) -> None:
    with opened(browser, real[1], hash_="#cost") as report:
        report.page.locator("article[data-card=spend] .how").click()
        said = report.page.locator("dialog[open]").inner_text()
        assert "docs/how-we-count.md#cost" in said
        assert "List price in USD" in said
        report.page.keyboard.press("Escape")
        assert report.page.locator("dialog[open]").count() == 0


def test_titles_stay_text_whatever_they_hold(browser: Browser, tmp_path: Path) -> None:
    settings = dashboard_data.published(tmp_path, dashboard_data.tiny_history())
    path = html.render(settings)
    assert "</script><script>alert" not in path.read_text()
    with opened(browser, path) as report:
        for board in BOARDS:
            report.show(board.key)
        report.show("productivity")
        assert "</script><script>alert('title')" in report.text("latest_sessions")
        assert report.page.locator("main img").count() == 0
        report.show("cost")
        assert "<i>glm</i>" in report.text("spend_by_model")
        report.assert_quiet()


def test_an_empty_history_says_so_on_every_dashboard(browser: Browser, tmp_path: Path) -> None:
    settings = dashboard_data.published(tmp_path, raw_tables.documents([]))
    with opened(browser, html.render(settings), width=390) as report:
        for board in BOARDS:
            report.show(board.key)
            assert report.page.locator("article[data-card][data-rendered=yes]:visible").count() == len(board.cards)
            assert "NaN" not in report.page.locator("main").inner_text()
            assert "undefined" not in report.page.locator("main").inner_text()
        report.assert_quiet()
