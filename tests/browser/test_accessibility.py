"""The pages by axe-core's rules, in both themes and on a phone. Without this a label, a contrast or a heading could go
missing for who reads with a screen reader or a keyboard, and nobody else would see it.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from web_server import TOKEN, WebServer

pytestmark = pytest.mark.browser

PATHS = (
    "",
    "dashboards/cost?range=all",
    "dashboards/productivity?range=all",
    "dashboards/interaction?range=all",
    "dashboards/projects?range=all",
    "dashboards/quality?range=all",
    "cards/spend_by_day?range=all",
    "compare",
    "runs",
    "cards/expensive_prompts?range=all",
    "sessions",
    "sessions?q=the",
    "edits",
    "no-such-page",
)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(browser: Browser, server: WebServer, theme: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{server.base}?token={TOKEN}")
    found = {}
    page.goto(f"{server.base}sessions?sort=prompts")
    session = (page.locator("table.sessions tbody a").first.get_attribute("href") or "").removeprefix("/analytics/")
    for path in (*PATHS, session, f"{session}/session.html"):
        if path.endswith(".html"):  # a file to keep, shown as a browser would
            page.goto("about:blank")  # away from the policy of the pages
            page.set_content(server.get(path)[1])
        else:
            page.goto(server.base + path)
        expect(page.locator(".body[aria-busy]")).to_have_count(0, timeout=30_000)
        expect(page.locator(".chart:not([data-drawn])")).to_have_count(0, timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is wider than the window"
        violations = Axe().run(page).response["violations"]
        if violations:
            found[path] = [(one["id"], one["nodes"][0]["html"][:200], len(one["nodes"])) for one in violations]
    context.close()
    assert found == {}
