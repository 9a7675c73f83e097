"""The command line as a user has it: a process of its own, its environment, its exit code."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

# Settings of the person who runs the tests must not leak into them.
SETTINGS = (
    "SOURCE",
    "MONGO_",
    "CLAUDE_PROJECTS_DIR",
    "DATA_DIR",
    "DUCKDB_PATH",
    "ANALYTICS_",
    "PRICING_",
    "DBT_",
    "ALERT_",
)


# Commands in one process, each behind a line that names it: starting one takes most of the time.
DRIVER = """
import json, sys
from analytics.cli import cli

for arguments in json.loads(sys.argv[1]):
    print("\\x00", json.dumps(arguments), sep="", flush=True)
    try:
        cli.main(arguments, standalone_mode=False)
    except SystemExit as end:
        assert not end.code, arguments
"""


@dataclass
class Workspace:
    """A folder with a DATA_DIR of its own, and the settings to run commands with."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)  # what commands wrote to a terminal

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def published(self) -> Path:
        return self.data_dir / "analytics.db"

    def run(self, *arguments: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        """`claude-analytics ARGUMENTS` in this folder, `env` on top of its settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        return subprocess.run(
            [sys.executable, "-m", "analytics.cli", *arguments],
            cwd=self.root,
            env={**inherited, "DATA_DIR": str(self.data_dir), **self.env, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def pipeline(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A run that must succeed."""
        done = self.run("pipeline", *arguments, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def on_a_terminal(self, *commands: list[str], columns: int = 100) -> dict[str, str]:
        """What each command writes to a terminal, standard error with it. They must succeed."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(commands)],
            cwd=self.root,
            env={**inherited, "DATA_DIR": str(self.data_dir), **self.env},
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
        text = written.decode().replace("\r\n", "\n")
        assert process.wait() == 0, text[-3000:]
        parts = text.split("\x00")[1:]
        said = {" ".join(words): part.partition("\n")[2] for words, part in zip(commands, parts, strict=True)}
        self.said |= said
        return said

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published database."""
        with duckdb.connect(str(self.published.resolve()), read_only=True) as connection:
            return connection.sql(sql).fetchall()

    def runs(self) -> list[dict[str, Any]]:
        """run.json of every run, oldest first."""
        return [json.loads(path.read_text()) for path in sorted(self.data_dir.glob("runs/*/run.json"))]


def is_alive(pid: int) -> bool:
    """Whether that process runs; one that only waits to be noticed by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def marts(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all marts in a fixed order, without what only says when the build was made."""
    with duckdb.connect(str(database.resolve()), read_only=True) as connection:
        names = connection.sql(
            "select table_name from duckdb_tables() where schema_name = 'marts' order by table_name"
        ).fetchall()
        found = {name: connection.sql(f"select * from marts.{name} order by all").fetchall() for (name,) in names}
    found["agg_data_quality"] = [row for row in found["agg_data_quality"] if row[0] != "published_at"]
    return found
