"""What must survive: a write-ahead journal of every change, and the settings of this sandbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from leadengine.errors import LeadEngineError

_SCHEMA = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists journal (
    seq integer primary key, at_us integer not null, kind text not null, data blob not null
);
"""


class Journal:
    """An append-only list of changes in SQLite.

    :meth:`append` returns once the change is in the database's write-ahead log, which outlives
    the process: SIGKILL loses nothing that was answered. (A power cut may lose the last moments:
    the log is not flushed to the disk at each change, the sandbox holds nothing that deserves it.)
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=1.0, isolation_level=None, check_same_thread=False
            )
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            # One sandbox per folder: a second would interleave its changes with ours.
            self._db.execute("pragma locking_mode = exclusive")
            self._db.executescript(_SCHEMA)
            self._db.execute("insert or replace into meta values ('opened', '1')")
        except (OSError, sqlite3.Error) as error:
            raise LeadEngineError(
                f"The sandbox's state in {path.parent} cannot be opened: {error}.",
                remedy="Stop the other sandbox that uses this folder, or choose another folder.",
            ) from error
        row = self._db.execute("select coalesce(max(seq), 0) from journal").fetchone()
        self.seq: int = row[0]

    def get(self, name: str) -> str | None:
        """A setting, None where it was never set."""
        row = self._db.execute("select value from meta where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        """Keeps a setting."""
        self._db.execute("insert or replace into meta values (?, ?)", (name, value))

    def append(self, at: datetime, kind: str, data: dict[str, Any]) -> int:
        """Writes one change and returns its number."""
        self.seq += 1
        self._db.execute(
            "insert into journal values (?, ?, ?, ?)",
            (self.seq, micros(at), kind, orjson.dumps(data)),
        )
        return self.seq

    def replay(self) -> Iterator[tuple[int, datetime, str, dict[str, Any]]]:
        """Every change in order: number, time (UTC), kind, data."""
        cursor = self._db.execute("select seq, at_us, kind, data from journal order by seq")
        for seq, at_us, kind, data in cursor:
            yield seq, from_micros(at_us), kind, orjson.loads(data)

    def first(self) -> datetime | None:
        """When the first change was made, None if none was."""
        row = self._db.execute("select at_us from journal order by seq limit 1").fetchone()
        return None if row is None else from_micros(row[0])

    def close(self) -> None:
        """Closes the database."""
        self._db.close()


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> datetime:
    """The inverse of :func:`micros`."""
    seconds, rest = divmod(value, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
