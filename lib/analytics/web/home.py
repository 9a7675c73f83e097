"""The first page: today, this week, this month against the ones before, and what needs attention."""

from __future__ import annotations

from datetime import date
from typing import Any

from analytics.common import formats
from analytics.common.clock import utc_now
from analytics.common.periods import beginning, same_days_before
from analytics.common.text import clean
from analytics.operations.kept import kept_sentences
from analytics.runs import history
from analytics.web.choice import Choice, days_of
from analytics.web.compare import MEASURES, bounded, sums
from analytics.web.pages import Pages
from analytics.web.published import Facts, require
from analytics.web.run_pages import run_cells
from analytics.web.views import change_of

RUNS_ON_HOME = 6


def home(pages: Pages) -> dict[str, Any]:
    """Today, this week and this month against the ones before, and what needs attention."""
    facts = require(pages.published)
    today = utc_now().astimezone(pages.settings.tz).date()
    spans = [
        ("Today", "day", "the day before"),
        ("This week", "week", "the same days of the week before"),
        ("This month", "month", "the same days of the month before"),
    ]
    periods = [_period(pages, today, *span) for span in spans]
    runs = history.history(pages.settings, RUNS_ON_HOME)
    return {
        **pages.frame("", "Home", facts),
        "periods": periods,
        "attention": _attention(pages, facts, runs),
        "days": _expensive_days(pages, facts),
        "links": _links_on_home(pages, facts),
        "kept": _kept(pages),
        "runs": [run_cells(pages, run) for run in runs],
    }


def _period(pages: Pages, last: date, title: str, unit: str, against: str) -> dict[str, Any]:
    first = beginning(last, unit)
    now_sums, before_sums = sums(pages, first, last), sums(pages, *same_days_before(first, last, unit))
    change, direction = change_of("usd", "down", now_sums["cost_usd"], before_sums["cost_usd"])
    names = ("Sessions", "Prompts", "Active time", "Commits", "Tool errors", "Cache hit rate")
    choice = Choice(preset="", first=first, last=last)
    return {
        "title": title,
        "href": f"{pages.base}dashboards/{pages.boards[0].key}{choice.address()}",
        "days": formats.day(first) if first == last else f"from {formats.day(first)}",
        "cost": bounded(now_sums, "cost_usd", formats.show("usd", now_sums["cost_usd"])),
        "change": change,
        "direction": direction,
        "note": f"{against}: {formats.show('usd', before_sums['cost_usd'])}",
        "facts": [
            (name, formats.show(style, now_sums[column]), formats.show(style, before_sums[column]))
            for name in names
            for column, style, _ in [MEASURES[name]]
        ],
    }


def _kept(pages: Pages) -> str:
    """What is kept, since when, and what would be lost if runs stopped."""
    said = kept_sentences(pages.settings)
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in said) + ("." if said else "")


def _attention(pages: Pages, facts: Facts, runs: list[history.Run]) -> list[dict[str, str]]:
    found = []
    if runs and runs[0].outcome in ("failed", "interrupted"):
        message = clean((runs[0].error or {}).get("message", "it was killed"))
        found.append(
            {
                "text": f"The last run {runs[0].outcome}",
                "what": message,
                "href": f"{pages.base}runs/{runs[0].run_id}",
            }
        )
    for row in pages.published.rows(
        "select check_text, description from agg_data_quality where status <> 'ok' order by check_name"
    ):
        found.append(
            {
                "text": row["description"],
                "what": formats.grouped(clean(row["check_text"] or "")),
                "href": f"{pages.base}dashboards/quality?range=all",
            }
        )
    return found


def _expensive_days(pages: Pages, facts: Facts) -> list[dict[str, Any]]:
    first, last = days_of("30", facts)
    rows = pages.published.rows(
        """
        select date_key, cost_usd
        from agg_daily_summary
        where date_key between $first and $last and cost_usd > 0
        order by cost_usd desc, date_key
        limit 5
        """,
        {"first": first, "last": last},
    )
    most = max((float(row["cost_usd"]) for row in rows), default=0)
    return [
        {
            "name": f"{row['date_key']:%a}, {formats.day(row['date_key'])}",
            "href": f"{pages.base}dashboards/cost{Choice(preset='').address(day=row['date_key'])}",
            "share": float(row["cost_usd"]) / most,
            "cost": formats.show("usd", row["cost_usd"]),
        }
        for row in rows
    ]


def _links_on_home(pages: Pages, facts: Facts) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = [
        {"href": f"{pages.base}dashboards/{board.key}", "title": board.title, "what": board.description}
        for board in pages.boards
    ]
    found += [
        {"href": f"{pages.base}sessions", "title": "Sessions", "what": "what was said and done, and what it cost"},
        {"href": f"{pages.base}edits", "title": "Recent edits", "what": "which file was changed in which session"},
        {"href": f"{pages.base}compare", "title": "Compare", "what": "two periods, or before and after a day"},
        {"href": f"{pages.base}runs", "title": "Runs", "what": "what the schedules did"},
        {"href": f"{pages.base}columns", "title": "Tables and columns", "what": "what every number is"},
    ]
    if (pages.settings.data_dir / "data_docs" / "index.html").is_file():
        found.append({"href": f"{pages.base}data-docs/index.html", "title": "Data docs", "what": "what was validated"})
    notebooks = f"{pages.lab}/tree/notebooks/explore/00_first_steps.ipynb" if pages.lab else None
    found.append(
        {"href": notebooks, "title": "Notebooks", "what": "questions of your own" if notebooks else "make lab"}
    )
    return found
