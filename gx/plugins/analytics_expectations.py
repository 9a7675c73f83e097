"""Expectations on the layers of the database, each one set-based SQL query over all the tables it concerns.

A query returns the rows that should not be there. Its first column, `table_name`, says which table they are
about. It is run once: the number of failing rows comes back with the first examples. Which tables and columns
an expectation looks at stands in the suites (expectations/*.json); where nothing stands there, it looks at all marts
and asks of them what dbt's descriptions promise. The suites say the severity too: `critical` stops a run before it
publishes, `warning` is reported.

Texts are joined and grouped by their 64-bit hash where that is several times faster.

What an hour brings is a thousandth of a history, and the rest was checked when it came: what compares single rows of
the large tables looks at the newest load and at the sessions it touched, and totals are compared over everything. The
nightly run loads everything anew, so that it looks at everything.

Queries pass through Python's `str.format` and SQLAlchemy's `text`: no braces, no single colons.
"""

from __future__ import annotations

from typing import Any, ClassVar

from analytics.quality.described import Table
from analytics.quality.described import tables as described
from analytics.quality.gx_duckdb import register
from analytics.warehouse.measures import TOKENS
from great_expectations.compatibility import pydantic
from great_expectations.expectations import UnexpectedRowsExpectation
from great_expectations.render import LegacyDiagnosticRendererType, RenderedTableContent
from great_expectations.render.renderer.renderer import renderer

# The connection string of great_expectations.yml names it.
register()

# Rows shown of what failed.
EXAMPLES = 20


