"""Threads that hand cleared messages to the providers, and what came of each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType

from activation.claim import OutgoingMessage
from activation.deliver import Courier, Outcome, Result


@dataclass(frozen=True, slots=True)
class Finished:
    """A message and what came of it; ``bug`` where our own code failed at it."""

    message: OutgoingMessage
    outcome: Outcome | None
    bug: BaseException | None = None


class Outbox:
    """Sends messages in parallel.

    Args:
        courier: hands one message over.
        threads: how many at once.
        clearance: seconds for which the check of a message is good. One that is still waiting for
            a free thread after that is not sent: it goes back, to be checked again.
    """

    def __init__(self, courier: Courier, threads: int, clearance: float) -> None:
        self._courier = courier
        self._clearance = clearance
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sender")
        self._waiting: deque[OutgoingMessage] = deque()
        self._finished: SimpleQueue[Finished] = SimpleQueue()
        self.in_flight = 0

    def submit(self, message: OutgoingMessage) -> None:
        """Sends a message soon."""
        self.in_flight += 1
        self._waiting.append(message)
        self._pool.submit(self._send_next)

    def collect(self, timeout: float) -> list[Finished]:
        """What has finished or has waited too long; waits for the first so many seconds."""
        found = list(self._stale())
        try:
            while True:
                found.append(self._finished.get(timeout=0 if found else timeout))
        except Empty:
            self.in_flight -= len(found)
            return found

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True)

    def _is_stale(self, message: OutgoingMessage) -> bool:
        return time.monotonic() - message.cleared_at > self._clearance

    def _stale(self) -> Iterator[Finished]:
        while self._waiting and self._is_stale(self._waiting[0]):
            try:
                message = self._waiting.popleft()
            except IndexError:
                return  # a thread was quicker
            if not self._is_stale(message):
                # A thread took the old one, and this is the next.
                self._waiting.appendleft(message)
                return
            yield Finished(message, Outcome(Result.STALE, ""))

    def _send_next(self) -> None:
        try:
            message = self._waiting.popleft()
        except IndexError:
            return  # it went back
        try:
            if self._is_stale(message):
                self._finished.put(Finished(message, Outcome(Result.STALE, "")))
                return
            self._finished.put(Finished(message, self._courier.send(message)))
        except BaseException as error:
            # For the thread that waits for us to raise: here nobody would see it.
            self._finished.put(Finished(message, None, error))
