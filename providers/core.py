"""The one way in which every client calls its provider.

A call passes, in this order: the token buckets, the circuit breaker, one attempt, and then the
retry rules, which decide from the error alone whether another attempt is safe and useful.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import stamina

from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from providers.breaker import Breaker, BreakerOpen
from providers.errors import NotSent, ProviderError, Rejected, Unknown
from providers.limits import RateLimit, RateLimiter

T = TypeVar("T")
log = get_logger("providers")

# Calls log their own attempts. stamina's default hook would write through structlog, where that is
# installed, to stdout: into the JSON that some of our commands print there.
stamina.instrumentation.set_on_retry_hooks([])

current_operation: ContextVar[str] = ContextVar("current_operation", default="request")
"""Name of the call that runs, for the transports that sit below a provider's own SDK."""

NOT_RETRIED = frozenset({"breaker_open", "daily_limit", "rate_limit_wait", "unclear", "bad_url"})
"""Reasons that another attempt within the same call cannot mend."""


class Kind(Enum):
    """What a repeated request does; the retry rules follow from it."""

    READ = "read"
    """Changes nothing: may be repeated whatever happened."""
    IDEMPOTENT = "idempotent"
    """Sets a state: twice is the same as once, so it may be repeated whatever happened."""
    ONCE = "once"
    """Makes something, such as a message: repeated only when it certainly did not happen."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long; all times in seconds.

    ``longest_wait`` bounds how long a provider's ``Retry-After`` is waited out here. A longer one
    ends the call with :class:`NotSent`, whose ``retry_after`` the caller can schedule by.
    """

    attempts: int = 5
    wait_initial: float = 0.25
    wait_max: float = 8.0
    wait_jitter: float = 0.5
    longest_wait: float = 60.0
    total: float = 180.0


ONE_TRY = RetryPolicy(attempts=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A named token bucket: the key is shared by all processes."""

    key: str
    limit: RateLimit


def may_retry(error: BaseException, kind: Kind, policy: RetryPolicy) -> bool:
    """Whether another attempt is safe (does nothing twice) and useful (could end otherwise)."""
    if not isinstance(error, ProviderError) or isinstance(error, Rejected):
        return False
    if error.reason in NOT_RETRIED:
        return False
    if error.retry_after is not None and error.retry_after > policy.longest_wait:
        return False
    return isinstance(error, NotSent) or kind is not Kind.ONCE


def final_error(errors: Sequence[ProviderError], kind: Kind) -> ProviderError:
    """What the caller is told after the last attempt, given every attempt's error in order.

    A read has no effect that could have happened. For anything else one doubtful attempt stays
    doubtful, however clearly a later one was refused.
    """
    last = errors[-1]
    if kind is Kind.READ:
        return last if not isinstance(last, Unknown) else _as(NotSent, last)
    if isinstance(last, Unknown):
        return last
    doubtful = [error for error in errors if isinstance(error, Unknown)]
    return doubtful[-1] if doubtful else last


def _as(kind: type[ProviderError], error: ProviderError) -> ProviderError:
    return kind(
        error.message,
        provider=error.provider,
        operation=error.operation,
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
        reason=error.reason,
        reference=error.reference,
        remedy=error.remedy if error.remedy != error.default_remedy else None,
    )


class Channel:
    """The way to one account at one provider.

    Args:
        provider: the provider's name, as errors and log lines carry it.
        limiter: counts the tokens; shared by all processes in production.
        buckets: what every call takes one token from.
        breaker: opens after repeated outages; a private one by default.
        policy: how often and how long calls are repeated.
        acquire_timeout: seconds to wait for a token before giving up with :class:`NotSent`.
    """

    def __init__(
        self,
        provider: str,
        *,
        limiter: RateLimiter,
        buckets: Sequence[Bucket],
        breaker: Breaker | None = None,
        policy: RetryPolicy | None = None,
        acquire_timeout: float = 120.0,
    ) -> None:
        self.provider = provider
        self.policy = policy or RetryPolicy()
        self._limiter = limiter
        self._buckets = tuple(buckets)
        self._breaker = breaker or Breaker(provider)
        self._acquire_timeout = acquire_timeout

    def call(
        self,
        operation: str,
        kind: Kind,
        attempt: Callable[[], T],
        *,
        buckets: Sequence[Bucket] | None = None,
        policy: RetryPolicy | None = None,
    ) -> T:
        """Runs ``attempt`` until it succeeds or the rules forbid another go.

        Args:
            operation: our name of the call, for errors and log lines.
            kind: what a repeat would do.
            attempt: does one request; raises a :class:`ProviderError` when it fails.
            buckets: the buckets of this call, where they differ from the channel's.
            policy: the retry policy of this call, where it differs from the channel's.

        Raises:
            NotSent, Rejected, Unknown: see :mod:`providers.errors`. Never Unknown for a read.
        """
        policy = policy or self.policy
        errors: list[ProviderError] = []

        def decide(error: Exception) -> bool | float:
            if not may_retry(error, kind, policy):
                return False
            wait = getattr(error, "retry_after", None)
            if wait is None:
                return True
            # Everyone who was turned away is told the same moment: jitter spreads them out.
            return float(wait) + random.uniform(0, policy.wait_jitter)  # noqa: S311

        token = current_operation.set(operation)
        try:
            for trial in stamina.retry_context(
                on=decide,
                attempts=policy.attempts,
                timeout=policy.total,
                wait_initial=policy.wait_initial,
                wait_max=policy.wait_max,
                wait_jitter=policy.wait_jitter,
            ):
                with trial:
                    try:
                        return self._once(operation, attempt, buckets)
                    except ProviderError as error:
                        errors.append(error)
                        # An answer of "there is none" is news to nobody.
                        level = logging.DEBUG if error.status == 404 else logging.INFO
                        log.log(
                            level,
                            "%s %s: attempt %d failed (%s, reason %s, status %s)",
                            self.provider,
                            operation,
                            trial.num,
                            type(error).__name__,
                            error.reason,
                            error.status,
                        )
                        raise
        except ProviderError as error:
            final = final_error(errors, kind)
            if final is error:
                raise
            raise final from error
        finally:
            current_operation.reset(token)
        raise AssertionError("a retry loop ends with an answer or an error")

    def _once(
        self, operation: str, attempt: Callable[[], T], buckets: Sequence[Bucket] | None
    ) -> T:
        for bucket in self._buckets if buckets is None else buckets:
            self._take_token(operation, bucket)
        try:
            with self._breaker.guard():
                return attempt()
        except BreakerOpen as error:
            raise NotSent(
                f"{self.provider} {operation} was not tried: {self.provider} failed repeatedly "
                f"and is given {error.remaining:.0f} s more to recover.",
                provider=self.provider,
                operation=operation,
                reason="breaker_open",
                retry_after=error.remaining,
            ) from None

    def _take_token(self, operation: str, bucket: Bucket) -> None:
        try:
            self._limiter.acquire(bucket.key, bucket.limit, timeout=self._acquire_timeout)
        except (TimeoutError, LeadEngineError) as error:
            raise NotSent(
                f"{self.provider} {operation} was not tried: the rate limit {bucket.key} "
                f"left no room within {self._acquire_timeout:.0f} s.",
                provider=self.provider,
                operation=operation,
                reason="rate_limit_wait",
            ) from error
