"""How near the five-hour and weekly limits are: as Claude Code reported, else an estimate that says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from analytics.common.clock import utc_now
from analytics.common.reported_limits import Told, told
from analytics.sessions.reader import Reader

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Limit:
    """One window.

    Attributes:
        window: "5 hours" or "7 days".
        cost_usd: list price of what was used in it so far, of the published data; None when it is unknown.
        used_ratio: the share that is used; None when nothing can be compared with.
        resets_at: when it begins anew; None when that is not known.
        basis: where `used_ratio` comes from, in words.
        is_estimate: whether it is ours, and not Claude Code's word.
        told_at: when Claude Code said so.
    """

    window: str
    cost_usd: Decimal | None
    used_ratio: float | None
    resets_at: datetime | None
    basis: str
    is_estimate: bool
    told_at: datetime | None = None


def limits(reader: Reader, now: datetime | None = None) -> list[Limit]:
    """Both limits.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    now = now or utc_now()
    settings = reader.settings
    said = told(settings.data_dir)
    block_cost, block_ends, most_block = _block(reader, now)
    week_cost, most_week = _week(reader, now)
    found = []
    for window, name, cost, ends, most, plan, variable in (
        ("5 hours", "five_hour", block_cost, block_ends, most_block, settings.plan_limit_5h_usd, "PLAN_LIMIT_5H_USD"),
        ("7 days", "seven_day", week_cost, None, most_week, settings.plan_limit_7d_usd, "PLAN_LIMIT_7D_USD"),
    ):
        found.append(_told(said, window, name, cost, now) or _estimated(window, cost, ends, most, plan, variable))
    return found


def _told(reports: list[Told], window: str, name: str, cost: Decimal | None, now: datetime) -> Limit | None:
    """What Claude Code said last of a window, while that window lasts."""
    said = next((said for said in reversed(reports) if said.window == name), None)
    if said is None or now >= (said.resets_at or said.at + (WEEK if name == "seven_day" else timedelta(hours=5))):
        return None
    basis = "as Claude Code reported"
    return Limit(window, cost, said.used_ratio, said.resets_at, basis, is_estimate=False, told_at=said.at)


def _estimated(
    window: str, cost: Decimal | None, ends: datetime | None, most: Decimal | None, plan: float | None, variable: str
) -> Limit:
    if plan:
        ratio = None if cost is None else float(cost) / plan
        return Limit(window, cost, ratio, ends, f"estimate: share of {variable}={plan:g}", is_estimate=True)
    if cost is not None and most:
        basis = f"estimate: share of the largest {window} so far, ${most:,.2f}"
        return Limit(window, cost, float(cost / most), ends, basis, is_estimate=True)
    return Limit(window, cost, None, ends, f"nothing to compare with: set {variable}", is_estimate=True)


def _block(reader: Reader, now: datetime) -> tuple[Decimal | None, datetime | None, Decimal | None]:
    """Cost and end of the block in progress (nothing used when there is none), and the cost of the largest block."""
    (row,) = reader.rows(
        """
        select
            max(cost_usd) as most,
            arg_max(cost_usd, started_at) filter (where started_at <= $now and $now < ended_at) as cost_usd,
            max(ended_at) filter (where started_at <= $now and $now < ended_at) as ended_at,
            count(*) filter (where started_at <= $now and $now < ended_at) as block_count
        from agg_billing_blocks
        """,
        {"now": now},
    )
    return (row["cost_usd"] if row["block_count"] else Decimal(0)), row["ended_at"], row["most"]


def _week(reader: Reader, now: datetime) -> tuple[Decimal | None, Decimal | None]:
    """Cost of the last seven days, and of the most expensive seven days so far."""
    (row,) = reader.rows(
        """
        select
            coalesce(sum(cost_usd), 0) as cost_usd,
            (select max(cost_usd) from agg_limits where limit_window = 'seven_day') as most
        from fct_messages
        where created_at > $start and created_at <= $now
        """,
        {"start": now - WEEK, "now": now},
    )
    return row["cost_usd"], row["most"]
