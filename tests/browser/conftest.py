"""The browser, and the pages of a generated history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from analytics.settings import Settings, load_settings
from chromium import chromium
from command_line import Workspace
from hostile import write_hostile_projects
from playwright.sync_api import Browser
from transcript_generator import generate
from web_server import WebServer


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium("browser tests look at the pages") as browser:
        yield browser


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A generated history, published."""
    from analytics.raw.extract import extract
    from analytics.warehouse.load import load
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform

    root = tmp_path_factory.mktemp("pages")
    end = datetime(2026, 11, 20, 15, tzinfo=UTC)
    generate(root / "projects", seed=3, entries=4_000, days=120, end=end, hostile=True)
    settings = load_settings(data_dir=root / "data", claude_projects_dir=root / "projects")
    extract(settings, progress=False)
    load(settings)
    transform(settings, as_of=end)
    publish(settings)
    return settings


@pytest.fixture(scope="session")
def server(history: Settings) -> Iterator[WebServer]:
    with WebServer(history.data_dir) as running:
        yield running


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Hostile transcripts after a run on a terminal; its pages, the dashboards and dbt's documentation written."""
    root = tmp_path_factory.mktemp("hostile")
    write_hostile_projects(root / "projects")
    settings = {"CLAUDE_PROJECTS_DIR": str(root / "projects"), "SOURCE": "jsonl"}
    space = Workspace(root, {**settings, "ALERT_COMMAND": "a\x1b[2J\x9b8m\u202e"})
    space.on_a_terminal(["pipeline"], ["status"], ["dashboards", "html"], ["docs", "--no-serve"])
    return space
