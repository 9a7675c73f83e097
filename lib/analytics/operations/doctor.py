"""What is wrong with the numbers, or missing from them, and what to do about it.

Reads the published database, if there is one, and DATA_DIR. Nothing here changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analytics.common.text import excerpt, one_line
from analytics.errors import AnalyticsError, first_line
from analytics.settings import Settings
from analytics.warehouse.measures import TOKENS, unpriced_models

if TYPE_CHECKING:
    import duckdb

MAX_LINES = 10  # per finding; the rest is counted


@dataclass(frozen=True)
class Finding:
    """One kind of trouble: a title, a line for each case, and what to do."""

    title: str
    advice: str
    cases: list[str] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Nothing was found."""
        return not self.cases

    def __str__(self) -> str:
        if self.is_ok:
            return f"ok    {self.title}: none"
        lines = [f"look  {self.title}: {len(self.cases)}"]
        lines += [f"        {one_line(case)}" for case in self.cases[:MAX_LINES]]
        if len(self.cases) > MAX_LINES:
            lines.append(f"        and {len(self.cases) - MAX_LINES} more")
        return "\n".join([*lines, f"      -> {self.advice}"])


def examine(settings: Settings) -> list[Finding]:
    """All findings, those without a case included. Without a published database those that need none.

    Raises:
        AnalyticsError: the published database is not one of ours.
    """
    import duckdb

    from analytics.warehouse.marts import open_version

    here = [_catalog_paths(settings), _unfinished_purges(settings), _former_storage(settings)]
    database = settings.published_path
    if not database.exists():
        return [
            Finding("published database", "run `claude-analytics pipeline`", [f"nothing is published at {database}"]),
            *here,
        ]
    try:
        with open_version(database) as connection:
            return [
                _unpriced_models(connection),
                _inactive_days(connection),
                _sessions_without_responses(connection),
                _dead_letters(connection),
                _unknown_entry_types(connection),
                _other_sums(connection),
                *here,
            ]
    except duckdb.CatalogException as error:
        raise AnalyticsError(f"{database} is not a published database of this version: {first_line(error)}") from None


def _unpriced_models(connection: duckdb.DuckDBPyConnection) -> Finding:
    # the hours of a model may have responses of both kinds: their tokens are not those without a price
    unpriced = """(
        select *, 1 as unpriced_response_count
        from marts.fct_messages
        where message_kind in ('response', 'advisor') and not is_priced
    )"""
    return Finding(
        "models without a price",
        "their cost is unknown, not zero; add prices in a CSV and name it in PRICING_OVERRIDES",
        [
            f"{model}: {count:,} responses, {given:,} input, {output:,} output, "
            f"{short + long:,} cache write, {read:,} cache read tokens"
            for model, count, given, output, short, long, read in unpriced_models(connection, unpriced, TOKENS)
        ],
    )


def _inactive_days(connection: duckdb.DuckDBPyConnection) -> Finding:
    """Weekdays without any entry between two days with entries, at most two weeks apart: lost, or a day off."""
    rows = connection.sql(
        """
        with stretches as (
            select
                date_key,
                has_activity,
                count(*) filter (where has_activity) over (order by date_key) as stretch
            from marts.agg_daily_summary
        )
        select min(date_key), max(date_key), count(*) filter (where dayofweek(date_key) between 1 and 5) as weekdays
        from stretches
        where not has_activity
        group by stretch
        having count(*) <= 14 and count(*) filter (where dayofweek(date_key) between 1 and 5) > 0
        order by min(date_key) desc
        """
    ).fetchall()
    return Finding(
        "weekdays without entries inside an active period",
        "days off look the same; where you did work, that machine's transcripts were never synced",
        [
            f"{first} to {last} ({weekdays} weekday{'s' if weekdays > 1 else ''})" if first != last else f"{first}"
            for first, last, weekdays in rows
        ],
    )


