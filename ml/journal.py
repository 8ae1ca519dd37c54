"""Online scores on their way to disk.

A commit that waits for the disk takes milliseconds, many times what the score takes. The scorer's
commits therefore do not wait (``synchronous_commit = off``), and what PostgreSQL has not yet
written is kept here: should the server fall over, its last moments are written again when it is
back, and so is a score that it did not take any more. One is lost only if the server and this
process are killed within the same second.
"""

from typing import Any

from ml.one_lead import store_query
from ml.sessions import Connection

Row = dict[str, Any]


class ScoreJournal:
    """Stored scores of which it is not yet known that they are on disk; of one event loop."""

    def __init__(self) -> None:
        self._new: list[Row] = []
        self._committed: list[Row] = []
        self._written_up_to: str | None = None
        self._in_doubt = False

    @property
    def in_doubt(self) -> bool:
        """Whether it is not known of every score that it was committed."""
        return self._in_doubt

    @property
    def pending(self) -> int:
        """Scores that are not known to be on disk."""
        return len(self._new) + len(self._committed)

    def add(self, row: Row, *, in_doubt: bool = False) -> None:
        """Remembers a row of ``ml.online_scores``.

        Args:
            row: the row.
            in_doubt: its transaction may not have been committed; it is written again.
        """
        self._new.append(row)
        self._in_doubt |= in_doubt

    async def settle(self, session: Connection) -> None:
        """Lets go of what is on disk by now; called again and again.

        Rows that were committed before the write-ahead log stood at a position are safe once it
        is flushed up to there.

        Args:
            session: in no transaction.
        """
        if not self._committed:
            if not self._new:
                return
            self._committed, self._new = self._new, []
            self._written_up_to = None
        if self._written_up_to is None:
            self._written_up_to = await session.fetchval("select pg_current_wal_insert_lsn()::text")
        elif await session.fetchval(
            "select pg_current_wal_flush_lsn() >= $1::text::pg_lsn", self._written_up_to
        ):
            self._committed.clear()

    async def write_again(self, session: Connection) -> int:
        """After the server was away: stores what it may have lost, waiting for the disk.

        Returns:
            How many scores had indeed been lost.
        """
        rows = [*self._committed, *self._new]
        self._in_doubt = False
        lost = 0
        async with session.transaction():
            await session.execute("set local synchronous_commit = on")
            for row in rows:
                # "INSERT 0 1", or 0 if the row was there.
                done = await session.execute(*store_query().bound(row))
                lost += int(done.rpartition(" ")[2])
        stored = {row["score_id"] for row in rows}
        self._new = [row for row in self._new if row["score_id"] not in stored]
        self._committed.clear()
        return lost
