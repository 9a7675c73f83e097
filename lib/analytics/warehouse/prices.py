"""What a model costs: list prices of `genai-prices`, what it lacks from `price_supplement.csv`, the user's own prices.

Every model id of the data is resolved here into rows of one small table (`raw.model_prices`: model, effective_from,
band) that dbt joins. Only the same model has a price: nobody knows what a point release will cost.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.settings import Settings
from analytics.warehouse.model_ids import ModelId, canonical
from analytics.warehouse.price_overrides import PRICES, Override, read_overrides

if TYPE_CHECKING:
    import duckdb

SUPPLEMENT = Path(__file__).with_name("price_supplement.csv")

EARLIEST = date(2024, 1, 1)  # prices without a date are in force from here
LATEST = date(9999, 12, 31)
ALL_TOKENS = 9_223_372_036_854_775_807
WEB_SEARCHES = Decimal(10)  # USD per 1,000, where a vendor names no price of its own

# Vendors whose own models Claude Code is pointed at, by how the models' names begin.
_VENDORS = {
    "gpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "codex": "openai",
    "glm": "zai",
    "kimi": "moonshotai",
    "moonshot": "moonshotai",
    "minimax": "minimax",
    "deepseek": "deepseek",
    "gemini": "google",
    "grok": "x-ai",
    "mistral": "mistral",
    "devstral": "mistral",
    "codestral": "mistral",
}


@dataclass(frozen=True)
class Price:
    """A row of raw.model_prices: USD per million tokens of a model in one period and band, and factors on the whole."""

    model: str  # as in `message.model`
    canonical_model: str
    provider: str  # of genai-prices; empty for the user's own prices
    effective_from: date
    effective_to: date  # not included
    prompt_tokens_over: int
    prompt_tokens_up_to: int
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    fast_multiplier: Decimal | None  # None: no fast mode is sold, its price is unknown
    us_multiplier: Decimal
    batch_multiplier: Decimal
    web_search: Decimal  # per 1,000
    source: str
    is_override: bool


@dataclass(frozen=True)
class _Factors:
    fast: Decimal | None = None
    us: Decimal = Decimal(1)
    batch: Decimal = Decimal(1)


@dataclass(frozen=True)
class _Band:
    """Prices of one period and band before a model's id, factors and ends are known."""

    effective_from: date
    prompt_tokens_over: int
    prices: tuple[Decimal, ...]  # in the order of PRICES
    source: str
    provider: str
    web_search: Decimal = WEB_SEARCHES


class PriceList:
    """Prices of any model id.

    Raises:
        ConfigError: from the constructor, when PRICING_OVERRIDES is wrong.
    """

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._overrides = list(overrides)

    @classmethod
    def of(cls, settings: Settings) -> PriceList:
        """The price list these settings ask for."""
        return cls(read_overrides(settings.pricing_overrides))

    def rows(self, model: str) -> list[Price]:
        """All prices of a model id, by date and band; none when it has no price."""
        model_id = canonical(model)
        factors = _factors(model_id)
        own = self._own(model, model_id)
        if own:
            bands = [
                _Band(row.effective_from, row.prompt_tokens_over, row.prices, "PRICING_OVERRIDES", "") for row in own
            ]
            factors = replace(factors, fast=own[0].fast_multiplier)
        else:
            bands = _published(model_id)
        return _with_ends(model, model_id, bands, factors, is_override=bool(own))

    def _own(self, model: str, model_id: ModelId) -> list[Override]:
        """The user's rows for a model: of its id, else of its canonical name, else of the longest prefix of either.

        A prefix shorter than the name does not take a known model: claude-opus-4 is not meant for claude-opus-4-6.
        """
        for name in (model, model_id.name):
            if rows := [row for row in self._overrides if row.is_exact and row.model == name]:
                return rows
        prefixes = [
            row.model
            for row in self._overrides
            if not row.is_exact and (model.startswith(row.model) or model_id.name.startswith(row.model))
        ]
        longest = max(prefixes, key=len, default=None)
        if longest is None or (len(longest) < len(model_id.name) and _published(model_id)):
            return []
        return [row for row in self._overrides if not row.is_exact and row.model == longest]

    @property
    def fingerprint(self) -> str:
        """Changes when any price may have changed."""
        digest = hashlib.sha256(f"genai-prices {version('genai-prices')}".encode())
        digest.update(SUPPLEMENT.read_bytes())
        digest.update(repr(self._overrides).encode())
        return digest.hexdigest()


