"""Debian's Chromium, driven by Playwright; no browser is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from analytics.settings import Settings, load_settings
from playwright.sync_api import Browser, sync_playwright
from transcript_generator import generate
from web_server import WebServer

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: apt-get install -y chromium (browser tests look at the pages)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


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
