"""The Iceberg catalog and its two tables: opened, made, given the columns of this version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
import tenacity

from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.raw.parquet import BULK, COMPRESSION_LEVEL
from analytics.settings import Settings, mask_uri

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

NAMESPACE = "raw"
CATALOG_NAME = "default"
COMMIT_ATTEMPTS = 8

DEAD_LETTER_SCHEMA = pa.schema(
    [
        pa.field("dead_letter_id", pa.string(), nullable=False),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("document_id", pa.string()),
        ("source_file", pa.string()),
        ("byte_offset", pa.int64()),
        ("byte_length", pa.int64()),
        ("first_seen_at", pa.timestamp("us", tz="UTC")),
        ("original", pa.large_binary()),
    ]
)

_TABLE_PROPERTIES = {
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": str(COMPRESSION_LEVEL),
    # Old metadata files go as new ones are written; files that nothing refers to are `expire`'s.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    # PyIceberg's own retry would commit the properties of the first attempt over those of whoever was faster.
    "commit.retry.num-retries": "0",
}


def retrying(before_sleep: Callable[[Any], None] | None = None) -> tenacity.Retrying:
    """Try again what another writer got in the way of, for some seconds; ends in a tenacity.RetryError."""
    from pyiceberg.exceptions import CommitFailedException
    from sqlalchemy.exc import OperationalError

    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(COMMIT_ATTEMPTS),
        wait=tenacity.wait_exponential_jitter(multiplier=0.05, max=5),
        retry=tenacity.retry_if_exception_type((CommitFailedException, OperationalError)),
        before_sleep=before_sleep,
    )


def open_catalog(settings: Settings) -> Catalog:
    """The catalog that PyIceberg's configuration calls `default`, else SQLite under DATA_DIR.

    Raises:
        ConfigError: the configured catalog cannot be opened.
        AnalyticsError: the one under DATA_DIR cannot.
    """
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    if configured := Config().get_catalog_config(CATALOG_NAME):
        try:
            return load_catalog(CATALOG_NAME, **{key: str(value) for key, value in configured.items()})
        except Exception as error:
            shown = mask_uri(str(configured.get("uri", configured.get("type", ""))))
            raise ConfigError(
                f"the Iceberg catalog 'default' ({shown}) cannot be opened: {type(error).__name__}"
            ) from error
    directory = settings.warehouse_dir
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return retrying()(
            load_catalog,
            CATALOG_NAME,
            type="sql",
            # seconds that one attempt waits for another process
            uri=f"sqlite:///{directory / 'catalog.db'}?timeout=2",
            warehouse=_warehouse(settings),
        )
    except tenacity.RetryError as error:
        raise _locked(settings, error) from error
    except Exception as error:
        raise AnalyticsError(f"the Iceberg warehouse {directory} cannot be opened: {error}") from error


def open_table(catalog: Catalog, name: str, schema: pa.Schema, settings: Settings, *, by_date: bool) -> Table:
    """The table, made when it is missing, with every column of `schema`.

    Raises:
        AnalyticsError: its files are not where the catalog says (DATA_DIR was moved), the catalog stays locked or
            refuses, or the table cannot be made.
    """
    from pyiceberg.exceptions import RESTError

    try:
        return retrying()(_open_table, catalog, name, schema, settings, by_date=by_date)
    except tenacity.RetryError as error:
        raise _locked(settings, error) from error
    except FileNotFoundError as error:
        raise _not_there(name, str(error.filename or error)) from None
    except (OSError, RESTError) as error:
        raise AnalyticsError(f"the Iceberg table {NAMESPACE}.{name} cannot be opened: {first_line(error)}") from error


def _not_there(name: str, reason: str) -> AnalyticsError:
    return AnalyticsError(
        f"the Iceberg table {NAMESPACE}.{name} is not where its catalog says ({reason}); if DATA_DIR was moved or "
        "copied: claude-analytics doctor --repair"
    )


def _locked(settings: Settings, error: tenacity.RetryError) -> AnalyticsError:
    reason = first_line(error.last_attempt.exception() or error)
    return AnalyticsError(
        f"the Iceberg catalog ({settings.warehouse_dir / 'catalog.db'}, unless you configured another) cannot be used: "
        f"{reason}; another process holds it: try again when it is done"
    )


def _open_table(catalog: Catalog, name: str, schema: pa.Schema, settings: Settings, *, by_date: bool) -> Table:
    from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import IdentityTransform

    identifier = (NAMESPACE, name)
    try:
        table = catalog.load_table(identifier)
        if _is_own(catalog, settings) and is_elsewhere(table.metadata_location, settings.warehouse_dir):
            raise _not_there(name, f"{table.metadata_location} is not in {settings.warehouse_dir}")
        return _with_columns(table, schema)
    except NoSuchTableError:
        pass
    spec = PartitionSpec()
    if by_date:
        source = schema.get_field_index("date") + 1
        spec = PartitionSpec(PartitionField(source, 1000, IdentityTransform(), "date"))
    # Statistics on a document's text would bloat manifests and help nobody; a REST catalog refuses a setting for a
    # column that is not there.
    unmeasured = {f"write.metadata.metrics.column.{text}": "none" for text in sorted(BULK & set(schema.names))}
    try:
        catalog.create_namespace_if_not_exists(NAMESPACE)
        return catalog.create_table(
            identifier, _iceberg_schema(schema), partition_spec=spec, properties=_TABLE_PROPERTIES | unmeasured
        )
    except TableAlreadyExistsError:
        return catalog.load_table(identifier)


def _with_columns(table: Table, schema: pa.Schema) -> Table:
    """`table` with the columns that a version before this one did not have; its rows have no values there."""
    missing = set(schema.names) - {field.name for field in table.schema().fields}
    if missing:
        with table.update_schema() as update:
            update.union_by_name(_iceberg_schema(schema))
        table.refresh()
    return table


def _iceberg_schema(arrow: pa.Schema) -> Any:
    """The Iceberg schema of `arrow`, fields numbered in order."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import (
        BinaryType,
        BooleanType,
        DateType,
        LongType,
        NestedField,
        StringType,
        TimestamptzType,
    )

    kinds = {
        pa.string(): StringType(),
        pa.bool_(): BooleanType(),
        pa.date32(): DateType(),
        pa.int64(): LongType(),
        pa.large_binary(): BinaryType(),
        pa.timestamp("us", tz="UTC"): TimestamptzType(),
    }
    return Schema(
        *(
            NestedField(number, column.name, kinds[column.type], required=not column.nullable)
            for number, column in enumerate(arrow, start=1)
        )
    )


def _warehouse(settings: Settings) -> str:
    return f"file://{settings.warehouse_dir}"  # PyIceberg does not decode %20


def _is_own(catalog: Catalog, settings: Settings) -> bool:
    return bool(catalog.properties.get("warehouse") == _warehouse(settings))


def is_elsewhere(location: str, warehouse: Path) -> bool:
    """Whether a table's file is not there, or not in `warehouse`: the catalog came with a DATA_DIR that was moved, or
    copied. Who works on a copy must not write into the tables it was copied from."""
    path = local_path(location)
    return path is not None and not (path.exists() and path.resolve().is_relative_to(warehouse.resolve()))


def local_path(location: str) -> Path | None:
    """`location` as a path when it is on a local file system, else None."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        # As PyIceberg reads it: the path as it is, nothing in it encoded.
        return Path(location.removeprefix("file:").removeprefix("//"))
    return Path(location) if not parts.scheme or len(parts.scheme) == 1 else None
