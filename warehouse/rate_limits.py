"""A token bucket in the database, so that all processes together stay below a provider's limit."""

import random
import time
from threading import Lock
from typing import Protocol

from psycopg_pool import ConnectionPool

from leadengine.errors import LeadEngineError
from warehouse.database import Database

# Generic cell rate algorithm: one row holds the moment at which the bucket is full again; a call
# that would push it further than the bucket's depth into the future has to wait. One statement,
# judged by the server's clock, is all the coordination that the processes need.
_TAKE = """
with moment as (select clock_timestamp() as at)
insert into ops.rate_limits as bucket (key, full_at)
select %(key)s, moment.at + make_interval(secs => %(cost)s) from moment
on conflict (key) do update
    set full_at = greatest(bucket.full_at, (select at from moment))
        + make_interval(secs => %(cost)s)
    where greatest(bucket.full_at, (select at from moment)) + make_interval(secs => %(cost)s)
        <= (select at from moment) + make_interval(secs => %(depth)s)
returning 1
"""
_WAIT = """
select extract(epoch from full_at - clock_timestamp())::float + %(cost)s - %(depth)s
from ops.rate_limits where key = %(key)s
"""
# As many of the wanted tokens as there are, and the seconds until the next one is there.
_TAKE_SOME = """
with bucket as (
    select full_at, clock_timestamp() as at from ops.rate_limits where key = %(key)s for update
),
room as (
    select
        greatest(full_at, at) as base,
        extract(epoch from greatest(full_at, at) - at)::float as filling,
        at
    from bucket
),
taken as (
    select
        base,
        filling,
        greatest(0, least(%(most)s, floor((%(depth)s - filling) / %(cost)s + 1e-9)))::int as tokens
    from room
),
noted as (
    update ops.rate_limits
    set full_at = taken.base + make_interval(secs => taken.tokens * %(cost)s)
    from taken
    where key = %(key)s and taken.tokens > 0
)
select tokens, greatest(0, filling + (tokens + 1) * %(cost)s - %(depth)s) from taken
"""
_NEW_BUCKET = """
insert into ops.rate_limits (key, full_at) values (%(key)s, clock_timestamp())
on conflict (key) do nothing
"""
_BURST_SHARE = 0.1


class Limit(Protocol):
    """How many tokens per how many seconds."""

    @property
    def capacity(self) -> int:
        """Tokens that any stretch of ``per_seconds`` may see."""
        ...

    @property
    def per_seconds(self) -> float:
        """The length of that stretch, in seconds."""
        ...


class Pace(Protocol):
    """How many tokens at once, and how long one takes to flow back."""

    @property
    def burst(self) -> int:
        """Tokens at once."""
        ...

    @property
    def per_token(self) -> float:
        """Seconds."""
        ...


class PacedLimit(Protocol):
    """A limit that says how a sender paces itself below it."""

    @property
    def pace(self) -> Pace:
        """The pace."""
        ...


class RateLimitTimeoutError(LeadEngineError):
    """No token came free in the time that the caller could wait."""


class PostgresRateLimiter:
    """Hands out tokens across processes and machines that share ``database``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pool: ConnectionPool | None = None
        self._lock = Lock()

    def _connections(self) -> ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._database.libpq_url,
                    min_size=0,
                    max_size=4,
                    kwargs={"autocommit": True},
                    open=True,
                )
            return self._pool

    def acquire(
        self, key: str, limit: Limit, tokens: int = 1, timeout: float | None = None
    ) -> float:
        """Waits until ``tokens`` are free in the bucket ``key`` and takes them.

        Args:
            key: the bucket, such as ``ghl:<location id>``.
            limit: how many tokens any stretch of ``per_seconds`` may see at most.
            tokens: how many to take.
            timeout: seconds to wait at most; None waits as long as it takes.

        Returns:
            The seconds waited.

        Raises:
            RateLimitTimeoutError: ``timeout`` passed first.
        """
        # A tenth of the window's tokens as burst, nine tenths as steady rate: then no window of
        # per_seconds, wherever it starts, sees more than capacity requests.
        burst = max(1.0, limit.capacity * _BURST_SHARE, float(tokens))
        per_token = limit.per_seconds / max(limit.capacity - burst, limit.capacity / 2)
        cost, depth = tokens * per_token, burst * per_token
        parameters = {"key": key, "cost": cost, "depth": depth}
        started = time.monotonic()
        while True:
            with self._connections().connection() as connection:
                if connection.execute(_TAKE, parameters).fetchone() is not None:
                    return time.monotonic() - started
                row = connection.execute(_WAIT, parameters).fetchone()
            wait = max(0.001, row[0] if row else 0.001)
            waited = time.monotonic() - started
            if timeout is not None and waited + wait > timeout:
                raise RateLimitTimeoutError(
                    f"No request to {key} was free within {timeout:.0f} s.",
                    remedy="Try again later, or let fewer processes run at once.",
                )
            # A little jitter, lest all who wait come back in the same millisecond.
            time.sleep(wait + random.uniform(0, 0.005))  # noqa: S311

    def take(self, key: str, limit: PacedLimit, most: int) -> tuple[int, float]:
        """Takes as many of ``most`` tokens as there are in the bucket ``key``, at once.

        Returns:
            How many were taken, and the seconds until the next one is there.
        """
        pace = limit.pace
        parameters = {
            "key": key, "most": most, "cost": pace.per_token,
            "depth": pace.burst * pace.per_token,
        }  # fmt: skip
        with self._connections().connection() as connection:
            row = connection.execute(_TAKE_SOME, parameters).fetchone()
            if row is None:
                connection.execute(_NEW_BUCKET, parameters)
                row = connection.execute(_TAKE_SOME, parameters).fetchone()
        return (int(row[0]), float(row[1])) if row else (0, pace.per_token)

    def close(self) -> None:
        """Closes the limiter's connections."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None
