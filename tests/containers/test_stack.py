"""The stack in containers, used as somebody uses it: `make test-containers`.

What tests/unit/test_containers.py reads, here runs: the image is built, the services start with the rights they have in
docker-compose.yml, cron publishes, a notebook is opened and executed. Services whose images need a registry (MongoDB,
Metabase) are not started.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import websocket
from analytics.settings import PROJECT_ROOT
from compose_stack import IMAGE, Stack, podman, say, wait_for

SERVICES = ("scheduler", "jupyter", "docs")


def fetch(port: int, path: str, token: str = "", host: str | None = None, body: Any = None) -> tuple[int, bytes]:
    """Status and body of a request to a published port."""
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"token {token}"} if token else {}
    headers |= {} if host is None else {"Host": host}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers, data=data)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def answers(port: int, path: str, **request: Any) -> bool:
    try:
        return fetch(port, path, **request)[0] == 200
    except OSError:
        return False


def sessions(stack: Stack) -> set[str]:
    """Sessions in the published database, read from outside the containers."""
    with duckdb.connect(str(stack.data / "analytics.db"), read_only=True) as connection:
        return {name for (name,) in connection.execute("select session_id from marts.dim_sessions").fetchall()}


@pytest.fixture(scope="session")
def published(stack: Stack) -> Stack:
    """The stack when the numbers are there for the first time."""
    wait_for(stack.published, "the first run publishes")
    say(f"first published run {time.monotonic() - stack.started:.0f} s after `up`")
    return stack


def test_image_runs_what_it_says(image: str) -> None:
    done = podman("run", "--rm", "--network=none", IMAGE)
    assert done.returncode == 0, done.stderr
    assert "Usage: claude-analytics" in done.stdout
    # nothing of the installer, its addresses or certificates is left in it
    assert podman("run", "--rm", "--network=none", IMAGE, "sh", "-c", "ls -A /run/secrets").stdout == ""
    history = podman("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE).stdout
    assert "index" not in history.lower()


def test_first_run_publishes_and_is_silent_about_cron(published: Stack) -> None:
    assert sessions(published) >= published.sessions
    log = published.logs("scheduler")
    assert "hourly-analytics written to the crontab" in log
    assert "cron does not seem to be running" not in log


def test_cron_publishes_what_is_new(published: Stack) -> None:
    before = published.published()
    published.write_history(seed=2)
    seconds = wait_for(lambda: published.published() != before, "cron publishes the new sessions")
    say(f"new transcripts published by cron after {seconds:.0f} s")
    assert sessions(published) >= published.sessions
    done = published.run("scheduler", "claude-analytics", "status", user="analytics")
    assert "hourly-analytics" in done.stdout
    assert "not in crontab" not in done.stdout


def test_what_containers_write_is_theirs_alone(published: Stack) -> None:
    for path in (published.data / "runs", published.data / "versions", published.data / "logs" / "cron.log"):
        status = path.stat()
        assert status.st_uid == int(published.values["HOST_UID"]), path
        assert status.st_mode & 0o077 == 0, path


def test_notebook_opens_and_its_cells_run(published: Stack) -> None:
    port, token = published.jupyter_port, published.values["JUPYTER_TOKEN"]
    wait_for(lambda: answers(port, "/api/status", token=token), "the lab answers")
    folder = json.loads(fetch(port, "/api/contents/notebooks/explore", token=token)[1])
    assert "00_first_steps.ipynb" in {item["name"] for item in folder["content"]}
    status, body = fetch(port, "/api/contents/notebooks/explore/00_first_steps.ipynb?content=1", token=token)
    assert status == 200
    notebook = json.loads(body)["content"]
    kernel = notebook["metadata"]["kernelspec"]["name"]
    session = {
        "path": "notebooks/explore/00_first_steps.ipynb",
        "type": "notebook",
        "name": "",
        "kernel": {"name": kernel},
    }
    status, body = fetch(port, "/api/sessions", token=token, body=session)
    assert status == 201, body
    address = f"ws://127.0.0.1:{port}/api/kernels/{json.loads(body)['kernel']['id']}/channels?token={token}"
    channel = websocket.create_connection(address, timeout=60)
    try:
        cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        outputs = [output for cell in cells for output in execute(channel, cell)]
    finally:
        channel.close()
    errors = [f"{output['ename']}: {output['evalue']}" for output in outputs if "ename" in output]
    assert errors == []
    assert any("dim_sessions" in json.dumps(output) for output in outputs)


def execute(channel: websocket.WebSocket, code: str) -> list[dict[str, Any]]:
    """Contents of the outputs of `code` in a kernel."""
    identifier = uuid.uuid4().hex
    header = {"msg_id": identifier, "msg_type": "execute_request", "username": "", "session": "test", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(message))
    found = []
    while True:
        answer = json.loads(channel.recv())
        if answer["parent_header"].get("msg_id") != identifier:
            continue
        if answer["msg_type"] in {"display_data", "execute_result", "stream", "error"}:
            found.append(answer["content"])
        if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            return found


def test_lab_needs_its_token_and_its_name(published: Stack) -> None:
    port, token = published.jupyter_port, published.values["JUPYTER_TOKEN"]
    assert fetch(port, "/api/contents")[0] == 403
    assert fetch(port, "/api/contents", token="guess")[0] == 403
    assert fetch(port, "/api/contents", token=token)[0] == 200
    assert fetch(port, "/api/contents", token=token, host="evil.example")[0] == 403


def test_dashboards_answer_in_the_lab(published: Stack) -> None:
    status, body = fetch(published.jupyter_port, "/analytics/", token=published.values["JUPYTER_TOKEN"])
    assert status == 200
    assert b"<html" in body


def test_docs_show_dbt_data_docs_and_runs(published: Stack) -> None:
    port = published.docs_port
    wait_for(lambda: answers(port, "/dbt/"), "dbt's pages")
    assert b"dim_sessions" in fetch(port, "/dbt/")[1]
    for path in ("/", "/data-docs/", "/runs/"):
        assert fetch(port, path)[0] == 200, path
    for host in ("evil.example", "evil.example:80", f"localhost.evil.example:{port}", "", "["):
        assert fetch(port, "/", host=host)[0] == 403, host


@pytest.mark.parametrize("service", SERVICES)
def test_health_check_passes_once_it_is_of_use(published: Stack, service: str) -> None:
    wait_for(lambda: not published.health(service), f"{service} is healthy", 90)


def test_health_check_sees_a_lab_that_opens_no_notebook(published: Stack) -> None:
    # what happened: the server answers, every notebook is error 500
    ploomber = "--ServerApp.jpserver_extensions={'ploomber': True}"
    script = f"""
        export JUPYTER_CONFIG_PATH= HOME=/tmp/lab
        jupyter lab --ip 127.0.0.1 --port 9999 --no-browser --ServerApp.root_dir /app "{ploomber}" >/dev/null 2>&1 &
        for second in $(seq 60); do
          python -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:9999/api")' 2>/dev/null && break
          sleep 1
        done
        python /usr/local/lib/answers.py jupyter http://127.0.0.1:9999; code=$?
        kill $!
        exit $code
    """
    done = published.run("jupyter", "sh", "-c", script)
    assert (done.returncode, "/api/contents/notebooks" in done.stderr) == (1, True), done.stdout + done.stderr
    assert "answers 500" in done.stderr


def test_health_check_sees_a_scheduler_without_schedules(published: Stack) -> None:
    crontab = "/var/spool/cron/crontabs/analytics"
    assert published.run("scheduler", "mv", crontab, "/tmp/kept").returncode == 0
    try:
        assert published.health("scheduler")
    finally:
        published.run("scheduler", "mv", "/tmp/kept", crontab)
    assert not published.health("scheduler")


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_no_more_rights_than_it_needs(published: Stack, service: str) -> None:
    status = published.run(service, "cat", "/proc/1/status").stdout
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    capabilities = int(re.search(r"^CapBnd:\t(\w+)$", status, re.MULTILINE)[1], 16)
    # CHOWN, DAC_OVERRIDE, SETGID, SETUID: cron starts runs as another user
    assert capabilities == (0b11000011 if service == "scheduler" else 0)
    assert "Read-only file system" in published.run(service, "touch", "/app/lib/x").stderr
    assert published.run(service, "touch", "/claude/projects/x").returncode != 0
    if service == "docs":
        assert "Read-only file system" in published.run(service, "touch", str(published.data / "x")).stderr


def test_services_reach_only_whom_they_need(published: Stack) -> None:
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"

    def reaches(source: str, target: str, port: int) -> bool:
        return published.run(source, "python", "-c", connect, target, str(port)).returncode == 0

    # they share the network of MongoDB
    assert reaches("scheduler", "jupyter", 8888)
    for source, target, port in (("docs", "jupyter", 8888), ("scheduler", "docs", 8080), ("jupyter", "docs", 8080)):
        assert not reaches(source, target, port), f"{source} reaches {target}"
    # not by address either, in a network that is internal
    networks = json.loads(podman("inspect", published.container("jupyter")).stdout)[0]["NetworkSettings"]["Networks"]
    assert not reaches("docs", networks[f"{published.project}_mongo"]["IPAddress"], 8888)


def test_stack_starts_again_on_what_is_there(published: Stack) -> None:
    before = published.published()
    published.compose("down", "--timeout", "5", check=True)
    published.compose("up", "--detach", check=True)
    wait_for(lambda: not published.health("scheduler"), "the scheduler is healthy again", 60)
    assert published.published() >= before
    assert "hourly-analytics written to the crontab" in published.logs("scheduler")


@pytest.fixture
def postgres(image: str) -> Iterator[str]:
    """PostgreSQL's image as docker-compose.yml names it: the real one where a registry has it, else a stand-in of
    Debian's packages under that name, taken away again."""
    name = re.search(r"image: (postgres:\S+)", (PROJECT_ROOT / "docker-compose.yml").read_text())[1]
    full = f"docker.io/library/{name}"
    if podman("image", "exists", full).returncode == 0 or podman("pull", "--quiet", full).returncode == 0:
        yield "the real image"
        return
    folder = Path(__file__).parent
    file = f"--file={folder / 'postgres.Dockerfile'}"
    built = podman(
        "build", "--network=host", "--quiet", file, f"--tag={full}", "--tag=analytics-test-postgres", str(folder)
    )
    if built.returncode:
        pytest.skip(f"no registry has {name}, and Debian's PostgreSQL could not be installed: {built.stderr[-200:]}")
    yield "a stand-in"
    podman("untag", full, full)


