"""Prices of the user's own: the CSV that PRICING_OVERRIDES names.

A row is of one `model` (an id as it stands in the data, or its canonical name), or of every model whose name begins
with a `model_prefix`, as files were written before there was `model`. All rows given for a model replace the published
ones. Where not given, `effective_from` is 2024-01-01, `prompt_tokens_over` -1 (the lowest band) and `fast_multiplier`
1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from analytics.common.user_csv import read_rows
from analytics.errors import ConfigError

PRICES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
_DEFAULTS = {"effective_from": "2024-01-01", "prompt_tokens_over": "-1", "fast_multiplier": "1"}
COLUMNS = ("model", "effective_from", "prompt_tokens_over", *PRICES, "fast_multiplier")
_MAX_PRICE = Decimal("1000000")


@dataclass(frozen=True)
class Override:
    """USD per million tokens for a model, from a day on, for prompts above a number of tokens."""

    model: str
    is_exact: bool  # False: every model whose name begins so
    effective_from: date
    prompt_tokens_over: int
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    fast_multiplier: Decimal

    @property
    def prices(self) -> tuple[Decimal, ...]:
        """The prices in the order of PRICES."""
        return (self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read)


def read_overrides(path: Path | None) -> list[Override]:
    """The rows of a price CSV, in file order; none when `path` is None. Lines starting with # are comments.

    Raises:
        ConfigError: one line naming the file, line, column and value, and what is allowed.
    """
    if path is None:
        return []
    lines = read_rows("PRICING_OVERRIDES", path)
    if not lines:
        raise ConfigError(f"PRICING_OVERRIDES={path}: empty; the first line must be {','.join(COLUMNS)}")
    header = [name.strip() for name in lines[0][1]]
    _check_header(path, header)
    rows: list[Override] = []
    seen: dict[tuple[str, bool, date, int], int] = {}
    for number, values in lines[1:]:
        row = _parse(path, number, header, values)
        key = (row.model, row.is_exact, row.effective_from, row.prompt_tokens_over)
        if key in seen:
            raise ConfigError(
                f"PRICING_OVERRIDES={path} line {number}: {_name_column(header)}={row.model!r} with "
                f"effective_from={row.effective_from} and prompt_tokens_over={row.prompt_tokens_over} "
                f"already stands on line {seen[key]}"
            )
        seen[key] = number
        rows.append(row)
    return rows


def _name_column(header: list[str]) -> str:
    return "model_prefix" if "model_prefix" in header and "model" not in header else "model"


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in (_name_column(header), *PRICES) if name not in header]
    unknown = [name for name in header if name not in COLUMNS and name != _name_column(header)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    for problem, names in (("missing", missing), ("unknown", unknown), ("repeated", repeated)):
        if names:
            raise ConfigError(
                f"PRICING_OVERRIDES={path}: {problem} column {', '.join(names)}; columns are {','.join(COLUMNS)}"
            )


def _parse(path: Path, number: int, header: list[str], values: list[str]) -> Override:
    if len(values) != len(header):
        raise ConfigError(
            f"PRICING_OVERRIDES={path} line {number}: {len(values)} values for {len(header)} columns; "
            f"write all of {','.join(header)}"
        )
    given = {name: value.strip() for name, value in zip(header, values, strict=True)}
    given = {**_DEFAULTS, **{name: value for name, value in given.items() if value}}

    def wrong(column: str, allowed: str) -> ConfigError:
        return ConfigError(
            f"PRICING_OVERRIDES={path} line {number}: {column}={given.get(column, '')!r}: must be {allowed}"
        )

    named = _name_column(header)
    model = given.get(named, "")
    if not model or not model.isprintable() or len(model) > 200:
        raise wrong(named, "the name of a model, such as claude-opus-4-6 or glm-5")
    try:
        effective_from = date.fromisoformat(given["effective_from"])
    except ValueError:
        raise wrong("effective_from", "a day such as 2026-10-07") from None
    try:
        prompt_tokens_over = int(given["prompt_tokens_over"])
    except ValueError:
        raise wrong("prompt_tokens_over", "a whole number of tokens, -1 for the lowest band") from None
    if not -1 <= prompt_tokens_over <= 10**12:
        raise wrong("prompt_tokens_over", "a whole number of tokens, -1 for the lowest band")

    def amount(column: str, allowed: str, places: int, positive: bool = False) -> Decimal:
        try:
            value = Decimal(given.get(column, ""))
        except InvalidOperation:
            raise wrong(column, allowed) from None
        if not value.is_finite() or not 0 <= value <= _MAX_PRICE or (positive and value == 0):
            raise wrong(column, allowed)
        if value != round(value, places):
            raise wrong(column, f"{allowed} with at most {places} decimals")
        return value

    prices = {name: amount(name, "USD per million tokens, 0 or more, such as 12.5", 6) for name in PRICES}
    fast = amount("fast_multiplier", "a factor above 0, such as 1 or 2", 3, positive=True)
    return Override(model, named == "model", effective_from, prompt_tokens_over, **prices, fast_multiplier=fast)
