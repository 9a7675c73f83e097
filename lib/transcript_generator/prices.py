"""Prices for the ground truth: list prices of the models histories use, in plain integers.

Written down here and not asked for elsewhere: they are what the numbers of a history are checked against.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

PRICE_LIST = Path(__file__).with_name("prices.csv")
_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")

Tokens = tuple[int, int, int, int, int]  # input, output, 5-minute writes, 1-hour writes, reads


@dataclass(frozen=True)
class Rates:
    """A price in force."""

    over: int  # for prompts of more tokens than this
    micro_usd_per_million: tuple[int, ...]  # by kind of token
    milli_multiplier: int | None  # fast mode, in thousandths; None: no such mode is sold

    def nano_usd(
        self, tokens: Tokens, *, is_fast: bool = False, milli_factor: int = 1_000, searches: int = 0
    ) -> int | None:
        """Billionths of a USD, rounded half up; None in a fast mode whose price nobody knows.

        Args:
            milli_factor: what else multiplies the whole response, in thousandths.
            searches: web searches, at $10 per 1,000.
        """
        a, b, c, d, e = self.micro_usd_per_million
        femto = a * tokens[0] + b * tokens[1] + c * tokens[2] + d * tokens[3] + e * tokens[4]
        if is_fast and self.milli_multiplier is None:
            return None
        femto *= (self.milli_multiplier or 0) if is_fast else 1_000
        return (femto * milli_factor + 500_000_000) // 1_000_000_000 + searches * 10_000_000


class PriceList:
    """The price list of a CSV: a row per model, day it begins and band."""

    def __init__(self, path: Path = PRICE_LIST) -> None:
        with path.open() as file:
            self._rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
        self._in_force: dict[tuple[str, str], list[Rates]] = {}

    def rates(self, model: str, day: str, prompt_tokens: int) -> Rates | None:
        """The price of a response by its model, ISO day and prompt size; None when there is none."""
        key = (model, day)
        bands = self._in_force.get(key)
        if bands is None:
            bands = self._in_force[key] = self._bands(model, day)
        for band in bands:
            if prompt_tokens > band.over:
                return band
        return None

    def _bands(self, model: str, day: str) -> list[Rates]:
        """The model's rows of the newest date not after the day, the highest band first."""
        rows = [row for row in self._rows if row["model"] == model and row["effective_from"] <= day]
        newest = max((row["effective_from"] for row in rows), default="")
        bands = [
            Rates(
                int(row["prompt_tokens_over"]),
                tuple(int(Decimal(row[kind]) * 1_000_000) for kind in _KINDS),
                int(Decimal(row["fast_multiplier"]) * 1_000) if row["fast_multiplier"] else None,
            )
            for row in rows
            if row["effective_from"] == newest
        ]
        return sorted(bands, key=lambda band: -band.over)
