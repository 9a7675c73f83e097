"""Debian's Chromium, driven by Playwright; no browser is downloaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

_CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium(who_looks: str) -> Iterator[Browser]:
    """The browser, until the block ends. Where it is not installed the test is skipped and says `who_looks`."""
    if not _CHROMIUM.exists():
        pytest.skip(f"no {_CHROMIUM}: apt-get install -y chromium ({who_looks})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=_ARGUMENTS)
        expect.set_options(timeout=20_000)  # not 5 s: it shares two cores with servers, kernels and other tests
        yield browser
        browser.close()
