"""A user's hand: a clone, commands typed in it as the README prints them, and what they start."""

from __future__ import annotations

import contextlib
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

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The person who runs the tests has settings of Python, Jupyter and make too.
OWN = (
    *SETTINGS,
    "JUPYTER",
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
        """A user's: no setting of ours, and the package of the copy instead of the one installed."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        path = f"{self.root / '.venv' / 'bin'}{os.pathsep}{inherited.get('PATH', '')}"
        return {**inherited, "HOME": str(self.home), "PYTHONPATH": str(self.root / "lib"), "PATH": path, **more}

    def run(
        self, *command: str, cwd: Path | None = None, code: int = 0, timeout: float = 300, **environment: str
    ) -> str:
        """What a command prints, standard error with it; it must end with `code`."""
        done = subprocess.run(
            command, cwd=cwd or self.root, env=self.environment(**environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def make(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """What `make ARGUMENTS` prints."""
        return self.run("make", *arguments, code=code, **environment)

    @contextlib.contextmanager
    def started(self, *command: str, until: str, timeout: float = 90, **environment: str) -> Iterator[str]:
        """A command that serves: what `until` (a pattern with one group) found in what it printed. Ctrl-C ends it."""
        log = self.root.parent / f"{re.sub(r'[^a-z]+', '-', ' '.join(command))}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=self.root, env=self.environment(**environment), stdin=subprocess.DEVNULL,
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
