"""What is counted of responses and tool calls, and the one way in which terminal, pages and cards add it up.

The formulas are dbt's (dbt/macros/counting.sql), which the marts are built with; here they are read for what sums rows
of the marts.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.common.files import partial_file
from analytics.settings import PROJECT_ROOT

if TYPE_CHECKING:
    import duckdb

TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
# What is known of a group of responses. Columns of the marts, under their names.
RESPONSES = ("response_count", *TOKENS, "cost_usd", "unpriced_response_count", "lower_bound_response_count")


SOURCE = PROJECT_ROOT / "dbt" / "macros" / "counting.sql"
# What it expanded to last, beside Python: Jinja takes a tenth of a report to import.
KEPT = Path(sys.prefix) / "claude-analytics-macros.json"


@cache
def _macros() -> dict[str, str]:
    """The SQL of each macro that can do without arguments."""
    source = [SOURCE.read_text(encoding="utf-8"), *TOKENS]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
        if kept["source"] == source:
            return dict(kept["macros"])
    from jinja2 import Environment, StrictUndefined, UndefinedError

    environment = Environment(undefined=StrictUndefined)
    environment.globals["token_columns"] = lambda: TOKENS
    found = {}
    for name, expand in vars(environment.from_string(source[0]).module).items():
        with contextlib.suppress(UndefinedError, TypeError):
            found[name] = inspect.cleandoc(expand())
    with contextlib.suppress(OSError), partial_file(KEPT) as path:
        path.write_text(json.dumps({"source": source, "macros": found}), encoding="utf-8")
    return found


def macro(name: str) -> str:
    """The SQL of a macro of dbt/macros/counting.sql that takes no arguments.

    Raises:
        KeyError: there is no such macro.
    """
    return _macros()[name]


# Over rows of agg_session_hours.
RESPONSE_SUMS = macro("summed_response_measures")


def ratio(part: float | None, whole: float | None) -> float | None:
    """A share of sums; None when there is nothing to divide."""
    return None if part is None or not whole else float(part) / float(whole)


def unpriced_models(connection: duckdb.DuckDBPyConnection, relation: str, sums: tuple[str, ...] = ()) -> list[Any]:
    """Rows of model, responses without a price, and sums of other columns; of each model with some, the most first.

    Args:
        relation: rows with the measures of responses, such as agg_session_hours.
    """
    summed = "".join(f", cast(sum({column}) as bigint)" for column in sums)
    return connection.sql(f"""
        select coalesce(model, '(none)'), cast(sum(unpriced_response_count) as bigint){summed}
        from {relation}
        group by 1
        having sum(unpriced_response_count) > 0
        order by 2 desc, 1
    """).fetchall()
