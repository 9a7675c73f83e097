"""The few figures that Claude Code's status line shows, in a small file: reading it opens no database."""

from __future__ import annotations

import json
from datetime import date, datetime, time

from analytics.common.clock import utc_now
from analytics.common.files import partial_file
from analytics.common.periods import beginning, following
from analytics.common.reported_limits import FIGURES
from analytics.settings import Settings
from analytics.warehouse.marts import connect


def write_figures(settings: Settings) -> None:
    """Write today's, this month's and the current block's cost of the published version, with the instants at which
    they stop being that.

    Raises:
        AnalyticsError: nothing is published.
        OSError: the file cannot be written.
    """
    now = utc_now()
    today = now.astimezone(settings.tz).date()
    first = beginning(today, "month")
    with connect(settings) as connection:
        today_usd, month_usd = connection.execute(
            f"""
            select
                sum(cost_usd) filter (where date_key = date '{today}'),
                sum(cost_usd)
            from agg_daily_summary
            where date_key between date '{first}' and date '{today}'
            """
        ).fetchall()[0]
        blocks = connection.execute(
            f"""
            select cost_usd, epoch_ms(ended_at)
            from agg_billing_blocks
            where epoch_ms(started_at) <= {int(now.timestamp() * 1000)}
            order by started_at desc
            limit 1
            """
        ).fetchall()
    figures = {
        "published_at": round(now.timestamp()),
        "today_usd": float(today_usd or 0),
        "today_ends_at": _begin(settings, following(today, "day")),
        "month_usd": float(month_usd or 0),
        "month_ends_at": _begin(settings, following(first, "month")),
    }
    if blocks and blocks[0][0] is not None:
        figures |= {"block_usd": float(blocks[0][0]), "block_ends_at": blocks[0][1] / 1000}
    with partial_file(settings.data_dir / FIGURES) as partial:
        partial.write_text(json.dumps(figures) + "\n")


def _begin(settings: Settings, day: date) -> float:
    return datetime.combine(day, time(), settings.tz).timestamp()
