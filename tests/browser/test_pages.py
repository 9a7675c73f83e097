"""Every page that the workspace writes, from transcripts whose every field wants to run something.

Without it a tool's name could read what is on the reader's disk, or send it away, the moment a page is opened."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from analytics.cards.model import load_dashboards
from analytics.warehouse.dbt_docs import confined
from command_line import Workspace
from hostile import formulas
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Request, expect
from web_server import TOKEN, WebServer

# What a page of ours never holds, whatever the policy would stop.
ACTIVE = "meta[http-equiv=refresh], base, iframe, object, embed, form[action], a[href^=javascript], [onerror], [onload]"


def seen_on(path: Path, browser: Browser) -> list[str]:
    """What ran, was asked for, was stopped, or could act on a page."""
    problems: list[str] = []
    page = browser.new_page()

    def dialog(one: Dialog) -> None:
        problems.append(f"ran {one.message}")
        one.dismiss()

    def console(one: ConsoleMessage) -> None:
        if "Security Policy" in one.text:
            problems.append(one.text)

    def request(one: Request) -> None:
        if not one.url.startswith(("file:", "data:")):
            problems.append(f"asked for {one.url}")

    page.on("dialog", dialog)
    page.on("console", console)
    page.on("request", request)
    page.goto(path.as_uri())
    page.wait_for_timeout(150)
    if page.url.partition("#")[0] != path.as_uri():
        problems.append(f"went to {page.url}")
    problems += page.eval_on_selector_all(ACTIVE, "found => found.map(one => one.outerHTML.slice(0, 200))")
    policies = page.eval_on_selector_all(
        "meta[http-equiv=Content-Security-Policy]", "found => found.map(one => one.content)"
    )
    if not any("default-src 'none'" in policy for policy in policies):
        problems.append(f"policies {policies}")
    page.close()
    return problems


def test_nothing_runs_on_any_page(workspace: Workspace, browser: Browser) -> None:
    pages = sorted(workspace.data_dir.rglob("*.html"))
    names = {path.relative_to(workspace.data_dir).parts[0] for path in pages}
    assert {"runs", "data_docs", "dashboards", "dbt"} <= names
    assert any("<img src=x" in path.read_text() or "&lt;img src=x" in path.read_text() for path in pages)
    found = {path.relative_to(workspace.data_dir).as_posix(): seen_on(path, browser) for path in pages}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_dbts_page_works_and_runs_nothing_of_a_description(
    workspace: Workspace, browser: Browser, tmp_path: Path
) -> None:
    """Descriptions are ours; the policy holds whoever writes them."""
    written = (workspace.data_dir / "dbt" / "target" / "static_index.html").read_text()
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", written, count=1)
    described = "Sessions with at least one user or assistant entry"
    acting = free.replace(described, "</script><script>alert(1)</script>")
    ran: dict[str, list[str]] = {"written": [], "acting": [], "confined": []}
    for name, text in (("written", written), ("acting", acting), ("confined", confined(acting))):
        path = tmp_path / f"{name}.html"
        path.write_text(text)
        page = browser.new_page()
        page.on("dialog", lambda one, name=name: (ran[name].append(one.message), one.dismiss()))
        page.goto(f"{path.as_uri()}#!/model/model.claude_code_analytics.dim_sessions")
        if name == "written":
            page.get_by_text(described).first.wait_for()
        page.wait_for_timeout(200)
        page.close()
    assert ran == {"written": [], "acting": ["1"], "confined": []}


@pytest.fixture(scope="module")
def server(workspace: Workspace) -> Iterator[WebServer]:
    """The dashboards of the hostile transcripts."""
    with WebServer(workspace.data_dir) as running:
        yield running


class Acting(HTMLParser):
    """What could act in a page as it is sent."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or re.match(r"(?i)\s*(?:javascript|data|vbscript):(?!,\Z)", value or ""):
                self.found.append(f"<{tag} {name}={value}>")
        given = dict(attrs)
        if tag in ("img", "iframe", "object", "embed", "base") or (tag == "script" and "src" not in given):
            self.found.append(f"<{tag}>")
        if tag == "meta" and "http-equiv" in given:
            self.found.append(f"<meta {given}>")
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))


