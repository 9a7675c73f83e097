"""A user's hand: a clone, commands typed in it as the README prints them, and what they start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from analytics.settings import PROJECT_ROOT
from command_line import SETTINGS
from playwright.sync_api import Page, expect

# When the hostile sessions of the journeys' history are: the newest day, which notebooks show when nothing is chosen.
HOSTILE_DAY = "2026-11-21"

# The person who runs the tests has settings of Python, Jupyter and make too.
OWN = (
    *SETTINGS,
    "JUPYTER",
    "MAKE",  # what a make around the tests was told
    "MFLAGS",
    "IPYTHON",
    "XDG_",
    "CLAUDE_",
    "METABASE_",
    "PYTHON",
    "MAKE",
    "MFLAGS",
    "VIRTUAL_ENV",
    "PORT",
)


@dataclass
class Checkout:
    """A copy of this checkout, `.venv` included, and a home folder."""

    root: Path
    home: Path
    first_run: str = field(default="", repr=False)  # what `make pipeline` printed

    @classmethod
    def copy(cls, root: Path, home: Path) -> Checkout:
        """What git would clone, uncommitted changes with it."""
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT_ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, names.split("\0")):
            source = PROJECT_ROOT / name
            if source.is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, root / name)
        (root / ".venv").symlink_to(Path(sys.prefix).resolve())
        for name in ("requirements.lock", "requirements-test.lock", "requirements-uv.lock", "pyproject.toml"):
            os.utime(root / name, (0, 0))  # older than what is installed
        return cls(root, home)

    @property
    def data_dir(self) -> Path:
        """Where everything goes by default."""
        return self.root / "data"

    def environment(self, **more: str) -> dict[str, str]:
        """A user's: no setting of ours, the package of the copy instead of the one installed."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        return {**inherited, "HOME": str(self.home), "PYTHONPATH": str(self.root / "lib"), **more}

    def type(self, command: str, *, code: int = 0, timeout: float = 300, **environment: str) -> str:
        """What a line typed into a terminal prints, standard error with it; it must end with `code`."""
        needs_no_activation = ("make", ".venv/", "ANALYTICS_TZ=")
        before = ":" if command.startswith(needs_no_activation) else "source .venv/bin/activate"
        done = subprocess.run(
            ["bash", "-c", f"{before}; {command}"], cwd=self.root, env=self.environment(**environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def write_session(self, name: str, text: str = "hello") -> None:
        """One more session, with one prompt, in a project `my-app`."""
        path = self.home / ".claude" / "projects" / "-home-me-my-app" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {
            "type": "user",
            "uuid": f"{name}-1",
            "sessionId": name,
            "cwd": "/home/me/my-app",
            "timestamp": "2026-05-01T10:00:00.000Z",
            "message": {"role": "user", "content": text},
        }
        path.write_text(json.dumps(entry) + "\n")

    @contextlib.contextmanager
    def opened(self, command: str, port: int, timeout: float = 90) -> Iterator[str]:
        """A command that opens a browser: the address it gives to that. Ctrl-C ends it."""
        browser = self.root.parent / "browser"
        browser.write_text('#!/bin/sh\necho "opened <$1>"\n')
        browser.chmod(0o700)
        with self.started(command, "opened <(.+)>", timeout, BROWSER=f"{browser} %s", PORT=str(port)) as address:
            yield address

    @contextlib.contextmanager
    def started(self, command: str, until: str, timeout: float = 90, **environment: str) -> Iterator[str]:
        """A command that serves: what `until` (a pattern with one group) found in what it printed. Ctrl-C ends it."""
        log = self.root.parent / f"{re.sub(r'[^a-z]+', '-', command)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                ["bash", "-c", command], cwd=self.root, env=self.environment(**environment), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=stream, start_new_session=True,
            )  # fmt: skip
        try:
            yield _wait_for(until, log, process, timeout)
        finally:
            for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)  # as a terminal does
                try:
                    process.wait(15)
                    break
                except subprocess.TimeoutExpired:
                    continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(until: str, log: Path, process: subprocess.Popen[bytes], timeout: float) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if found := re.search(until, text):
            return found.group(1)
        assert process.poll() is None, f"ended with {process.returncode}:\n{text}"
        time.sleep(0.1)
    raise AssertionError(f"no {until} within {timeout} s:\n{log.read_text(errors='replace')}")


def notebook_is_ready(page: Page) -> None:
    """Wait until JupyterLab shows a notebook whose kernel runs."""
    panel = page.locator(".jp-NotebookPanel:visible")
    expect(panel.locator(".jp-Notebook")).to_be_visible(timeout=60_000)
    expect(panel.locator(".jp-Toolbar-kernelName")).to_contain_text("Python 3", timeout=60_000)
    expect(panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle", timeout=60_000)
