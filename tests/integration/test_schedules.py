"""Schedules. What would silently go missing: runs that never start (wrong quoting, a setting cron does not see), lines
of the user's own crontab, and a failure nobody is told about."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import nbformat
import pytest
from analytics.cli.operations import worker
from analytics.errors import AnalyticsError, BusyError, ConfigError, SourceUnavailableError
from analytics.operations import alerts, pages, status
from analytics.operations import crontab as deploy
from analytics.operations.deployments import missed, run_deployment, scheduled_now, work
from analytics.operations.schedules import RetryPolicy, load_schedules
from analytics.raw import maintenance
from analytics.raw.maintenance import CompactResult
from analytics.raw.store import RawStore
from analytics.runs.history import Run, begin, outcome_of, read
from analytics.settings import PROJECT_ROOT, Settings, load_settings
from click.testing import CliRunner

OWN_LINES = "MAILTO=me\n# mine\n*/5 * * * * /usr/bin/true 100\\% # untouched\n"

# Behaves like crontab(1) as far as it is used: -l, and - to replace; refuses what cron would.
CRONTAB = """#!/bin/sh
file="$FAKE_CRONTAB"
case "$1" in
  -l) [ -f "$file" ] || { echo "no crontab for me" >&2; exit 1; }; cat "$file" ;;
  -) cat > "$file.new"
     if [ -s "$file.new" ] && [ -n "$(tail -c 1 "$file.new")" ]; then
       echo "new crontab file is missing newline before EOF" >&2; exit 1; fi
     mv "$file.new" "$file" ;;
  *) exit 2 ;;
