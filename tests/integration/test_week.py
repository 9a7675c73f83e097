"""Schedules that run for years. What would silently go wrong: tables that grow with every run until each is slow, and
an expiry that takes a file from under a reader."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from analytics.raw.maintenance import GRACE
from analytics.settings import PROJECT_ROOT, Settings

HOURS = range(2, 24, 4)


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """benchmarks/bench_week.py as a module."""
    spec = importlib.util.spec_from_file_location("bench_week", PROJECT_ROOT / "benchmarks" / "bench_week.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_week"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulation(bench: ModuleType, make_settings: Callable[..., Settings], tmp_path: Path) -> Any:
    """A replay that begins tomorrow, snapshots kept for two days and runs by the dozen."""
    make_settings()  # none of this machine's variables
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    bench.make_history(tmp_path / "history", start, 6, entries=1_500, per_day=300)
    return bench.Simulation(tmp_path, tmp_path / "history", start, snapshot_retention_days=2, keep_runs=12)


def data_files(simulation: Any) -> dict[Path, float]:
    """Data files on disk -> hours since they were written, on the simulated clock."""
    now = simulation.clock.time()
    found = simulation.settings.warehouse_dir.rglob("*.parquet")
    return {path: (now - path.stat().st_mtime) / 3600 for path in found}


def test_raw_tables_stay_small_and_lose_nothing(simulation: Any) -> None:
    nights = []
    for day in simulation.replay(6, raw_only=True, hours=HOURS):
        nights.append(day.after_night)
        assert {run.outcome for run in day.runs} == {"nothing_new"}
        assert day.before_night.missing == day.after_night.missing == 0
        # one file of each day there is, and what came since
        assert day.after_night.files <= len(simulation.days()) + 1
        assert day.after_night.manifests < 8 + 8  # of two tables
    assert simulation.state().rows == simulation.feed.lines > 2_000
    runs = len(HOURS) + 1
    assert max(night.snapshots for night in nights) <= 2 * 3 * runs
    assert abs(nights[-1].snapshots - nights[-2].snapshots) <= runs
    assert nights[-1].files_on_disk <= nights[-3].files_on_disk + 3 * runs
    # freed files are deleted: each that is left is needed, or was written within the grace period
    kept = simulation.needed()
    left = {path: age for path, age in data_files(simulation).items() if path not in kept}
    assert all(age < GRACE.total_seconds() / 3600 + 24 for age in left.values()), left


@pytest.mark.slow
def test_whole_runs_keep_versions_and_folders_within_their_limits(simulation: Any) -> None:
    for _ in simulation.replay(2, raw_only=True, hours=HOURS):
        pass
    (day,) = simulation.replay(1, hours=range(2, 24, 16))
    assert "succeeded" in {run.outcome for run in day.runs}
    assert {run.outcome for run in day.runs} <= {"succeeded", "nothing_new"}
    state = simulation.state()
    assert state.missing == 0
    assert state.versions <= 3
    assert state.run_folders == 12
    assert len(os.listdir(simulation.settings.runs_dir)) == 13  # and their index
    assert state.rows == simulation.feed.lines
    # run folders and versions are named by the simulated clock: all of the three days
    assert max(os.listdir(simulation.settings.versions_dir))[:8] == f"{simulation.now - timedelta(days=1):%Y%m%d}"
