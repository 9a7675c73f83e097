"""Every page that the workspace writes, from transcripts whose every field wants to run something.

Without it a tool's name could read what is on the reader's disk, or send it away, the moment a page is opened."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from command_line import Workspace
from hostile import write_hostile_projects
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Request

# What a page of ours never holds, whatever the policy would stop.
ACTIVE = "meta[http-equiv=refresh], base, iframe, object, embed, form[action], a[href^=javascript], [onerror], [onload]"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Hostile transcripts after a scheduled run, its pages and the dashboards written."""
    root = tmp_path_factory.mktemp("hostile")
    write_hostile_projects(root / "projects")
    space = Workspace(root, {"CLAUDE_PROJECTS_DIR": str(root / "projects"), "SOURCE": "jsonl"})
    for command in (["worker", "adhoc-analytics"], ["dashboards", "html"]):
        done = space.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return space


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
    policy = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    if "default-src 'none'" not in (policy or ""):
        problems.append(f"policy {policy}")
    page.close()
    return problems


def test_nothing_runs_on_any_page(workspace: Workspace, browser: Browser) -> None:
    pages = sorted(workspace.data_dir.rglob("*.html"))
    names = {path.relative_to(workspace.data_dir).parts[0] for path in pages}
    assert {"runs", "data_docs"} <= names
    assert any("<img src=x" in path.read_text() or "&lt;img src=x" in path.read_text() for path in pages)
    found = {path.relative_to(workspace.data_dir).as_posix(): seen_on(path, browser) for path in pages}
    assert {name: problems for name, problems in found.items() if problems} == {}


def on_a_terminal(workspace: Workspace, *arguments: str) -> str:
    """What a command writes to a terminal of 100 columns, standard error with it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", *arguments],
        cwd=workspace.root,
        env={
            **os.environ,
            "DATA_DIR": str(workspace.data_dir),
            **workspace.env,
            "ALERT_COMMAND": "a\x1b[2J\x9b8m\u202e",
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the last writer is gone
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert process.wait() == 0, written
    return written.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ["report"],
        *(["report", name] for name in ("daily", "session", "project", "model", "tool", "blocks", "waste")),
        ["report", "tool", "--json"],
        ["report", "session", "--csv"],
        ["doctor"],
        ["dead-letters", "list"],
        ["config"],
        ["status"],
        ["iceberg", "info"],
    ],
    ids=" ".join,
)
def test_a_terminal_is_told_nothing(workspace: Workspace, arguments: list[str]) -> None:
    written = on_a_terminal(workspace, *arguments)
    text = re.sub(r"\x1b\[[01]m", "", written.replace("\r\n", "\n"))
    assert text.strip()
    assert [char for char in text if not char.isprintable() and char != "\n"] == []


def test_a_spreadsheet_gets_no_formula(workspace: Workspace) -> None:
    for name in ("tool", "session", "project", "model"):
        written = workspace.run("report", name, "--csv").stdout
        cells = re.split(r"[,\n]", written)
        assert not [
            cell for cell in cells if re.match(r"""["']?=1\+1""", cell) and not cell.lstrip('"').startswith("'")
        ]