def _sessions_without_responses(connection: duckdb.DuckDBPyConnection) -> Finding:
    rows = connection.sql(
        """
        select session_id, started_at, coalesce(title, ''), entry_count
        from marts.dim_sessions
        where response_count = 0
        order by started_at desc nulls last, session_id
        """
    ).fetchall()
    return Finding(
        "sessions without responses",
        "opened and left, failed, or half of their transcript is missing",
        [
            f"{session} {f'{started:%Y-%m-%d %H:%M}' if started else 'without a time'} {entries} entries "
            f"{excerpt(title, 60)}"
            for session, started, title, entries in rows
        ],
    )


def _dead_letters(connection: duckdb.DuckDBPyConnection) -> Finding:
    rows = connection.sql(
        """
        select reason, count(*), min(coalesce(source_file, document_id))
        from raw.dead_letters
        group by reason
        order by count(*) desc, reason
        """
    ).fetchall()
    return Finding(
        "documents that could not be stored",
        "their bytes are kept: claude-analytics dead-letters list",
        [f"{count:,} x {reason} (first in {where})" for reason, count, where in rows],
    )


def _unknown_entry_types(connection: duckdb.DuckDBPyConnection) -> Finding:
    row = connection.sql(
        "select check_text from marts.agg_data_quality where check_name = 'unknown_entry_types' and check_value > 0"
    ).fetchone()
    return Finding(
        "entry types not seen before, by Claude Code version",
        "kept and counted as entries; a newer version of this project may read more from them",
        row[0].split(", ") if row else [],
    )


def _other_sums(connection: duckdb.DuckDBPyConnection) -> Finding:
    """Where Claude Code wrote a sum of its own (`cost-state`, 2.1.248 on) it should be ours."""
    rows = []
    # a database that an earlier version published has no such table
    if connection.sql("from duckdb_tables() where table_name = 'agg_cost_reconciliation'").fetchone():
        rows = connection.sql(
            """
            select session_id, our_cost_usd, claude_code_cost_usd, known_cause, is_within_1_percent
            from marts.agg_cost_reconciliation
            order by abs(difference_usd) desc nulls first, session_id
            """
        ).fetchall()
    agreeing = sum(row[-1] for row in rows)
    return Finding(
        f"sessions whose cost is not Claude Code's own within 1 % ({agreeing} of {len(rows)} agree)",
        "docs/how-we-count.md#claude-codes-own-sum says what the reasons mean",
        [
            f"{session}: ours {'unknown' if ours is None else f'${ours:,.2f}'}, theirs ${theirs:,.2f}: "
            f"{cause or 'nobody knows why'}"
            for session, ours, theirs, cause, agrees in rows
            if not agrees
        ],
    )


def _catalog_paths(settings: Settings) -> Finding:
    """The default catalog stores absolute paths: a DATA_DIR that was moved or copied points at another place."""
    from analytics.raw.repair import moved_tables

    cases = [f"raw.{name}: {location}" for name, location in moved_tables(settings).items()]
    return Finding(
        "Iceberg tables that are not in DATA_DIR",
        "DATA_DIR was moved or copied: claude-analytics doctor --repair",
        cases,
    )


def _unfinished_purges(settings: Settings) -> Finding:
    """A purge keeps its selection out from its first moment; killed, it leaves what was there before."""
    from analytics.privacy.tombstones import tombstones

    known = tombstones(settings)
    return Finding(
        "purges that were not finished",
        "what they were to remove may still be there: run the same command again",
        [
            f"claude-analytics purge {tombstone.option(settings.tz)} (begun {tombstone.purged_at})"
            for tombstone in (known.all if known else [])
            if not tombstone.is_finished
        ],
    )


def _former_storage(settings: Settings) -> Finding:
    """A copy of transcripts that takes space, and that redaction never saw."""
    folder = settings.former_storage_dir
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Finding(
        "storage of the MongoDB server that came with version 0.1",
        "nothing reads it any more; after a run of this version, delete it",
        [f"{folder}: {size / 1e6:,.0f} MB"] if folder.exists() else [],
    )
