"""A week of the schedules on a clock that is simulated: what must stay flat for the schedules to run for years.

    python benchmarks/bench_week.py --json out.json
    python benchmarks/bench_week.py --entries 100000 --per-day 2000

Transcripts grow hour by hour as they would on a person's machine. Every hour runs `hourly-analytics`, every night
`daily-full-refresh` with its maintenance, as `claude-analytics worker` runs them, but with the stages called directly
instead of through notebooks, which cost the same every time. A week of the raw tables alone goes before, so that
snapshots are as many as their retention allows when the measured week begins.

What counts: files, snapshots and manifests after a night (aim: no growth over the week but one file a day), missing
files and lost documents (aim: none, ever), and the processor time of hourly and daily runs (aim: no growth beyond that
of the history).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

DAY = timedelta(days=1)

ZONES = ("UTC", "America/Los_Angeles", "Asia/Tokyo", "America/New_York")


class Clock:
    """A clock that goes on by itself and can be set; PyIceberg and everything here read it."""

    def __init__(self, at: datetime) -> None:
        self.set(at)

    def set(self, at: datetime) -> None:
        """It is `at` now."""
        self._base, self._since = at.timestamp(), time.monotonic()

    def time(self) -> float:
        """In the place of `time.time`."""
        return self._base + time.monotonic() - self._since

    @contextlib.contextmanager
    def running(self) -> Iterator[Clock]:
        """Simulate the time for a block."""
        with mock.patch.object(time, "time", self.time):
            yield self


class Feed:
    """Transcripts of a finished history that grow again, line by line, as time passes."""

    def __init__(self, history: Path, target: Path) -> None:
        self._files = [(target / path.relative_to(history), *self._read(path)) for path in history.rglob("*.jsonl")]
        self._given = [0] * len(self._files)

    @staticmethod
    def _read(path: Path) -> tuple[list[bytes], list[float]]:
        """Lines and, ascending, when each was written; a line without a time came with the one before it."""
        import orjson

        lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()]
        times: list[float | None] = []
        newest: float | None = None
        for line in lines:
            text = orjson.loads(line).get("timestamp")
            if text:
                newest = max(newest or 0.0, datetime.fromisoformat(text).timestamp())
            times.append(newest)
        first = next((at for at in times if at is not None), 0.0)
        return lines, [first if at is None else at for at in times]

    def until(self, at: datetime) -> int:
        """Append everything that was written up to `at` -> number of lines."""
        appended = 0
        for number, (path, lines, times) in enumerate(self._files):
            end = bisect_right(times, at.timestamp())
            if end == self._given[number]:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as stream:
                stream.writelines(lines[self._given[number] : end])
            appended += end - self._given[number]
            self._given[number] = end
        return appended

    @property
    def lines(self) -> int:
        """Lines given so far."""
        return sum(self._given)


@dataclass(frozen=True)
class Ran:
    """One run."""

    at: datetime
    deployment: str
    outcome: str
    documents: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class State:
    """What there is at one moment."""

    rows: int
    files: int  # data files of the newest snapshots
    snapshots: int
    manifests: int  # of the newest snapshots: every run reads them
    files_on_disk: int  # everything below DATA_DIR/iceberg
    iceberg_mb: float
    database_mb: float
    data_dir_mb: float
    run_folders: int
    versions: int
    missing: int  # files that a retained snapshot refers to and that are gone


@dataclass
class Day:
    """One simulated day."""

    day: str
    runs: list[Ran] = field(default_factory=list)
    before_night: State | None = None
    after_night: State | None = None


class Simulation:
    """A DATA_DIR, the clock and the transcripts of one replay."""

    def __init__(self, root: Path, history: Path, start: datetime, **settings: Any) -> None:
        from analytics.settings import load_settings

        values = {
            "source": "jsonl",
            "data_dir": root / "data",
            "claude_projects_dir": root / "projects",
            "machine_name": "bench",
        }
        self.settings = load_settings(**{**values, **settings})
        self.settings.projects_dirs[0].mkdir(parents=True, exist_ok=True)
        self.clock = Clock(start)
        self.feed = Feed(history, self.settings.projects_dirs[0])
        self.now = start
        self._stamped: set[str] = set()

    def replay(self, days: int, *, raw_only: bool = False, hours: range = range(24)) -> Iterator[Day]:
        """Run the schedules for some days from where the clock stands; each day as it ends.

        Args:
            raw_only: extract and maintain only.
            hours: of each day, when the hourly deployment runs; the nightly one follows that of two o'clock.
        """
        for _ in range(days):
            day = Day(f"{self.now:%Y-%m-%d}")
            for hour in hours:
                self.clock.set(self.now.replace(hour=hour))
                self.feed.until(self.now.replace(hour=hour))
                day.runs.append(self._run("hourly-analytics", raw_only))
                if hour == 2:
                    day.before_night = self.state()
                    planned = self._planned()
                    day.runs.append(self._run("daily-full-refresh", raw_only))
                    gone = [path for path in planned if not path.exists()]
                    if gone:
                        raise RuntimeError(f"{len(gone)} files went under a reader, such as {gone[0]}")
                    day.after_night = self.state()
            self.now += DAY
            yield day

    def _run(self, name: str, raw_only: bool) -> Ran:
        from analytics.operations.deployments import run_deployment
        from analytics.operations.schedules import load_schedules
        from analytics.runs import pipeline

        schedules = load_schedules()

        def build(settings: Any, record: Any, watch: Any) -> None:
            run_stages(settings, record, raw_only=raw_only)

        at = datetime.fromtimestamp(self.clock.time(), UTC)
        started, cpu = time.perf_counter(), time.process_time()
        with self.clock.running(), mock.patch.object(pipeline, "_build", build):
            run = run_deployment(self.settings, schedules.deployment(name), schedules.retry, say=lambda line: None)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        self._stamp()
        return Ran(at, name, run.outcome, run.stage("extract").result.get("documents_stored", 0), seconds, cpu_seconds)

    def _stamp(self) -> None:
        """Give the files that are new the simulated time: the kernel has its own clock."""
        at = self.clock.time()
        for path in _files(self.settings.warehouse_dir):
            if path not in self._stamped:
                os.utime(path, (at, at))
                self._stamped.add(path)

    def _tables(self) -> list[Any]:
        from analytics.raw.store import RawStore

        store = RawStore(self.settings)
        return [store.conversations, store.dead_letters]

    def days(self) -> set[Any]:
        """Days that raw.conversations is partitioned into."""
        table = self._tables()[0]
        return {row["partition"]["date"] for row in table.inspect.partitions().select(["partition"]).to_pylist()}

    def needed(self) -> set[Path]:
        """Every file that some retained snapshot takes to read."""
        return {path for table in self._tables() for snapshot in table.snapshots() for path in _needed(table, snapshot)}

    def _planned(self) -> list[Path]:
        """What a reader that begins now is going to read."""
        return [path for table in self._tables() for path in _data_files(table, table.current_snapshot())]

    def state(self) -> State:
        """What there is now."""
        tables = self._tables()
        newest = [(table, snapshot) for table in tables if (snapshot := table.current_snapshot()) is not None]
        iceberg = list(_files(self.settings.warehouse_dir))
        published = self.settings.published_path
        return State(
            rows=sum(int(snapshot.summary["total-records"]) for _, snapshot in newest),
            files=sum(len(_data_files(table, snapshot)) for table, snapshot in newest),
            snapshots=sum(len(table.metadata.snapshots) for table in tables),
            manifests=sum(len(snapshot.manifests(table.io)) for table, snapshot in newest),
            files_on_disk=len(iceberg),
            iceberg_mb=_megabytes(iceberg),
            database_mb=published.stat().st_size / 1e6 if published.exists() else 0.0,
            data_dir_mb=_megabytes(_files(self.settings.data_dir)),
            run_folders=len(list(self.settings.runs_dir.glob("*/run.json"))),
            versions=len(list(self.settings.versions_dir.glob("*.db"))),
            missing=sum(not path.exists() for path in self.needed()),
        )


def run_stages(settings: Any, record: Any, *, raw_only: bool = False) -> None:
    """What the notebooks call, with the entries that `run.json` gets from them."""
    from analytics.quality.validate import validate
    from analytics.raw.extract import extract
    from analytics.warehouse.load import load
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform

    full_refresh = record.parameters["full_refresh"]
    work = {
        "extract": lambda: extract(settings, full_backfill=record.parameters["full_backfill"], progress=False),
        "load": lambda: load(settings, full_refresh=full_refresh),
        "transform": lambda: transform(settings, full_refresh=full_refresh),
        "validate": lambda: validate(settings),
        "publish": lambda: publish(settings),
    }
    for name, call in work.items():
        stage = record.stage(name)
        started = time.monotonic()
        has_work = name in ("extract", "load", "publish") or settings.build_path.exists()
        if not has_work or (raw_only and name != "extract"):
            stage.status = "skipped"
            continue
        result = call()
        stage.duration_seconds = round(time.monotonic() - started, 3)
        stage.status = "skipped" if getattr(result, "nothing_new", False) else "succeeded"
        stage.summary = str(result)
        plain = {key: value for key, value in asdict(result).items() if isinstance(value, int | float | str)}
        stage.result = plain


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            yield os.path.join(folder, name)


def _megabytes(paths: Any) -> float:
    """Size of all files, links not followed and a file with two names once."""
    status = [os.lstat(path) for path in paths]
    return sum({(item.st_dev, item.st_ino): item.st_size for item in status}.values()) / 1e6


def _path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


def _data_files(table: Any, snapshot: Any) -> list[Path]:
    manifests = snapshot.manifests(table.io) if snapshot else []
    return [_path(e.data_file.file_path) for m in manifests for e in m.fetch_manifest_entry(table.io)]


def _needed(table: Any, snapshot: Any) -> Iterator[Path]:
    """Every file that reading `snapshot` takes."""
    yield _path(snapshot.manifest_list)
    if _path(snapshot.manifest_list).exists():
        for manifest in snapshot.manifests(table.io):
            yield _path(manifest.manifest_path)
        yield from _data_files(table, snapshot)


def make_history(root: Path, start: datetime, days: int, *, entries: int, per_day: int) -> int:
    """A history below `root`: `entries` in the 60 days before `start`, `per_day` for `days` after it -> documents.

    A team in four time zones: somebody works at nearly every hour.
    """
    from transcript_generator import generate

    documents = 0
    for seed, zone in enumerate(ZONES):
        older = generate(root, seed=seed, entries=entries // len(ZONES), days=60, end=start, timezone=zone)
        end = start + days * DAY
        newer = generate(root, seed=seed + 100, entries=per_day * days // len(ZONES), days=days, end=end, timezone=zone)
        documents += older.documents + newer.documents
    return documents


def row(day: Day) -> dict[str, Any]:
    """The figures of one day."""
    hourly = [run for run in day.runs if run.deployment == "hourly-analytics"]
    idle = [run for run in hourly if not run.documents]
    busy = [run for run in hourly if run.documents]
    nightly = [run for run in day.runs if run.deployment != "hourly-analytics"]
    assert day.before_night is not None
    assert day.after_night is not None

    def middle(runs: list[Ran], name: str) -> float | None:
        return statistics.median(getattr(run, name) for run in runs) if runs else None

    return {
        "day": day.day,
        "busy_hours": len(busy),
        "documents": sum(run.documents for run in day.runs),
        "failed": sum(run.outcome not in ("succeeded", "nothing_new") for run in day.runs),
        "before_night": asdict(day.before_night),
        "after_night": asdict(day.after_night),
        "idle_seconds": middle(idle, "seconds"),
        "idle_cpu_seconds": middle(idle, "cpu_seconds"),
        "busy_seconds": middle(busy, "seconds"),
        "busy_cpu_seconds": middle(busy, "cpu_seconds"),
        "nightly_seconds": middle(nightly, "seconds"),
        "nightly_cpu_seconds": middle(nightly, "cpu_seconds"),
    }


HEADER = (
    "day         busy   docs     rows     files  snap-   mani-  on disk  iceberg  database  data dir  runs  vers  "
    "idle cpu  busy cpu  night cpu  missing\n"
    "           hours                 eve/night  shots   fests    files       MB        MB        MB   kept  kept"
    "         s         s          s    files"
)


def line(figures: dict[str, Any]) -> str:
    """One row of the table."""
    eve, night = figures["before_night"], figures["after_night"]

    def seconds(name: str, width: int) -> str:
        value = figures[name]
        return f"{'-':>{width}}" if value is None else f"{value:>{width}.2f}"

    return (
        f"{figures['day']}  {figures['busy_hours']:>4} {figures['documents']:>6} {night['rows']:>8}"
        f" {eve['files']:>5}/{night['files']:<4} {night['snapshots']:>5} {night['manifests']:>7}"
        f" {night['files_on_disk']:>8} {night['iceberg_mb']:>8.1f} {night['database_mb']:>9.1f}"
        f" {night['data_dir_mb']:>9.1f} {night['run_folders']:>5} {night['versions']:>5}"
        f" {seconds('idle_cpu_seconds', 9)} {seconds('busy_cpu_seconds', 9)} {seconds('nightly_cpu_seconds', 10)}"
        f" {eve['missing'] + night['missing']:>8}"
    )


def main() -> None:
    """Print a row for each day; with --json also write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000, help="of the history there is at the start")
    parser.add_argument("--per-day", type=int, default=1_500, help="entries that come with each day")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--warm-up-days", type=int, default=7, help="days of the raw tables alone before")
    parser.add_argument("--source", choices=["jsonl", "mongodb"], default="jsonl")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    # PyIceberg refuses a snapshot older than its table, and new tables get the kernel's time.
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-week-") as folder:
        root = Path(folder)
        days = options.warm_up_days + options.days
        make_history(root / "history", start, days, entries=options.entries, per_day=options.per_day)
        simulation = Simulation(root, root / "history", start, source=options.source)
        for day in simulation.replay(options.warm_up_days, raw_only=True):
            assert day.after_night is not None
            print(f"{day.day}  raw tables only: {day.after_night.rows} rows, {day.after_night.snapshots} snapshots")
        print(HEADER, flush=True)
        for day in simulation.replay(options.days):
            results.append(row(day))
            print(line(results[-1]), flush=True)
        lost = simulation.feed.lines - simulation.state().rows
    print(f"documents lost: {lost}")
    names = ("files", "snapshots", "manifests", "files_on_disk", "iceberg_mb", "database_mb", "data_dir_mb")
    week = {name: [result["after_night"][name] for result in results] for name in names}
    week |= {
        name: [result[name] for result in results if result[name] is not None]
        for name in (f"{run}_{kind}" for run in ("idle", "busy", "nightly") for kind in ("cpu_seconds", "seconds"))
    }
    growth = {name: values[-1] / values[0] for name, values in week.items() if values and values[0]}
    for name, ratio in growth.items():
        print(f"{name:<22} {week[name][0]:>10,.2f} -> {week[name][-1]:>10,.2f}  x {ratio:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"lost": lost, "growth": growth, "days": results}, indent=1))


if __name__ == "__main__":
    main()
