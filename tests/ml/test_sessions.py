"""Sessions are lent one at a time, and a broken one costs nobody but the server a new one."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from ml.sessions import Connection, Sessions
from warehouse.database import Database

Connect = Callable[[], Awaitable[Connection]]


@pytest.fixture
def connect(db: Database) -> Connect:
    async def connect() -> Connection:
        session: Connection = await asyncpg.connect(**db.asyncpg_parameters())
        return session

    return connect


def test_the_one_given_back_last_is_taken_next(connect: Connect) -> None:
    async def run() -> None:
        async with Sessions(connect, 2) as sessions:
            first, second = await sessions.take(), await sessions.take()
            assert first is not second
            sessions.give_back(second)
            sessions.give_back(first)
            assert await sessions.take() is first
            sessions.give_back(first)

    asyncio.run(run())


def test_who_wants_one_more_waits_for_one(connect: Connect) -> None:
    async def run() -> None:
        async with Sessions(connect, 1) as sessions:
            only = await sessions.take()
            waiting = asyncio.create_task(sessions.take())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            sessions.give_back(only)
            assert await waiting is only
            sessions.give_back(only)

    asyncio.run(run())


def test_a_broken_session_is_replaced(connect: Connect) -> None:
    async def run() -> None:
        async with Sessions(connect, 1) as sessions:
            broken = await sessions.take()
            broken.terminate()
            sessions.give_back(broken)
            whole = await sessions.take()
            assert await whole.fetchval("select 1") == 1
            sessions.give_back(whole)

    asyncio.run(run())


def test_a_place_outlives_a_server_that_is_away(connect: Connect) -> None:
    """Each attempt says that there is no connection, and none takes the place with it."""
    away = False

    async def sometimes() -> Connection:
        if away:
            raise ConnectionRefusedError
        return await connect()

    async def run() -> None:
        nonlocal away
        async with Sessions(sometimes, 1) as sessions:
            session = await sessions.take()
            session.terminate()
            sessions.give_back(session)
            away = True
            for _ in range(3):
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.wait_for(sessions.take(), 5)
            away = False
            session = await asyncio.wait_for(sessions.take(), 5)
            assert await session.fetchval("select 1") == 1
            sessions.give_back(session)

    asyncio.run(run())


def test_all_are_closed_in_the_end_also_if_not_all_could_be_opened(connect: Connect) -> None:
    opened: list[Connection] = []

    async def two() -> Connection:
        if len(opened) == 2:
            raise ConnectionRefusedError
        opened.append(await connect())
        return opened[-1]

    async def run() -> None:
        with pytest.raises(ConnectionRefusedError):
            await Sessions(two, 3).__aenter__()
        assert [session.is_closed() for session in opened] == [True, True]

    asyncio.run(run())
