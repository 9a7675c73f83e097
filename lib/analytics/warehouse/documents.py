"""Iceberg's rows in the working copy: the documents of a load as a view over their files, dead letters as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analytics.common.sql import literal
from analytics.raw.catalog import local_path

if TYPE_CHECKING:
    import duckdb

    from analytics.raw.store import RawStore


def lay_documents(connection: duckdb.DuckDBPyConnection, store: RawStore, files: list[str], load_id: int) -> None:
    """`raw.new_documents`: the documents of this load with their JSON text."""
    import pyarrow as pa

    from analytics.raw import envelope

    (held_as_table,) = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'new_documents'"
    ).fetchone() or (0,)
    connection.execute(f"drop {'table' if held_as_table else 'view'} if exists raw.new_documents")
    paths = [local_path(file) for file in files]
    if files and all(paths):
        columns = _columns(connection, store)
        listed = ", ".join(literal(path) for path in paths)
        # a view: the text is read when dbt parses it, and never stored here
        connection.execute(
            f"create view raw.new_documents as"
            f" select *, {load_id}::bigint as load_id from read_parquet([{listed}], schema = {columns})"
        )
        return
    rows: Any = envelope.SCHEMA.empty_table()
    if files:
        # files that DuckDB cannot open by itself (object stores)
        tables = store.read_paths(files, envelope.SCHEMA.names)
        batches = (batch for table in tables for batch in table.cast(envelope.SCHEMA).to_batches())
        rows = pa.RecordBatchReader.from_batches(envelope.SCHEMA, batches)
    connection.register("remote_rows", rows)
    connection.execute(f"create table raw.new_documents as select *, {load_id}::bigint as load_id from remote_rows")
    connection.unregister("remote_rows")


def _columns(connection: duckdb.DuckDBPyConnection, store: RawStore) -> str:
    """raw.conversations' columns by Iceberg field id, as DuckDB's `schema`.

    Files may be older than a column. Looking into all of them for their columns (`union_by_name`) would keep what they
    say in memory, and there are thousands: 40 MB per thousand files.
    https://duckdb.org/docs/stable/data/parquet/overview#parameters
    """
    from analytics.raw import envelope

    empty = connection.from_arrow(envelope.SCHEMA.empty_table())
    types = dict(zip(empty.columns, empty.types, strict=True))
    fields = [field for field in store.conversations.schema().fields if field.name in types]
    listed = ", ".join(
        f"{field.field_id}: {{name: '{field.name}', type: '{types[field.name]}', default_value: null}}"
        for field in fields
    )
    return f"map {{{listed}}}"


def load_redactions(connection: duckdb.DuckDBPyConnection, properties: Mapping[str, str]) -> None:
    """`raw.redactions`: how many secrets were replaced, by kind, as a snapshot of raw.conversations remembers it."""
    connection.execute("create or replace table raw.redactions (kind varchar, replacements bigint)")
    counts = [
        (key.removeprefix("redacted."), int(count))
        for key, count in sorted(properties.items())
        if key.startswith("redacted.")
    ]
    if counts:
        connection.executemany("insert into raw.redactions values (?, ?)", counts)


def load_dead_letters(
    connection: duckdb.DuckDBPyConnection, store: RawStore, *, snapshot_id: int | None = None
) -> None:
    """`raw.dead_letters`, all of them (at a snapshot, or now) and without their bytes: there are few, and the bytes
    stay in Iceberg."""
    fields = tuple(field.name for field in store.dead_letters.schema().fields if field.name != "original")
    rows = store.dead_letters.scan(selected_fields=fields, snapshot_id=snapshot_id).to_arrow()
    connection.register("dead_letter_rows", rows)
    connection.execute("create or replace table raw.dead_letters as select * from dead_letter_rows")
    connection.unregister("dead_letter_rows")
