"""PRICING_OVERRIDES. Without these, a typo in a price could be read as another price, or as none, and a
user's own prices could silently lose against the published ones.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from analytics.errors import ConfigError
from analytics.warehouse.price_overrides import COLUMNS, Override, read_overrides
from analytics.warehouse.prices import PriceList

HEADER = ",".join(COLUMNS)
GOOD = "glm-5,2026-01-01,-1,0.6,2.2,0.75,1.2,0.11,1"


def write(path: Path, *lines: str) -> Path:
    file = path / "prices.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_overrides_are_empty_when_not_set() -> None:
    assert read_overrides(None) == []


def test_overrides_are_exact_when_valid(tmp_path: Path) -> None:
    file = write(tmp_path, "# our contract", HEADER, GOOD, "", "glm-5,2026-01-01,200000,1.2,4.4,1.5,2.4,0.22,2.5")
    first, second = read_overrides(file)
    assert first == Override(
        model="glm-5",
        is_exact=True,
        effective_from=date(2026, 1, 1),
        prompt_tokens_over=-1,
        input=Decimal("0.6"),
        output=Decimal("2.2"),
        cache_write_5m=Decimal("0.75"),
        cache_write_1h=Decimal("1.2"),
        cache_read=Decimal("0.11"),
        fast_multiplier=Decimal(1),
    )
    assert (second.prompt_tokens_over, second.input, second.fast_multiplier) == (
        200_000,
        Decimal("1.2"),
        Decimal("2.5"),
    )


def test_overrides_have_defaults_when_only_prices_are_given(tmp_path: Path) -> None:
    file = write(tmp_path, "cache_read,input,output,cache_write_5m,cache_write_1h,model", "1,2,3,4,5,my-model")
    (row,) = read_overrides(file)
    assert (row.effective_from, row.prompt_tokens_over, row.fast_multiplier) == (date(2024, 1, 1), -1, 1)
    assert (row.input, row.cache_read) == (2, 1)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("glm-5,2026-01-01,-1,free,2.2,0.75,1.2,0.11,1", "line 2: input='free'"),
        ("glm-5,2026-01-01,-1,,2.2,0.75,1.2,0.11,1", "line 2: input=''"),
        ("glm-5,2026-01-01,-1,-3,2.2,0.75,1.2,0.11,1", "line 2: input='-3'"),
        ("glm-5,2026-01-01,-1,NaN,2.2,0.75,1.2,0.11,1", "line 2: input='NaN'"),
        ("glm-5,2026-01-01,-1,0.1234567,2.2,0.75,1.2,0.11,1", "line 2: input='0.1234567'"),
        ("glm-5,01.02.2026,-1,3,2.2,0.75,1.2,0.11,1", "line 2: effective_from='01.02.2026'"),
        ("glm-5,2026-01-01,200k,3,2.2,0.75,1.2,0.11,1", "line 2: prompt_tokens_over='200k'"),
        ("glm-5,2026-01-01,-5,3,2.2,0.75,1.2,0.11,1", "line 2: prompt_tokens_over='-5'"),
        ("glm-5,2026-01-01,-1,3,2.2,0.75,1.2,0.11,0", "line 2: fast_multiplier='0'"),
        (",2026-01-01,-1,3,2.2,0.75,1.2,0.11,1", "line 2: model=''"),
        ("glm-5,2026-01-01,-1,3,2.2", "line 2: 5 values for 9 columns"),
        (f"{GOOD}\n{GOOD}", "line 3: model='glm-5'"),
    ],
)
def test_overrides_name_line_column_and_value_when_wrong(tmp_path: Path, line: str, named: str) -> None:
    file = write(tmp_path, HEADER, line)
    with pytest.raises(ConfigError) as error:
        read_overrides(file)
    message = str(error.value)
    assert named in message
    assert str(file) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (HEADER.replace("cache_read", "cache_reads"), "missing column cache_read"),
        (HEADER + ",currency", "unknown column currency"),
        (HEADER + ",input", "repeated column input"),
    ],
)
def test_overrides_name_the_column_when_the_header_is_wrong(tmp_path: Path, header: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_overrides(write(tmp_path, header, GOOD))


def test_overrides_say_so_when_the_file_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prices\.csv: No such file"):
        read_overrides(tmp_path / "prices.csv")
    with pytest.raises(ConfigError, match="empty"):
        read_overrides(write(tmp_path, "# nothing"))


def test_old_files_with_prefixes_still_load(tmp_path: Path) -> None:
    """A prefix is of its own model, of others that begin so only when nobody else knows them."""
    file = write(
        tmp_path, "model_prefix,input,output,cache_write_5m,cache_write_1h,cache_read", "claude-opus-4,9,9,9,9,9"
    )
    prices = PriceList(read_overrides(file))
    assert {row.input for m in ("claude-opus-4-20250514", "claude-opus-4-9") for row in prices.rows(m)} == {9}
    assert all(row.is_override for row in prices.rows("claude-opus-4-20250514"))
    assert [prices.rows(model)[-1].input for model in ("claude-opus-4-6", "claude-opus-5")] == [5, 5]


def test_a_model_given_by_name_is_that_model_alone(tmp_path: Path) -> None:
    lines = ["model,input,output,cache_write_5m,cache_write_1h,cache_read", "claude-opus-4-6,9,9,9,9,9"]
    prices = PriceList(read_overrides(write(tmp_path, *lines)))
    assert [row.input for row in prices.rows("openrouter/anthropic/claude-opus-4.6")] == [9]
    assert [row.input for row in prices.rows("claude-opus-4-7")] == [5]
