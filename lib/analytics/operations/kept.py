"""What is kept of conversations that Claude Code itself deletes, and what would be lost if runs stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.clock import utc_now
from analytics.settings import Settings

if TYPE_CHECKING:
    import duckdb

# https://code.claude.com/docs/en/settings: cleanupPeriodDays
CLEANUP_DAYS = 30


@dataclass(frozen=True)
class Kept:
    """What the store holds.

    Attributes:
        sessions: all that are kept.
        since: the day of the first.
        only_here: sessions that ended longer ago than Claude Code keeps them.
        cleanup_days: how long that is.
        loaded_at: when transcripts were read last.
    """

    sessions: int
    since: date | None
    only_here: int
    cleanup_days: int
    loaded_at: datetime | None

    @property
    def lost_from(self) -> datetime | None:
        """When conversations begin to be lost unless there is another run."""
        return None if self.loaded_at is None else self.loaded_at + timedelta(days=self.cleanup_days)

    def sentences(self) -> list[str]:
        """The same in words, none when nothing is kept."""
        if not self.sessions or self.since is None:
            return []
        said = [f"{self.sessions:,} session{'' if self.sessions == 1 else 's'} kept since {self.since}"]
        if self.only_here:
            said.append(
                f"{self.only_here:,} ended more than {self.cleanup_days} days ago: Claude Code deletes those, "
                "so this may be the only copy"
            )
        if self.lost_from is not None:
            said.append(f"without another run, conversations begin to be lost on {self.lost_from:%Y-%m-%d}")
        return said


def kept_sentences(settings: Settings) -> list[str]:
    """What is kept, since when, and what would be lost if runs stopped; nothing when nothing is published."""
    from analytics.warehouse.marts import open_version

    if not settings.published_path.exists():
        return []
    with open_version(settings.published_path) as connection:
        return kept(settings, connection).sentences()


def kept(settings: Settings, connection: duckdb.DuckDBPyConnection) -> Kept:
    """What the published version holds.

    Args:
        connection: to the published database.

    Raises:
        duckdb.Error: it is none of ours.
    """
    days = cleanup_days(settings)
    ended_before = (utc_now() - timedelta(days=days)).isoformat()
    sessions, since, only_here, loaded_ms = connection.execute(
        f"""
        select
            count(*),
            min(started_date_key),
            count(*) filter (where ended_at < timestamptz '{ended_before}'),
            (select epoch_ms(max(loaded_at)) from raw.load_state)
        from marts.dim_sessions
        """
    ).fetchall()[0]
    loaded_at = None if loaded_ms is None else datetime.fromtimestamp(loaded_ms / 1000, settings.tz)
    return Kept(sessions, since, only_here, days, loaded_at)


def cleanup_days(settings: Settings) -> int:
    """`cleanupPeriodDays` of Claude Code's own settings; its default where they do not say."""
    folder = settings.claude_config_dir or Path("~/.claude").expanduser()
    try:
        value = json.loads((folder / "settings.json").read_text()).get("cleanupPeriodDays")
    except (OSError, ValueError, AttributeError):
        return CLEANUP_DAYS
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000 else CLEANUP_DAYS
