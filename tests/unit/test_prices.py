"""Prices of models. Without these a point release is priced as another model, an id written in another way has no
price, or what the library says on the day of a price change is not what we count with.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from analytics.warehouse.model_ids import canonical
from analytics.warehouse.price_overrides import PRICES
from analytics.warehouse.prices import LATEST, SUPPLEMENT, Price, PriceList
from genai_prices import Usage, data
from genai_prices.types import ModelPrice, StartDateConstraint

MILLION = 1_000_000
CLAUDE = [
    (provider.id, model)
    for provider in data.providers
    if provider.id in ("anthropic", "aws")
    for model in provider.models
    if canonical(model.id.removeprefix("regional.")).is_claude
]
PROMPTS = (1, 100_000, 100_001, 200_000, 200_001, 999_999)


def in_force(rows: list[Price], day: date, prompt_tokens: int) -> Price | None:
    return next(
        (
            row
            for row in rows
            if row.effective_from <= day < row.effective_to
            and row.prompt_tokens_over < prompt_tokens <= row.prompt_tokens_up_to
        ),
        None,
    )


def supplement() -> list[dict[str, str]]:
    with SUPPLEMENT.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def is_supplemented(model: str, day: date) -> bool:
    return any(
        row["model"] == model
        and row["input"]
        and date.fromisoformat(row["effective_from"]) <= day < date.fromisoformat(row["effective_until"] or str(LATEST))
        for row in supplement()
    )


@pytest.mark.parametrize(("provider", "model"), CLAUDE, ids=[f"{p}-{m.id}" for p, m in CLAUDE])
def test_our_table_is_the_library_for_every_claude_model_and_date_of_a_price(provider: str, model) -> None:
    """Fails as well when the library knows a Claude model that we do not price."""
    model_id = model.id.replace("regional.", "us.")
    rows = PriceList().rows(model_id)
    assert rows, f"the library knows {model_id} and we do not"
    days = {date(2024, 1, 1), date(2026, 11, 28)}
    if not isinstance(model.prices, ModelPrice):
        days |= {p.constraint.start_date for p in model.prices if isinstance(p.constraint, StartDateConstraint)}
    days |= {day - timedelta(days=1) for day in days if day > date(2024, 1, 1)}
    [whole_provider] = [p for p in data.providers if p.id == provider]
    for day in sorted(days):
        if provider == "anthropic" and is_supplemented(canonical(model_id).name, day):
            continue
        for prompt_tokens in PROMPTS:
            row = in_force(rows, day, prompt_tokens)
            assert row is not None
            at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            # a fifth of the prompt of each kind, the rest read from the cache: all kinds in one band
            part = prompt_tokens // 5
            usage = Usage(
                input_tokens=prompt_tokens,
                cache_write_tokens=2 * part,
                cache_write_1h_tokens=part,
                cache_read_tokens=prompt_tokens - 3 * part,
                output_tokens=1000,
            )
            expected = model.calc_price(usage, whole_provider, genai_request_timestamp=at).total_price
            ours = (
                row.input * part
                + row.cache_write_5m * part
                + row.cache_write_1h * part
                + row.cache_read * (prompt_tokens - 3 * part)
                + row.output * 1000
            ) / MILLION
            assert ours == expected, (model_id, day, prompt_tokens)


def test_the_supplement_says_where_each_row_stands_and_factors_for_every_claude_model() -> None:
    rows = supplement()
    assert all(row["source"].startswith("https://") for row in rows)
    with_factors = {row["model"] for row in rows if not row["input"]}
    known = {canonical(model.id).name for provider, model in CLAUDE if provider == "anthropic"}
    assert known <= with_factors


def test_the_supplement_says_nothing_the_library_has_learned() -> None:
    known = {canonical(model.id).name for provider, model in CLAUDE if provider == "anthropic"}
    for row in supplement():
        if row["input"] and not row["effective_until"] and row["effective_from"] == "2024-01-01":
            assert row["model"] not in known, f"genai-prices prices {row['model']} itself now"


@pytest.mark.parametrize(
    ("written", "name", "bedrock"),
    [
        ("claude-opus-4-6", "claude-opus-4-6", None),
        ("claude-opus-4.6", "claude-opus-4-6", None),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5", None),
        ("openrouter/anthropic/claude-haiku-4.5:beta", "claude-haiku-4-5", None),
        ("vertex_ai/claude-sonnet-4-5@20250929", "claude-sonnet-4-5", None),
        ("claude-sonnet-4-20250514", "claude-sonnet-4", None),
        ("claude-4-sonnet", "claude-sonnet-4", None),
        ("claude-opus-4-0", "claude-opus-4", None),
        ("claude-sonnet-4-5-20250929[1m]", "claude-sonnet-4-5", None),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet", None),
        ("claude-sonnet-3-7", "claude-3-7-sonnet", None),
        ("Claude-Opus-5-2026-07-01", "claude-opus-5", None),
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6", "regional"),
        ("us-gov.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5", "regional"),
        ("apac.anthropic.claude-opus-4-8", "claude-opus-4-8", "regional"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6", "regional"),
        ("global.anthropic.claude-opus-5", "claude-opus-5", "global"),
        ("bedrock/eu.anthropic.claude-sonnet-4-6", "claude-sonnet-4-6", "regional"),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6",
            "claude-sonnet-4-6",
            "regional",
        ),
    ],
)
def test_ids_are_one_model_however_they_are_written(written: str, name: str, bedrock: str | None) -> None:
    found = canonical(written)
    assert (found.name, found.bedrock, found.is_claude) == (name, bedrock, True)


@pytest.mark.parametrize(
    "unknown",
    [
        "claude-opus-4-9",
        "claude-sonnet-4-7",
        "claude-opus-6",
        "us.anthropic.claude-opus-4-9-v1:0",
        "claude-opus-4-6-turbo",
        "claude-opus-46",
        "claude-haiku",
        "glm-9",
        "gpt-5.99",
        "house-model",
        "<synthetic>",
        "",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
    ],
)
def test_a_model_nobody_knows_has_no_price(unknown: str) -> None:
    assert PriceList().rows(unknown) == []


@pytest.mark.parametrize(
    ("model", "provider", "price"),
    [
        ("gpt-5.6-sol", "openai", 4),
        ("glm-5", "zai", 1),
        ("kimi-k3", "moonshotai", 3),
        ("deepseek/deepseek-v3.2", "deepseek", None),
    ],
)
def test_other_vendors_have_their_own_prices(model: str, provider: str, price: int | None) -> None:
    row = in_force(PriceList().rows(model), date(2026, 11, 1), 1)
    assert row is not None
    assert row.provider == provider
    assert price is None or row.input == price


def test_factors() -> None:
    def factors(model: str) -> tuple[Decimal | None, Decimal, Decimal]:
        row = PriceList().rows(model)[0]
        return row.fast_multiplier, row.us_multiplier, row.batch_multiplier

    us, half, one = Decimal("1.1"), Decimal("0.5"), Decimal(1)
    assert factors("claude-opus-4-6") == (6, us, half)
    assert factors("claude-opus-5") == (2, us, half)
    assert factors("claude-mythos-5-2") == (2, us, half)
    assert factors("claude-sonnet-4-6") == (None, us, half)
    assert factors("claude-opus-4-5") == (None, one, half)
    # Bedrock's regions have prices of their own
    assert factors("us.anthropic.claude-opus-4-6-v1") == (6, one, half)


def test_prices_equal_the_published_list(samples_dir: Path) -> None:
    file = samples_dir.parent / "pricing" / "claude_pricing.csv"
    if not file.exists():
        pytest.skip("the published list is not there")
    with file.open() as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    for row in rows:
        ours = in_force(
            PriceList().rows(row["model_prefix"]),
            date.fromisoformat(row["effective_from"]),
            int(row["prompt_tokens_over"]) + 2,
        )
        assert ours is not None, row
        assert [getattr(ours, kind) for kind in PRICES] == [Decimal(row[kind]) for kind in PRICES], row
        assert ours.fast_multiplier == (Decimal(row["fast_multiplier"]) if row["fast_multiplier"] else None), row
