"""A checkout of its own, a home of its own, one built history: what a user has after the README's first commands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chromium import chromium
from hostile import write_hostile_projects
from journey import HOSTILE_DAY, Checkout
from playwright.sync_api import Browser
from transcript_generator import generate


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose Claude Code has transcripts: a generated history, and two sessions of hostile texts."""
    home = tmp_path_factory.mktemp("home")
    projects = home / ".claude" / "projects"
    generate(projects, seed=3, entries=3_000, days=90, end=datetime(2026, 11, 20, 15, tzinfo=UTC), hostile=True)
    write_hostile_projects(projects, HOSTILE_DAY)
    return home


@pytest.fixture(scope="session")
def checkout(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A fresh clone, with the environment that is installed here."""
    return Checkout.copy(tmp_path_factory.mktemp("clone") / "claude-code-analytics", home)


@pytest.fixture(scope="session")
def built(checkout: Checkout) -> Checkout:
    """The checkout after `make pipeline`."""
    checkout.write_session("3f1c")
    checkout.first_run = checkout.type("make pipeline")
    return checkout


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; no browser is downloaded."""
    with chromium("journeys look at pages") as browser:
        yield browser
