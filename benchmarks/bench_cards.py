"""How long every card's SQL takes on a published database, warm, without filters and with the last 30 days chosen.

    python benchmarks/bench_cards.py data/analytics.db --repeat 20 --json out.json
    python benchmarks/bench_cards.py --entries 2000000      on a generated history of half a year

Aim: the 95th percentile of every card at most 150 ms on 2M entries. One reader at a time, as one person looking at a
dashboard; Metabase runs the cards of a dashboard side by side. Ratios: to one plain sum by day over every message.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analytics.cards.model import load_dashboards
from analytics.cards.query import Selection, bound
from analytics.settings import Settings, load_settings
from analytics.warehouse.marts import connect
from reference import print_ratios, ratios

# What the cheapest card that reads every message does.
SCAN = "select created_date_key, sum(cost_usd) from fct_messages group by created_date_key"


def milliseconds(connection: Any, sql: str, values: dict[str, Any], repeat: int) -> list[float]:
    """Time of each of `repeat` runs, rows fetched; one run before them warms up."""
    found = []
    for _ in range(repeat + 1):
        started = time.perf_counter()
        connection.execute(sql, values).fetchall()
        found.append((time.perf_counter() - started) * 1000)
    return sorted(found[1:])


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of the sorted values do not exceed."""
    return values[min(len(values) - 1, round(share * (len(values) - 1)))]


def published(entries: int, root: Path) -> Path:
    """Publish a generated history of so many entries below `root` -> its database."""
    from analytics.raw.extract import extract
    from analytics.warehouse.load import load
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform
    from transcript_generator import generate

    generate(root / "projects", entries=entries, days=180)
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    extract(settings, progress=False)
    load(settings)
    transform(settings)
    publish(settings)
    return settings.published_path


def main() -> None:
    """Print a table; with --json also write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?", help="a published database; default: DUCKDB_PATH")
    parser.add_argument("--entries", type=int, help="measure on a generated history of this size instead")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bench-cards-") as folder:
        database = published(options.entries, Path(folder)) if options.entries else options.database
        results = measure(load_settings(duckdb_path=database), options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def measure(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Time the cards, print what was found -> the figures."""
    results: dict[str, Any] = {"entries": options.entries, "cards": {}}
    with connect(settings) as connection:
        (last,) = connection.execute("select max(date_key) from dim_date").fetchone()
        month = Selection(last - timedelta(days=29), last) if last else Selection()
        scan = milliseconds(connection, SCAN, {}, options.repeat)[0] / 1000
        cards = {card.key: card for board in load_dashboards() for card in board.cards}
        for key, card in cards.items():
            for name, selection in (("all", None), ("30 days", month)):
                times = milliseconds(connection, *bound(card.sql, selection), options.repeat)
                results["cards"].setdefault(key, {})[name] = {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95)}
    print(f"{'card':28} {'all p50':>9} {'p95':>9} {'30d p50':>9} {'p95':>9}  ms")
    ordered = sorted(results["cards"].items(), key=lambda item: -item[1]["all"]["p50"])
    for key, times in ordered:
        numbers = [times[name][share] for name in ("all", "30 days") for share in ("p50", "p95")]
        print(f"{key:28} " + " ".join(f"{number:9.1f}" for number in numbers))
    totals = {}
    for name in ("all", "30 days"):
        p50 = [times[name]["p50"] for _, times in ordered]
        p95 = [times[name]["p95"] for _, times in ordered]
        print(
            f"{name}: median card {statistics.median(p50):.1f} ms, slowest p95 {max(p95):.1f} ms, "
            f"all cards {sum(p50):.0f} ms"
        )
        totals[name] = {"median card": statistics.median(p50), "slowest p95": max(p95), "all cards": sum(p50)}
    results["ratios"] = ratios(
        {f"{name}, {what}": figure / 1000 for name, figures in totals.items() for what, figure in figures.items()},
        {"one scan": scan},
    )
    print_ratios(results["ratios"])
    return results


if __name__ == "__main__":
    main()
