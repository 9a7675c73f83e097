"""The compose stack as `make up-core` starts it, in podman, on a folder of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from analytics.operations.container_env import write_env
from analytics.settings import PROJECT_ROOT
from dotenv import dotenv_values
from transcript_generator import generate

IMAGE = "claude-code-analytics"
SECONDS_TO_START = 180

# What a shell, podman and an installer need; nothing of the settings of whoever runs the tests.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR") if name in os.environ}

FIGURES: list[str] = []


def say(line: str) -> None:
    """A line for the end of the report: figures are part of what this is for."""
    FIGURES.append(line)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(condition: Callable[[], object], what: str, seconds: float = SECONDS_TO_START) -> float:
    """Wait until `condition` holds; returns the seconds it took.

    Raises:
        AssertionError: it does not within `seconds`.
    """
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - started


@dataclass
class Stack:
    """Services of docker-compose.yml under a project name of this checkout; `close` leaves nothing behind."""

    profiles: tuple[str, ...] = ()
    override: str | None = None
    sessions: set[str] = field(default_factory=set)  # written to the transcripts so far
    started: float = 0.0  # time.monotonic() when the services were started
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="claude-analytics-", dir="/var/tmp")))

    def __post_init__(self) -> None:
        self.project = f"analytics-test-{hashlib.sha256(str(PROJECT_ROOT).encode()).hexdigest()[:8]}"
        self.projects = self.folder / "projects"
        self.data = self.folder / "data"
        self.jupyter_port, self.docs_port = free_port(), free_port()
        values = {
            "HOST_DATA_DIR": self.data,
            "HOST_CLAUDE_PROJECTS_DIR": self.projects,
            "JUPYTER_PORT": self.jupyter_port,
            "DOCS_PORT": self.docs_port,
        }
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        write_env(self.folder / ".env")
        self.values = dotenv_values(self.folder / ".env")
        # before a container needs the names: what an earlier, killed test left
        self.compose("down", "--volumes")

    def write_history(self, seed: int) -> None:
        """A few more synthetic sessions for the containers to read."""
        self.sessions |= set(generate(self.projects, entries=500, days=3, seed=seed).sessions)
        self.owned()

    def owned(self) -> None:
        """Give what was written into the folder to the user of the containers."""
        if os.getuid() == 0:
            owner = f"{self.values['HOST_UID']}:{self.values['HOST_GID']}"
            subprocess.run(["chown", "--recursive", owner, str(self.folder)], check=True)

    def compose(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """podman-compose with the project's own files, and `override` where a test needs another schedule."""
        files = [PROJECT_ROOT / "docker-compose.yml"]
        if self.override:
            (self.folder / "override.yml").write_text(self.override.format(folder=self.folder))
            files.append(self.folder / "override.yml")
        done = subprocess.run(
            [
                "podman-compose",
                f"--env-file={self.folder / '.env'}",
                f"--project-name={self.project}",
                *(f"--file={path}" for path in files),
                *(f"--profile={name}" for name in self.profiles),
                *arguments,
            ],
            cwd=PROJECT_ROOT,
            # `make up-core`: the transcript files
            env={**ENVIRONMENT, "CONTAINER_MONGO_URI": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{self.project}_{service}_1"

    def run(self, service: str, *command: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """A command in a service's container."""
        return podman("exec", *(["--user", user] if user else []), self.container(service), *command)

    def logs(self, service: str) -> str:
        """What a service printed so far."""
        done = podman("logs", self.container(service))
        return done.stdout + done.stderr

    def published(self) -> str:
        """The name of the published version; empty before the first one."""
        path = self.data / "analytics.db"
        return os.readlink(path) if path.is_symlink() else ""

    def health(self, service: str) -> str:
        """Empty when a service's health check passes, else what it says."""
        # no systemd: nobody else runs the checks
        done = podman("healthcheck", "run", self.container(service))
        return "" if done.returncode == 0 else done.stdout + done.stderr or f"exit code {done.returncode}"

    def close(self) -> None:
        """Stop and remove containers, networks, volumes and the folder."""
        self.compose("down", "--volumes", "--timeout", "5")
        shutil.rmtree(self.folder, ignore_errors=True)


def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """podman with `arguments`; fails are the caller's to look at."""
    return subprocess.run(["podman", *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)