def test_database_of_metabase_starts_with_its_few_rights(postgres: str) -> None:
    stack = Stack(profiles=("metabase",))
    try:
        stack.compose("up", "--detach", "metabase-db", check=True)
        wait_for(lambda: not stack.health("metabase-db"), "metabase-db is healthy", 60)
        say(f"metabase-db ran with {postgres}")
        # over its network, by its name, with its password: what Metabase does
        network = f"{stack.project}_metabase-db"
        address = f"postgresql://metabase:{stack.values['METABASE_DB_PASSWORD']}@metabase-db/metabase"
        image = podman("inspect", "--format", "{{.ImageName}}", stack.container("metabase-db")).stdout.strip()
        command = ["run", "--rm", f"--network={network}", "--entrypoint", "psql", image, "-Atc", "select 1"]
        assert podman(*command, address).stdout == "1\n"
        assert podman(*command, address.replace("metabase:", "metabase:not-")).returncode != 0
        # an internal network: nothing outside is reached
        done = podman("run", "--rm", f"--network={network}", "--entrypoint", "cat", image, "/proc/net/route")
        destinations = [line.split()[1] for line in done.stdout.splitlines()[1:] if line.strip()]
        assert destinations
        assert "00000000" not in destinations
        # and it is there again after a restart
        stack.compose("restart", "metabase-db")
        wait_for(lambda: podman(*command, address).stdout == "1\n", "metabase-db answers again", 60)
    finally:
        stack.close()
