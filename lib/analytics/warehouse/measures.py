"""What is counted of responses, and the one way in which terminal and pages add it up.

The marts say what a response, its tokens and its cost are (dbt/macros/counting.sql); here their rows are summed.
"""

from __future__ import annotations

TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
# What is known of a group of responses. Columns of the marts, under their names.
RESPONSES = ("response_count", *TOKENS, "cost_usd", "unpriced_response_count", "lower_bound_response_count")

# Their sums over rows of agg_session_hours. Whatever did not happen happened zero times; only a cost can be unknown: of
# responses of which none has a price.
RESPONSE_SUMS = f"""
    {", ".join(f"cast(coalesce(sum({name}), 0) as bigint) as {name}" for name in RESPONSES if name != "cost_usd")},
    cast(
        case when coalesce(sum(response_count), 0) = 0 then 0 else sum(cost_usd) filter (where response_count > 0) end
        as decimal(18, 9)
    ) as cost_usd
"""


def ratio(part: float | None, whole: float | None) -> float | None:
    """A share of sums; None when there is nothing to divide."""
    return None if part is None or not whole else float(part) / float(whole)
