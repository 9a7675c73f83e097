"""The README's commands as they are printed there, from a fresh clone on, and a test that none of them is forgotten."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from analytics.settings import PROJECT_ROOT
from journey import Checkout, notebook_is_ready
from mongo_server import Server, free_port
from playwright.sync_api import Browser, Page, expect

# What no journey types, and why.
EXEMPT = {
    "git clone <this repository> && cd claude-code-analytics": "the checkout of these tests is what git would clone",
    "claude-analytics report blocks --live": "goes on for ever",
    "_CLAUDE_ANALYTICS_COMPLETE=fish_source claude-analytics | source": "needs another shell",
    "claude-analytics sync --watch": "goes on for ever; tests/integration/test_sync.py stops it",
    "claude-analytics pipeline --full-backfill": "`make run-daily` is both",
    "claude-analytics pipeline --full-refresh": "`make run-daily` is both",
    "make deploy": "writes the crontab of whoever runs this; tests/integration/test_schedules.py has one of its own",
    "make up": "tests/containers",
    "make up-core": "tests/containers",
    "make clean setup": "would remove the environment that runs this",
    "claude-analytics purge": "removes for good what the other journeys look at; tests/end_to_end/test_privacy.py",
    "make test": "is what runs tests",
    "make test-browser test-journeys test-servers test-containers": "is what runs this",
    "make test-containers": "is what runs tests",
    "make setup-spark": "needs Java; CI runs it",
    "claude-analytics spark build": "needs Java; tests/spark",
    "claude-analytics spark compare": "needs Java; tests/spark",
    "make lint": "CI runs it",
    "make lock": "asks a package index for every version there is",
    "make vendor": "needs npm and its registry",
    "make bench": "takes minutes",
    "make chaos": "takes an hour",
    "make clean": "would remove the environment that runs this",
}
PROGRAMS = ("git", "make", "claude-analytics", "source", r"\.venv/bin/python", "ploomber", "papermill", "dbt", "python")


def readme_commands() -> set[str]:
    """Every command in the README, once without its `[options]` and once with each of them."""
    text = (PROJECT_ROOT / "README.md").read_text()
    blocks = re.findall(r"^    (?:\$ )?(.+?)(?:\s{2,}# .*)?$", text, re.MULTILINE)
    found = set()
    for command in blocks + re.findall(r"`([^`\n]+)`", text):
        if not re.match(rf"([A-Z_]+=\S+ )*({'|'.join(PROGRAMS)}) ", command):
            continue
        command = command.replace("NAME", "analytics_checkpoint")
        plain = re.sub(r" \[-[^]]+\]", "", command)
        found |= {plain, *(f"{plain} {option}" for option in re.findall(r" \[(-[^]]+)\]", command))}
    return found


def test_every_command_of_the_readme_is_in_a_journey_or_says_why_not() -> None:
    typed = {
        node.value
        for path in [Path(__file__).parents[1] / "journey.py", *Path(__file__).parent.glob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    commands = readme_commands()
    assert len(commands) > 50
    assert sorted(commands - typed) == []
    assert sorted(set(EXEMPT) - commands) == []  # what the README no longer says


def test_a_first_run_ends_with_numbers_and_where_to_look(built: Checkout) -> None:
    said = built.first_run
    assert "claude-opus" in said
    assert "sessions in " in said
    assert said.index("make dashboards") < said.index("make lab") < said.index("make docs")
    for place in ("database", "notebooks", "data docs"):
        found = re.search(rf"^{place} +(\S+)$", said, re.MULTILINE)
        assert found is not None
        assert (built.root / found[1]).exists()
    assert "demo data" not in said
    # a user whose PATH lacks the commands can type what is named, too
    named = re.search(r"why: (.+)$", said, re.MULTILINE)
    assert named is not None
    assert named[1] == ".venv/bin/claude-analytics dead-letters list"
    assert "nested too deeply" in built.type(named[1])


def test_a_second_run_has_nothing_to_do(built: Checkout) -> None:
    assert "nothing else to do" in built.type("make pipeline")
    assert "sessions in " in built.type("make report")
    assert "hourly-analytics" in built.type("make status")
    assert "dashboards" in built.type("make")


@pytest.mark.parametrize(
    "command",
    [
        "claude-analytics report",
        "claude-analytics report daily --since 7d",
        "claude-analytics report daily --fresh",
        "claude-analytics report session --limit 10",
        "claude-analytics report tool --project my-app",
        "claude-analytics report blocks --since today",
        "claude-analytics report waste --json",
        "claude-analytics report daily --since 2026-04-20 --until 2026-04-24",
        "claude-analytics report model --since 2026-02-01 --until 2026-02-28",
        "claude-analytics report monthly --compare",
        "claude-analytics report machine",
        "claude-analytics report limits",
        "claude-analytics report session 3f1c",
        "claude-analytics projects",
        "claude-analytics prices",
        "claude-analytics config",
        "claude-analytics load --stats",
        "make deploy ARGS=--print",
        'make report ARGS="daily --since 7d"',
        "make truth PROJECTS=~/.claude/projects",
        ".venv/bin/python -c \"import duckdb; print(duckdb.connect('data/analytics.db', read_only=True)"
        ".sql('from marts.dim_sessions'))\"",
    ],
)
def test_what_only_looks(command: str, built: Checkout) -> None:
    assert built.type(command).strip()


def test_json_goes_through_jq(built: Checkout) -> None:
    command = "claude-analytics report monthly --since 2026-04-01 --json | jq -r '.rows[] | [.month, .cost_usd] | @tsv'"
    if shutil.which("jq"):
        assert re.search(r"^2026-\d\d\t[\d.]+$", built.type(command), re.MULTILINE)
    rows = json.loads(built.type(command.partition(" |")[0]))["rows"]
    assert all({"month", "cost_usd"} <= set(row) for row in rows)


def test_dashboards_open_in_the_browser(built: Checkout, page: Page) -> None:
    with built.opened("make dashboards", port=free_port()) as address:
        page.goto(address)
        expect(page.locator("body")).to_contain_text("Most expensive days")
        expect(page.locator("body")).not_to_contain_text("demo data")


def test_the_documentation_works_twice(built: Checkout, page: Page) -> None:
    for _ in range(2):
        with built.started("make docs", until=r"dbt docs: (http://\S+/)", PORT=str(free_port())) as address:
            page.goto(f"{address}#!/model/model.claude_code_analytics.dim_sessions")
            types = page.locator("table").filter(has_text="session_id").first
            expect(types).to_contain_text("VARCHAR", ignore_case=True, timeout=30_000)


@pytest.fixture(scope="module")
def demo(checkout: Checkout) -> Iterator[str]:
    """What `make demo` prints."""
    return checkout.type("make demo", ARGS="--entries 3000")


def test_the_demo_and_what_it_names(demo: str, checkout: Checkout, page: Page) -> None:
    named = re.findall(r"make demo-\w+", demo)
    assert sorted(named) == ["make demo-dashboards", "make demo-docs", "make demo-lab"]
    assert "demo data" in demo
    assert "demo data" in checkout.type("make demo-report")
    with checkout.opened("make demo-dashboards", port=free_port()) as address:
        page.goto(address)
        expect(page.locator("body")).to_contain_text("demo data", ignore_case=True)
    with checkout.opened("make demo-lab", port=free_port()) as address:
        page.goto(address)
        notebook_is_ready(page)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        expect(page.locator(".jp-OutputArea").first).to_contain_text("demo data", timeout=60_000)
        page.keyboard.press("Control+s")
    with checkout.started("make demo-docs", until=r"dbt docs: (http://\S+/)", PORT=str(free_port())) as address:
        page.goto(address)
        expect(page.locator("body")).to_contain_text("marts", timeout=30_000)


def test_one_stage_at_a_time(built: Checkout) -> None:
    built.write_session("by-hand")
    for command, said in {
        "claude-analytics extract": "1 documents stored",
        "claude-analytics extract --full-backfill": "nothing new",
        "claude-analytics load": "loaded",
        "claude-analytics transform": "models",
        'claude-analytics transform --models "+fct_messages"': "models",
        "claude-analytics validate": "0 failed",
        "claude-analytics validate --checkpoint analytics_checkpoint": "0 failed",
        "claude-analytics publish": "published version",
        "claude-analytics load --full-refresh": "loaded",
        "claude-analytics transform --full-refresh": "full refresh",
        "claude-analytics publish --rollback": "",
    }.items():
        assert said in built.type(command)


def test_runs_of_everything(built: Checkout) -> None:
    assert "succeeded" in built.type("ANALYTICS_TZ=Europe/Berlin make pipeline")
    assert "succeeded" in built.type("make run-daily")
    assert "nothing else to do" in built.type("claude-analytics pipeline")


def test_a_collection_is_filled_and_compared(built: Checkout, tmp_path: Path) -> None:
    server = Server(tmp_path / "storage")
    server.start()
    try:
        for command in ("claude-analytics sync", "claude-analytics sync --create-index", "claude-analytics reconcile"):
            assert built.type(command, MONGO_URI=server.uri).strip()
    finally:
        server.kill()


def sessions(path: Path) -> int:
    """Sessions in a published database."""
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.sql("select count(*) from marts.dim_sessions").fetchone()
    assert row is not None
    return int(row[0])


def test_the_demo_leaves_the_real_thing_alone(built: Checkout, demo: str) -> None:
    assert sessions(built.data_dir / "demo" / "analytics.db") != sessions(built.data_dir / "analytics.db")
    assert not list((built.data_dir / "runs").glob("*-demo"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()
