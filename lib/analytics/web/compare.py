"""Two periods side by side, measure by measure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from analytics.common import formats
from analytics.common.clock import utc_now
from analytics.common.periods import DAY, beginning, preceding, same_days_before
from analytics.common.text import clean
from analytics.warehouse.measures import RESPONSE_SUMS, ratio
from analytics.web.choice import BadAddress, Choice, day_of, number_of, parse
from analytics.web.pages import Pages, quoted
from analytics.web.published import require
from analytics.web.tables import Cell
from analytics.web.views import change_of

MEASURES = {
    "Cost": ("cost_usd", "usd", "down"),
    "Sessions": ("session_count", "count", None),
    "Prompts": ("prompt_count", "count", None),
    "Responses": ("response_count", "count", None),
    "Tool calls": ("tool_call_count", "count", None),
    "Tool errors": ("error_count", "count", "down"),
    "Active time": ("active_seconds", "duration", None),
    "Commits": ("commits", "count", None),
    "Lines added": ("lines_added", "count", None),
    "Lines removed": ("lines_removed", "count", None),
    "Input tokens": ("input_tokens", "tokens", None),
    "Output tokens": ("output_tokens", "tokens", None),
    "Cache writes": ("cache_write_tokens", "tokens", None),
    "Cache reads": ("cache_read_tokens", "tokens", None),
    "Cache hit rate": ("cache_hit_rate", "percent", "up"),
    "Cost per prompt": ("cost_per_prompt_usd", "usd", "down"),
}


def compare(pages: Pages, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Every measure in two periods: chosen, a preset, or as many days before and after a day."""
    facts = require(pages.published)
    choice = parse({"range": "all", **{n: v for n, v in arguments.items() if n == "project"}}, facts)
    last = facts.last_day or utc_now().date()
    month = beginning(last, "month")
    same_days = same_days_before(month, last, "month")
    day = day_of(arguments, "day")
    days = number_of(arguments, "days", 14, least=1, most=366)
    if day:
        now = (day, day + timedelta(days=days - 1))
        before = (day - timedelta(days=days), day - timedelta(days=1))
        names = [f"{days} days from {formats.day(day)}", f"{days} days before"]
    else:
        now = (day_of(arguments, "from") or month, day_of(arguments, "to") or last)
        before = (day_of(arguments, "before_from") or same_days[0], day_of(arguments, "before_to") or same_days[1])
        names = [f"{formats.day(start)} – {formats.day(end)}" for start, end in (now, before)]
    for start, end in (now, before):
        if start > end:
            raise BadAddress(f"A period from {start} to {end} ends before it begins: exchange the two.")
    found = [sums(pages, start, end, choice) for start, end in (now, before)]
    rows = []
    for title, (column, style, good) in MEASURES.items():
        if column not in found[0]:
            continue
        change, direction = change_of(style, good, found[0][column], found[1][column])
        shown = [bounded(values, column, formats.show(style, values[column])) for values in found]
        rows.append(
            [
                Cell(title),
                *(Cell(text, is_number=True) for text in shown),
                Cell(change, badge=direction, is_number=True),
            ]
        )
    week = (last - timedelta(days=6), last)
    periods = {
        "this month against the same days of the month before": ((month, last), same_days),
        "the month before against the one before it": (
            (same_days[0], month - DAY),
            (preceding(same_days[0], "month"), same_days[0] - DAY),
        ),
        "the last 7 days against the 7 before": (week, (week[0] - timedelta(days=7), week[0] - timedelta(days=1))),
    }
    project = f"&project={quoted(choice.project.project_id)}" if choice.project else ""
    return {
        **pages.frame("compare", "Compare two periods", facts),
        **pages.filters(choice, facts),
        "said": clean(choice.project.label) if choice.project else "All projects",
        "now": now,
        "before": before,
        "day": day,
        "days": days,
        "names": names,
        "rows": rows,
        "lower_bound": any(values["lower_bound_response_count"] for values in found),
        "presets": [
            {
                "title": title,
                "href": f"?from={one[0]}&to={one[1]}&before_from={two[0]}&before_to={two[1]}{project}",
            }
            for title, (one, two) in periods.items()
        ],
    }


def sums(pages: Pages, first: date, last: date, choice: Choice | None = None) -> dict[str, Any]:
    """Sums of the measures over days; without what is not known by project where one is chosen."""
    values: dict[str, Any] = {"first": first, "last": last}
    mine, work = "true", _WORK_OF_ALL
    if choice and choice.project:
        values["ids"] = list(choice.project.ids)
        mine, work = "list_contains($ids, project_id)", _WORK_OF_PROJECTS
    found = pages.published.rows(_SUMS.replace("{work}", work).replace("{mine}", mine), values)[0]
    found["cache_write_tokens"] = found["cache_write_5m_tokens"] + found["cache_write_1h_tokens"]
    found["cache_hit_rate"] = ratio(found["cache_read_tokens"], found["context_tokens"])
    found["cost_per_prompt_usd"] = ratio(found["cost_usd"], found["prompt_count"])
    return found


_SUMS = f"""
with

usage as (

    select
        count(distinct session_id) as session_count,
        cast(coalesce(sum(prompt_count), 0) as bigint) as prompt_count,
        {RESPONSE_SUMS}
    from agg_session_hours
    where
        date_key between $first and $last
        and {{mine}}

),

work as (

{{work}}

)

select *
from usage
cross join work
"""

# The sums of all projects stand in a table of one row a day; of some, they are made from the facts.
_WORK_OF_ALL = """
    select
        coalesce(sum(tool_call_count), 0) as tool_call_count,
        coalesce(sum(tool_error_count), 0) as error_count,
        coalesce(sum(commits), 0) as commits,
        coalesce(sum(lines_added), 0) as lines_added,
        coalesce(sum(lines_removed), 0) as lines_removed,
        coalesce(sum(active_seconds), 0) as active_seconds
    from agg_daily_summary
    where date_key between $first and $last
"""

_WORK_OF_PROJECTS = """
    select *
    from (
        select
            count(*) as tool_call_count,
            count(*) filter (where is_error) as error_count,
            count(*) filter (where is_git_commit) as commits
        from fct_tool_calls
        where
            called_date_key between $first and $last
            and {mine}
    ) as calls
    cross join (
        select
            coalesce(sum(lines_added), 0) as lines_added,
            coalesce(sum(lines_removed), 0) as lines_removed
        from fct_file_operations
        where
            operated_date_key between $first and $last
            and status = 'success'
            and {mine}
    ) as files
"""


def bounded(sums: dict[str, Any], column: str, text: str) -> str:
    """`text` with ≥ where it is a lower bound."""
    is_bound = sums["lower_bound_response_count"] and column in ("cost_usd", "output_tokens", "cost_per_prompt_usd")
    return f"≥{text}" if is_bound and sums[column] is not None else text
