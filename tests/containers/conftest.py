"""An image and a stack for all tests of this folder. Nothing is installed here: tests/containers/prepare does that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from analytics.settings import PROJECT_ROOT

sys.path.insert(0, str(Path(__file__).parent))

from compose_stack import FIGURES, IMAGE, Stack, podman, say

# Every minute, so that a test sees cron start a run; the project's own schedule is the hour.
EVERY_MINUTE = """services:
  scheduler:
    volumes:
      - {folder}/schedules.yaml:/app/schedules.yaml:ro
"""
SCHEDULES = """deployments:
  - name: hourly-analytics
    schedule: "* * * * *"
"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("containers")
        terminalreporter.write_line("\n".join(FIGURES))


@pytest.fixture(scope="session")
def image() -> str:
    """The image, built from this checkout."""
    for program in ("podman", "podman-compose"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed. On Debian, as root: tests/containers/prepare")
    base = re.findall(r"^FROM (\S+)", (PROJECT_ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    full = f"docker.io/library/{base}"
    if podman("image", "exists", full).returncode and podman("pull", "--quiet", full).returncode:
        pytest.skip(f"{base} is not here and no registry has it. On Debian, as root: tests/containers/prepare")
    started = time.monotonic()
    user, group = os.getuid() or 1000, os.getgid() or 1000
    command = [sys.executable, str(PROJECT_ROOT / "docker" / "build.py"), "podman", IMAGE, "--network=host"]
    done = subprocess.run(
        command,
        env={**os.environ, "HOST_UID": str(user), "HOST_GID": str(group)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    say(f"image built in {time.monotonic() - started:.0f} s")
    return IMAGE


@pytest.fixture(scope="session")
def stack(image: str) -> Iterator[Stack]:
    """Scheduler, lab and docs, started as by `make up-core`, with the schedule of every minute."""
    stack = Stack(profiles=("docs",), override=EVERY_MINUTE)
    try:
        (stack.folder / "schedules.yaml").write_text(SCHEDULES)
        stack.write_history(seed=1)
        stack.started = time.monotonic()
        stack.compose("up", "--detach", check=True)
        yield stack
    finally:
        stack.close()
