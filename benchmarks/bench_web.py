"""How long the pages take on a published database: server and browser as a reader has them, warm, two cores.

    python benchmarks/bench_web.py data/analytics.db --repeat 20 --json out.json
    python benchmarks/bench_web.py --entries 2000000        on a generated history of half a year

Aims at two million entries: the 95th percentile of every card at most 150 ms, a dashboard complete in the browser
(every card loaded and every chart drawn) at most 1.5 s, home at most 0.5 s, the server at most 500 MB. While cards are
asked for over and over the same numbers are published again: no request may fail, and the next one shows it.
Ratios: of a card through the server to its query alone, warm, in one process.
The browser part needs Chromium.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from analytics.cards.model import load_dashboards
from analytics.cards.query import Selection, bound
from analytics.settings import Settings, load_settings
from analytics.warehouse.marts import connect
from bench_cards import milliseconds, published, quantile
from reference import print_ratios, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "bench"  # of a server that lives as long as the measurement
CHROMIUM = "/usr/bin/chromium"


class Server:
    """A running `claude-analytics dashboards serve`, and one kept connection to it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> tuple[int, bytes, float]:
        """Status, body and milliseconds of a request below /analytics/."""
        started = time.perf_counter()
        self.connection.request("GET", f"/analytics/{path}", headers={"Authorization": f"token {TOKEN}"})
        answer = self.connection.getresponse()
        body = answer.read()
        return answer.status, body, (time.perf_counter() - started) * 1000

    def megabytes(self) -> float:
        """The largest memory it ever had, resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


@contextmanager
def serving(settings: Settings) -> Iterator[Server]:
    """The server on the published database of `settings`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "JUPYTER_TOKEN": TOKEN, "DATA_DIR": str(settings.data_dir)}
    environment["DUCKDB_PATH"] = str(settings.published_path)
    command = [sys.executable, "-m", "analytics.cli", "dashboards", "serve", "--port", str(port), "--no-browser"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def cards(server: Server, repeat: int) -> dict[str, Any]:
    """Milliseconds of every card's body, for all days and for the last 30."""
    found: dict[str, Any] = {}
    for key in {card.key: card for board in load_dashboards() for card in board.cards}:
        for name, choice in (("all", "all"), ("30 days", "30")):
            times = []
            for turn in range(repeat + 1):
                status, body, took = server.get(f"cards/{key}/body?range={choice}")
                if status != 200:
                    raise SystemExit(f"{key}: {status} {body[:200]!r}")
                if turn:
                    times.append(took)
            times.sort()
            found.setdefault(key, {})[name] = {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95)}
    return found


def in_browser(server: Server, repeat: int) -> dict[str, float]:
    """Seconds until a page is complete in Chromium: median of `repeat` visits after a first one."""
    from playwright.sync_api import sync_playwright

    paths = {"home": "", **{board.key: f"dashboards/{board.key}?range=all" for board in load_dashboards()}}
    complete = "!document.querySelector('.body[aria-busy]') && !document.querySelector('.chart:not([data-drawn])')"
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        # the pages allow no eval; the question whether they are complete is ours
        page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
        base = f"http://127.0.0.1:{server.port}/analytics/"
        page.goto(f"{base}?token={TOKEN}")
        for name, path in paths.items():
            times = []
            for turn in range(repeat + 1):
                started = time.perf_counter()
                page.goto(base + path, wait_until="domcontentloaded")
                page.wait_for_function(complete, polling=20, timeout=60_000)
                if turn:
                    times.append(time.perf_counter() - started)
            found[name] = quantile(sorted(times), 0.5)
        browser.close()
    return found


def through_a_publish(server: Server, settings: Settings) -> dict[str, Any]:
    """Ask for cards while another version is published -> requests, failures, and whether the next one shows it."""
    status = "cards/data_status.json?range=all"
    shown = server.get(status)[1]
    publish = (
        "import shutil; from analytics.settings import load_settings; from analytics.warehouse.publish import publish;"
        "s = load_settings(); shutil.copy(s.published_path.resolve(), s.build_path); s.build_path.chmod(0o600);"
        "publish(s)"
    )
    environment = {**os.environ, "DATA_DIR": str(settings.data_dir), "DUCKDB_PATH": str(settings.published_path)}
    before = settings.published_path.resolve()
    process = subprocess.Popen([sys.executable, "-c", publish], env=environment)
    asked = failed = 0
    while process.poll() is None:
        for key in ("spend", "spend_by_day", "data_status"):
            asked += 1
            failed += server.get(f"cards/{key}/body?range=all")[0] != 200
    if process.returncode or settings.published_path.resolve() == before:
        raise SystemExit("the second version was not published")
    shows = server.get(status)[1] != shown
    return {"requests": asked, "failed": failed, "next request shows it": shows}


def main() -> None:
    """Print the figures; with --json also write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?", help="a published database; default: DUCKDB_PATH")
    parser.add_argument("--entries", type=int, help="measure on a generated history of this size, and a publish too")
    parser.add_argument("--publish", action="store_true", help="publish a second version into DATA_DIR while measuring")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bench-web-") as folder:
        database = published(options.entries, Path(folder)) if options.entries else options.database
        settings = load_settings(**({"duckdb_path": database, "data_dir": database.parent} if database else {}))
        results = measure(settings, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def measure(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Time everything, print what was found -> the figures."""
    with serving(settings) as server:
        server.get("")
        home = sorted(server.get("")[2] for _ in range(options.repeat))
        results: dict[str, Any] = {"home_ms": {"p50": quantile(home, 0.5), "p95": quantile(home, 0.95)}}
        results["cards_ms"] = cards(server, options.repeat)
        results["dashboard_ms"] = {
            board.key: server.get(f"dashboards/{quote(board.key)}?range=all")[2] for board in load_dashboards()
        }
        if Path(CHROMIUM).exists():
            results["browser_s"] = in_browser(server, max(3, options.repeat // 4))
        if options.entries or options.publish:
            results["publish"] = through_a_publish(server, settings)
        results["server_mb"] = server.megabytes()
    with connect(settings) as connection:
        queries = sum(
            milliseconds(connection, *bound(card.sql, Selection()), 3)[0]
            for card in {card.key: card for board in load_dashboards() for card in board.cards}.values()
        )
    through = sum(times["all"]["p50"] for times in results["cards_ms"].values())
    results["ratios"] = ratios({"all cards through the server": through}, {"their queries alone": queries})
    print(f"{'card':28} {'all p50':>9} {'p95':>9} {'30d p50':>9} {'p95':>9}  ms")
    for key, times in sorted(results["cards_ms"].items(), key=lambda item: -item[1]["all"]["p95"]):
        numbers = [times[name][share] for name in ("all", "30 days") for share in ("p50", "p95")]
        print(f"{key:28} " + " ".join(f"{number:9.1f}" for number in numbers))
    slowest = max(times[name]["p95"] for times in results["cards_ms"].values() for name in times)
    print(f"slowest card p95 {slowest:.0f} ms; home p95 {results['home_ms']['p95']:.0f} ms")
    print_ratios(results["ratios"])
    for name, seconds in results.get("browser_s", {}).items():
        print(f"{name:14} complete in the browser in {seconds:.2f} s")
    print(f"server at most {results['server_mb']:.0f} MB; publish: {results.get('publish', 'not measured')}")
    return results


if __name__ == "__main__":
    main()
