"""Where a card's number is defined: the counting contract, or dbt's description of a mart or column."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from analytics.errors import ConfigError
from analytics.settings import PROJECT_ROOT
from analytics.warehouse.dictionary import column_descriptions, mart_description, mart_models

CONTRACT = "docs/how-we-count.md"


def definition(name: str) -> str:
    """The text behind a card's `definition`, as Markdown.

    Args:
        name: `docs/how-we-count.md#anchor`, `marts.<model>` or `marts.<model>.<column>`.

    Raises:
        ConfigError: there is no such heading, model or column.
    """
    if name.startswith(f"{CONTRACT}#"):
        return section(name.partition("#")[2])
    return description(name)


def section(anchor: str) -> str:
    """The text under the heading of the counting contract with this anchor, which is made as GitHub makes it."""
    parts = re.split(r"^#{1,4} +(.+)$", _text(PROJECT_ROOT / CONTRACT), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        if re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") == anchor:
            return text.strip()
    raise ConfigError(f"{CONTRACT} has no heading with the anchor #{anchor}")


def description(name: str) -> str:
    """dbt's description of a mart, after the column's own one if a column is named."""
    _, mart, *column = name.split(".")
    if mart not in mart_models():
        raise ConfigError(f"{name}: dbt has no mart {mart}")
    lines = [f"`{mart}`: {mart_description(mart)}"]
    if column:
        described = column_descriptions(mart)
        if column[0] not in described:
            raise ConfigError(f"{name}: {mart} has no column {column[0]}")
        lines.insert(0, f"`{column[0]}`: {described[column[0]]}")
    return "\n\n".join(lines)


@lru_cache(maxsize=64)
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