class ExpectNoFailingRows(UnexpectedRowsExpectation):
    """Base: passes when the query returns nothing. The docstring is what pages and messages say of an expectation."""

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)
    query: ClassVar[str] = ""

    unexpected_rows_query: str = ""

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        """The query of failing rows for these attributes."""
        return cls.query

    @pydantic.root_validator(pre=True)
    def _set_query(cls, values: dict[str, Any]) -> dict[str, Any]:
        values["description"] = values.get("description") or " ".join((cls.__doc__ or "").split())
        failing = cls.build_query(values)
        values["unexpected_rows_query"] = (
            f"with failing as (\n{failing}\n)\nselect *, count(*) over () as failing_rows from failing limit {EXAMPLES}"
        )
        return values

    @pydantic.validator("unexpected_rows_query")
    def _validate_query(cls, query: str) -> str:
        return query  # names its tables itself, so it needs no {batch}

    def _validate(
        self, metrics: dict, runtime_configuration: dict | None = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        rows = [dict(row) for row in metrics["unexpected_rows_query.table"]]
        count = rows[0]["failing_rows"] if rows else 0
        for row in rows:
            del row["failing_rows"]
        details = {"details": {"unexpected_rows": rows}} if rows else {}
        return {"success": not rows, "result": {"observed_value": count, **details}}

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(cls, configuration: Any = None, result: Any = None, **_: Any) -> str:
        count = result.result.get("observed_value") if result and result.result else None
        if count is None:
            return "not evaluated"
        return f"{count:,} failing {'row' if count == 1 else 'rows'}"

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(
        cls, configuration: Any = None, result: Any = None, **_: Any
    ) -> list[RenderedTableContent] | None:
        rows = (result.result.get("details") or {}).get("unexpected_rows") if result and result.result else None
        if not rows:
            return None
        shown = [["null" if value is None else str(value) for value in row.values()] for row in rows]
        return [RenderedTableContent(content_block_type="table", table=shown, header_row=list(rows[0]))]


def _union(queries: list[str]) -> str:
    # an empty list of tables is an expectation that holds
    return "\nunion all by name\n".join(queries) or "select null as table_name where false"


def _rows(table: str, key: str, shown: str, wrong: list[str]) -> str:
    """The rows of a table for which one of these conditions is true, with what is shown of them."""
    return f"""
        select
            '{table}' as table_name,
            cast({key} as varchar) as key_value,
            {shown}
        from {table}
        where {_changed(table)} and ({" or ".join(wrong)})
    """


def _given(values: dict[str, Any], name: str, described: Any) -> Any:
    """What the suite says, an empty list too; where it says nothing, what dbt's descriptions of the marts do."""
    return described if values.get(name) is None else values[name]


def _newest(table: str) -> str:
    """Rows of the newest load. Each table has its own numbers of loads: Spark counts them for itself."""
    return f"load_id = (select max(load_id) from {table})"


# Conditions on tables that have a session.
_TOUCHED = "session_id in (select session_id from intermediate.int_touched_sessions where is_touched)"
# and those that share something with them
_RELATED = "session_id in (select session_id from intermediate.int_touched_sessions)"
# the same for entries: by their numbers DuckDB reads only the blocks they lie in (`dynamic_or_filter_threshold`)
_RELATED_ENTRIES = f"rowid in (select rowid from staging.stg_entries where {_RELATED})"

# Large tables of which a build changes the rows of the touched sessions only.
_BY_SESSION = ("marts.fct_", "intermediate.int_response_usage", "intermediate.int_tool_calls")


def _changed(table: str) -> str:
    """A condition for the rows that the last build may have changed."""
    return _TOUCHED if table.startswith(_BY_SESSION) else "true"


_ALL_TOKENS = " + ".join(TOKENS)
_RESPONSE = "message_kind in ('response', 'advisor')"


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


class ExpectTablesToExist(ExpectNoFailingRows):
    """Every table of the layer is there."""

    tables: list[str] | None = None  # None: the marts

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        tables = _given(values, "tables", [table.name for table in described()])
        listed = ", ".join(map(_text, tables))
        return f"""
            select expected.table_name
            from (select unnest([{listed}]) as table_name) as expected
            anti join (
                select table_schema || '.' || table_name as table_name
                from information_schema.tables
            ) as existing using (table_name)
        """


class ExpectKeysToBeUnique(ExpectNoFailingRows):
    """Keys are unique and not null: one row per thing counted."""

    keys: dict[str, str] | None = None  # table -> key column; None: those of the marts
    loaded: list[str] | None = None  # those of the tables that only ever get rows of a new load

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        keys = _given(values, "keys", {table.name: table.key for table in described()})
        loaded = values.get("loaded") or []
        rows = {table: _newest(table) if table in loaded else _changed(table) for table in keys}
        # hashes are compared first: grouping a million numbers is several times cheaper than grouping texts
        return _union(
            [
                f"""
                select
                    '{table}' as table_name,
                    '{key}' as column_name,
                    cast({key} as varchar) as key_value,
                    count(*) as copies
                from {table}
                where hash({key}) in (
                    select hash({key}) as hashed from {table}
                    where hash({key}) in (select hash({key}) from {table} where {rows[table]})
                    group by 1 having count(*) > 1 or hashed = hash(null)
                )
                group by {key}
                having {key} is null or count(*) > 1
                """
                for table, key in keys.items()
            ]
        )


class ExpectValuesToBePresent(ExpectNoFailingRows):
    """Columns that nothing can be counted without are never null."""

    columns: dict[str, list[str]] | None = None  # table -> columns; None: those of the marts

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        present = _given(values, "columns", {t.name: t.present for t in described() if t.present})
        return _union(
            [
                f"""
                select
                    '{table}' as table_name,
                    concat_ws(', ', {", ".join(f"case when {c} is null then '{c}' end" for c in columns)})
                        as null_columns,
                    count(*) as null_rows
                from {table}
                where {" or ".join(f"{c} is null" for c in columns)}
                group by all
                """
                for table, columns in present.items()
            ]
        )


class ExpectValuesToBeKnown(ExpectNoFailingRows):
    """Categories are among those that the definitions know."""

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        return _union(
            [
                f"""
                select
                    '{table.name}' as table_name,
                    '{column}' as column_name,
                    {column} as unknown_value,
                    count(*) as in_rows
                from {table.name}
                where {_changed(table.name)} and {column} not in ({", ".join(map(_text, allowed))})
                group by {column}
                """
                for table in described()
                for column, allowed in table.known.items()
            ]
        )


class ExpectNumbersToBeInRange(ExpectNoFailingRows):
    """Counts, tokens, costs and durations are never negative; rates lie between 0 and 1."""

    keys: dict[str, str] | None = None  # table -> column that names a row; None: the numbers of the marts
    not_negative: dict[str, list[str]] | None = None  # table -> columns

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        tables = described()
        if keys := values.get("keys"):
            tables = tuple(Table(name, key, not_negative=values["not_negative"][name]) for name, key in keys.items())
        queries = []
        for table in tables:
            wrong = {column: f"{column} < 0" for column in table.not_negative}
            wrong |= {column: f"not {column} between 0 and 1" for column in table.rates}
            found = ", ".join(f"case when {test} then '{c} = ' || {c} end" for c, test in wrong.items())
            if wrong:
                shown = f"concat_ws(', ', {found}) as out_of_range"
                queries.append(_rows(table.name, table.key, shown, [*wrong.values()]))
        return _union(queries)


class ExpectReferencesToExist(ExpectNoFailingRows):
    """No orphans: what a column refers to is there."""

    references: dict[str, str] | None = None  # schema.table.column -> schema.table.column; None: those of the marts

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        promised = {f"{t.name}.{column}": target for t in described() for column, target in t.references.items()}
        references = _given(values, "references", promised)
        queries = []
        for source, target in references.items():
            table, column = source.rsplit(".", 1)
            parent, parent_column = target.rsplit(".", 1)
            # a reference that is used twice is checked once: two of them would need two names in the suite.
            # Of a large parent only what is referred to is compared.
            used = f"select {column} from {table} where {_changed(table)} and {column} is not null"
            queries.append(
                f"""
                select
                    '{table}' as table_name,
                    '{column}' as column_name,
                    cast(child.{column} as varchar) as key_value,
                    '{parent}' as missing_in,
                    count(*) as in_rows
                from ({used}) as child
                anti join (
                    select {parent_column} from {parent} where {parent_column} in ({used})
                ) as parent on child.{column} = parent.{parent_column}
                group by child.{column}
                """
            )
        return _union(queries)


class ExpectRowsWhereThereAreConversations(ExpectNoFailingRows):
    """Tables have rows as soon as there is one user or assistant entry; with no history they have none."""

    tables: list[str]

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        counts = _union([f"select '{t}' as table_name, count(*) as table_rows from {t}" for t in values["tables"]])
        return f"""
            select
                table_name,
                table_rows,
                (select count(*) from raw.conversations) as documents
            from ({counts})
            where
                table_rows = 0
                and exists (
                    from raw.conversations
                    where type in ('user', 'assistant') and session_id is not null
                )
        """


class ExpectLoadStateToMatchTables(ExpectNoFailingRows):
    """raw.load_state is one row, and the documents and dead letters it says were loaded are in the tables."""

    query: ClassVar[str] = """
        with counted as (
            select
                (select count(*) from raw.load_state) as states,
                (select count(*) from raw.conversations) as documents,
                (select count(*) from raw.dead_letters) as dead_letters,
                (select max(load_id) from raw.conversations) as newest_load_id
        )
        select 'raw.load_state' as table_name, 'rows' as measure, 1 as stated, states as found
        from counted where states <> 1
        union all
        select 'raw.conversations', 'documents', state.documents, counted.documents
        from counted, raw.load_state as state where state.documents <> counted.documents
        union all
        select 'raw.dead_letters', 'dead_letters', state.dead_letters, counted.dead_letters
        from counted, raw.load_state as state where state.dead_letters <> counted.dead_letters
        union all
        select 'raw.conversations', 'load_id', state.load_id, counted.newest_load_id
        from counted, raw.load_state as state where state.load_id < counted.newest_load_id
    """


class ExpectTimesToBePlausible(ExpectNoFailingRows):
    """Times lie between 2023 and tomorrow: a wrong clock puts usage on the wrong day."""

    query: ClassVar[str] = _rows(
        *("raw.conversations", "_id", "timestamp as implausible"),
        ["timestamp not between timestamptz '2023-01-01' and now() + interval 1 day"],
    )


class ExpectEntriesToFollowTheirParents(ExpectNoFailingRows):
    """In what was loaded last no entry is more than a minute older than the entry it answers (parentUuid); parallel
    tool results differ by less."""

    query: ClassVar[str] = f"""
        with children as (
            select uuid, parent_uuid, session_id, source_file, timestamp
            from raw.conversations
            where {_newest("raw.conversations")} and parent_uuid is not null
        ),
        parents as (
            select uuid, session_id, source_file, timestamp
            from raw.conversations
            where session_id in (select session_id from children)
        )
        select
            'raw.conversations' as table_name,
            child.uuid as key_value,
            child.session_id,
            child.timestamp as entry_at,
            parent.timestamp as parent_at
        from children as child
        join parents as parent
            on hash(child.parent_uuid) = hash(parent.uuid)
            and child.timestamp < parent.timestamp - interval 1 minute
        where
            child.session_id = parent.session_id
            and child.source_file = parent.source_file
    """


class ExpectEveryDocumentToBeParsedOnce(ExpectNoFailingRows):
    """Every document of raw.conversations is parsed exactly once, and nothing else is."""

    # A table without order has the same ids as another if there are as many, and the hashes' sums are the same: only
    # where they differ it is looked for the ids.
    query: ClassVar[str] = """
        with differing as (
            select 1
            from (select count(*) as ids, sum(hash(_id)) as hashes from raw.conversations) as documents,
                (select count(*) as ids, sum(hash(document_id)) as hashes from staging.stg_entries) as entries
            where documents <> entries
        )
        select
            'staging.stg_entries' as table_name,
            coalesce(documents._id, entries.document_id) as key_value,
            case when entries.document_id is null then 'not parsed' else 'not in raw' end as problem
        from (from raw.conversations where exists (from differing)) as documents
        full join (from staging.stg_entries where exists (from differing)) as entries
            on hash(documents._id) = hash(entries.document_id)
        where documents._id is null or entries.document_id is null
    """


class ExpectResponsesToCarryTheirLargestUsage(ExpectNoFailingRows):
    """Every API response stands once, with the largest usage any of its lines carries: not the first line's, not the
    sum."""

    query: ClassVar[str] = f"""
        with shared as (
            -- an id that a proxy gives to every response is none: its responses have keys of their own.
            -- int_shared_message_ids has those of the last run's sessions only, responses only those that are counted
            select response_key as message_id
            from intermediate.int_shared_message_ids
            union
            select message_id
            from intermediate.int_response_usage
            where not is_advisor and response_key <> message_id
        ),
        lines as (
            select
                hash(response_key) as response_hash,
                any_value(response_key) as response_key,
                bool_or({_TOUCHED}) as is_touched,
                max({_ALL_TOKENS}) as tokens
            from staging.stg_entries
            where
                entry_type = 'assistant'
                and has_message
                and {_RELATED_ENTRIES}
                and response_key not in (select message_id from shared)
            group by hash(response_key)
        ),
        responses as (
            select
                hash(response_key) as response_hash,
                any_value(response_key) as response_key,
                bool_or({_TOUCHED}) as is_touched,
                sum({_ALL_TOKENS}) as tokens
            from intermediate.int_response_usage
            where
                not is_advisor
                and (message_id is null or response_key = message_id)
                and {_RELATED}
            group by hash(response_key)
        )
        select
            'intermediate.int_response_usage' as table_name,
            coalesce(lines.response_key, responses.response_key) as key_value,
            lines.tokens as tokens_in_lines,
            responses.tokens as tokens_counted
        from lines
        full join responses using (response_hash)
        where
            lines.tokens is distinct from responses.tokens
            -- what is only related may have lines elsewhere
            and (lines.is_touched or responses.is_touched)
    """


class ExpectEveryToolUseToBeOneCall(ExpectNoFailingRows):
    """Every tool_use id in the entries is one tool call, however often its line was copied. Of copies that differ the
    earliest is the entry."""

    # Only for ids without a call it is looked up whether the copy they stand in is the one that counts.
    query: ClassVar[str] = f"""
        with blocks as (
            select
                document_id,
                entry_key,
                unnest(tool_blocks) as block
            from staging.stg_entries
            where len(tool_blocks) > 0 and {_RELATED_ENTRIES}
        ),
        used as (
            select
                document_id,
                entry_key,
                block.tool_use_id as tool_use_id
            from blocks
            where block.block_type = 'tool_use' and block.tool_use_id is not null
        ),
        uncalled as (
            select * from used
            anti join intermediate.int_tool_calls as calls on used.tool_use_id = calls.tool_use_id
        ),
        standing as (
            select document_id
            from staging.stg_entries
            where session_id is not null and entry_key in (select entry_key from uncalled)
            qualify row_number() over (
                partition by entry_key
                order by is_forked, occurred_at nulls last, session_id, source_file nulls last, document_id
            ) = 1
        )
        select distinct
            'intermediate.int_tool_calls' as table_name,
            tool_use_id as key_value,
            'no call' as problem
        from uncalled
        semi join standing on uncalled.document_id = standing.document_id
        union all
        select
            'intermediate.int_tool_calls' as table_name,
            tool_use_id as key_value,
            'no tool_use' as problem
        from (from intermediate.int_tool_calls where {_TOUCHED}) as calls
        anti join used on calls.tool_use_id = used.tool_use_id
    """


class ExpectAtMostOneResultPerToolUse(ExpectNoFailingRows):
    """A tool_use has at most one result: copies of it agree on whether it is an error and on its length."""

    query: ClassVar[str] = f"""
        select
            'staging.stg_entries' as table_name,
            block.tool_use_id as key_value,
            count(distinct block.is_error) as outcomes,
            count(distinct block.result_length) as lengths
        from (
            select unnest(tool_blocks) as block
            from staging.stg_entries
            where has_tool_result and {_RELATED_ENTRIES}
        )
        where
            block.block_type = 'tool_result'
            and block.tool_use_id is not null
        group by block.tool_use_id
        having
            (min(block.is_error) <> max(block.is_error) or min(block.result_length) <> max(block.result_length))
            -- other vendors count their calls anew in every turn
            and block.tool_use_id not in (
                select tool_use_id from intermediate.int_tool_calls group by tool_use_id having count(*) > 1
            )
    """


class ExpectToolNamesToBeValid(ExpectNoFailingRows):
    """Tool names are letters, digits, _ and -; mcp__server__tool names have a server and a tool."""

    query: ClassVar[str] = _rows(
        *("marts.dim_tools", "tool_name", "mcp_server, mcp_tool"),
        [
            "not regexp_full_match(tool_name, '[a-zA-Z0-9_-]+')",
            "is_mcp <> (mcp_server is not null)",
            "is_mcp <> (mcp_tool is not null)",
        ],
    )


class ExpectTimesToBeOrdered(ExpectNoFailingRows):
    """Nothing ends before it started."""

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        return _union(
            [
                _rows(table.name, table.key, f"{earlier} as earlier, {later} as later", [f"{later} < {earlier}"])
                for table in described()
                for later, earlier in table.not_before.items()
            ]
        )


class ExpectDurationsToFollowTheirTimes(ExpectNoFailingRows):
    """A tool call's duration is the time from call to result in whole milliseconds; it is unknown exactly where one of
    the two is, or where the clock was set back in between."""

    query: ClassVar[str] = _rows(
        *("marts.fct_tool_calls", "tool_use_id", "called_at, finished_at, duration_ms"),
        [
            "duration_ms is distinct from"
            " case when finished_at >= called_at then epoch_ms(finished_at) - epoch_ms(called_at) end"
        ],
    )


class ExpectClocksNotToStepBack(ExpectNoFailingRows):
    """No tool call has a result that is older than the call: the machine's clock was not set back."""

    query: ClassVar[str] = _rows(
        "marts.fct_tool_calls", "tool_use_id", "called_at, finished_at", ["finished_at < called_at"]
    )


class ExpectCostExactlyWherePriced(ExpectNoFailingRows):
    """A response has a cost exactly when its model has a price; it is null where there is none. User messages have
    neither tokens nor cost."""

    query: ClassVar[str] = _rows(
        *("marts.fct_messages", "message_key", "message_kind, model, is_priced, cost_usd"),
        [
            f"({_RESPONSE}) and is_priced <> (cost_usd is not null)",
            f"not ({_RESPONSE}) and (cost_usd is not null or input_tokens is not null)",
        ],
    )


# Tables of days, hours of the week and blocks: what has no time is in none of them.
_DATED = {
    *("marts.agg_daily_usage", "marts.agg_daily_summary", "marts.agg_billing_blocks"),
    *("marts.agg_hourly_activity", "marts.agg_code_changes"),
}


class ExpectTotalsToAgree(ExpectNoFailingRows):
    """Base: totals of several tables against those of the facts."""

    totals: ClassVar[dict[str, str]] = {}  # table -> select list of totals; the same name means the same number
    facts: ClassVar[dict[str, tuple[str, str]]] = {}  # `from` clause of the facts -> column of the day, select list

    @classmethod
    def build_query(cls, values: dict[str, Any]) -> str:
        def longer(table: str, relation: str, columns: str, *, dated: bool = False) -> str:
            return f"""
                select table_name, measure || '{"_dated" if dated else ""}' as measure, total
                from (
                    unpivot (
                        select '{table}' as table_name, columns(*)::decimal(38, 9)
                        from (select {columns} from {relation})
                    )
                    on columns(* exclude (table_name)) into name measure value total
                )
            """

        facts = [longer("facts", table, columns) for table, (_, columns) in cls.facts.items()]
        facts += [
            longer("facts", f"(from {table}) where {day} is not null", columns, dated=True)
            for table, (day, columns) in cls.facts.items()
        ]
        tables = [longer(name.split()[0], name, columns, dated=name in _DATED) for name, columns in cls.totals.items()]
        return f"""
            select
                in_tables.table_name,
                in_tables.measure,
                in_tables.total as total_in_table,
                in_facts.total as total_in_facts
            from ({_union(tables)}) as in_tables
            join ({_union(facts)}) as in_facts using (measure)
            where in_tables.total <> in_facts.total
        """


def _sums(*columns: str, where: str = "true", **named: str) -> str:
    """A select list of sums, each named as its column, or with another name; nothing to sum is 0."""
    named = {column: column for column in columns} | named
    return ", ".join(f"coalesce(sum({column}) filter ({where}), 0) as {name}" for name, column in named.items())


def _counts(**conditions: str) -> str:
    """A select list of how many rows each condition holds for."""
    return ", ".join(f"count(*) filter ({condition}) as {name}" for name, condition in conditions.items())


_RESPONSE_SUMS = _sums("response_count", *TOKENS, "cost_usd", "unpriced_response_count")


class ExpectTokensAndCostToReconcile(ExpectTotalsToAgree):
    """Responses, each kind of token and cost are the same in sum in the intermediate responses, the message facts,
    sessions, their hours, projects, days, models and billing blocks."""

    facts: ClassVar[dict[str, tuple[str, str]]] = {
        "marts.fct_messages": (
            "created_date_key",
            _counts(response_count=_RESPONSE, unpriced_response_count=f"{_RESPONSE} and cost_usd is null")
            + f", {_sums(*TOKENS, 'cost_usd', where=_RESPONSE)}",
        ),
    }
    totals: ClassVar[dict[str, str]] = {
        "intermediate.int_response_usage where not is_synthetic": f"count(*) as response_count, {_sums(*TOKENS)}",
        "marts.dim_sessions": _RESPONSE_SUMS,
        "marts.dim_projects": _RESPONSE_SUMS,
        "marts.agg_session_hours": _RESPONSE_SUMS,
        "marts.agg_daily_usage": _RESPONSE_SUMS,
        "marts.agg_daily_summary": _RESPONSE_SUMS,
        "marts.agg_billing_blocks": _RESPONSE_SUMS,
    }


class ExpectCountsToReconcile(ExpectTotalsToAgree):
    """Prompts, responses, tool calls, errors, rejections and commits are the same in sum in the facts, sessions,
    projects, tools, days and hours."""

    facts: ClassVar[dict[str, tuple[str, str]]] = {
        "marts.fct_messages": (
            "created_date_key",
            _counts(
                message_count="true",
                prompt_count="message_kind in ('prompt', 'slash_command') and not is_sidechain and not is_queued",
                response_count=_RESPONSE,
            ),
        ),
        "marts.fct_tool_calls": (
            "called_date_key",
            _counts(
                tool_call_count="true",
                tool_error_count="status = 'error'",
                rejected_tool_call_count="status = 'rejected'",
                success_count="status = 'success'",
                pending_count="status = 'pending'",
                commits="is_git_commit",
                pull_requests="is_pull_request",
            ),
        ),
    }
    totals: ClassVar[dict[str, str]] = {
        "marts.dim_sessions": _sums(
            *("message_count", "prompt_count", "response_count", "tool_call_count", "tool_error_count"),
            *("rejected_tool_call_count", "commits", "pull_requests"),
        ),
        "marts.dim_projects": _sums("prompt_count", "response_count", "tool_call_count"),
        "marts.agg_session_hours": _sums("message_count", "prompt_count", "response_count"),
        "marts.agg_session_metrics": _sums("prompt_count", "response_count", "tool_call_count"),
        "marts.agg_daily_summary": _sums(
            *("prompt_count", "response_count", "tool_call_count", "tool_error_count", "commits", "pull_requests")
        ),
        "marts.agg_hourly_activity": _sums("prompt_count", "response_count", "tool_call_count"),
        "marts.agg_tool_efficiency": _sums(
            *("success_count", "pending_count"),
            tool_call_count="call_count",
            tool_error_count="error_count",
            rejected_tool_call_count="rejected_count",
        ),
        # not int_messages: it holds only the sessions of the last build
        "intermediate.int_tool_calls": "count(*) as tool_call_count",
    }


class ExpectLinesToReconcile(ExpectTotalsToAgree):
    """Lines added and removed by successful file operations are the same in sum in sessions, days and languages."""

    facts: ClassVar[dict[str, tuple[str, str]]] = {
        "marts.fct_file_operations where status = 'success'": (
            "operated_date_key",
            _sums("lines_added", "lines_removed"),
        ),
    }
    totals: ClassVar[dict[str, str]] = dict.fromkeys(
        ("marts.dim_sessions", "marts.agg_daily_summary", "marts.agg_code_changes"),
        _sums("lines_added", "lines_removed"),
    )


class ExpectCalendarsToBeComplete(ExpectNoFailingRows):
    """Every day from the first to the last has a row in agg_daily_summary, every hour of the week one."""

    query: ClassVar[str] = """
        select
            'marts.agg_daily_summary' as table_name,
            date_diff('day', min(date_key), max(date_key)) + 1 as expected_rows,
            count(*) as found_rows
        from marts.agg_daily_summary
        having date_diff('day', min(date_key), max(date_key)) + 1 <> count(*)
        union all
        select 'marts.agg_hourly_activity', 168, count(*)
        from marts.agg_hourly_activity
        having count(*) <> 168
    """


class ExpectMartsToBeFresh(ExpectNoFailingRows):
    """The newest user or assistant entry that was loaded last is within a session of the marts."""

    query: ClassVar[str] = f"""
        select
            'marts.dim_sessions' as table_name,
            newest.loaded_at as newest_entry_loaded,
            newest.counted_at as newest_entry_counted
        from (
            select
                (
                    select max(timestamp) from raw.conversations
                    where {_newest("raw.conversations")}
                        and type in ('user', 'assistant') and session_id is not null
                ) as loaded_at,
                (select max(ended_at) from marts.dim_sessions) as counted_at
        ) as newest
        where newest.counted_at < newest.loaded_at
    """
