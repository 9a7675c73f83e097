"""Privacy. What would silently go wrong: something phones home, a password lands in a log, others on the machine can
read the history, purged data comes back."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import string
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from analytics.cli import cli
from analytics.errors import ConfigError
from analytics.operations import purge
from analytics.privacy import tombstones
from analytics.raw.store import RawStore
from analytics.runs.pipeline import run
from analytics.settings import PROJECT_ROOT, Settings, load_settings
from analytics.sources.batch import DeadLetter
from analytics.sources.sync_state import SyncState
from click.testing import CliRunner

CANARY = "canary" + "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=20))

# Every attempt to leave this machine is written down and refused. Loopback is needed: kernels.
GUARD = """
import os, socket, sys
_real = socket.socket.connect

def _check(address):
    host = str(address[0]) if isinstance(address, tuple) else ""
    if host not in ("", "127.0.0.1", "::1", "localhost"):
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(f"{sys.argv[:3]} {address}\\n")
        raise OSError("the guard refuses " + host)

class Guarded(socket.socket):
    def connect(self, address):
        _check(address)
        return super().connect(address)

    def connect_ex(self, address):
        _check(address)
        return super().connect_ex(address)

socket.socket = Guarded
_resolve = socket.getaddrinfo

def resolve(host, *args, **kwargs):
    _check((host.decode() if isinstance(host, bytes) else host or "", 0))
    return _resolve(host, *args, **kwargs)

socket.getaddrinfo = resolve
"""

# In a network namespace there is nothing but loopback, which has to be switched on (SIOCSIFFLAGS, IFF_UP).
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))
os.execv(sys.argv[1], sys.argv[1:])
"""


def entry(session: str, number: int, day: str, text: str, role: str = "user") -> dict[str, object]:
    """A line of a transcript."""
    message: dict[str, object] = {"role": role, "content": text}
    if role == "assistant":
        message |= {
            "id": f"msg_{session[:8]}{number}",
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 20},
        }
    return {
        "type": role,
        "uuid": f"{session[:8]}-0000-4000-8000-{number:012d}",
        "sessionId": session,
        "timestamp": f"{day}T10:00:{number:02d}.000Z",
        "cwd": "/home/me/work",
        "version": "2.1.38",
        "message": message,
    }


SESSIONS = {name: f"{name * 8}-1111-4111-8111-111111111111" for name in "abc"}


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Three sessions in two projects, each with a line that has no time."""
    root = tmp_path / "projects"
    for name, project, day in (
        ("a", "-home-me-work", "2026-01-01"),
        ("b", "-home-me-work", "2026-03-01"),
        ("c", "-home-me-other", "2026-03-02"),
    ):
        session = SESSIONS[name]
        lines = [entry(session, n, day, f"text {name}{n}", "assistant" if n % 2 else "user") for n in range(6)]
        for line in lines if project.endswith("other") else ():
            line["cwd"] = "/home/me/other"
        lines.append({"type": "summary", "summary": f"about {name}", "leafUuid": lines[-1]["uuid"]})
        (root / project).mkdir(parents=True, exist_ok=True)
        (root / project / f"{session}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def environment(tmp_path: Path, history: Path, **more: str) -> dict[str, str]:
    """Only what a run needs, so that nothing of this shell leaks in."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "DATA_DIR": str(tmp_path / "data"),
        "CLAUDE_PROJECTS_DIR": str(history),
        "MACHINE_NAME": "test",
        **more,
    }


