"""One lane for each sender: how many of its messages may leave now."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psycopg

from activation.types import Channel
from providers.core import Bucket
from providers.limits import RateLimiter


@dataclass(slots=True)
class Lane:
    """A sender's address on a channel, and the limits that its messages count against.

    Args:
        channel: of the messages.
        from_address: a number, a messaging service, or an email address.
        requests: the account's bucket; each message takes one token.
        segments: the number's bucket; each message takes a token per segment. None: no limit.
    """

    channel: Channel
    from_address: str
    requests: Bucket
    segments: Bucket | None = None
    not_before: float = 0.0
    is_empty: bool = False
    _kept: dict[str, int] = field(default_factory=dict)

    def allowance(self, limiter: RateLimiter, most: int) -> int:
        """How many messages may leave now, ``most`` at most; 0 sets :attr:`not_before`."""
        if self.segments is not None:
            most = min(most, self._take(limiter, self.segments, most))
        if most < 1:
            return 0
        allowed = min(most, self._take(limiter, self.requests, most))
        return max(0, allowed)

    def used(self, messages: int, segments: int) -> None:
        """Counts what left; more than was taken is owed, less is kept for the next."""
        self._kept[self.requests.key] = self._kept.get(self.requests.key, 0) - messages
        if self.segments is not None:
            self._kept[self.segments.key] = self._kept.get(self.segments.key, 0) - segments

    def pause(self, seconds: float) -> None:
        """Nothing leaves for so long: the provider has asked for it."""
        self.not_before = max(self.not_before, time.monotonic() + seconds)

    def _take(self, limiter: RateLimiter, bucket: Bucket, most: int) -> int:
        kept = self._kept.get(bucket.key, 0)
        if kept < most:
            taken, wait = limiter.take(bucket.key, bucket.limit, most - kept)
            kept += taken
            self._kept[bucket.key] = kept
            if kept < 1:
                # Half the bucket at a time: a claim of several costs hardly more than one of one.
                pace = bucket.limit.pace
                self.not_before = time.monotonic() + wait + pace.per_token * (pace.burst // 2)
        return kept


def due_senders(connection: psycopg.Connection, now: object) -> list[tuple[Channel, str, int]]:
    """The senders that have something due, and how many messages each."""
    rows = connection.execute(
        "select channel, from_address, count(*) from ops.sends"
        " where status = 'intent' and not_before <= %s group by 1, 2 order by 1, 2",
        (now,),
    ).fetchall()
    return [(Channel(channel), str(address), int(count)) for channel, address, count in rows]
