"""Three processes together stay below one location's limit."""

from __future__ import annotations

import multiprocessing
import threading

import pytest
from pydantic import SecretStr

from providers.core import RetryPolicy
from providers.ghl import GhlClient
from providers.limits import RateLimit
from tests.providers.server import Answer, Received, Server
from warehouse.database import Database
from warehouse.rate_limits import PostgresRateLimiter

LIMIT = RateLimit(60, 2.0)
"""The provider's. The client's margin, 3 requests, is what three processes that were granted a
token can be late by together, however slow the machine is."""
CALLS_EACH = 30


def work(environment: dict[str, str], url: str) -> None:
    """Calls as fast as it may; ends with an error if the provider refuses even once."""
    database = Database(
        host=environment["LEADENGINE_PG_HOST"],
        port=int(environment["LEADENGINE_PG_PORT"]),
        user=environment["LEADENGINE_PG_USER"],
        password=environment["LEADENGINE_PG_PASSWORD"],
        dbname=environment["LEADENGINE_PG_DBNAME"],
    )
    limiter = PostgresRateLimiter(database)
    client = GhlClient(
        url,
        SecretStr("t"),
        "loc1",
        limiter=limiter,
        policy=RetryPolicy(attempts=1),
        burst_limit=LIMIT,
    )
    for _ in range(CALLS_EACH):
        client.get_location()
    client.close()
    limiter.close()


class Strict:
    """Refuses whatever comes too soon, counting every window there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.passed: list[float] = []
        self.refused = 0

    def answer(self, request: Received) -> Answer:
        with self._lock:
            since = request.at - LIMIT.per_seconds
            if sum(moment > since for moment in self.passed) >= LIMIT.capacity:
                self.refused += 1
                return Answer(429, {}, {"Retry-After": "1"})
            self.passed.append(request.at)
            return Answer(200, {"location": {"id": "loc1"}})


@pytest.fixture
def strict(server: Server) -> Strict:
    judge = Strict()
    server.default = judge.answer
    return judge


@pytest.mark.slow
def test_three_processes_are_never_refused(db: Database, server: Server, strict: Strict) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(db.dbt_env(), server.url)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert strict.refused == 0
    assert len(strict.passed) == 3 * CALLS_EACH


def test_the_judge_can_refuse() -> None:
    judge = Strict()

    def status(at: float) -> int:
        return judge.answer(Received("GET", "/", [], {}, b"", at)).status

    assert {status(at=0.0) for _ in range(LIMIT.capacity)} == {200}
    assert status(at=LIMIT.per_seconds - 0.1) == 429
    assert status(at=LIMIT.per_seconds + 0.1) == 200
    assert judge.refused == 1