# Kinds of addresses, and how many of each are looked at by the browser; the others are looked at as they are sent.
SHOWN = {
    r"": 1,
    r"dashboards/\w+": 5,
    r"cards/\w+": 4,
    r"sessions": 2,
    r"sessions/[^/]+": 2,
    r"runs": 1,
    r"runs/[^/]+": 1,
    r"edits|compare|columns": 3,
}
# Pages of others and of notebooks come in a sandbox and may hold pictures; files are no pages.
NOT_OURS = r"runs/[^/]+/\w+\.html|data-docs/.*|.*\.(?:csv|json|png|md|html)|static/.*"


def crawled(server: WebServer) -> dict[str, str]:
    """Address -> text of every page that links lead to, and the parts of pages that scripts ask for."""
    todo = ["", *(f"{path}?range=all" for path in ("sessions", "edits", "compare"))]
    todo += [f"dashboards/{board.key}?range=all" for board in load_dashboards()]
    found: dict[str, str] = {}
    while todo:
        address = todo.pop(0)
        path = address.partition("?")[0]
        if address in found or sum(one.partition("?")[0] == path for one in found) > 3:
            continue
        status, text = server.get(address)
        assert status == 200 or "There is no session" in text, address  # a fork of what was never here
        found[address] = text
        for link in re.findall(r'(?:href|hx-get)="(?:/analytics/)?([^"#]*)', text):
            link = html.unescape(link).replace("+", "%20")
            link = f"{path}{link}" if link.startswith("?") else link
            if not link.startswith(("/", "http", "data:")) and not re.fullmatch(NOT_OURS, link.partition("?")[0]):
                todo.append(link)
    return found


def test_nothing_runs_on_any_page_of_the_server(server: WebServer, browser: Browser) -> None:
    """Every page and part of a page, with something that wants to run in every field that it can show."""
    pages = crawled(server)
    kinds = {re.sub(r"(sessions|runs|branch)/[^/?]+", r"\1/ID", one.partition("?")[0]) for one in pages}
    assert {"", "sessions", "sessions/ID", "sessions/ID/text", "runs/ID", "edits", "compare", "columns"} <= kinds
    assert {f"dashboards/{board.key}" for board in load_dashboards()} <= kinds
    assert {f"cards/{card.key}" for board in load_dashboards() for card in board.cards} <= kinds
    assert sum("onerror=alert" in text for text in pages.values()) > 20
    assert {one: acting for one, text in pages.items() if (acting := Acting(text).found)} == {}

    shown: Counter[str] = Counter()
    context = browser.new_context()
    context.new_page().goto(f"{server.base}?token={TOKEN}")
    problems: dict[str, list[str]] = {}
    for address in pages:
        kind = next((one for one in SHOWN if re.fullmatch(one, address.partition("?")[0])), None)
        shown[str(kind)] += 1
        if kind is not None and shown[kind] <= SHOWN[kind]:
            problems[address] = seen_at(server, context, address)
    assert {address: said for address, said in problems.items() if said} == {}
    context.close()


def seen_at(server: WebServer, context: BrowserContext, address: str) -> list[str]:
    """What ran, was asked of others or could act, once a page has drawn everything and its parts are unfolded."""
    problems: list[str] = []
    page = context.new_page()
    page.on("dialog", lambda one: (problems.append(f"ran {one.message}"), one.dismiss()))
    page.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
    page.on(
        "request",
        lambda one: problems.append(one.url) if not one.url.startswith((server.base[:-10], "data:", "blob:")) else None,
    )
    page.goto(server.base + address)
    expect(page.locator(".body[aria-busy], .chart:not([data-drawn])")).to_have_count(0, timeout=30_000)
    page.eval_on_selector_all("main details", "found => found.slice(0, 20).forEach(one => one.open = true)")
    page.wait_for_timeout(150)
    problems += page.eval_on_selector_all(
        f"main :is({ACTIVE}, img, script), script:not([src])", "found => found.map(one => one.outerHTML.slice(0, 200))"
    )
    page.close()
    return problems


def test_files_of_the_server_hold_nothing_that_acts(server: WebServer) -> None:
    for card in {card.key: card for board in load_dashboards() for card in board.cards}.values():
        status, text = server.get(f"cards/{card.key}.csv?range=all")
        assert status == 200
        assert formulas(text) == []
        assert [char for char in text if not char.isprintable() and char not in "\r\n"] == []
    # a chart's renderer ends the whole process on characters that XML does not allow
    assert server.get("cards/spend_by_project.png?range=all")[0] == 200
    assert server.get("cards/active_hours.png?range=all")[0] == 200
