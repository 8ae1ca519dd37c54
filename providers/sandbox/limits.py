"""The providers' rate limits, counted the strict way: no window of the given length may hold more.

A client that keeps to the published figure over every window is never refused here.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` requests in any ``seconds``."""

    count: int
    seconds: float


GHL_BURST = Limit(100, 10.0)
GHL_DAILY = 200_000
# Twilio publishes no figure for its API's limit; this is a cautious one for a new account.
TWILIO_API = Limit(250, 10.0)
SENDGRID = {
    "send": Limit(1000, 10.0),
    "read": Limit(600, 60.0),
    "activity": Limit(6, 60.0),
}
APOLLO = Limit(50, 60.0)
ANTHROPIC = Limit(50, 60.0)


@dataclass(frozen=True, slots=True)
class Take:
    """Whether a request may pass, what is left, and when the next place is free (seconds)."""

    allowed: bool
    remaining: int
    retry_after: float


class Windows:
    """Sliding windows by name, in memory: a restart forgives, as it does at the providers'."""

    def __init__(self) -> None:
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._days: dict[str, tuple[int, int]] = {}

    def take(self, name: str, limit: Limit, now: float) -> Take:
        """Books one request at ``now`` (monotonic seconds) unless the window is full."""
        times = self._times[name]
        while times and times[0] <= now - limit.seconds:
            times.popleft()
        if len(times) >= limit.count:
            return Take(False, 0, times[0] + limit.seconds - now)
        times.append(now)
        return Take(True, limit.count - len(times), 0.0)

    def take_daily(self, name: str, count: int, day: int) -> Take:
        """Books one request of a daily quota; ``day`` is any number that changes at midnight."""
        at, used = self._days.get(name, (day, 0))
        used = used + 1 if at == day else 1
        if used > count:
            return Take(False, 0, 3600.0)
        self._days[name] = (day, used)
        return Take(True, count - used, 0.0)
