"""A few database sessions for statements that are run again and again.

asyncpg's own pool makes a task for each connection that is given back and hands out a stand-in that
looks every method up, which together take a tenth of the time of a score. Here a session is given
back as it is; one that broke is replaced when it is next taken.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # only for the type checker does it have parameters

_CLOSE_SECONDS = 5.0


class Sessions:
    """Open connections, taken one at a time; used on one event loop.

    The one given back last is taken next: its memory is still in the processor's caches.

    Args:
        connect: opens one, ready for use.
        size: how many; who wants one more waits.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()

    async def __aenter__(self) -> "Sessions":
        """Opens all of them.

        Raises:
            OSError, asyncpg.PostgresError: there is no connection to be had.
        """
        try:
            for _ in range(self._size):
                self._free.put_nowait(await self._connect())
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes those that nobody has taken."""
        await self._close()

    async def take(self) -> Connection:
        """A session that was open a moment ago; it is to be given back, whatever happens.

        Raises:
            OSError, asyncpg.PostgresError: it was broken, and there is no other to be had.
        """
        session = await self._free.get()
        if session.is_closed():
            try:
                return await self._connect()
            except BaseException:
                self._free.put_nowait(session)
                raise
        return session

    def give_back(self, session: Connection) -> None:
        """Lets the next one have it."""
        self._free.put_nowait(session)

    async def _close(self) -> None:
        while not self._free.empty():
            await self._free.get_nowait().close(timeout=_CLOSE_SECONDS)