def claude_analytics(
    *arguments: str, env: dict[str, str], before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [*before, sys.executable, "-m", "analytics.cli", *arguments],
        env=env,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.slow
def test_whole_pipeline_runs_without_a_network(tmp_path: Path, history: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    log = tmp_path / "guard.log"
    env = environment(tmp_path, history, PYTHONPATH=str(tmp_path / "guard"), GUARD_LOG=str(log))
    namespace: tuple[str, ...] = ()
    if (
        shutil.which("unshare")
        and not subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode
    ):
        namespace = ("unshare", "--net", sys.executable, "-c", LOOPBACK_UP)
    done = claude_analytics("worker", "daily-full-refresh", env=env, before=namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    assert not log.exists(), log.read_text()
    # what is made for a browser asks nobody either
    for page in (tmp_path / "data").rglob("*.html"):
        text = page.read_text(errors="replace")
        assert "Content-Security-Policy" in text or 'src="http' not in text, page
    private = [path for path in (tmp_path / "data").rglob("*") if not path.is_symlink()]
    assert len(private) > 50
    assert {oct(stat.S_IMODE(path.stat().st_mode) & 0o077) for path in private} == {"0o0"}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.slow
def test_passwords_are_written_nowhere(tmp_path: Path, history: Path) -> None:
    (tmp_path / "home").mkdir()
    env = environment(
        tmp_path,
        history,
        MONGO_URI=f"mongodb://reader:{CANARY}@127.0.0.1:1/?authSource=admin&serverSelectionTimeoutMS=300",
        ALERT_WEBHOOK_URL=f"http://127.0.0.1:1/{CANARY}",
        METABASE_ADMIN_PASSWORD=CANARY,
        METABASE_API_KEY=CANARY,
    )
    said = ""
    for arguments in (
        ("pipeline",),
        ("extract",),
        ("sync",),
        ("status",),
        ("config",),
    ):
        done = claude_analytics(*arguments, env=env)
        said += done.stdout + done.stderr
        assert arguments[0] in ("status", "config") or done.returncode in (1, 2), done.stdout
    assert CANARY not in said
    assert "127.0.0.1:1" in said
    runs = list((tmp_path / "data" / "runs").glob("*/run.json"))
    assert len(runs) == 1
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_secrets_reach_no_store_and_are_counted(tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    letters = random.Random(11).choices(string.ascii_letters + string.digits, k=36)
    token = "gh" + "p_" + "".join(letters)
    # a name can hold one too
    named = history / f"-home-me-{token}"
    named.mkdir()
    (named / f"{token}.jsonl").write_text(json.dumps(entry("d" * 8, 1, "2026-01-01", "text")) + "\nbroken\n")
    path = history / "-home-me-work" / f"{SESSIONS['a']}.jsonl"
    lines = [entry(SESSIONS["a"], 20 + n, "2026-01-01", f"try {token} number {n}") for n in range(3)]
    tool = {"type": "tool_use", "id": "t1", "name": f"mcp__{token}__read", "input": {}}
    called = entry(SESSIONS["a"], 30, "2026-01-01", "", "assistant")
    called["message"] |= {"content": [tool]}  # type: ignore[operator]
    lines.append({**called, "gitBranch": f"fix/{token}", "cwd": f"/home/me/{token}", "version": token})
    # what is no document is kept as it came, but for its secrets
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + f'{{"broken": "{token}\n' + path.read_text())
    settings = load_settings(data_dir=tmp_path / "data", claude_projects_dir=history, source="jsonl")
    run(settings, say=lambda _: None)
    store = RawStore(settings)
    rows = store.conversations.scan().to_arrow()
    for column in rows.column_names:  # files of Iceberg are compressed: their bytes say nothing
        assert token not in str(rows[column].to_pylist()), column
    texts = rows["entry"].to_pylist()
    assert sum("try [REDACTED:github_token]" in text for text in texts) == 3
    letters = store.dead_letters.scan(selected_fields=("original", "source_file")).to_arrow()
    assert sum(b"[REDACTED:github_token]" in letter for letter in letters["original"].to_pylist()) == 1
    assert "-home-me-[REDACTED:github_token]/[REDACTED:github_token].jsonl" in letters["source_file"].to_pylist()
    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as connection:
        assert connection.sql(
            "from marts.fct_tool_calls where tool_name = 'mcp__[REDACTED:github_token]__read'"
        ).fetchall()
        counted = connection.sql(
            "select check_value from marts.agg_data_quality where check_name = 'redacted_github_token'"
        ).fetchall()
        (title,) = connection.execute(
            "select title from marts.dim_sessions where session_id = ?", [SESSIONS["a"]]
        ).fetchone()
    assert counted == [(13,)]
    assert token not in title
    assert not any(token in text for text in texts)
    for place in settings.data_dir.rglob("*"):
        if place.is_file() and not place.is_symlink():
            assert token.encode() not in place.read_bytes(), place


def counts(settings: Settings) -> dict[str, int]:
    """Documents by session as the published database has them; `none` for those without."""
    with duckdb.connect(str(settings.published_path.resolve()), read_only=True) as connection:
        rows = connection.execute(
            "select coalesce(session_id, 'none')[1:4], count(*) from raw.conversations group by all"
        ).fetchall()
    return dict(rows)


@pytest.mark.slow
def test_purged_data_is_gone_and_stays_away(tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings = load_settings(data_dir=tmp_path / "data", claude_projects_dir=history)
    run(settings, say=lambda _: None)
    assert counts(settings) == {"aaaa": 6, "bbbb": 6, "cccc": 6, "none": 3}

    project = purge.resolve(settings, "project", "other")
    assert project == "-home-me-other"
    assert purge.count(settings, "project", project) == (7, 0)
    result = purge.purge(settings, "project", project)
    assert (result.documents, set(result.left.values())) == (7, {0})
    assert "1 transcripts" in result.in_source
    assert counts(settings) == {"aaaa": 6, "bbbb": 6, "none": 2}

    day = purge.resolve(settings, "before", "2026-02-01")
    assert day == "2026-02-01T00:00:00.000Z"
    assert purge.purge(settings, "before", day).documents == 7  # its summary too, which has no time
    assert counts(settings) == {"bbbb": 6, "none": 1}

    # everything of the source again, as if nothing had ever been read
    def forget_positions() -> None:
        shutil.rmtree(settings.data_dir / "jsonl", ignore_errors=True)

    forget_positions()
    run(settings, full_backfill=True, say=lambda _: None)
    assert counts(settings) == {"bbbb": 6, "none": 1}

    assert tombstones.forget(settings, "project", project)
    forget_positions()
    run(settings, full_backfill=True, say=lambda _: None)
    assert counts(settings) == {"bbbb": 6, "cccc": 6, "none": 2}


@pytest.mark.slow
def test_purge_of_all_there_is_leaves_no_byte_of_it(
    tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    shutil.rmtree(history / "-home-me-other")
    words = "xylophone-quartz"  # of a prompt; a secret by nobody's rule
    path = history / "-home-me-work" / f"{SESSIONS['a']}.jsonl"
    path.write_text(path.read_text().replace("text a0", f"text {words}") + f'{{"broken": "{words}\n')
    settings = load_settings(data_dir=tmp_path / "data", claude_projects_dir=str(history))
    run(settings, say=lambda _: None)
    # what other commands leave: a page with titles, what cron collects, a letter of a sync that no extract has taken
    for name in ("dashboards/index.html", "logs/cron.log", "report.html", "reconcile.tmp/duckdb_temp.tmp"):
        file = settings.data_dir / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{SESSIONS['a']} {words}")
    state = SyncState(settings.data_dir / "sync" / "0123.db")
    letter = DeadLetter(
        "1", "broken", "sync", words.encode() * 1000, source_file=f"-home-me-work/{SESSIONS['a']}.jsonl"
    )
    state.save(history, {}, [letter], {})
    state.close()
    # and something that nobody here has heard of: the proof sees it
    unknown = settings.data_dir / "notes.bin"
    unknown.write_bytes(b"\0" * 5000 + SESSIONS["b"].encode())
    result = purge.purge(settings, "project", "-home-me-work")
    assert result.documents == 14
    assert result.dead_letters == 1
    # the tables are empty now, which is nothing that is left
    store = RawStore(settings)
    assert store.conversations.scan().to_arrow().num_rows == 0
    assert purge.count(settings, "project", "-home-me-work") == (0, 0)
    assert {name: count for name, count in result.left.items() if count} == {"files that name its sessions": 1}
    unknown.unlink()
    for place in settings.data_dir.rglob("*"):
        if place.is_file() and place.name != "purged.json":
            content = place.read_bytes()
            assert words.encode() not in content, place
            assert SESSIONS["a"].encode() not in content, place
            assert SESSIONS["b"].encode() not in content, place


def test_purge_refuses_what_it_does_not_understand(tmp_path: Path, history: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", claude_projects_dir=history)
    with pytest.raises(ConfigError, match="--before 'yesterday'"):
        purge.resolve(settings, "before", "yesterday")
    with pytest.raises(ConfigError, match="--session"):
        purge.resolve(settings, "session", " ")


def test_purges_are_listed_and_lifted_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def said(*arguments: str) -> str:
        return CliRunner().invoke(cli, ["purge", *arguments], catch_exceptions=False).output.strip()

    assert said("--list") == "nothing was purged"
    assert said("--session", "abc", "--forget") == "session abc is not purged"
    tombstones.save(load_settings(), [tombstones.Tombstone("session", "abc", "2026-01-01T00:00:00+00:00")])
    assert said("--list").startswith("session  abc  (purged 2026-01-01")
    assert "may come back" in said("--session", "abc", "--forget")
    assert said("--list") == "nothing was purged"


def test_day_of_a_purge_begins_in_the_time_zone_of_the_dashboards(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, analytics_tz="Asia/Tokyo")
    assert purge.resolve(settings, "before", "2026-02-01") == "2026-01-31T15:00:00.000Z"
