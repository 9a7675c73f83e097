"""What the tables of a database were built with besides documents: the one answer to "is it stale".

Hashes of it stand in the database (`raw.built_with`), so that a run knows without starting dbt what there is to do
although no document is new.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.settings import PROJECT_ROOT, Settings
from analytics.warehouse.mappings import people, plan_limits, project_aliases
from analytics.warehouse.prices import PriceList

if TYPE_CHECKING:
    import duckdb

DBT_DIR = PROJECT_ROOT / "dbt"

_ENGINES = ("dbt-core", "dbt-duckdb", "duckdb")


class Stale(IntEnum):
    """What has to be made again; each includes those before it."""

    NOTHING = 0
    PLAN = 1  # dbt compiles the models again: a type, a description or a test has changed
    SESSIONS = 2  # every session is computed again: models, prices, time zone or engine have changed
    DOCUMENTS = 3  # every document is loaded again: they are parsed in another way


@dataclass(frozen=True)
class BuiltWith:
    """Hashes; each covers what the one before it covers."""

    reading: str  # how documents are parsed
    building: str  # everything that decides numbers
    project: str  # everything dbt reads

    def stale(self, now: BuiltWith) -> Stale:
        """What of tables that were built with this has to be made again for `now`."""
        if self.reading != now.reading:
            return Stale.DOCUMENTS
        if self.building != now.building:
            return Stale.SESSIONS
        return Stale.NOTHING if self.project == now.project else Stale.PLAN


# What a database was built with that does not say so.
UNKNOWN = BuiltWith("", "", "")


def parsing() -> str:
    """Hash of how documents are parsed, whichever engine does it."""
    return _hash(_files(("models/staging", "macros"), {".sql"}))


def current(settings: Settings) -> BuiltWith:
    """What a build would use now.

    Raises:
        ConfigError: PRICING_OVERRIDES, PROJECT_ALIASES or PEOPLE names a file that cannot be read.
    """
    # neither engine goes on where the other stopped: hashes and numbers of loads are each one's own
    reading = parsing() if settings.transform_engine == "duckdb" else f"{settings.transform_engine} {parsing()}"
    # the seeds' types stand in their yml; what is written to other models' yml decides no number
    deciding = [
        *_files(("models", "seeds"), {".sql", ".csv"}),
        DBT_DIR / "seeds/_seeds.yml",
        DBT_DIR / "dbt_project.yml",
    ]
    engines = [f"{name} {version(name)}" for name in _ENGINES]
    # the list prices come from a library and a file of the package
    said = repr((project_aliases(settings), people(settings), plan_limits(settings)))
    chosen = (settings.analytics_tz, settings.dbt_target, PriceList.of(settings).fingerprint, said)
    building = _hash(deciding, reading, *chosen, *engines)
    project = _hash(_files((".",), {".sql", ".csv", ".yml", ".md"}), building, str(DBT_DIR), sys.version)
    return BuiltWith(reading, building, project)


def read(connection: duckdb.DuckDBPyConnection) -> BuiltWith:
    """What the tables of a database were built with; UNKNOWN before their first build."""
    row = _row(connection, "reading, building, project")
    return BuiltWith(*row) if row else UNKNOWN


def write(
    connection: duckdb.DuckDBPyConnection,
    built_with: BuiltWith,
    build_only: Iterable[str],
    *,
    engine: str = "DuckDB",
    data_tests: int = 0,
) -> None:
    """Say what the tables are built with now, and which of them (`schema.name`) only a build needs.

    Args:
        engine, data_tests: what built the tables, and how many tests of dbt held there, if that was Spark.
    """
    connection.execute(
        "create or replace table raw.built_with as select"
        " ?::varchar as reading, ?::varchar as building, ?::varchar as project, ?::varchar[] as build_only,"
        " ?::varchar as engine, ?::bigint as data_tests",
        [*astuple(built_with), sorted(build_only), engine, data_tests],
    )


def engine_of(connection: duckdb.DuckDBPyConnection) -> tuple[str, int]:
    """What built the tables, and how many tests of dbt held there."""
    return _row(connection, "engine, data_tests") or ("DuckDB", 0)  # built before there was another


def build_only(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The models (`schema.name`) that only a build needs and a published database does not have."""
    row = _row(connection, "build_only")
    return row[0] if row else []


def _row(connection: duckdb.DuckDBPyConnection, columns: str) -> Any:
    """What raw.built_with says; None where it does not stand."""
    import duckdb

    try:
        return connection.execute(f"select {columns} from raw.built_with").fetchone()
    except duckdb.CatalogException:
        return None


def _files(folders: Iterable[str], endings: set[str]) -> list[Path]:
    found = {path for folder in folders for path in (DBT_DIR / folder).rglob("*") if path.suffix in endings}
    return sorted(path for path in found if "target" not in path.relative_to(DBT_DIR).parts)


def _hash(files: Iterable[Path], *texts: str) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(DBT_DIR)}\0".encode())
        digest.update(file.read_bytes())
    for text in texts:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()
