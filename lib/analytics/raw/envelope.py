"""The envelope: columns every stored document has, pulled out of its JSON text in one vectorised pass."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from analytics.common.engine import engine

_TIMESTAMP = pa.timestamp("us", tz="UTC")

# raw.conversations, in order.
SCHEMA = pa.schema(
    [
        pa.field("_id", pa.string(), nullable=False),
        ("type", pa.string()),
        ("uuid", pa.string()),
        ("parent_uuid", pa.string()),
        ("session_id", pa.string()),
        ("project_id", pa.string()),
        ("timestamp", _TIMESTAMP),
        ("ingested_at", _TIMESTAMP),
        ("extracted_at", _TIMESTAMP),
        ("source_file", pa.string()),
        ("machine", pa.string()),
        ("message_role", pa.string()),
        ("message_id", pa.string()),
        ("request_id", pa.string()),
        ("is_sidechain", pa.bool_()),
        ("agent_id", pa.string()),
        ("version", pa.string()),
        ("cwd", pa.string()),
        ("git_branch", pa.string()),
        ("date", pa.date32()),
        pa.field("entry", pa.string(), nullable=False),
    ]
)

# A timestamp may be ISO 8601 (no zone: UTC) or a number of seconds or milliseconds since 1970; anything else,
# and anything outside the years 1..9999, is null. DuckDB also reads words such as `infinity`: hence
# the digit.
_INSTANT = """
    case
        when {text} is null then null
        when regexp_matches({text}, '^-?[0-9]+([.][0-9]+)?([eE][+]?[0-9]+)?$')
            then case
                when abs(try_cast({text} as double)) < 1e11 then to_timestamp(try_cast({text} as double))
                when abs(try_cast({text} as double)) < 3e14
                    then to_timestamp(try_cast({text} as double) / 1000)
            end
        when {text} between '0' and ':'
            then try_cast({text} as timestamptz)
    end
"""

_ENVELOPE = f"""
    with parsed as (
        select
            batch.project_id,
            batch.source_file,
            batch.machine,
            batch.ingested_at,
            json_transform(
                batch.entry,
                '{{
                    "type": "VARCHAR",
                    "uuid": "VARCHAR",
                    "parentUuid": "VARCHAR",
                    "sessionId": "VARCHAR",
                    "projectId": "VARCHAR",
                    "timestamp": "VARCHAR",
                    "ingestedAt": "VARCHAR",
                    "sourceFile": "VARCHAR",
                    "machine": "VARCHAR",
                    "message": {{"role": "VARCHAR", "id": "VARCHAR"}},
                    "requestId": "VARCHAR",
                    "isSidechain": "VARCHAR",
                    "agentId": "VARCHAR",
                    "version": "VARCHAR",
                    "cwd": "VARCHAR",
                    "gitBranch": "VARCHAR"
                }}'
            ) as document
        from batch
    ),

    instants as (
        select
            *,
            {_INSTANT.format(text="document.timestamp")} as entry_at,
            coalesce(ingested_at, {_INSTANT.format(text="document.ingestedAt")}) as stored_at
        from parsed
    ),

    checked as (
        select
            * exclude (ingested_at),
            case when entry_at between '0001-01-01' and '9999-12-31 23:59:59.999999' then entry_at end as timestamp,
            case when stored_at between '0001-01-01' and '9999-12-31 23:59:59.999999' then stored_at end as ingested_at,
            $extracted_at::timestamptz as extracted_at
        from instants
    )

    select
        document.type as type,
        document.uuid as uuid,
        document.parentUuid as parent_uuid,
        document.sessionId as session_id,
        coalesce(
            project_id,
            document.projectId,
            nullif(regexp_replace(document.cwd, '[^a-zA-Z0-9]', '-', 'g'), '')
        ) as project_id,
        timestamp,
        ingested_at,
        extracted_at,
        coalesce(source_file, document.sourceFile) as source_file,
        coalesce(machine, document.machine) as machine,
        document.message.role as message_role,
        document.message.id as message_id,
        document.requestId as request_id,
        try_cast(document.isSidechain as boolean) as is_sidechain,
        document.agentId as agent_id,
        document.version as version,
        document.cwd as cwd,
        document.gitBranch as git_branch,
        -- A clock gone wrong must not create a partition in year 1 or 9999.
        case
            when timestamp between '2000-01-01' and extracted_at + interval 2 days then timestamp
            when ingested_at between '2000-01-01' and extracted_at + interval 2 days then ingested_at
            else extracted_at
        end::date as date
    from checked
"""


def invalid_rows(batch: pa.Table) -> list[int]:
    """Positions in `batch` (BATCH_SCHEMA) whose `entry` is not one JSON object."""
    with engine().cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.register("batch", pa.table({"entry": batch["entry"]}))
        found = cursor.execute(
            """
            select position
            from (select entry, row_number() over () - 1 as position from batch)
            where not json_valid(entry) or json_type(case when json_valid(entry) then entry end) <> 'OBJECT'
            """
        ).fetchall()
    return sorted(row[0] for row in found)


def to_envelope(batch: pa.Table, extracted_at: datetime) -> pa.Table:
    """`batch` (BATCH_SCHEMA, every entry valid JSON) as rows of raw.conversations (SCHEMA), same order.

    Metadata columns of the batch win over keys in the text.

    Raises:
        duckdb.Error: an entry is not JSON; `invalid_rows` says which.
    """
    with engine().cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.register("batch", batch)
        found = cursor.execute(_ENVELOPE, {"extracted_at": extracted_at}).to_arrow_table()
    columns = {name: found[name] for name in found.column_names}
    columns["_id"] = batch["_id"]
    columns["entry"] = batch["entry"]
    arrays = [columns[field.name].cast(field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