esac
"""


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file behind a stand-in for crontab(1)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "crontab"
    command.write_text(CRONTAB)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CRONTAB", str(tmp_path / "crontab"))
    return tmp_path / "crontab"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings in a folder whose name shells and cron trip over."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "it's 100% $HOME data"))
    monkeypatch.setenv("SOURCE", "jsonl")
    monkeypatch.setenv("ANALYTICS_TZ", "Asia/Tokyo")
    return load_settings()


def test_deploy_adds_its_block_and_keeps_every_other_line(settings: Settings, crontab: Path) -> None:
    crontab.write_text(OWN_LINES)
    result = deploy.deploy(settings, load_schedules())
    text = crontab.read_text()
    assert text.startswith(OWN_LINES)
    assert result.names == ("hourly-analytics", "daily-full-refresh")
    assert sum("hourly-analytics" in line for line in text.splitlines()) == 1
    assert deploy.deployed(load_schedules()) == {"hourly-analytics", "daily-full-refresh"}


def test_deploy_twice_changes_nothing(settings: Settings, crontab: Path) -> None:
    assert deploy.deploy(settings, load_schedules()).changed
    before = crontab.read_text()
    again = deploy.deploy(settings, load_schedules())
    assert not again.changed
    assert crontab.read_text() == before


def test_deploy_replaces_its_block_where_it_stands(settings: Settings, crontab: Path) -> None:
    deploy.deploy(settings, load_schedules())
    crontab.write_text(crontab.read_text().replace("0 2 * * *", "30 4 * * *") + "@daily mine\n")
    deploy.deploy(settings, load_schedules())
    assert "30 4" not in crontab.read_text()
    assert crontab.read_text().endswith("@daily mine\n")


def test_remove_leaves_what_was_there_before(settings: Settings, crontab: Path) -> None:
    crontab.write_text(OWN_LINES)
    deploy.deploy(settings, load_schedules())
    assert deploy.remove(settings).changed
    assert crontab.read_text() == OWN_LINES
    assert not deploy.script_path(settings).exists()
    assert not deploy.remove(settings).changed


def test_deploy_refuses_a_damaged_block(settings: Settings, crontab: Path) -> None:
    deploy.deploy(settings, load_schedules())
    damaged = "".join(line for line in crontab.read_text().splitlines(keepends=True) if "<<<" not in line) + OWN_LINES
    crontab.write_text(damaged)
    with pytest.raises(ConfigError, match="crontab -e"):
        deploy.deploy(settings, load_schedules())
    assert crontab.read_text() == damaged


def test_deploy_without_cron_says_what_to_do(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(AnalyticsError, match="no cron here"):
        deploy.deploy(settings, load_schedules())


def test_deploy_warns_where_no_cron_runs_unless_it_follows(
    settings: Settings, crontab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "_cron_is_running", lambda: False)
    assert deploy.deploy(settings, load_schedules()).warnings == (deploy.NO_CRON,)
    # the scheduler's container starts cron when its table is written
    assert deploy.deploy(settings, load_schedules(), cron_follows=True).warnings == ()


def test_lines_in_any_encoding_stay_as_they_are(settings: Settings, crontab: Path) -> None:
    own = b"# caf\xe9, fa\xe7ade \xff\n0 5 * * * echo \xe9\r\n"
    crontab.write_bytes(own)
    deploy.deploy(settings, load_schedules())
    assert crontab.read_bytes().startswith(own)
    assert deploy.deployed(load_schedules()) == {"hourly-analytics", "daily-full-refresh"}
    assert "next" in status.overview(settings)
    deploy.remove(settings)
    assert crontab.read_bytes() == own


def test_what_is_printed_is_one_line_a_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_COMMAND", "mail me\nexec rm\x1b[2J\x9b31m")
    printed = deploy.script(load_settings(), shown=True)
    assert "export ALERT_COMMAND='mail me exec rm[2J31m'" in printed.splitlines()
    with pytest.raises(ConfigError, match="cannot work"):
        load_settings(data_dir=settings.data_dir / "a\n* * * * * evil")


def test_script_hands_on_settings_of_the_shell(settings: Settings, crontab: Path) -> None:
    deploy.deploy(settings, load_schedules())
    path = deploy.script_path(settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    # the line as cron hands it to sh: \% is a percent sign; the script with `env` in the place of the interpreter
    line = next(line for line in crontab.read_text().splitlines() if line.endswith("hourly-analytics"))
    path.write_text(
        path.read_text()
        .replace(f"exec {sys.executable} -m analytics.cli worker", "exec env A=")
        .replace(f">>{deploy.shlex.quote(str(deploy.log_path(settings)))} 2>&1", "")
    )
    command = line.split(maxsplit=5)[5].replace("\\%", "%")
    done = subprocess.run(["/bin/sh", "-c", command], env={}, capture_output=True, text=True, check=False)
    text = path.read_text()
    assert "umask 077" in text
    seen = subprocess.run(
        ["/bin/sh", "-c", text.split("exec ")[0] + "env; pwd; umask"], env={}, capture_output=True, text=True
    )
    assert f"DATA_DIR={settings.data_dir}" in seen.stdout.splitlines()
    assert "ANALYTICS_TZ=Asia/Tokyo" in seen.stdout.splitlines()
    assert seen.stdout.splitlines()[-2:] == [str(PROJECT_ROOT), "0077"]
    assert done.returncode != 126
    assert "not found" not in done.stderr


def test_script_refuses_a_secret_that_only_this_shell_knows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://u:canary-4711@h/")
    with pytest.raises(ConfigError, match="MONGO_URI is only an environment variable") as error:
        deploy.script(load_settings())
    assert "canary" not in str(error.value)


def test_environment_file_carries_secrets_to_a_shell(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://u:it's$a`b@h/")
    text = deploy.environment()
    seen = subprocess.run(["/bin/sh", "-c", text + 'printf %s "$MONGO_URI"'], env={}, capture_output=True, text=True)
    assert seen.stdout == "mongodb://u:it's$a`b@h/"
    assert "canary" not in deploy.script(load_settings(), environment_file=Path("/run/x"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deployments: []", "at least 1"),
        ("deployments: [{name: a b}]", "'a b'"),
        ("deployments: [{name: a, schedule: '61 * * * *'}]", "five cron fields"),
        ("deployments: [{name: a, schedule: '@daily'}]", "five cron fields"),
        ("deployments: [{name: a, schedule: '* * * * * *'}]", "five cron fields"),
        ("deployments: [{name: a, parameters: {full_refesh: true}}]", "full_refesh"),
        ("deployments: [{name: a}, {name: a}]", "twice"),
        ("deployments: [{name: a}]\nretry: {attempts: 0}", "attempts=0"),
        ("deployments: [", "no YAML"),
    ],
)
def test_wrong_schedules_are_one_clear_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "schedules.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        load_schedules(path)
    assert "\n" not in str(error.value)


def test_transient_errors_are_tried_again_after_growing_pauses_and_others_are_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    failures: list[Exception] = []
    finished = begin(settings, "hourly-analytics", {})

    def build(*_: object, **__: object) -> Run:
        if failures:
            raise failures.pop(0)
        return finished

    monkeypatch.setattr("analytics.runs.pipeline.run", build)
    deployment = load_schedules().deployment("hourly-analytics")

    def run(*errors: Exception) -> list[float]:
        slept.clear()
        failures[:] = errors
        run_deployment(settings, deployment, RetryPolicy(6, 30, 200), say=said.append, sleep=slept.append)
        return slept

    said: list[str] = []
    assert run(BusyError("busy"), SourceUnavailableError("away")) == [30, 60]
    assert said[0] == "attempt 1 of 6: busy; again in 30 s"
    assert run(*[BusyError("busy")] * 5) == [30, 60, 120, 200, 200]
    with pytest.raises(BusyError):
        run(*[BusyError("busy")] * 6)
    with pytest.raises(ConfigError):
        run(ConfigError("wrong"))
    assert slept == []


class Webhook(http.server.BaseHTTPRequestHandler):
    """Takes alerts; what came is in `received`."""

    received: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, json.loads(body)))
        self.send_response(500 if "broken" in self.path else 307 if "moved" in self.path else 200)
        if "moved" in self.path:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[str]:
    """The address of a webhook."""
    Webhook.received = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_alerts_fire_on_failure_and_recovery_only(settings: Settings, webhook: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    settings = load_settings(
        alert_webhook_url=f"{webhook}/hook/canary-4711",
        alert_command=f'(echo "$ALERT_EVENT $ALERT_STAGE $ALERT_ERROR_TYPE"; cat) >> "{told}"',
    )
    run = begin(settings, "hourly-analytics", {})
    run.outcome, run.error = "failed", {"stage": "transform", "message": "secret words of a transcript"}
    error = AnalyticsError("secret words of a transcript")
    assert not alerts.report_success(settings, "hourly-analytics")
    assert alerts.report_failure(settings, "hourly-analytics", error, run)
    assert not alerts.report_failure(settings, "hourly-analytics", error, run)
    assert list(alerts.failing(settings)) == ["hourly-analytics"]
    assert alerts.report_success(settings, "hourly-analytics", run)
    assert not alerts.report_success(settings, "hourly-analytics", run)
    assert alerts.failing(settings) == {}
    texts = [body["text"] for _, body in Webhook.received]
    assert len(texts) == 2
    assert "hourly-analytics fails in transform" in texts[0]
    assert "works again" in texts[1]
    lines = told.read_text().splitlines()
    assert lines[0] == "failure transform AnalyticsError"
    assert lines[2].startswith("recovery")
    everything = json.dumps(Webhook.received[0][1]) + told.read_text() + (settings.data_dir / "alerts.json").read_text()
    assert "secret words" not in everything
    assert "canary" not in everything


def test_a_run_that_was_killed_is_told(settings: Settings, webhook: str) -> None:
    settings = load_settings(alert_webhook_url=webhook, claude_projects_dir=settings.data_dir / "missing")
    killed = begin(settings, "hourly-analytics", {})
    killed.pid = 2**22 + 1
    killed.save()
    with pytest.raises(AnalyticsError):
        run_deployment(
            settings,
            load_schedules().deployment("full-backfill"),
            RetryPolicy(1),
            say=lambda _: None,
            sleep=lambda _: None,
        )
    texts = [body["text"] for _, body in Webhook.received]
    assert [text.split()[0] for text in texts] == ["hourly-analytics", "full-backfill"]
    assert killed.run_id in texts[0]


def test_alert_that_cannot_be_sent_fails_nothing(
    settings: Settings, webhook: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(alert_webhook_url=f"{webhook}/broken/canary-4711", alert_command="exit 7")
    assert not alerts.report_failure(settings, "x", AnalyticsError("a"), None)
    settings = load_settings(alert_webhook_url="http://127.0.0.1:1/canary-4711")
    assert not alerts.report_failure(settings, "y", AnalyticsError("a"), None)
    assert "HTTP 500" in caplog.text
    assert "exit code 7" in caplog.text
    assert "canary" not in caplog.text


def test_alerts_go_where_they_were_sent_and_follow_nobody(
    settings: Settings, webhook: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(alert_webhook_url=f"{webhook}/moved/canary-4711")
    assert not alerts.report_failure(settings, "x", AnalyticsError("a"), None)
    assert "HTTP 307" in caplog.text
    address = webhook.replace("http://", "json://")
    settings = load_settings(alert_urls=f"{address}/moved/canary-4711")
    assert not alerts.report_failure(settings, "y", AnalyticsError("a"), None)
    assert {path for path, _ in Webhook.received} <= {"/moved/canary-4711", "/moved/canary-4711/"}
    assert "canary" not in caplog.text


def test_alerts_reach_services_that_apprise_knows(
    settings: Settings, webhook: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = webhook.replace("http://", "json://")
    settings = load_settings(alert_urls=f"nonsense://canary {address}/one  {address}/two")
    assert alerts.report_failure(settings, "x", AnalyticsError("a"), None)
    assert [path.strip("/") for path, _ in Webhook.received] == ["one", "two"]
    assert "x fails on" in Webhook.received[0][1]["message"]
    assert "does not know address 1" in caplog.text
    assert "canary" not in caplog.text
    assert "canary" not in str(settings.masked())


def test_failed_deployment_alerts_and_shows(settings: Settings, webhook: str) -> None:
    settings = load_settings(alert_webhook_url=webhook, claude_projects_dir=settings.data_dir / "missing")
    schedules = load_schedules()
    with pytest.raises(AnalyticsError):
        run_deployment(
            settings, schedules.deployment("hourly-analytics"), RetryPolicy(1), say=lambda _: None, sleep=lambda _: None
        )
    assert len(Webhook.received) == 1
    assert status.problems(settings, schedules)
    assert "failing since" in status.overview(settings)
    assert "failed" in (settings.runs_dir / "index.html").read_text()


def test_status_names_what_is_overdue_and_what_was_killed(settings: Settings) -> None:
    schedules = load_schedules()
    assert "no runs yet" in status.overview(settings)
    run = begin(settings, "hourly-analytics", {"full_refresh": False})
    run.pid = 2**22 + 1
    run.save()
    assert outcome_of(run) == "killed"
    assert "was killed" in status.problems(settings, schedules)[0]
    run.outcome = "nothing_new"
    run.save()
    now = datetime.fromisoformat(run.started_at).astimezone()
    assert not status.problems(settings, schedules, now + timedelta(hours=2))
    assert "overdue" in status.problems(settings, schedules, now + timedelta(hours=4))[0]
    assert run.run_id in status.overview(settings)
    assert "full_refresh=False" in status.detail(settings, run.run_id)
    with pytest.raises(AnalyticsError, match="no run at"):
        status.detail(settings, "20200101T000000Z-x")
    with pytest.raises(AnalyticsError, match="name of a folder"):
        status.detail(settings, "../x")


def test_status_names_a_schedule_that_never_worked(settings: Settings, crontab: Path) -> None:
    schedules = load_schedules()
    now = datetime.now().astimezone()
    assert status.problems(settings, schedules, now + timedelta(days=10)) == []  # nothing is deployed
    deploy.deploy(settings, schedules)
    assert status.problems(settings, schedules, now + timedelta(hours=2)) == []
    assert "hourly-analytics has never run" in status.problems(settings, schedules, now + timedelta(hours=4))[0]
    run = begin(settings, "hourly-analytics", {})
    run.outcome = "interrupted"
    run.save()
    assert "none has ever worked" in status.problems(settings, schedules, now + timedelta(hours=5))[0]


def test_run_pages_escape_and_load_nothing_from_outside(settings: Settings) -> None:
    run = begin(settings, "adhoc-analytics", {})
    run.outcome = "failed"
    run.error = {"stage": "load", "message": "<script>alert(1)</script>"}
    run.save()
    html = (
        '<meta http-equiv="refresh" content="0;url=file:///etc/passwd"><style>p { color: red }</style>'
        '<table class="dataframe" onclick="alert(1)"><thead><tr><th style="color:red">n</th></tr></thead></table>'
        '<svg onload="alert(1)"></svg><iframe src="x"></iframe><img src="x" onerror="alert(1)"><form></form>'
        '<a href="javascript:alert(1)">a link</a><base href="file:///">'
    )
    svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><text>a chart</text></svg>'
    outputs = [
        nbformat.v4.new_output("stream", text="<b>text</b>\n"),
        nbformat.v4.new_output("error", ename="E", evalue="<i>", traceback=["\x1b[31mE\x1b[0m: <i>"]),
        *(
            nbformat.v4.new_output("display_data", data=data)
            for data in (
                {"text/html": html},
                {"image/svg+xml": svg},
                {"text/markdown": "*good* <img src=x onerror=alert(1)>"},
                {"text/latex": "<img src=x onerror=alert(1)>"},
                {"application/javascript": "alert(1)"},
            )
        ),
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# Load <script>\n"),
        nbformat.v4.new_code_cell("1 < 2", outputs=outputs),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), run.folder / "load.ipynb")
    pages.write_index(settings)
    for path in (settings.runs_dir / "index.html", run.folder / "index.html", run.folder / "load.html"):
        text = path.read_text()
        assert "<script" not in text
        assert "http://" not in text
        assert "https://" not in text
        assert "default-src 'none'" in text
    notebook = (run.folder / "load.html").read_text()
    _, _, body = notebook.partition("<body>")
    tags = set(re.findall(r"<([a-z]+[0-9]?)", body))
    assert tags <= {"p", "a", "h1", "div", "pre", "span", "table", "thead", "tr", "th", "em", "img"}, tags
    assert re.findall(r"<[^>]*\s(?:on\w+|style)=", body) == []
    assert re.findall(r"javascript:|p { color", body) == []
    assert re.findall(r'<img[^>]* src="([^",]*)', body) == ["data:image/svg+xml;base64"]
    assert "<em>good</em>" in body
    assert "&lt;b&gt;text" in body
    assert 'href="load.html"' in (run.folder / "index.html").read_text()
    overview = (settings.runs_dir / "index.html").read_text()
    assert all(item.name in overview for item in load_schedules().deployments)
    assert "0 2 * * *" in overview


def test_failed_maintenance_is_a_failed_run_that_says_where(
    settings: Settings, webhook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(alert_webhook_url=webhook)
    run = begin(settings, "daily-full-refresh", {})
    run.outcome, run.duration_seconds = "succeeded", 1.0
    monkeypatch.setattr("analytics.runs.pipeline.run", lambda *_, **__: run)
    failures: list[Exception] = [OSError(28, "No space left on device")]

    def compact(_: RawStore) -> CompactResult:
        if failures:
            raise failures.pop()
        return CompactResult(0, 0, 0, 0.0)

    monkeypatch.setattr(maintenance, "compact", compact)
    deployment = load_schedules().deployment("daily-full-refresh")
    with pytest.raises(AnalyticsError, match="maintenance of the raw tables failed"):
        run_deployment(settings, deployment, RetryPolicy(1), say=lambda _: None)
    saved = read(run.folder)
    assert (saved.outcome, saved.error["stage"]) == ("failed", "maintain")
    assert "fails in maintain" in Webhook.received[0][1]["text"]
    # a lock that is held passes by itself: the run is what it was before
    failures.append(BusyError("busy"))
    run_deployment(settings, deployment, RetryPolicy(2, 1), say=lambda _: None, sleep=lambda _: None)
    saved = read(run.folder)
    assert (saved.outcome, saved.error) == ("succeeded", None)
    assert saved.duration_seconds >= 1.0


def test_foreground_worker_runs_at_the_scheduled_times(settings: Settings) -> None:
    settings = load_settings(claude_projects_dir=settings.data_dir / "missing")
    clock = [datetime.fromisoformat("2026-03-01T00:30:00+00:00")]
    said: list[str] = []

    def sleep(seconds: float) -> None:
        clock[0] += timedelta(seconds=seconds)

    done = work(settings, load_schedules(), say=said.append, now=lambda: clock[0], sleep=sleep, stop_after=2)
    assert done == 2
    assert [line for line in said if line.startswith("next:")] == [
        "next: hourly-analytics at 2026-03-01 01:00",
        "next: daily-full-refresh at 2026-03-01 02:00",
    ]
    assert sum("error:" in line for line in said) == 2


def ran(settings: Settings, deployment: str, at: str, outcome: str = "succeeded") -> None:
    run = begin(settings, deployment, {})
    run.started_at, run.outcome = f"{at}:00.000+00:00", outcome
    run.save()


def test_a_night_that_was_slept_through_is_made_up_for_by_the_next_scheduled_run(settings: Settings) -> None:
    schedules = load_schedules()
    hourly, adhoc = schedules.deployment("hourly-analytics"), schedules.deployment("adhoc-analytics")

    def next_run(at: str, deployment: Any = hourly) -> str:
        return scheduled_now(settings, schedules, deployment, datetime.fromisoformat(f"{at}Z"), lambda _: None).name

    assert next_run("2026-03-02T09:00:00") == "hourly-analytics"  # nothing ever ran here
    ran(settings, "hourly-analytics", "2026-03-01T12:00")
    assert next_run("2026-03-02T01:00:00") == "hourly-analytics"  # the night before there was nothing here
    assert next_run("2026-03-02T02:01:00") == "hourly-analytics"  # cron starts the nightly one itself
    assert next_run("2026-03-02T09:00:00", adhoc) == "adhoc-analytics"  # by hand is what was asked for
    assert next_run("2026-03-02T09:00:00") == "daily-full-refresh"
    ran(settings, "daily-full-refresh", "2026-03-02T09:00", "killed")
    assert next_run("2026-03-02T10:00:00") == "daily-full-refresh"  # switched off in its middle
    ran(settings, "daily-full-refresh", "2026-03-02T10:00", "killed")
    assert next_run("2026-03-02T11:00:00") == "hourly-analytics"  # not for ever
    ran(settings, "daily-full-refresh", "2026-03-03T02:00", "failed")
    assert next_run("2026-03-03T09:00:00") == "hourly-analytics"  # that was told, and tried again
    assert next_run("2026-03-04T09:00:00") == "daily-full-refresh"


def test_what_was_missed_runs_from_the_crontab_line_of_another(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_PROJECTS_DIR", str(tmp_path / "nothing"))
    ran(settings, "hourly-analytics", f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%dT%H:%M}", "nothing_new")
    assert missed(settings, load_schedules(), datetime.now().astimezone()) is not None
    result = CliRunner().invoke(worker, ["hourly-analytics"])
    assert re.search("daily-full-refresh was missed at .* 02:00: it runs now, in place of hourly", result.output)
    assert missed(settings, load_schedules(), datetime.now().astimezone()) is None


def test_the_foreground_worker_makes_up_for_a_night_in_which_the_machine_slept(settings: Settings) -> None:
    settings = load_settings(claude_projects_dir=settings.data_dir / "missing")
    clock = [datetime.now().astimezone().replace(hour=23, minute=40)]
    ran(settings, "hourly-analytics", f"{clock[0].astimezone(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M}")
    ran(settings, "daily-full-refresh", f"{clock[0].astimezone(UTC):%Y-%m-%dT%H:%M}")
    said: list[str] = []
    work(
        settings, load_schedules(), say=said.append, stop_after=1, now=lambda: clock[0],
        sleep=lambda _: clock.__setitem__(0, clock[0] + timedelta(hours=8)),
    )  # fmt: skip
    assert [line for line in said if "started" in line] == ["daily-full-refresh started"]


@pytest.mark.slow
def test_real_cron_runs_a_deployment(tmp_path: Path) -> None:
    """Debian's cron, in a mount namespace with a spool of its own: nobody's crontab is touched."""
    if not (shutil.which("cron") and shutil.which("crontab") and shutil.which("unshare")) or os.getuid() != 0:
        pytest.skip("needs cron, unshare and root")
    namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    root = tmp_path / "project 100% new"
    root.mkdir()
    for name in ("notebooks", "dbt", "gx", "lib", "pipeline.yaml", "env.yaml"):
        (root / name).symlink_to(PROJECT_ROOT / name)
    (root / "schedules.yaml").write_text("deployments: [{name: every-minute, schedule: '* * * * *'}]")
    projects = tmp_path / "projects" / "-home-me-x"
    projects.mkdir(parents=True)
    entry = {
        "type": "user",
        "uuid": "11111111-1111-4111-8111-111111111111",
        "sessionId": "22222222-2222-4222-8222-222222222222",
        "timestamp": "2026-01-01T10:00:00.000Z",
        "cwd": "/home/me/x",
        "message": {"role": "user", "content": "hello"},
    }
    (projects / "s.jsonl").write_text(json.dumps(entry) + "\n")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ANALYTICS_PROJECT_ROOT": str(root),
        "DATA_DIR": str(tmp_path / "data 5%"),
        "SOURCE": "jsonl",
        "CLAUDE_PROJECTS_DIR": str(tmp_path / "projects"),
    }
    script = """
    set -e
    mount -t tmpfs none /var/spool/cron && mount -t tmpfs none /run
    mkdir -m 1730 /var/spool/cron/crontabs && chgrp crontab /var/spool/cron/crontabs
    "$PYTHON" -m analytics.cli deploy
    cron
    for i in $(seq 540); do
      grep -q '"finished_at": "' "$DATA_DIR"/runs/*/run.json 2>/dev/null && exit 0
      sleep 1
    done
    cat "$DATA_DIR"/logs/cron.log; exit 1
    """
    done = subprocess.run(
        [*namespace, "sh", "-c", script],
        env={**environ, "PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,  # a busy machine; alone it takes a minute at most to start, and seconds to run
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [facts] = [json.loads(path.read_text()) for path in (tmp_path / "data 5%" / "runs").glob("*/run.json")]
    assert (facts["deployment"], facts["outcome"]) == ("every-minute", "succeeded"), facts["error"]
    log = tmp_path / "data 5%" / "logs" / "cron.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "every-minute started" in log.read_text()
