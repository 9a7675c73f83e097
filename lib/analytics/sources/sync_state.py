"""What `sync` copied to one MongoDB collection: read positions, and dead letters that wait for the next extract."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from analytics.errors import AnalyticsError, ConfigError
from analytics.settings import Settings
from analytics.sources.batch import DeadLetter, fingerprint
from analytics.sources.positions import FileState, position_key


def target_fingerprint(settings: Settings) -> str:
    """Identity of the collection `settings` name: hosts, database and collection, not user or password.

    Raises:
        ConfigError: MONGO_URI is not set.
    """
    if settings.mongo_uri is None:
        raise ConfigError("MONGO_URI is not set: it names the MongoDB server")
    netloc = urlsplit(settings.mongo_uri.get_secret_value()).netloc.rpartition("@")[2]
    hosts = ",".join(sorted(netloc.lower().split(",")))
    return fingerprint(hosts.encode(), settings.mongo_db.encode(), settings.mongo_collection.encode())


class SyncState:
    """What was synced to one target, and the dead letters that wait for the next extract."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            """
            pragma journal_mode = wal;
            pragma synchronous = normal;
            create table if not exists files (
                root text, source_file text, state text, primary key (root, source_file)
            );
            create table if not exists dead_letters (
                dead_letter_id text primary key,
                reason text,
                source_file text,
                byte_offset integer,
                original blob
            );
            create table if not exists facts (name text primary key, value text);
            """
        )
        # version 0.1 kept names
        named = self._db.execute("select root, source_file from files where source_file like '%.jsonl'").fetchall()
        self._db.executemany(
            "update or replace files set source_file = ? where root = ? and source_file = ?",
            [(position_key(name), root, name) for root, name in named],
        )

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def files(self, root: Path) -> dict[str, FileState]:
        """Known positions of the files under `root`, by `position_key`."""
        rows = self._db.execute("select source_file, state from files where root = ?", [str(root)])
        return {name: FileState(*orjson.loads(state)) for name, state in rows}

    def save(self, root: Path, states: dict[str, FileState], dead: list[DeadLetter], facts: dict[str, str]) -> None:
        """Remember progress, dead letters and facts, all or nothing."""
        self._db.execute("begin immediate")
        self._db.executemany(
            "insert or replace into files values (?, ?, ?)",
            [(str(root), name, orjson.dumps(state.to_list()).decode()) for name, state in states.items()],
        )
        self._db.executemany(
            "insert or ignore into dead_letters values (?, ?, ?, ?, ?)",
            [(d.dead_letter_id, d.reason, d.source_file, d.byte_offset, d.original) for d in dead],
        )
        self._db.executemany("insert or replace into facts values (?, ?)", list(facts.items()))
        self._db.execute("commit")

    def fact(self, name: str) -> str | None:
        """A remembered fact."""
        row = self._db.execute("select value from facts where name = ?", [name]).fetchone()
        return row[0] if row else None

    def forget(self) -> None:
        """The target is not what it was: look at everything again. Dead letters stay."""
        self._db.execute("delete from files")
        self._db.execute("delete from facts where name = 'probe'")

    def has_dead_letters(self) -> bool:
        """Whether dead letters wait for an extract."""
        return self._db.execute("select 1 from dead_letters limit 1").fetchone() is not None

    def waiting_dead_letters(self) -> list[DeadLetter]:
        """Dead letters no extract has stored yet."""
        rows = self._db.execute("select dead_letter_id, reason, source_file, byte_offset, original from dead_letters")
        return [
            DeadLetter(
                dead_letter_id=key,
                reason=reason,
                source="sync",
                original=bytes(original),
                source_file=source_file,
                byte_offset=offset,
            )
            for key, reason, source_file, offset, original in rows
        ]

    def purge(self, is_purged: Callable[[str], bool]) -> None:
        """Drop waiting dead letters of the files that `is_purged` names, their bytes too."""
        rows = self._db.execute("select dead_letter_id, source_file from dead_letters").fetchall()
        found = [[key] for key, name in rows if name and is_purged(name)]
        self._db.executemany("delete from dead_letters where dead_letter_id = ?", found)
        self._db.execute("vacuum")

    def dead_letters_stored(self, ids: list[str]) -> None:
        """These are in raw.dead_letters now."""
        self._db.executemany("delete from dead_letters where dead_letter_id = ?", [(key,) for key in ids])


def state_path(settings: Settings) -> Path:
    """State file of the sync target that `settings` name."""
    return settings.data_dir / "sync" / f"{target_fingerprint(settings)[:16]}.db"


@contextlib.contextmanager
def open_state(settings: Settings) -> Iterator[SyncState]:
    """The state of the configured target.

    Raises:
        AnalyticsError: DATA_DIR cannot be written.
    """
    try:
        state = SyncState(state_path(settings))
    except (OSError, sqlite3.Error) as error:
        raise AnalyticsError(f"DATA_DIR={settings.data_dir} cannot be written: {error}") from error
    try:
        yield state
    finally:
        state.close()
