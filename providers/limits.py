"""Keeping below the providers' rate limits.

The clients only know the :class:`RateLimiter` protocol. In production the limiter counts in the
database (``warehouse.rate_limits.PostgresRateLimiter``), so that all processes together stay
below one location's limit; :class:`LocalRateLimiter` counts within one process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from leadengine.rates import Rate
from leadengine.settings import LocationConfig, Settings


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``capacity`` requests in any ``per_seconds`` seconds, as a token bucket.

    A bucket of ``burst`` tokens that refills at ``rate`` lets at most ``burst - 1 + rate * window``
    requests (rounded up) through any window. Sizing the bucket at the whole capacity would
    therefore pass twice the provider's limit; here both share it, a tenth as burst and the rest
    as refill, so that the promise holds for every window.
    """

    capacity: int
    per_seconds: float

    def __post_init__(self) -> None:
        if self.capacity < 1 or not self.per_seconds > 0:
            raise ValueError(
                f"a rate limit needs capacity >= 1 and per_seconds > 0, got "
                f"{self.capacity} per {self.per_seconds} s"
            )

    @property
    def burst(self) -> int:
        """Tokens the bucket holds when full: how many may go out at once."""
        return max(1, self.capacity // 10)

    @property
    def rate(self) -> float:
        """Tokens a second that flow back into the bucket."""
        return (self.capacity - self.burst + 1) / self.per_seconds

    def with_margin(self) -> RateLimit:
        """The part of the provider's limit that we use, see :data:`MARGIN`."""
        return RateLimit(max(1, int(self.capacity * MARGIN)), self.per_seconds)

    @property
    def pace(self) -> Pace:
        """How a sender that takes a few tokens at a time uses nearly all of the limit."""
        burst = max(1, int(self.capacity * _PACED_BURST))
        used = max(min(self.capacity * _PACED_SHARE, self.capacity - burst), self.capacity / 2)
        return Pace(burst, self.per_seconds / used)


@dataclass(frozen=True, slots=True)
class Pace:
    """A token bucket with little room, so that its refill may be nearly the whole limit.

    Any window sees at most ``burst`` tokens and what flows back in it: below the limit, with the
    rest left for requests that a busy machine holds up and lets go together.

    Args:
        burst: tokens at once.
        per_token: seconds in which one token flows back.
    """

    burst: int
    per_token: float


_PACED_SHARE = 0.965
_PACED_BURST = 0.016
_DAY = 86_400.0
MARGIN = 0.95
"""Share of a provider's limit that we use; the rest is for clocks and networks that bunch."""


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """The accounts' limits as the providers state them; the clients stay below by the margin.

    These are the defaults of the settings, which :func:`limits_of` reads.

    HighLevel: per app and location. Twilio limits concurrency and each number's own send rate
    rather than requests, so its figure is ours. SendGrid: mail send allows far more than this, but
    a sender's reputation is not helped by bursts; email activity is limited to 6 a minute since
    2025-12-09. Apollo and Claude go by plan; these are the smallest ones' limits.
    """

    ghl: RateLimit = RateLimit(100, 10.0)
    ghl_daily: RateLimit = RateLimit(200_000, 86_400.0)
    twilio: RateLimit = RateLimit(250, 10.0)
    sendgrid_send: RateLimit = RateLimit(1_000, 10.0)
    sendgrid_read: RateLimit = RateLimit(600, 60.0)
    sendgrid_activity: RateLimit = RateLimit(6, 60.0)
    apollo: RateLimit = RateLimit(50, 60.0)
    claude: RateLimit = RateLimit(50, 60.0)


DEFAULT_LIMITS = ProviderLimits()


def limits_of(settings: Settings) -> ProviderLimits:
    """The accounts' limits as the settings state them."""
    return ProviderLimits(
        ghl=_limit(settings.ghl_rate_limit),
        ghl_daily=RateLimit(settings.ghl_daily_limit, _DAY),
        twilio=_limit(settings.twilio_rate_limit),
        sendgrid_send=_limit(settings.sendgrid_send_rate_limit),
        sendgrid_read=_limit(settings.sendgrid_read_rate_limit),
        sendgrid_activity=_limit(settings.sendgrid_activity_rate_limit),
        apollo=_limit(settings.apollo_rate_limit),
        claude=_limit(settings.anthropic_rate_limit),
    )


def location_limits(
    location: LocationConfig, limits: ProviderLimits
) -> tuple[RateLimit, RateLimit]:
    """HighLevel's limit and daily limit for a location: its own where it states them."""
    return (
        limits.ghl if location.rate_limit is None else _limit(location.rate_limit),
        limits.ghl_daily if location.daily_limit is None else RateLimit(location.daily_limit, _DAY),
    )


def _limit(rate: Rate) -> RateLimit:
    return RateLimit(rate.requests, float(rate.seconds))


class RateLimiter(Protocol):
    """Blocks until the caller may go."""

    def acquire(
        self, key: str, limit: RateLimit, tokens: int = 1, timeout: float | None = None
    ) -> float:
        """Take ``tokens`` from the bucket named ``key``, waiting for them if need be.

        Returns:
            The seconds waited.

        Raises:
            TimeoutError or LeadEngineError: the tokens would not be there within ``timeout``
                seconds; none is taken.
        """
        ...

    def take(self, key: str, limit: RateLimit, most: int) -> tuple[int, float]:
        """Takes as many of ``most`` tokens as there are, at the limit's :class:`Pace`, at once.

        Returns:
            How many were taken, and the seconds until the next one is there.
        """
        ...


class LocalRateLimiter:
    """A :class:`RateLimiter` for the threads of one process: tests and one-off tools.

    Takers are served in order: each books its tokens at once, letting the balance go negative,
    and sleeps until its booking has been refilled. ``monotonic`` and ``sleep`` (both in seconds)
    are there for tests.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._full_at: dict[str, float] = {}

    def acquire(
        self, key: str, limit: RateLimit, tokens: int = 1, timeout: float | None = None
    ) -> float:
        """See :meth:`RateLimiter.acquire`."""
        if not 1 <= tokens <= limit.burst:
            raise ValueError(f"{tokens} tokens at once, the bucket {key!r} holds {limit.burst}")
        with self._lock:
            now = self._monotonic()
            balance, at = self._buckets.get(key, (float(limit.burst), now))
            balance = min(float(limit.burst), balance + (now - at) * limit.rate) - tokens
            wait = max(0.0, -balance / limit.rate)
            if timeout is not None and wait > timeout:
                raise TimeoutError(
                    f"rate limit {key!r}: {wait:.1f} s to wait, {timeout:.1f} s allowed"
                )
            self._buckets[key] = (balance, now)
        if wait > 0:
            self._sleep(wait)
        return wait

    def take(self, key: str, limit: RateLimit, most: int) -> tuple[int, float]:
        """See :meth:`RateLimiter.take`."""
        pace = limit.pace
        with self._lock:
            now = self._monotonic()
            full_at = max(self._full_at.get(key, now), now)
            room = int((pace.burst * pace.per_token - (full_at - now)) / pace.per_token + 1e-9)
            taken = max(0, min(most, room))
            full_at += taken * pace.per_token
            self._full_at[key] = full_at
        return taken, max(0.0, full_at - now - (pace.burst - 1) * pace.per_token)
