"""DuckDB's types as Spark's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analytics.errors import AnalyticsError

if TYPE_CHECKING:
    import pyarrow as pa

_SCALARS = {
    "BIGINT": "bigint",
    "INTEGER": "int",
    "SMALLINT": "smallint",
    "TINYINT": "tinyint",
    "UBIGINT": "bigint",  # hashes only: Spark's are signed
    "HUGEINT": "decimal(38, 0)",
    "DOUBLE": "double",
    "FLOAT": "float",
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "TIMESTAMP": "timestamp_ntz",
    '"NULL"': "int",
}


def spark_type(name: str) -> str:
    """Spark's type for one of DuckDB's, as `describe` writes it.

    Raises:
        AnalyticsError: there is none.
    """
    if name.endswith("[]"):
        return f"array<{spark_type(name[:-2])}>"
    if name.startswith("STRUCT("):
        return f"struct<{', '.join(_field(part) for part in _parts(name[7:-1]))}>"
    if re.fullmatch(r"DECIMAL\(\d+,\s*\d+\)", name):
        return name.lower()
    if name not in _SCALARS:
        raise AnalyticsError(f"Spark has no type for DuckDB's {name}")
    return _SCALARS[name]


def _field(text: str) -> str:
    name, _, kind = text.strip().partition(" ")
    return "`" + name.strip('"') + "`: " + spark_type(kind)


def _parts(text: str) -> list[str]:
    """What stands between the commas of one level."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def signed(schema: pa.Schema) -> pa.Schema:
    """The schema with types that Spark has."""
    import pyarrow as pa

    known = {pa.uint64(): pa.int64(), pa.uint32(): pa.int64(), pa.time64("us"): pa.string()}
    fields = [pa.field(item.name, known.get(item.type, item.type), item.nullable) for item in schema]
    return pa.schema(fields)
