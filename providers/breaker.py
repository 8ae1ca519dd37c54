"""A circuit breaker: stops calling a provider that is down, and tries again after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import HALF_OPENED, OpenedState
from purgatory.service._sync.circuitbreaker import SyncCircuitBreaker

from providers.errors import is_outage


class BreakerOpen(Exception):  # noqa: N818
    """The breaker is open: nothing was tried. ``remaining`` is in seconds."""

    def __init__(self, remaining: float) -> None:
        super().__init__(f"open for {remaining:.1f} s more")
        self.remaining = remaining


class Breaker:
    """purgatory's breaker, made safe for threads, with one probe at a time, counting outages only.

    Args:
        name: of what is behind it.
        threshold: outages in a row that open it.
        recovery: seconds that it stays open; then one call probes, and its outcome decides.
    """

    def __init__(self, name: str, *, threshold: int = 5, recovery: float = 30.0) -> None:
        self._name = name
        self._recovery = recovery
        self._lock = threading.Lock()
        self._probing = False
        self._factory = SyncCircuitBreakerFactory(
            default_threshold=threshold,
            default_ttl=recovery,
            exclude=[(BaseException, lambda error: not is_outage(error))],
        )

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Runs the body and counts its outcome.

        Raises:
            BreakerOpen: the breaker is open; the body did not run.
        """
        with self._lock:
            breaker, probes = self._enter()
        outcome: BaseException | None = None
        try:
            yield
        except BaseException as error:
            outcome = error
            raise
        finally:
            with self._lock:
                breaker.__exit__(type(outcome) if outcome else None, outcome, None)
                if probes:
                    self._probing = False

    def _enter(self) -> tuple[SyncCircuitBreaker, bool]:
        breaker = self._factory.get_breaker(self._name)
        if self._probing:
            raise BreakerOpen(1.0)
        try:
            breaker.__enter__()
        except OpenedState as state:
            # purgatory raises one shared instance over and over; its traceback would grow.
            state.__traceback__ = None
            remaining = max(0.0, state.opened_at + self._recovery - time.time())
            raise BreakerOpen(remaining) from None
        self._probing = breaker.context.state == HALF_OPENED
        return breaker, self._probing
