"""What the tables are made with besides documents: models, prices, time zone.

A fingerprint of it is kept in the database (`raw.load_state`), so that a run knows without starting dbt whether
there is something to rebuild although no document is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from analytics.errors import ConfigError
from analytics.settings import PROJECT_ROOT, Settings

_DBT = PROJECT_ROOT / "dbt"


@dataclass(frozen=True)
class Inputs:
    """Fingerprints; equal when nothing changed."""

    reading: str  # how documents are parsed: when it changes, every document is loaded again
    building: str  # everything else that decides numbers: when it changes, every session is rebuilt


def current_inputs(settings: Settings) -> Inputs:
    """The fingerprints of what a build would use now.

    Raises:
        ConfigError: PRICING_OVERRIDES names a file that cannot be read.
    """
    reading = _hash(_files("models/staging", "macros"))
    # the seeds' types stand in their yml
    others = [
        *_files("models/intermediate", "models/marts", "seeds"),
        _DBT / "seeds/_seeds.yml",
        _DBT / "dbt_project.yml",
    ]
    prices = settings.pricing_overrides
    try:
        own_prices = prices.read_bytes() if prices else b""
    except OSError as error:
        raise ConfigError(f"PRICING_OVERRIDES={prices}: {error.strerror}") from None
    building = _hash(others, reading, settings.analytics_tz, settings.dbt_target, own_prices.hex())
    return Inputs(reading, building)


def _files(*folders: str) -> list[Path]:
    """The SQL and CSV files of the dbt project's folders; descriptions and tests decide no number."""
    return sorted(path for folder in folders for path in (_DBT / folder).rglob("*") if path.suffix in (".sql", ".csv"))


def _hash(files: Iterable[Path], *texts: str) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(_DBT)}\0".encode())
        digest.update(file.read_bytes())
    for text in texts:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()
