"""How near the limits of a plan are."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import Report
from analytics.sessions.limits import Limit, limits
from analytics.sessions.reader import Reader

FIELDS = ("window", "cost_usd", "used_ratio", "resets_at", "basis", "is_estimate", "told_at")


def limits_report(reader: Reader, zone: ZoneInfo) -> Report:
    """One row for five hours, one for seven days."""
    found = limits(reader)
    rows = [{name: getattr(limit, name) for name in FIELDS} for limit in found]
    columns = [
        cells.text("window", "window"),
        cells.share("used", "used_ratio"),
        cells.cost(unknown=""),
        cells.local_time("resets", "resets_at", zone),
        cells.text("from", "basis"),
    ]
    return Report("limits", FIELDS, rows, None, columns, notes(found))


def notes(found: list[Limit]) -> list[str]:
    """What has to be known beside the numbers."""
    told = ["note: costs are list prices of what is published; limits of a plan count in a way of their own"]
    if any(limit.is_estimate for limit in found):
        told.append(
            "note: for what Claude Code itself says, set its status line to `claude-analytics statusline`; "
            "or set PLAN_LIMIT_5H_USD and PLAN_LIMIT_7D_USD"
        )
    return told
