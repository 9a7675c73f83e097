"""dbt's documentation as one page, and the server that shows it on this machine."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from analytics.common.page import meta, policy
from analytics.errors import AnalyticsError
from analytics.settings import Settings
from analytics.warehouse.dbt_project import dbt_session, target_dir

# A link to a file that dbt does not write.
_ICON = re.compile(r'<link rel="shortcut icon"[^>]*>')


def write_docs(settings: Settings) -> Path:
    """Write the dbt documentation as one HTML file.

    Column types come from the published database when there is one, else from the working copy, else from nowhere.

    Returns:
        The file, `DATA_DIR/dbt/target/static_index.html`.

    Raises:
        AnalyticsError: the project does not compile.
    """
    databases = (settings.published_path.resolve(), settings.build_path)
    database = next((path for path in databases if path.exists()), None)
    arguments = ["docs", "generate", "--static", "--no-compile"]
    if database is None:
        arguments.append("--empty-catalog")
    with dbt_session(settings, database=database, read_only=True) as (manifest, invoke):
        from dbt.flags import get_flags, set_from_args
        from dbt.parser.manifest import write_manifest

        # the page is made from this file, which `--no-compile` leaves to whoever parsed. What was parsed earlier comes
        # from a file of ours: then no command of dbt has set the flags that the writer asks for.
        if not hasattr(get_flags(), "SEND_ANONYMOUS_USAGE_STATS"):
            from argparse import Namespace

            set_from_args(Namespace(send_anonymous_usage_stats=False), None)
        write_manifest(manifest, str(target_dir(settings)))
        invoke(arguments)
    # the same for a server of its own, which nobody runs: a page without a policy
    (target_dir(settings) / "index.html").unlink(missing_ok=True)
    page = target_dir(settings) / "static_index.html"
    page.write_text(confined(page.read_text(encoding="utf-8")), encoding="utf-8")
    return page


def confined(text: str) -> str:
    """dbt's page under a policy: its one script runs and nothing else, and nothing is loaded from anywhere.

    Descriptions in it are HTML to the browser; what stands in them cannot run. dbt's usage tracker is off
    (send_anonymous_usage_stats), and this leaves it no way out either. Style sheets are made while the page is shown:
    they cannot be named by hash.
    """
    begin = text.index(">", text.index("<script")) + 1
    script = text[begin : text.index("</script>", begin)]
    held = policy(scripts=(script,), images="data:", more="style-src 'unsafe-inline'; font-src data:")
    return _ICON.sub("", text.replace("<head>", f"<head>{meta(held)}", 1), count=1)


def serve_docs(page: Path, port: int) -> None:
    """Serve the one page on the loopback interface until Ctrl-C.

    Raises:
        AnalyticsError: the port is taken.
    """
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    body = page.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # a page elsewhere whose name leads to this machine must not read this one
            host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
            if host not in ("127.0.0.1", "localhost"):
                self.send_error(403, "use 127.0.0.1 or localhost")
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise AnalyticsError(
            f"cannot serve the docs on port {port}: {error.strerror}; choose another with PORT="
        ) from None
    with server:
        print(f"dbt docs: http://127.0.0.1:{server.server_port}/ (Ctrl-C stops)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
