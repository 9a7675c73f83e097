"""Workspaces whose stages run in processes that can be killed, and how their results are compared."""

from __future__ import annotations

import multiprocessing.process
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from analytics.runs.surroundings import NO_TELEMETRY
from analytics.settings import Settings, load_settings
from faults.stages import perform
from processes import PROCESSES
from pydantic import SecretStr
from transcript_generator import generate

os.environ.update(NO_TELEMETRY)


@dataclass
class Space:
    """A DATA_DIR and transcripts; stages run here, in other processes, and may be killed."""

    root: Path
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return load_settings(
            **{
                "source": "jsonl",
                "data_dir": self.root / "data",
                "claude_projects_dir": self.root / "projects",
                "machine_name": "box",
                **self.overrides,
            }
        )

    def write(self, name: str, *lines: Any, mode: str = "ab", end: bytes = b"\n") -> Path:
        """Append lines to a transcript."""
        path = self.settings.projects_dirs[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = [line if isinstance(line, bytes) else str(line).encode() for line in lines]
        with path.open(mode) as stream:
            stream.write(b"\n".join(encoded) + end)
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, time.time_ns()))
        return path

    @property
    def error_file(self) -> Path:
        return self.root / "error.txt"

    @property
    def peak_file(self) -> Path:
        return self.root / "peak.txt"

    def start(self, stage: str, at: str = "") -> multiprocessing.process.BaseProcess:
        """A process that performs `stage` and kills itself at step `at`."""
        arguments = (stage, self.settings.model_dump(), at, self.error_file, self.peak_file)
        process = PROCESSES.Process(target=perform, args=arguments)
        process.start()
        return process

    def end(self, process: multiprocessing.process.BaseProcess, stage: str) -> int:
        """Its exit code; an exception no user should see fails the test."""
        process.join(300)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"{stage} hangs")
        assert process.exitcode in (0, 1, 2, 3, -signal.SIGKILL), f"{stage}: {self.error_file.read_text()}"
        return process.exitcode

    def attempt(self, stage: str) -> int:
        """Perform `stage`; its exit code."""
        return self.end(self.start(stage), stage)

    def do(self, *stages: str) -> None:
        """Perform stages, each in a process of its own; they must succeed."""
        for stage in stages:
            assert self.attempt(stage) == 0, f"{stage}: {self.error_file.read_text()}"

    def killed(self, stage: str, at: str) -> bool:
        """Perform `stage` with a kill at step `at`; whether the step was reached."""
        code = self.end(self.start(stage, at), stage)
        assert code in (0, -signal.SIGKILL), f"{stage}: {self.error_file.read_text()}"
        return code != 0

    def killed_after(self, stage: str, seconds: float) -> bool:
        """Perform `stage`, killing it from outside after so long; False when it was through before."""
        process = self.start(stage)
        process.join(seconds)
        process.kill()
        code = self.end(process, stage)
        assert code in (0, -signal.SIGKILL), f"{stage}: {self.error_file.read_text()}"
        return code != 0

    def command(self, *arguments: str, fault: str = "") -> subprocess.Popen[bytes]:
        """`claude-analytics ARGUMENTS` in this workspace."""
        values = self.settings.model_dump(exclude_none=True)
        settings = {
            name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
        }
        environment = {**os.environ, **settings, **({"ANALYTICS_FAULT": fault} if fault else {})}
        with self.error_file.open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "analytics.cli", *arguments],
                cwd=self.root,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def save(self, name: str = "saved") -> Path:
        """A copy of everything, to come back to. Paths in it are absolute: it works only in this place."""
        target = self.root.with_name(f"{self.root.name}-{name}")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.root, target, symlinks=True)
        return target

    def restore(self, saved: Path) -> None:
        """Everything as it was saved."""
        shutil.rmtree(self.root)
        shutil.copytree(saved, self.root, symlinks=True)


def take(settings: Settings, **options: Any) -> Any:
    """Extract, by way of `sync` where transcripts are to come through a server."""
    from analytics.raw.extract import extract
    from analytics.sources.sync import sync

    if settings.source == "mongodb" and settings.projects_dirs[0].exists():
        sync(settings, progress=False)
    return extract(settings, progress=False, **options)


