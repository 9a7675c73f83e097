"""Which costs are lower bounds: the output of some responses was never counted to its end."""

from __future__ import annotations

from analytics.cards.model import Card
from analytics.cards.query import bound
from analytics.web.choice import Choice
from analytics.web.published import Published

_COSTS = ("cost_usd", "cost_per_prompt_usd")
_RESPONSES = """
select coalesce(sum(lower_bound_response_count), 0) as responses
from agg_session_hours
where
    response_count > 0
    [[and project_id in (select project_id from dim_projects where {{project}})]]
    [[and session_id in (select session_id from dim_sessions where {{machine}})]]
    [[and model in (select model from dim_models where {{model}})]]
"""
_OF_DAYS = "and date_key in (select date_key from dim_date where true [[and {{date}}]])"
_OF_THE_MONTH = "and date_key >= (select date_trunc('month', max(date_key)) from dim_date)"


def at_least(published: Published, card: Card, choice: Choice) -> str:
    """≥ where the number of a trend card is the sum of costs of which one is a lower bound, else nothing."""
    if card.view["value"] not in _COSTS:
        return ""
    days = _OF_DAYS if "date" in card.tags else _OF_THE_MONTH
    sql, parameters = bound(_RESPONSES + days, choice.selection())
    return "≥" if published.query(sql, parameters)["responses"][0].as_py() else ""
