"""SIGKILL at every named step and at random moments: the next normal run gives what a run never killed gives.

`CHAOS_ROUNDS` (default 1; `make chaos` sets more) is how often the random ones are repeated.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import time
from pathlib import Path

import analytics
import pytest
from analytics.common.faults import STEPS
from analytics.privacy.tombstones import tombstones
from analytics.settings import Settings
from analytics.warehouse.versions import current_version, versions
from faults.harness import History, assert_same, marts, raw_rows
from faults.stages import purged_project

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
SEED = int(os.environ.get("CHAOS_SEED", "20261123"))


def steps_of(*stages: str, without: tuple[str, ...] = ()) -> list[str]:
    return [step for step in STEPS if step.split(".")[0] in stages and step not in without]


def test_every_step_of_the_code_is_known() -> None:
    """What is not listed would never be killed here."""
    sources = Path(analytics.__file__).parent.rglob("*.py")
    found = {name for path in sources for name in re.findall(r'reached\("([a-z_.]+)"\)', path.read_text())}
    assert found == set(STEPS)


@pytest.mark.parametrize("step", [*steps_of("extract"), "extract.files:2"])
def test_raw_rows_are_complete_when_reading_files_was_killed_at(files: History, step: str) -> None:
    space = files.again()
    assert space.killed("extract", at=step)
    files.assert_readable()
    space.do("extract")
    assert raw_rows(space.settings) == files.raw


@pytest.mark.parametrize("step", [*steps_of("sync"), *steps_of("extract", without=("extract.positions",))])
def test_raw_rows_are_complete_when_reading_what_sync_inserts_was_killed_at(synced: History, step: str) -> None:
    space = synced.again()
    assert space.killed("extract", at=step)
    synced.assert_readable()
    space.do("extract")
    assert raw_rows(space.settings) == synced.raw


def test_marts_are_complete_when_each_stage_was_killed_at_each_step(files: History) -> None:
    """All kills one after the other on the same workspace: each leaves its debris to the next."""
    space = files.again()
    for stage in ("extract", "load", "transform", "validate"):
        for step in steps_of(stage):
            if stage == "extract" and step == "extract.committed":
                continue  # once it is through, nothing is left to be killed
            assert space.killed(stage, at=step), step
        files.assert_readable()
        space.do(stage)
    space.do("run")
    files.assert_complete()


@pytest.mark.parametrize("step", steps_of("publish"))
def test_readers_see_old_or_new_when_publish_was_killed_at(files: History, built: Path, step: str) -> None:
    space = files.space
    space.restore(built)
    version = current_version(space.settings)
    assert space.killed("publish", at=step)
    swapped = current_version(space.settings) != version
    assert swapped == (STEPS.index(step.split(":")[0]) >= STEPS.index("publish.swapped"))
    files.assert_readable()
    if step == "publish.moved":
        # the whole file is among the versions, but nobody reads it
        assert len(versions(space.settings)) == 2
    if swapped:
        space.do("publish")
    else:
        space.do("run")
    files.assert_complete()


@pytest.fixture(scope="session")
def built(files: History) -> Path:
    """Everything is built and only publishing is left."""
    space = files.again()
    space.do("extract", "load", "transform")
    return space.save("built")


@pytest.mark.parametrize("step", [*steps_of("compact", "expire"), "compact.files:3", "compact.committed:2"])
def test_no_row_changes_when_maintenance_was_killed_at(files: History, step: str) -> None:
    space = files.again()
    space.do("extract")
    stage = step.split(".")[0]
    if stage == "expire":
        space.do("compact")
    assert space.killed(stage, at=step)
    assert raw_rows(space.settings) == files.raw
    space.do("compact", "expire")
    assert raw_rows(space.settings) == files.raw
    if ":" in step:  # the numbers follow from the rows: enough to build them for some
        space.do("build")
        files.assert_complete()


def unfinished_purges(settings: Settings) -> list[str]:
    known = tombstones(settings)
    return [tombstone.value for tombstone in known.all if not tombstone.is_finished] if known else []


def test_nothing_purged_is_left_when_the_purge_was_killed_at_each_step_and_at_random_moments(files: History) -> None:
    rng = random.Random(SEED)
    space = files.again()
    space.do("run", "purge", "build")
    project = purged_project(space.settings)
    raw, numbers = raw_rows(space.settings), marts(space.settings.published_path)

    space = files.again()
    space.do("run")
    # what a version before this one kept a copy in
    former = space.settings.former_storage_dir / "storage" / "file"
    former.parent.mkdir(parents=True)
    former.write_text(project)
    for step in steps_of("purge", without=("purge.published",)):
        assert space.killed("purge", at=step), step
    for _ in range(ROUNDS):
        space.killed_after("purge", rng.uniform(0.1, 8))
    assert space.killed("purge", at="purge.published")
    assert unfinished_purges(space.settings) == [project]
    space.do("purge", "build")
    assert unfinished_purges(space.settings) == []
    assert raw_rows(space.settings) == raw
    assert_same(marts(space.settings.published_path), numbers)
    assert not space.settings.former_storage_dir.exists()
    # and it stays away
    space.do("backfill")
    assert raw_rows(space.settings)[0] == raw[0]


def test_numbers_are_complete_when_a_run_was_killed_at_random_moments(files: History) -> None:
    rng = random.Random(SEED)
    for _ in range(ROUNDS):
        space = files.again()
        started = time.monotonic()
        space.do("run")
        whole = time.monotonic() - started
        space = files.again()
        for moment in [rng.uniform(0.02, whole) for _ in range(rng.randint(2, 4))]:
            space.killed_after("run", moment)
            files.assert_readable()
        space.do("run")
        files.assert_complete()


def test_rows_are_complete_when_reading_what_sync_inserts_was_killed_at_random_moments(synced: History) -> None:
    rng = random.Random(SEED)
    for _ in range(ROUNDS):
        space = synced.again()
        for _ in range(4):
            space.killed_after(rng.choice(["sync", "extract", "backfill"]), rng.expovariate(1.0))
        space.do("extract")
        assert raw_rows(space.settings) == synced.raw
    space.do("run")
    synced.assert_complete()


def test_the_command_line_is_complete_when_killed_and_started_again(files: History) -> None:
    """The real thing: Ploomber, papermill, notebooks. Killed at a step, at a random moment, then left alone."""
    rng = random.Random(SEED)
    for _ in range(ROUNDS):
        space = files.again()
        version = current_version(space.settings)
        killed = space.command("pipeline", fault=rng.choice(["publish.moved", "publish.prepared"]))
        # the step is reached in the run's kernel: that is killed, and the run tells it
        assert killed.wait(300) == 1, space.error_file.read_text()
        assert "killed the kernel (SIGKILL)" in space.error_file.read_text()
        assert current_version(space.settings) == version
        files.assert_readable()
        killed = space.command("pipeline")
        with contextlib.suppress(subprocess.TimeoutExpired):
            killed.wait(rng.uniform(1, 15))
        killed.kill()
        killed.wait()
        # one that got as far as publishing shows the numbers as of today; they are compared below
        if current_version(space.settings) == version:
            files.assert_readable()
        assert space.command("pipeline").wait(300) == 0, space.error_file.read_text()
        assert raw_rows(space.settings) == files.raw
        # the numbers as of the day the reference is made for
        space.do("run")
        files.assert_complete()