def raw_rows(settings: Settings) -> tuple[list[Any], list[Any]]:
    """Rows of both raw tables, sorted, without what says when they were read."""
    from analytics.raw.store import RawStore

    store = RawStore(settings)
    ours = ["extracted_at", "ingested_at"]
    documents = store.conversations.scan().to_arrow().drop_columns(ours).to_pylist()
    dead_letters = store.dead_letters.scan().to_arrow().drop_columns(["first_seen_at"]).to_pylist()
    for document in documents:
        if document["timestamp"] is None:  # it lies on the day it was read
            document["date"] = None
        if settings.source == "mongodb":  # the text has it too
            document["entry"] = _without_time(document["entry"])
    return sorted(documents, key=lambda row: row["_id"]), sorted(dead_letters, key=lambda row: row["dead_letter_id"])


def _without_time(entry: str) -> str:
    head, found, tail = entry.partition('"ingestedAt":"')
    return head + tail.partition('"')[2] if found else entry


def marts(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all marts, sorted, without what says when the build was made."""
    with duckdb.connect(str(database.resolve()), read_only=True) as connection:
        names = connection.sql(
            "select table_name from duckdb_tables() where schema_name = 'marts' order by table_name"
        ).fetchall()
        found = {name: connection.sql(f"select * from marts.{name} order by all").fetchall() for (name,) in names}
        counts = ("conversations", "dead_letters", "redactions")
        for name in counts:
            found[f"raw.{name}"] = connection.sql(f"select count(*) from raw.{name}").fetchall()
    found["agg_data_quality"] = [row for row in found["agg_data_quality"] if row[0] != "published_at"]
    return found


def assert_same(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    """Every table has the same rows; says which has not."""
    assert found.keys() == expected.keys()
    differing = {
        name: ([row for row in rows if row not in expected[name]][:2], [r for r in expected[name] if r not in rows][:2])
        for name, rows in found.items()
        if rows != expected[name]
    }
    assert differing == {}


class History:
    """A workspace with the first half of a history published and the second half waiting to be read."""

    def __init__(self, root: Path, **overrides: Any) -> None:
        generated = root / "generated"
        generate(generated, seed=11, entries=500, days=6, end=datetime(2026, 8, 20, tzinfo=UTC), hostile=True)
        (root / "space").mkdir()
        self.space = Space(root / "space", overrides)
        self.first: list[tuple[str, bytes]] = []
        self.second: list[tuple[str, bytes]] = []
        for path in sorted(generated.rglob("*.jsonl")):
            content = path.read_bytes()
            # cut anywhere, also inside a line
            cut = len(content) * 3 // 5
            name = path.relative_to(generated).as_posix()
            self.first.append((name, content[:cut]))
            self.second.append((name, content[cut:]))
        self.append(self.first)
        self.space.do("extract", "build")
        self.append(self.second)
        self.before = self.space.save()
        self.space.do("run")
        self.raw = raw_rows(self.space.settings)
        self.marts = marts(self.space.settings.published_path)

    def append(self, parts: list[tuple[str, bytes]]) -> None:
        for name, content in parts:
            if content:
                self.space.write(name, content, end=b"")

    def again(self) -> Space:
        """The workspace as it was before the second half was read."""
        self.space.restore(self.before)
        return self.space

    def assert_complete(self) -> None:
        """What is there now is what the run gave that was never killed."""
        settings = self.space.settings
        documents, dead_letters = raw_rows(settings)
        assert documents == self.raw[0]
        assert dead_letters == self.raw[1]
        assert_same(marts(settings.published_path), self.marts)
        assert not settings.build_path.exists()
        leftovers = [path for path in self.space.root.rglob("*.partial*") if path.is_file()]
        assert leftovers == []

    def assert_readable(self) -> None:
        """Readers see the numbers of before or of after, never anything else."""
        now = marts(self.space.settings.published_path)
        if now != self.marts:
            assert_same(now, self.marts_before)

    @property
    def marts_before(self) -> dict[str, list[Any]]:
        return marts(next((self.before / "data" / "versions").glob("*/analytics.db")))