def write_model_prices(connection: duckdb.DuckDBPyConnection, prices: PriceList) -> None:
    """`raw.model_prices` anew: the prices of every model in `raw.models`.

    Nothing is done when neither the models nor the price list have changed: the library takes half a second to read.
    """
    connection.execute("create table if not exists raw.models (model varchar)")
    connection.execute("create table if not exists raw.price_state (fingerprint varchar, models bigint)")
    models = [model for (model,) in connection.execute("select model from raw.models order by model").fetchall()]
    state = (prices.fingerprint, len(models))
    if connection.execute("select * from raw.price_state").fetchall() == [state]:
        return
    connection.execute(f"create or replace table raw.model_prices ({_COLUMNS})")
    rows = [list(astuple(row)) for model in models for row in prices.rows(model)]
    if rows:
        marks = ", ".join("?" for _ in fields(Price))
        connection.executemany(f"insert into raw.model_prices values ({marks})", rows)
    connection.execute(
        "create or replace table raw.price_state as select ?::varchar as fingerprint, ?::bigint as models", state
    )


def note_models(connection: duckdb.DuckDBPyConnection) -> None:
    """Add the model ids that stand in `raw.new_documents` to `raw.models`.

    By a regular expression, a superset: the documents are parsed once, by dbt, and that needs the prices already.
    """
    connection.execute("create table if not exists raw.models (model varchar)")
    connection.execute(
        f"insert into raw.models select model from ({models_in('raw.new_documents')})"
        " where model not in (select model from raw.models)"
    )


def models_in(documents: str) -> str:
    """A query of one column `model`: the model ids that stand in a relation with columns `type` and `entry`."""
    return rf"""
        with named as (
            select distinct unnest(
                regexp_extract_all(entry, '"(?:model|advisorModel)"\s*:\s*("(?:[^"\\]|\\.){{1,300}}")', 1)
            ) as name
            from {documents}
            where type in ('assistant', 'progress') or type is null
        ),
        texts as (
            select distinct
                case when contains(name, '\') then cast(name as json) ->> '$' else trim(name, '"') end as model
            from named
        )
        select model from texts
        where model is not null
    """


_TYPES = {"str": "varchar", "date": "date", "int": "bigint", "bool": "boolean"}
_COLUMNS = ", ".join(
    f"{field.name} {_TYPES.get(str(field.type), 'decimal(9,3)' if 'multiplier' in field.name else 'decimal(18,6)')}"
    for field in fields(Price)
)


def _with_ends(
    model: str, model_id: ModelId, bands: list[_Band], factors: _Factors, *, is_override: bool
) -> list[Price]:
    """A date's price list ends where the next begins, a band of one list where the next one of it begins."""
    dates = sorted({band.effective_from for band in bands})
    found = []
    for number, day in enumerate(dates):
        of_date = sorted((b for b in bands if b.effective_from == day), key=lambda band: band.prompt_tokens_over)
        for position, band in enumerate(of_date):
            next_over = of_date[position + 1].prompt_tokens_over if position + 1 < len(of_date) else ALL_TOKENS
            found.append(
                Price(
                    model=model,
                    canonical_model=str(model_id),
                    provider=band.provider,
                    effective_from=day,
                    effective_to=dates[number + 1] if number + 1 < len(dates) else LATEST,
                    prompt_tokens_over=band.prompt_tokens_over,
                    prompt_tokens_up_to=next_over,
                    **dict(zip(PRICES, band.prices, strict=True)),
                    fast_multiplier=factors.fast,
                    us_multiplier=factors.us,
                    batch_multiplier=factors.batch,
                    web_search=band.web_search,
                    source=band.source,
                    is_override=is_override,
                )
            )
    return found


def _published(model_id: ModelId) -> list[_Band]:
    """The library's prices, and in their stead the supplement's from and until the days it gives."""
    provider = _provider(model_id)
    known = _library().get((provider, model_id.bedrock, model_id.name))
    listed = list(_library_bands(known, provider)) if known is not None else []
    rows = [] if model_id.bedrock else [row for row in _supplement() if row["model"] == model_id.name and row["input"]]
    windows = {_window(row) for row in rows}
    bands = [
        _Band(
            date.fromisoformat(row["effective_from"]),
            int(row["prompt_tokens_over"]),
            tuple(Decimal(row[kind]) for kind in PRICES),
            row["source"],
            provider,
        )
        for row in rows
    ]
    days = sorted({band.effective_from for band in listed} | ({until for _, until in windows} if listed else set()))
    for day in days:
        if day < LATEST and not any(start <= day < until for start, until in windows):
            in_force = max((band.effective_from for band in listed if band.effective_from <= day), default=None)
            bands += [replace(band, effective_from=day) for band in listed if band.effective_from == in_force]
    return bands


