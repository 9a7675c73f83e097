"""What the models in the data cost today, and where that stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from analytics.reports import cells
from analytics.reports.report import Report, fetch
from analytics.reports.selection import Selection
from analytics.reports.table import Column

if TYPE_CHECKING:
    import duckdb

PRICES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
FIELDS = (
    "model",
    "canonical_model",
    "provider",
    *(f"{name}_usd_per_mtok" for name in PRICES),
    "fast_multiplier",
    "price_source",
    "price_effective_from",
    "response_count",
    "unpriced_response_count",
    "last_used_at",
)


def prices(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per model in the data, those without a price first. USD per million tokens, of the lowest band."""
    rows = fetch(
        connection,
        """
        with responses as (
            select model, cast(sum(unpriced_response_count) as bigint) as unpriced_response_count
            from agg_session_hours
            group by model
        )

        select
            dim_models.* exclude (last_used_at, price_effective_from),
            cast(price_effective_from as varchar) as price_effective_from,
            cast(cast(last_used_at as date) as varchar) as last_used_at,
            coalesce(responses.unpriced_response_count, 0) as unpriced_response_count
        from dim_models
        left join responses
            on dim_models.model = responses.model
        order by is_priced, unpriced_response_count desc, response_count desc, dim_models.model
        """,
    )

    def dollars(header: str, name: str, optional: int = 0) -> Column:
        def cell(row: dict[str, Any], number: cells.Number) -> str:
            value = row[f"{name}_usd_per_mtok"]
            return "no price" if value is None else f"{value.normalize():f}"

        return Column(header, cell, optional)

    columns = [
        cells.text("model", "model", shrinks_to=24),
        cells.text("provider", "provider", optional=3),
        dollars("input", "input"),
        dollars("output", "output"),
        dollars("write\n5 min", "cache_write_5m", 4),
        dollars("write\n1 h", "cache_write_1h"),
        dollars("read", "cache_read"),
        cells.text("since", "price_effective_from", optional=2),
        cells.text("source", "price_source", optional=5, shrinks_to=18),
        cells.count("responses", "response_count", optional=1),
        cells.count("without\na price", "unpriced_response_count"),
        cells.text("last used", "last_used_at", optional=6),
    ]
    responses = sum(row["response_count"] for row in rows)
    unpriced = sum(row["unpriced_response_count"] for row in rows)
    # never rounded up: 100 % is all of them
    share = f" ({(responses - unpriced) * 1000 // responses / 10:g} %)" if responses else ""
    notes = [f"coverage: {responses - unpriced:,} of {responses:,} responses{share} have a price"]
    if unpriced:
        notes.append("add what is missing to the CSV that PRICING_OVERRIDES names; costs follow with the next run")
    notes.append(_age())
    return Report("prices", FIELDS, rows, None, columns, notes)


def _age() -> str:
    """How new the price list is, as far as it says."""
    from importlib.metadata import version

    from analytics.warehouse.prices import newest_change

    return (
        f"note: list prices of genai-prices {version('genai-prices')} and price_supplement.csv; the newest change they "
        f"know is of {newest_change()}. `make lock` brings newer ones"
    )
