"""The documentation as one site: dbt's pages, the data docs, the pages of past runs. Read-only, standard library.

    python docs_site.py [PORT]

DATA_DIR is where the pipeline keeps its state; it may be mounted read-only. dbt's pages are made here, in memory or a
temporary folder, from the published database, at the start and after each publish.
"""

from __future__ import annotations

import functools
import http.server
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Claude Code analytics</title>
<body style="font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem">
<h1>Claude Code analytics</h1><ul>
<li><a href="/dbt/">Tables and columns</a> (dbt: descriptions, tests, lineage)</li>
<li><a href="/data-docs/">Data docs</a> (what was validated, and how it went)</li>
<li><a href="/runs/">Runs</a> (history, executed notebooks)</li></ul></body></html>"""

# The port is published on the loopback interface only.
HOSTS = ("localhost", "127.0.0.1", "::1")


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves three folders under three names, and nothing else."""

    def __init__(self, *args: object, roots: dict[str, Path], **kwargs: object) -> None:
        self.roots = roots
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def parse_request(self) -> bool:
        """Refuse a foreign Host: a page elsewhere that points its own name at this machine reads nothing."""
        if not super().parse_request():
            return False
        try:
            known = urlsplit(f"//{self.headers.get('Host', '')}").hostname in HOSTS
        except ValueError:
            known = False
        if not known:
            self.send_error(403, "Forbidden", "open it as localhost or 127.0.0.1")
        return known

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/":
            body = PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        super().do_GET()

    def translate_path(self, path: str) -> str:
        """The file behind `path`; one that does not exist for everything outside the folders."""
        parts = [part for part in unquote(urlsplit(path).path).split("/") if part]
        root = self.roots.get(parts[0]) if parts else None
        missing = "/nonexistent"
        if root is None or any(part.startswith(".") or "\0" in part for part in parts):
            return missing
        found = root.joinpath(*parts[1:]).resolve()
        if not found.is_relative_to(root.resolve()):
            return missing
        return f"{found}/" if path.endswith("/") and found.is_dir() else str(found)

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Quiet: addresses name runs."""


def make_dbt_pages(published: Path, folder: Path) -> None:
    """dbt's documentation of `published` as folder/index.html."""
    from analytics.settings import load_settings
    from analytics.warehouse.dbt_docs import write_docs

    with tempfile.TemporaryDirectory() as state:
        page = write_docs(load_settings(data_dir=state, duckdb_path=published))
        target = folder / "index.html"
        temporary = folder / ".index.html"
        temporary.write_bytes(page.read_bytes())
        temporary.replace(target)


def keep_dbt_pages_fresh(published: Path, folder: Path) -> None:
    """Make dbt's pages now and after each publish; what goes wrong is said and tried again."""
    made_for = None
    while True:
        version = published.resolve() if published.exists() else None
        if version != made_for or not (folder / "index.html").exists():
            try:
                make_dbt_pages(published, folder)
                made_for = version
            except Exception as error:
                print(f"dbt's pages could not be made: {error}", file=sys.stderr, flush=True)
        time.sleep(5)


def main() -> None:
    os.umask(0o077)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    data = Path(os.environ["DATA_DIR"])
    published = Path(os.environ.get("DUCKDB_PATH") or data / "analytics.db")
    with tempfile.TemporaryDirectory() as dbt_pages:
        roots = {"dbt": Path(dbt_pages), "data-docs": data / "data_docs", "runs": data / "runs"}
        threading.Thread(target=keep_dbt_pages_fresh, args=(published, Path(dbt_pages)), daemon=True).start()
        address = (os.environ.get("BIND", "0.0.0.0"), port)
        with http.server.ThreadingHTTPServer(address, functools.partial(Site, roots=roots)) as server:
            print(f"documentation on port {port}", flush=True)
            server.serve_forever()


if __name__ == "__main__":
    main()
