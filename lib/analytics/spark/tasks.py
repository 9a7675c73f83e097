"""What runs inside Spark's tasks: DuckDB, on the rows of a partition.

It goes there as code, not as an installed package. Nothing of this workspace is imported here: a worker needs duckdb
and pyarrow only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# The name under which the SQL finds a batch of rows.
ROWS = "spark_rows"


def duckdb_in_task(sql: str, schema: Any) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A function for `DataFrame.mapInArrow` that runs `sql` over each batch of rows.

    Args:
        sql: reads the relation ROWS; what it does with a row must not depend on other rows.
        schema: of what it returns, pyarrow.Schema.
    """

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        import duckdb
        import pyarrow as pa

        config: dict[str, Any] = {"threads": "1", "memory_limit": "2GB", "autoinstall_known_extensions": "false"}
        with duckdb.connect(config=config) as connection:
            connection.execute("set timezone = 'UTC'")
            for batch in batches:
                connection.register(ROWS, pa.Table.from_batches([batch]))
                result = connection.sql(sql).to_arrow_table().cast(schema)
                yield from result.to_batches()

    return run
