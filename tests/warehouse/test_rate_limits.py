"""The token bucket: no window sees more than the limit, over all processes."""

import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.database import Database
from warehouse.rate_limits import PostgresRateLimiter, RateLimitTimeoutError

WORKER = """
import sys, time
from dataclasses import dataclass
from warehouse.database import Database
from warehouse.rate_limits import PostgresRateLimiter

@dataclass(frozen=True)
class Limit:
    capacity: int
    per_seconds: float

host, port, dbname, seconds = sys.argv[1:]
until = time.time() + float(seconds)
database = Database(host=host, port=int(port), user="leadengine", password="x", dbname=dbname)
limiter = PostgresRateLimiter(database)
while time.time() < until:
    limiter.acquire("shared", Limit(40, 0.5))
    print(time.time(), flush=True)
limiter.close()
"""


@dataclass(frozen=True)
class Limit:
    """A limit as the providers' clients state it."""

    capacity: int
    per_seconds: float


def busiest_window(moments: list[float], seconds: float) -> int:
    """The largest number of moments in any stretch of ``seconds``."""
    most, start = 0, 0
    for end, moment in enumerate(moments):
        while moments[start] <= moment - seconds:
            start += 1
        most = max(most, end - start + 1)
    return most


def test_three_processes_together_stay_below_the_limit(db: Database) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, db.host, str(db.port), db.dbname, "3"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    moments = sorted(
        float(line) for worker in workers for line in (worker.communicate()[0]).splitlines()
    )
    # A moment is noted a little after its token was taken, hence the two of grace.
    assert busiest_window(moments, 0.5) <= 40 + 2
    assert len(moments) > 40, "the limiter let hardly anything through"


@given(capacity=st.integers(1, 50), tokens=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_first_tokens_come_at_once_and_the_bucket_runs_dry(
    database: Database, capacity: int, tokens: int
) -> None:
    limiter = PostgresRateLimiter(database)
    key = f"property:{capacity}:{tokens}:{time.time_ns()}"
    limit = Limit(capacity, 3600.0)
    assert limiter.acquire(key, limit, tokens) < 1

    def drain() -> None:
        for _ in range(capacity + 1):
            limiter.acquire(key, limit, tokens, timeout=0.01)

    with pytest.raises(RateLimitTimeoutError, match=key):
        drain()
    limiter.close()


def test_buckets_do_not_touch_each_other(db: Database) -> None:
    limiter = PostgresRateLimiter(db)
    limit = Limit(1, 3600.0)
    limiter.acquire("one", limit)
    assert limiter.acquire("two", limit, timeout=1) < 1
    limiter.close()
