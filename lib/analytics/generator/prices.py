"""Prices for the ground truth: the published list applied in plain Python, apart from the SQL that the truth checks."""

from __future__ import annotations

import csv
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path

from analytics.settings import PROJECT_ROOT

PRICE_LIST = PROJECT_ROOT / "dbt" / "seeds" / "model_pricing.csv"
_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")


@lru_cache
def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@lru_cache(maxsize=10_000)
def _price(model: str, day: str, over_band: int, path: Path) -> tuple[tuple[Decimal, ...], Decimal] | None:
    prefixes = [row["model_prefix"] for row in _rows(path) if model.startswith(row["model_prefix"])]
    if not prefixes:
        return None
    prefix = max(prefixes, key=len)
    rows = [row for row in _rows(path) if row["model_prefix"] == prefix and row["effective_from"] <= day]
    newest = max(row["effective_from"] for row in rows)
    rows = [row for row in rows if row["effective_from"] == newest and int(row["prompt_tokens_over"]) <= over_band]
    row = max(rows, key=lambda row: int(row["prompt_tokens_over"]))
    return tuple(Decimal(row[kind]) for kind in _KINDS), Decimal(row["fast_multiplier"])


@lru_cache
def _bands(path: Path) -> tuple[int, ...]:
    return tuple(sorted({int(row["prompt_tokens_over"]) for row in _rows(path)}))


def response_cost(
    model: str, day: str, tokens: tuple[int, int, int, int, int], *, is_fast: bool = False, path: Path = PRICE_LIST
) -> Decimal | None:
    """USD of a response (nine decimals); None when the model has no price.

    Args:
        day: ISO date of the response.
        tokens: input, output, 5-minute writes, 1-hour writes, reads.
    """
    prompt = tokens[0] + sum(tokens[2:])
    band = max(limit for limit in _bands(path) if limit < prompt or limit < 0)
    price = _price(model, day, band, path)
    if price is None:
        return None
    rates, multiplier = price
    cost = sum((rate * count for rate, count in zip(rates, tokens, strict=True)), Decimal(0)) / 1_000_000
    if is_fast:
        cost *= multiplier
    return cost.quantize(Decimal("0.000000001"), ROUND_HALF_UP)
