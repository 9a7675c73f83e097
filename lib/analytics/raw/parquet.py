"""Parquet files of the raw tables.

PyIceberg's own writer cannot be told which columns are worth a dictionary or statistics: with text as large as `entry`
that is most of the time a write takes.
"""

from __future__ import annotations

import itertools
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionKey
    from pyiceberg.table import Table

# Level 3 makes files 8 % smaller and takes twice as long.
COMPRESSION_LEVEL = 1

# A reader parallelises by row group and holds one per thread.
ROW_GROUP_ROWS = 16_384

# Rows of one day in a row, on average, from which on pieces of columns cost less than a copy of them.
RUN_ROWS = 256

# Columns with few values per file get a dictionary; columns of bulk get no statistics.
_REPEATING = {
    *(
        "type",
        "session_id",
        "project_id",
        "ingested_at",
        "extracted_at",
        "source_file",
        "machine",
        "message_role",
    ),
    *("agent_id", "version", "cwd", "git_branch", "date", "reason", "source", "first_seen_at"),
}
BULK = {"entry", "original"}


def write_files(table: Table, rows: pa.Table) -> list[DataFile]:
    """Write `rows` as Parquet files of `table`, one per partition, nothing committed yet."""
    from pyiceberg.io.pyarrow import compute_statistics_plan, parquet_path_to_id_mapping
    from pyiceberg.partitioning import PartitionFieldValue, PartitionKey

    spec = table.spec()
    rows = rows.cast(pa.schema([_numbered(table, field) for field in rows.schema]))
    plan = {
        "stats_columns": compute_statistics_plan(table.schema(), table.metadata.properties),
        "parquet_column_mapping": parquet_path_to_id_mapping(table.schema()),
    }
    if spec.is_unpartitioned():
        return [_write_file(table, None, rows, plan)]
    runs = _runs_of_days(rows)

    def write(day: date) -> DataFile:
        key = PartitionKey([PartitionFieldValue(spec.fields[0], day)], spec, table.schema())
        # A copy: made when its turn comes, lest all rows exist twice.
        of_day = pa.concat_tables(runs[day]) if runs else rows.filter(pc.equal(rows["date"], day))
        return _write_file(table, key, of_day, plan)

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(write, runs or pc.unique(rows["date"]).to_pylist()))


def _runs_of_days(rows: pa.Table) -> dict[date, list[pa.Table]]:
    """`rows` by their day, without copying them; empty where days change so often that a copy is cheaper."""
    days = rows["date"].to_numpy()
    starts = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist()]
    runs: dict[date, list[pa.Table]] = {}
    if len(starts) * RUN_ROWS <= len(days):
        for start, end in itertools.pairwise([*starts, len(days)]):
            runs.setdefault(days[start].item(), []).append(rows.slice(start, end - start))
    return runs


def _numbered(table: Table, field: pa.Field) -> pa.Field:
    """The column with Iceberg's number of it, and of what is in it."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow
    from pyiceberg.schema import Schema

    known = table.schema().find_field(field.name)
    if pa.types.is_nested(field.type):
        field = schema_to_pyarrow(Schema(known)).field(0)
    return field.with_metadata({b"PARQUET:field_id": str(known.field_id).encode()})


def _write_file(table: Table, key: PartitionKey | None, rows: pa.Table, plan: dict[str, Any]) -> DataFile:
    """Write `rows` as one file; `plan`: which statistics of it are kept, the same for all files."""
    import pyarrow.parquet as pq
    from pyiceberg.io.pyarrow import data_file_statistics_from_parquet_metadata
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    path = table.location_provider().new_data_location(f"{uuid.uuid4()}.parquet", key)
    output = table.io.new_output(path)
    names = set(rows.column_names)
    has_text = bool(BULK & names)  # tables that Spark built have none
    with output.create() as stream:
        writer = pq.ParquetWriter(
            stream,
            rows.schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=sorted(_REPEATING & names) if has_text else True,
            write_statistics=sorted(names - BULK) if has_text else True,
        )
        with writer:
            writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
    statistics = data_file_statistics_from_parquet_metadata(parquet_metadata=writer.writer.metadata, **plan)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=key.partition if key else Record(),
        file_size_in_bytes=len(output),
        sort_order_id=None,
        spec_id=table.metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
