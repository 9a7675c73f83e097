"""`make lab`: the real server, the real browser, every notebook opened and run, on transcripts of strangers."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from journey import HOSTILE_DAY, Checkout, notebook_is_ready
from mongo_server import free_port
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect

EXPLORE = [
    "00_first_steps",
    "01_cost",
    "02_tools_and_failures",
    "03_sessions_and_prompts",
    "04_code_changes",
    "05_data_quality",
    "06_read_a_session",
    "07_compare_periods",
]
PIPELINE = ["extract", "load", "transform", "validate", "publish"]


@dataclass
class Lab:
    """A JupyterLab that `make lab` started."""

    port: int
    token: str
    checkout: Checkout

    def get(self, path: str, *, token: str | None = None, host: str | None = None) -> tuple[int, str]:
        """Status and body of an address."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}")
        if token:
            request.add_header("Authorization", f"token {token}")
        if host:
            request.add_header("Host", host)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def lab(built: Checkout) -> Iterator[Lab]:
    port = free_port()
    pattern = rf"(http://127\.0\.0\.1:{port}/\S*token=\w+)"
    with built.started("make lab", until=pattern, PORT=str(port), ARGS="--no-browser") as address:
        yield Lab(port, parse_qs(urlsplit(address).query)["token"][0], built)


@dataclass
class Watched:
    """A page and what went on in it that should not."""

    page: Page
    problems: list[str] = field(default_factory=list)


@pytest.fixture
def watched(browser: Browser, lab: Lab) -> Iterator[Watched]:
    """A page of the browser that notes what runs and what is asked of others."""
    context = browser.new_context(viewport={"width": 1500, "height": 1100})
    one = Watched(context.new_page())

    def dialog(box: Dialog) -> None:
        one.problems.append(f"ran {box.message}")
        box.dismiss()

    def request(asked: Request) -> None:
        if urlsplit(asked.url).netloc not in (f"127.0.0.1:{lab.port}", "") and not asked.url.startswith("data:"):
            one.problems.append(f"asked for {asked.url}")

    def console(message: ConsoleMessage) -> None:
        if "alert" in message.text:
            one.problems.append(message.text)

    context.on("request", request)
    one.page.on("dialog", dialog)
    one.page.on("console", console)
    yield one
    context.close()


def open_notebook(page: Page, lab: Lab, path: str) -> None:
    page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/{path}?token={lab.token}&reset")
    notebook_is_ready(page)


def run_all(page: Page, lab: Lab, path: str) -> list[dict[str, Any]]:
    """Run every cell as a user does, save, and return the code cells with their outputs."""
    file = lab.checkout.root / path
    before = file.stat().st_mtime_ns
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        page.wait_for_timeout(500)
        page.keyboard.press("Control+s")
        if file.stat().st_mtime_ns == before:
            continue
        try:
            cells = [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]
        except json.JSONDecodeError:
            continue  # while it is being written
        assert [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"] == []
        if all(cell["execution_count"] for cell in cells):
            return cells
    raise AssertionError(f"{path} does not end: {page.locator('.jp-InputPrompt').all_inner_texts()}")


def test_the_contents_are_there_behind_the_token(lab: Lab) -> None:
    for path in [*(f"explore/{name}" for name in EXPLORE), *(f"pipeline/{name}" for name in PIPELINE)]:
        status, body = lab.get(f"api/contents/notebooks/{path}.ipynb", token=lab.token)
        assert status == 200, body
        assert json.loads(body)["content"]["cells"]
    assert lab.get("api/contents/notebooks")[0] == 403
    assert lab.get("api/contents/notebooks", token=lab.token, host="evil.example")[0] == 403


@pytest.mark.parametrize("name", EXPLORE)
def test_an_exploration_notebook_runs(name: str, lab: Lab, watched: Watched) -> None:
    path = f"notebooks/explore/{name}.ipynb"
    open_notebook(watched.page, lab, path)
    run_all(watched.page, lab, path)
    tables = watched.page.locator(".jp-OutputArea table.dataTable")
    expect(tables.first).to_be_visible()
    assert active(watched.page) == []
    assert watched.problems == []


@pytest.mark.parametrize("name", PIPELINE)
def test_a_stage_runs(name: str, lab: Lab, watched: Watched) -> None:
    path = f"notebooks/pipeline/{name}.ipynb"
    open_notebook(watched.page, lab, path)
    cells = run_all(watched.page, lab, path)
    assert f"state in {lab.checkout.data_dir}" in json.dumps(cells)
    assert active(watched.page) == []
    assert watched.problems == []


def active(page: Page) -> list[str]:
    """What stands in outputs and could act."""
    found = "[onerror], [onload], meta, base, iframe, object, embed, form, a[href^=javascript], svg svg, svg script"
    inside = ", ".join(f".jp-OutputArea-output {one.strip()}" for one in found.split(","))
    return page.eval_on_selector_all(inside, "all => all.map(one => one.outerHTML.slice(0, 200))")


def choose_day(page: Page, day: str) -> None:
    """Choose it in the notebook of sessions, and run the cells below."""
    page.locator(".widget-datepicker input").fill(day)
    page.locator(".widget-datepicker input").press("Enter")
    page.locator(".jp-MarkdownCell h2:visible").filter(has_text="The sessions of that day").click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run Selected Cell and All Below").click()


def test_choices_tables_and_variables_are_used_by_hand(lab: Lab, watched: Watched) -> None:
    """A day and a session are chosen, the cells below run again on them; a table is searched and sorted."""
    page = watched.page
    path = "notebooks/explore/03_sessions_and_prompts.ipynb"
    open_notebook(page, lab, path)
    run_all(page, lab, path)
    last = page.locator(".jp-OutputArea .dt-container").last
    choose_day(page, "2026-11-20")
    # it shows the newest day by itself: what follows must not take that for its own
    expect(last.locator("tbody tr").first).not_to_contain_text(HOSTILE_DAY, timeout=30_000)
    choose_day(page, HOSTILE_DAY)
    chosen = page.locator(".widget-dropdown select")
    expect(chosen.locator("option").first).to_contain_text("<img src=x onerror", timeout=30_000)
    expect(chosen.locator("option")).to_have_count(2)
    # its identifier holds quotes, and it was bound: its prompts are there
    expect(last.locator("tbody tr").first).to_contain_text(HOSTILE_DAY, timeout=30_000)
    # until all cells below have run, "last" is another table, or one that gives way to a new one
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle", timeout=30_000)
    expect(page.locator(".jp-OutputArea .dt-container")).to_have_count(3)
    page.locator(".jp-OutputArea input[type=search]").last.fill("no such text")
    expect(last.locator("tbody")).to_contain_text("No matching records")
    page.locator(".jp-OutputArea input[type=search]").last.fill("")
    heading = last.locator("thead th").filter(has_text="output_tokens").first
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert active(page) == []
    assert watched.problems == []


def test_nothing_of_others_is_offered(lab: Lab, watched: Watched) -> None:
    """No button that uploads a notebook, no question about news, no file of the checkout changed by looking."""
    open_notebook(watched.page, lab, "notebooks/explore/00_first_steps.ipynb")
    watched.page.wait_for_timeout(2_000)  # the prompt for news comes late
    body = watched.page.locator("body")
    expect(body).not_to_contain_text("Share Notebook")
    expect(body).not_to_contain_text("Jupyter news")
    assert watched.page.locator(".Toastify__toast").count() == 0
    assert watched.problems == []
