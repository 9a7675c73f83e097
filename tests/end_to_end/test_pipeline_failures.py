"""What a person is told when a run cannot work, and that nothing published is lost by it.

One clear line, the right exit code, no traceback, no secret, and the data of the last good run still there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from analytics.common.lock import run_lock
from analytics.settings import PROJECT_ROOT, load_settings
from command_line import Workspace, is_alive, marts

pytestmark = pytest.mark.slow

SESSION = "11111111-2222-3333-4444-555555555555"
CANARY = "canary-Zx81-password"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A published history of one short session; tests must leave it published."""
    root = tmp_path_factory.mktemp("small")
    project = root / "projects" / "-home-me-tiny"
    project.mkdir(parents=True)
    entry = {"sessionId": SESSION, "cwd": "/home/me/tiny", "isSidechain": False, "version": "2.1.0"}
    usage = {"input_tokens": 3, "output_tokens": 5}
    prompt = {"role": "user", "content": "hello"}
    answer = {"id": "m1", "role": "assistant", "model": "claude-opus-4-6", "stop_reason": "end_turn", "usage": usage}
    lines = [
        {**entry, "type": "user", "uuid": "u1", "timestamp": "2026-05-01T10:00:00.000Z", "message": prompt},
        {
            **entry,
            "type": "assistant",
            "uuid": "a1",
            "parentUuid": "u1",
            "timestamp": "2026-05-01T10:00:03.000Z",
            "message": {**answer, "content": [{"type": "text", "text": "hi"}]},
        },
    ]
    (project / f"{SESSION}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    space = Workspace(root, {"CLAUDE_PROJECTS_DIR": str(root / "projects"), "SOURCE": "jsonl"})
    space.pipeline()
    return space


@pytest.fixture
def unharmed(small: Workspace) -> Iterator[Workspace]:
    """`small`, checked afterwards: the same version is published, and it reads the same."""
    version, rows = small.published.resolve(), marts(small.published)
    yield small
    assert small.published.resolve() == version
    assert marts(small.published) == rows


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error that was printed, which must be all that was."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_run_stops_when_mongodb_cannot_be_reached(unharmed: Workspace) -> None:
    uri = f"mongodb://reader:{CANARY}@127.0.0.1:1/?serverSelectionTimeoutMS=500"
    done = unharmed.run("pipeline", SOURCE="mongodb", MONGO_URI=uri)
    assert done.returncode == 1
    message = one_line(done)
    assert "extract failed" in message
    assert "127.0.0.1:1" in message
    run = unharmed.runs()[-1]
    assert run["outcome"] == "failed"
    assert run["error"]["stage"] == "extract"
    assert [stage["status"] for stage in run["stages"]] == ["failed", *["pending"] * 4]
    assert "run.log" in message or "extract.ipynb" in message  # found by the quick look, or in the notebook
    assert CANARY not in done.stdout + done.stderr
    leaks = [path for path in unharmed.data_dir.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert leaks == []


@pytest.mark.parametrize(
    ("setting", "value", "hint"),
    [
        ("MONGO_URI", "http://localhost:27017", "mongodb://"),
        ("SOURCE", "postgres", "'mongodb' or 'jsonl'"),
        ("ANALYTICS_TZ", "Mars/Olympus", "IANA"),
        ("KEEP_RUNS", "many", "integer"),
        ("CLAUDE_PROJECTS_DIR", "/nowhere/at/all", "make demo"),
    ],
)
def test_run_stops_when_a_setting_is_wrong(unharmed: Workspace, setting: str, value: str, hint: str) -> None:
    done = unharmed.run("pipeline", **{setting: value})
    assert done.returncode == 2
    message = one_line(done)
    assert setting in message
    assert hint in message
    if setting != "MONGO_URI":  # may hold a password
        assert value in message


def test_run_stops_when_the_env_file_of_the_checkout_is_wrong(unharmed: Workspace, tmp_path: Path) -> None:
    for path in PROJECT_ROOT.iterdir():
        if path.name not in (".env", "data"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / ".env").write_text("KEEP_VERSIONS=none\n")
    (unharmed.root / ".env").write_text("KEEP_RUNS=none\n")  # of another folder: not read
    done = unharmed.run("pipeline", ANALYTICS_PROJECT_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert "KEEP_VERSIONS='none'" in one_line(done)
    assert "KEEP_RUNS" not in done.stderr


def test_run_stops_when_prices_are_wrong(unharmed: Workspace, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("model_prefix,input,output,cache_write_5m,cache_write_1h,cache_read\nclaude,cheap,1,1,1,1\n")
    done = unharmed.run("pipeline", PRICING_OVERRIDES=str(prices))
    assert done.returncode == 2
    message = one_line(done)
    # where nothing else is new, the look before the first stage reads the prices already
    assert re.match(r"error: (extract|load) failed: PRICING_OVERRIDES=", message)
    assert "cheap" in message
    assert unharmed.runs()[-1]["error"]["exit_code"] == 2


def test_run_stops_when_another_is_active(unharmed: Workspace) -> None:
    before = len(unharmed.runs())
    with run_lock(load_settings(data_dir=unharmed.data_dir), holder="somebody else"):
        done = unharmed.run("pipeline")
    assert done.returncode == 3
    assert "somebody else" in one_line(done)
    assert len(unharmed.runs()) == before


def test_run_stops_when_the_data_dir_is_read_only(workspace: Workspace) -> None:
    workspace.data_dir.mkdir()
    (workspace.root / "projects").mkdir()
    workspace.data_dir.chmod(0o555)
    command = [sys.executable, "-m", "analytics.cli", "pipeline"]
    if os.geteuid() == 0:  # root may write anywhere, unless this capability is taken away
        if not shutil.which("setpriv"):
            pytest.skip("running as root without setpriv: nothing is read-only")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    env = {"DATA_DIR": str(workspace.data_dir), "CLAUDE_PROJECTS_DIR": str(workspace.root / "projects")}
    done = subprocess.run(
        command, cwd=workspace.root, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert f"DATA_DIR={workspace.data_dir}" in one_line(done)


def test_run_says_so_when_there_are_no_transcripts(workspace: Workspace) -> None:
    (workspace.root / "empty").mkdir()
    done = workspace.pipeline(CLAUDE_PROJECTS_DIR=str(workspace.root / "empty"))
    assert "no transcripts" in done.stdout
    assert "make demo" in done.stdout


def test_run_says_where_it_was_when_it_is_terminated(unharmed: Workspace) -> None:
    before = len(unharmed.runs())
    env = {**os.environ, "DATA_DIR": str(unharmed.data_dir), **unharmed.env}
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "pipeline", "--full-refresh"],
        cwd=unharmed.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        runs = unharmed.runs()
        if len(runs) > before and runs[-1]["stages"][2]["status"] == "running":
            process.send_signal(signal.SIGTERM)
            break
        time.sleep(0.05)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "interrupted during transform" in errors
    assert unharmed.runs()[-1]["outcome"] == "interrupted"


def kernel_of(process: subprocess.Popen[str]) -> int | None:
    """The kernel's process while it works on a stage."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if b"kernel_process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


def start(space: Workspace, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """`claude-analytics ARGUMENTS`, to be disturbed."""
    return subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", *arguments],
        cwd=space.root,
        env={**os.environ, "DATA_DIR": str(space.data_dir), **space.env, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kernel_at(space: Workspace, process: subprocess.Popen[str], stage: str) -> int:
    """Wait until the run works on `stage` -> its kernel's process."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        # not those that were interrupted: until this one has its folder, they are the last
        runs = [run for run in space.runs() if run["outcome"] == "running"]
        if runs and any(item["name"] == stage and item["status"] == "running" for item in runs[-1]["stages"]):
            kernel = kernel_of(process)
            assert kernel is not None
            return kernel
        time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


def alerts_into(space: Workspace) -> tuple[Path, dict[str, str]]:
    """A file that alerts are appended to, and the setting that does it."""
    file = space.root / "alerts.txt"
    file.unlink(missing_ok=True)
    return file, {"ALERT_COMMAND": f"cat >>{file}"}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_run_ends_recorded_and_alerted_when_a_library_crashes(unharmed: Workspace) -> None:
    file, alert = alerts_into(unharmed)
    process = start(unharmed, "worker", "full-backfill", **alert)
    os.kill(kernel_at(unharmed, process, "extract"), signal.SIGABRT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    (line,) = errors.strip().splitlines()
    # Python writes the stacks of threads that go on meanwhile, which can crash on top of it
    assert re.search(r"extract failed: a library (aborted|crashed) the kernel \((SIGABRT|SIGSEGV)\); log: ", line)
    run = unharmed.runs()[-1]
    assert (run["outcome"], run["error"]["stage"]) == ("failed", "extract")
    assert "full-backfill fails in extract" in file.read_text()
    assert "Fatal Python error: Aborted" in (unharmed.data_dir / "runs" / run["run_id"] / "run.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_next_run_tells_of_one_that_was_killed(unharmed: Workspace) -> None:
    process = start(unharmed, "pipeline", "--full-refresh", "--deployment", "hourly-analytics")
    kernel = kernel_at(unharmed, process, "transform")
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 1
    while is_alive(kernel) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(kernel)
    killed = unharmed.runs()[-1]
    assert killed["outcome"] == "running"
    check = unharmed.run("status", "--check")
    assert check.returncode == 1
    assert "hourly-analytics was killed" in check.stdout + check.stderr

    file, alert = alerts_into(unharmed)
    done = unharmed.pipeline(**alert)
    assert f"{killed['run_id']} was killed during transform" in done.stdout
    assert "hourly-analytics fails in transform" in file.read_text()
    assert next(run for run in unharmed.runs() if run["run_id"] == killed["run_id"])["outcome"] == "killed"
    assert unharmed.run("status", "--check").returncode == 1  # until that deployment has worked again
    again = unharmed.run("pipeline", "--deployment", "hourly-analytics", **alert)
    assert again.returncode == 0, again.stderr
    assert "hourly-analytics works again" in file.read_text()
    # of this schedule; the workspace is shared, and another test leaves another schedule that fails
    assert "hourly-analytics" not in unharmed.run("status", "--check").stderr


@pytest.mark.parametrize("command", [("report",), ("load", "--stats"), ("doctor",)], ids=" ".join)
def test_damaged_database_is_one_line(workspace: Workspace, command: tuple[str, ...]) -> None:
    workspace.data_dir.mkdir()
    workspace.published.write_bytes(b"no database at all" * 1_000)
    done = workspace.run(*command)
    assert done.returncode == 1
    assert "not a valid DuckDB database" in one_line(done)