def _window(row: dict[str, str]) -> tuple[date, date]:
    """First day of a supplement's row and the first it no longer is in force."""
    until = row["effective_until"]
    return date.fromisoformat(row["effective_from"]), date.fromisoformat(until) if until else LATEST


def _provider(model_id: ModelId) -> str:
    if model_id.bedrock:
        return "aws"
    if model_id.name.startswith("claude"):
        return "anthropic"
    return next((vendor for start, vendor in _VENDORS.items() if model_id.name.startswith(start)), "")


@cache
def _library() -> dict[tuple[str, str | None, str], Any]:
    """The library's models by provider, Bedrock endpoint and canonical name, with every other name they go by."""
    from genai_prices import data

    found: dict[tuple[str, str | None, str], Any] = {}
    for provider in data.providers:
        if provider.id not in ("anthropic", "aws", *_VENDORS.values()):
            continue
        for model in provider.models:
            for name in [model.id, *_exact_names(model.match)]:
                scope = None
                if provider.id == "aws":
                    # `regional.` stands for all of Bedrock's regions but the global endpoint
                    scope, _, name = name.partition(".anthropic.")
                    if not name:
                        continue
                    scope = "global" if scope == "global" else "regional"
                found.setdefault((provider.id, scope, canonical(name).name), model)
    return found


def _exact_names(clause: Any) -> Iterator[str]:
    """Names that a model's match compares as a whole."""
    if hasattr(clause, "or_"):
        for part in clause.or_:
            yield from _exact_names(part)
    elif hasattr(clause, "equals"):
        yield clause.equals


def _library_bands(model: Any, provider: str) -> Iterator[_Band]:
    """A library model's prices by date and band. What has no price of its own is priced as what it is a part of."""
    from genai_prices.types import ModelPrice, StartDateConstraint

    dated = [(EARLIEST, model.prices)] if isinstance(model.prices, ModelPrice) else []
    for conditional in model.prices if not dated else []:
        if conditional.constraint is None:
            dated.append((EARLIEST, conditional.prices))
        elif isinstance(conditional.constraint, StartDateConstraint):
            dated.append((conditional.constraint.start_date, conditional.prices))
    # of several lists from one day on the later one wins
    for start, listed in dict(dated).items():
        kinds = {
            "input": (listed.input_mtok,),
            "output": (listed.output_mtok,),
            "cache_write_5m": (listed.cache_write_mtok, listed.input_mtok),
            "cache_write_1h": (listed.cache_write_1h_mtok, listed.cache_write_mtok, listed.input_mtok),
            "cache_read": (listed.cache_read_mtok, listed.input_mtok),
        }
        chosen = {name: next((p for p in prices if p is not None), Decimal(0)) for name, prices in kinds.items()}
        if listed.input_mtok is None or listed.output_mtok is None:
            continue  # not a price of a chat
        starts = sorted({tier.start for price in chosen.values() for tier in getattr(price, "tiers", ())})
        searches = listed.web_searches_kcount
        for over in [-1, *starts]:
            prices = tuple(_in_band(chosen[kind], over) for kind in PRICES)
            yield _Band(
                start,
                over,
                prices,
                f"genai-prices {version('genai-prices')}",
                provider,
                searches if isinstance(searches, Decimal) else WEB_SEARCHES,
            )


def _in_band(price: Any, over: int) -> Decimal:
    """A price for prompts of more tokens than `over`: the library's tiers are cliffs."""
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if over >= tier.start), price.base)


@cache
def _supplement() -> list[dict[str, str]]:
    with SUPPLEMENT.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def _factors(model_id: ModelId) -> _Factors:
    for row in _supplement():
        if row["model"] == model_id.name and not row["input"]:
            fast = Decimal(row["fast_multiplier"]) if row["fast_multiplier"] else None
            # Bedrock's regions have prices of their own
            us = Decimal(1) if model_id.bedrock else Decimal(row["us_multiplier"])
            return _Factors(fast, us, Decimal(row["batch_multiplier"]))
    return _Factors()


def newest_change() -> date:
    """The last day on which the library or the supplement knows a Claude price to change: older than it is no list."""
    starts = [date.fromisoformat(row["effective_from"]) for row in _supplement() if row["effective_from"]]
    starts += [date.fromisoformat(row["effective_until"]) for row in _supplement() if row["effective_until"]]
    for (provider, _, _), model in _library().items():
        if provider in ("anthropic", "aws"):
            starts += [band.effective_from for band in _library_bands(model, provider)]
    return max(starts)
