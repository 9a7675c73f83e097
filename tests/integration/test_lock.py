"""Two runs at once would spoil each other's working copy; a lock that outlives its run stops them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from analytics.common.lock import current_holder, run_lock
from analytics.errors import AnalyticsError, BusyError
from analytics.settings import Settings, load_settings

HOLD = """
import sys, time
from analytics.common.lock import run_lock
from analytics.settings import load_settings
with run_lock(load_settings(), holder="{holder}"):
    print("held", flush=True)
    {then}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ANALYTICS_RUN_TOKEN", raising=False)
    return load_settings()


def start(holder: str, then: str = "time.sleep(60)", **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(holder=holder, then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    process.first_line = process.stdout.readline().strip()  # type: ignore[attr-defined]
    return process


def test_second_run_is_busy_and_names_the_first(settings: Settings) -> None:
    first = start("pipeline")
    try:
        with pytest.raises(BusyError) as raised, run_lock(settings):
            pass
        message = str(raised.value)
        assert f"pipeline (pid {first.pid} on " in message
        assert "started 20" in message
        assert message.endswith("wait for it or stop that process")
        assert "\n" not in message
        holder = current_holder(settings)
        assert holder is not None
        assert (holder.holder, holder.pid) == ("pipeline", first.pid)
    finally:
        first.kill()
        first.wait()


def test_lock_is_free_when_its_holder_was_killed(settings: Settings) -> None:
    first = start("pipeline")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert settings.lock_path.read_text()  # the body of the killed run is still there
    assert current_holder(settings) is None
    with run_lock(settings, holder="load") as mine:
        assert mine.holder == "load"


@pytest.mark.parametrize("body", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "holder": 3}'])
def test_lock_is_free_when_the_file_is_garbage(settings: Settings, body: str) -> None:
    settings.data_dir.mkdir()
    settings.lock_path.write_text(body)
    with run_lock(settings):
        pass


def test_stages_join_when_called_within_a_run(settings: Settings) -> None:
    with run_lock(settings, holder="pipeline") as run:
        with run_lock(settings, holder="load") as stage, run_lock(settings, holder="inner"):
            assert stage == run
        child = start("transform", then="pass")  # as a papermill kernel: another process, same environment
        assert child.wait(timeout=60) == 0
        # the run still holds the lock after its stages ended
        stranger = start("hourly", then="pass", ANALYTICS_RUN_TOKEN="")
        assert stranger.wait(timeout=60) != 0
        assert "another run is active: pipeline" in stranger.communicate()[1]
    assert "ANALYTICS_RUN_TOKEN" not in os.environ
    assert current_holder(settings) is None


def test_stage_keeps_others_out_when_its_run_was_killed(settings: Settings) -> None:
    # the run starts a stage that holds on after the run itself is gone
    then = (
        "import subprocess; child = subprocess.Popen([sys.executable, '-c', "
        + repr(HOLD.format(holder="stage", then="sys.stdin.read()"))
        + "], stdin=subprocess.PIPE, stdout=subprocess.PIPE);"
        " child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
    )
    run = start("pipeline", then=then)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    try:
        # both ends of the pipe: keep the stage's stdin open beyond the run's death
        keep_open = os.open(f"/proc/{run.pid}/fd/{_pipe_to(run.pid, child)}", os.O_WRONLY)
        run.kill()
        run.wait()
        with pytest.raises(BusyError), run_lock(settings):
            pass
        os.close(keep_open)  # the stage ends by itself
        for _ in range(100):
            if current_holder(settings) is None:
                break
            threading.Event().wait(0.05)
        with run_lock(settings):
            pass
    finally:
        run.kill()
        run.wait()


def _pipe_to(parent: int, child: int) -> str:
    stdin = os.readlink(f"/proc/{child}/fd/0")
    folder = Path(f"/proc/{parent}/fd")
    return next(entry.name for entry in folder.iterdir() if os.readlink(entry) == stdin)


def test_another_thread_is_another_run(settings: Settings) -> None:
    outcome: list[object] = []

    def second() -> None:
        try:
            with run_lock(settings):
                outcome.append("joined")
        except BusyError as error:
            outcome.append(error)

    with run_lock(settings):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=30)
    assert isinstance(outcome[0], BusyError)


def test_many_runs_at_once_never_overlap(settings: Settings, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    then = (
        f"import os; fd = os.open({str(witness)!r}, os.O_CREAT | os.O_EXCL); time.sleep(0.05);"
        f" os.close(fd); os.unlink({str(witness)!r})"
    )
    code = HOLD.format(holder="run", then=then)
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert any(not error for error in errors)  # at least one got through
    assert all(not error or "BusyError" in error for error in errors), errors


def test_data_dir_is_named_when_it_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/proc/analytics")  # nobody, not even root, can write here
    with pytest.raises(AnalyticsError) as raised, run_lock(load_settings()):
        pass
    assert str(raised.value).startswith("DATA_DIR=/proc/analytics: cannot be written (")
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_data_dir_is_named_when_the_lock_file_exists_but_the_folder_is_read_only(settings: Settings) -> None:
    with run_lock(settings):
        pass
    settings.data_dir.chmod(0o500)
    try:
        with pytest.raises(AnalyticsError, match="DATA_DIR="), run_lock(settings):
            pass
    finally:
        settings.data_dir.chmod(0o700)
