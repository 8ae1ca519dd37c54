"""Scores on an event loop: what ``ml/online.py`` does, without a thread that waits.

Each hand-over to a thread and back wakes two sleeping cores, which at a quiet hour takes as long
as the score. Here the loop itself speaks to the database, and never waits for it: a lock, a slow
statement or a server that is away hold up scores and nothing else. What does hold the loop is the
model's own half a millisecond.
"""

import asyncio
from types import TracebackType
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from ml.one_lead import Row, Steps
from ml.online import CONNECTION, CONNECTIONS, SETUP, WAIT_SECONDS, OnlineScorer, gives_rows, told
from warehouse.database import Database


class AsyncScorer:
    """Scores leads on the running loop.

    Args:
        scorer: whose champion, cache and journal are used; entered before this, left after it.
        database: the warehouse.
    """

    def __init__(self, scorer: OnlineScorer, database: Database) -> None:
        self._scorer = scorer
        self._database = database
        # Who waits behind other scores does so here; the pool's own wait is for the database.
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
            database.libpq_url,
            kwargs=CONNECTION,
            min_size=1,
            max_size=CONNECTIONS,
            configure=_configure,
            timeout=WAIT_SECONDS,
            open=False,
            name="async-scores",
        )

    async def __aenter__(self) -> "AsyncScorer":
        await self._pool.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.close()

    async def score(self, lead_id: str) -> dict[str, Any]:
        """As :meth:`ml.online.OnlineScorer.score`, as of now.

        If it is cancelled while a statement runs, the statement is cancelled too.
        """
        # A champion that is not at hand comes from MLflow, for which the loop cannot wait.
        champion = self._scorer.at_hand
        if champion is None:
            champion = await asyncio.to_thread(self._scorer.champion)
        with told(self._database):
            for attempt in (1, 2):
                async with self._turns, self._pool.connection() as connection:
                    try:
                        return await _run(connection, self._scorer.steps(champion, lead_id))
                    except errors.FeatureNotSupported:
                        # As in the other scorer: the prepared statements are of no use any more.
                        await connection.close()
                        if attempt == 2:
                            raise
        raise AssertionError("unreachable")


async def _configure(connection: psycopg.AsyncConnection[Row]) -> None:
    await connection.execute(SETUP, prepare=False)


async def _run(connection: psycopg.AsyncConnection[Row], todo: Steps) -> Row:
    row = None
    while True:
        try:
            query = todo.send(row)
        except StopIteration as done:
            answer: Row = done.value
            return answer
        cursor = psycopg.AsyncRawCursor(connection, row_factory=dict_row)
        await cursor.execute(query.text, query.values, binary=True)
        row = await cursor.fetchone() if gives_rows(cursor.pgresult) else None
