"""The plan of the first build, compiled when this is installed: `python -m analytics.warehouse.prepared_plan`.

dbt takes eight seconds of a first run to be imported, to parse the project and to compile it, and its answer follows
from the project and the settings alone. `make setup` asks it once, on an empty database, and keeps the plan beside the
Python that will run it. It holds as any plan does: with other settings or models dbt builds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from analytics.common.clock import utc_now
from analytics.errors import AnalyticsError
from analytics.settings import Settings, load_settings
from analytics.warehouse import built_with
from analytics.warehouse.built_with import UNKNOWN
from analytics.warehouse.dbt_build import Request, build, plan_path
from analytics.warehouse.documents import load_redactions
from analytics.warehouse.mappings import write_mappings
from analytics.warehouse.prices import PriceList, note_models, write_model_prices
from analytics.warehouse.working_copy import connect


def prepared_path() -> Path:
    """Where the plan stands."""
    return Path(sys.prefix) / "claude-analytics-plan.json"


def prepare(settings: Settings) -> None:
    """Have dbt build an empty database, and keep the plan of it.

    Raises:
        AnalyticsError: the project cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="analytics-plan-") as folder:
        empty = settings.model_copy(update={"data_dir": Path(folder), "duckdb_path": None})
        _lay_raw_tables(empty)
        variables = {"analytics_tz": settings.analytics_tz, "as_of": utc_now().isoformat()}
        build(empty, Request(UNKNOWN, built_with.current(settings), True, variables), vacuum_tasks=0)
        if plan_path(empty).exists():  # else dbt builds every time
            plan_path(empty).replace(prepared_path())


def _lay_raw_tables(settings: Settings) -> None:
    """The tables that models read, as `load` makes them, without a row."""
    from analytics.raw import envelope
    from analytics.raw.catalog import DEAD_LETTER_SCHEMA

    settings.build_path.parent.mkdir(parents=True, exist_ok=True)
    with connect(settings.build_path) as connection:
        connection.execute("create schema raw")
        connection.register("no_documents", envelope.SCHEMA.empty_table())
        connection.execute("create table raw.new_documents as select *, 1::bigint as load_id from no_documents")
        connection.execute("create table raw.conversations as select * exclude (entry) from raw.new_documents")
        connection.register("no_dead_letters", DEAD_LETTER_SCHEMA.empty_table())
        connection.execute("create table raw.dead_letters as select * exclude (original) from no_dead_letters")
        load_redactions(connection, {})
        note_models(connection)
        write_model_prices(connection, PriceList.of(settings))
        write_mappings(connection, settings)


if __name__ == "__main__":
    try:
        prepare(load_settings())
    except AnalyticsError as error:
        sys.exit(f"error: {error}")
