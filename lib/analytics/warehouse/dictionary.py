"""What tables and columns mean, as dbt's yml files describe them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

from analytics.settings import PROJECT_ROOT


@lru_cache(maxsize=1)
def mart_models() -> dict[str, dict[str, Any]]:
    """Every mart as dbt's yml describes it, by name; its `columns` are the contract."""
    found: dict[str, dict[str, Any]] = {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # several times faster, where PyYAML was built with it
    for path in sorted((PROJECT_ROOT / "dbt" / "models" / "marts").glob("*.yml")):
        for model in (yaml.load(path.read_bytes(), loader) or {}).get("models") or []:
            if model.get("columns"):
                found[model["name"]] = model
    return found


def mart_description(mart: str) -> str:
    """What a mart holds, on one line; empty for a table that dbt does not know."""
    return " ".join((mart_models().get(mart, {}).get("description") or "").split())


def column_descriptions(mart: str) -> dict[str, str]:
    """Column -> what it means, on one line."""
    columns = mart_models().get(mart, {}).get("columns") or []
    return {item["name"]: " ".join((item.get("description") or "").split()) for item in columns}
