"""The dashboards' server as `make dashboards` starts it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from mongo_server import free_port

TOKEN = "token-of-the-tests"


class WebServer:
    """Runs while the block lasts."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.environment = environment
        self.process: subprocess.Popen[bytes]

    @property
    def base(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}/analytics/"

    def __enter__(self) -> WebServer:
        log = (self.data_dir / "server.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "analytics.cli", "dashboards", "serve", "--port", str(self.port), "--no-browser"],
            env={**os.environ, "DATA_DIR": str(self.data_dir), "JUPYTER_TOKEN": TOKEN, **self.environment},
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api", timeout=5)
                return self
            except urllib.error.HTTPError:
                return self
            except OSError:
                assert self.process.poll() is None, (self.data_dir / "server.log").read_text()
                time.sleep(0.1)
        raise AssertionError("the server does not start")

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def get(self, path: str, *, token: str | None = TOKEN, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and body of a page; redirects are not followed."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        address = self.base + quote(path, safe="/?&=%.-_")
        request = urllib.request.Request(address, headers={**(headers or {})})
        if token:
            request.add_header("Authorization", f"token {token}")
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=60) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
