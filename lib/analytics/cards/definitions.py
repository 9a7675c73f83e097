"""Where a card's number is defined: the counting contract, or dbt's description of a mart or column."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from analytics.errors import ConfigError
from analytics.settings import PROJECT_ROOT

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
    models = mart_models()
    if mart not in models:
        raise ConfigError(f"{name}: dbt has no mart {mart}")
    lines = [f"`{mart}`: {' '.join(models[mart]['description'].split())}"]
    if column:
        described = {item["name"]: item.get("description") or "" for item in models[mart]["columns"]}
        if column[0] not in described:
            raise ConfigError(f"{name}: {mart} has no column {column[0]}")
        lines.insert(0, f"`{column[0]}`: {' '.join(described[column[0]].split())}")
    return "\n\n".join(lines)


def mart_models() -> dict[str, dict[str, Any]]:
    """Every mart as dbt's yml describes it, by name; its `columns` are the contract."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((PROJECT_ROOT / "dbt" / "models" / "marts").glob("*.yml")):
        for model in (yaml.safe_load(_text(path)) or {}).get("models") or []:
            if model.get("columns"):
                found[model["name"]] = model
    return found


@lru_cache(maxsize=64)
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
