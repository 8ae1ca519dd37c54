"""The sender of one process: claims in batches, keeps threads busy, records what came of it.

One thread talks to the database, several to the providers. The order of things is what makes a
message go out once: it is claimed, durably, before its request leaves; what came of the request is
recorded after; and where the record is missing, since a process or the server died, the provider
is asked before anything is repeated (:mod:`activation.settle`).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import psycopg

from activation.changes import TemplateVersions
from activation.claim import Claim, Claimed, claim_batch
from activation.deliver import Courier, Outcome, Result, record_all
from activation.lanes import Lane, due_senders
from activation.liveness import living_worker
from activation.outbox import Finished, Outbox
from activation.policy import DispatchPolicy
from activation.rulebook import RuleBook
from activation.segments import segment_count
from activation.types import Channel
from leadengine.clock import Clock
from leadengine.errors import DatabaseUnavailableError
from leadengine.log import get_logger
from providers.core import Bucket
from providers.factory import Clients
from warehouse.database import Database

_log = get_logger("activation.sending")
_TICK_SECONDS = 0.05
# Trouble with the connection or the server's state, which another connection may not have.
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailableError)


@dataclass(slots=True)
class Tally:
    """What came of the messages that this process handled."""

    sent: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    postponed: int = 0
    retried: int = 0
    gave_up: int = 0
    halted: Outcome | None = None
    has_more: bool = False

    @property
    def handled(self) -> int:
        """Messages that this round has moved on."""
        return (
            sum(self.sent.values())
            + sum(self.cancelled.values())
            + sum(self.rejected.values())
            + self.postponed
            + self.gave_up
        )


class Sending:
    """Sends what is due until nothing is, or until the round's time is up.

    Args:
        database: with the queue.
        clients: the providers, and the limiter that paces us.
        courier: hands one message over.
        clock: tells the time.
        policy: threads, batches, patience.
        rules: the rule book.
        templates: tells the templates' versions now.
        segment_limits: the bucket of each sender's number.
        progress: called with the number of messages finished.
    """

    def __init__(
        self,
        database: Database,
        clients: Clients,
        courier: Courier,
        clock: Clock,
        policy: DispatchPolicy,
        rules: RuleBook,
        templates: TemplateVersions,
        segment_limits: Callable[[str], Bucket | None],
        progress: Callable[[int], None] | None,
    ) -> None:
        self._database = database
        self._clients = clients
        self._courier = courier
        self._clock = clock
        self._policy = policy
        self._rules = rules
        self._templates = templates
        self._segment_limits = segment_limits
        self._progress = progress
        self._unrecorded: deque[Finished] = deque()
        self._window = policy.window

    def run(self) -> Tally:
        """One round.

        Raises:
            DatabaseUnavailableError: the database stayed away for longer than the policy waits.
        """
        tally = Tally()
        with self._database.connect(autocommit=True) as connection:
            lanes = self._lanes(connection)
        if not lanes:
            return tally
        policy = self._policy
        ends = time.monotonic() + policy.round.total_seconds()
        with Outbox(self._courier, policy.workers, policy.clearance.total_seconds()) as outbox:
            try:
                while not self._is_done(lanes, outbox, tally):
                    with self._patiently() as (connection, worker):
                        self._work(connection, worker, lanes, outbox, tally, ends)
            finally:
                self._finish(outbox, tally)
        return tally

    def _is_done(self, lanes: list[Lane], outbox: Outbox, tally: Tally) -> bool:
        idle = not outbox.in_flight and not self._unrecorded
        return idle and (
            tally.halted is not None or tally.has_more or all(lane.is_empty for lane in lanes)
        )

    def _lanes(self, connection: psycopg.Connection) -> list[Lane]:
        lanes = []
        for channel, address, _count in due_senders(connection, self._clock.now()):
            if channel is Channel.SMS:
                bucket = self._clients.twilio.send_bucket
                lanes.append(Lane(channel, address, bucket, self._segment_limits(address)))
            else:
                lanes.append(Lane(channel, address, self._clients.sendgrid.send_bucket))
        return lanes

    @contextmanager
    def _patiently(self) -> Iterator[tuple[psycopg.Connection, str]]:
        """A connection and a living worker's name; a loss of either ends the block quietly."""
        is_open = False
        try:
            with ExitStack() as stack:
                opened = self._open(stack)
                is_open = True
                yield opened
        except _LOST as error:
            if not is_open:
                raise
            # What was under way is recorded through the next connection.
            _log.warning("waiting for the database: %s", str(error).splitlines()[0])

    def _open(self, stack: ExitStack) -> tuple[psycopg.Connection, str]:
        deadline = time.monotonic() + self._policy.database_patience.total_seconds()
        while True:
            try:
                with ExitStack() as opening:
                    connection = opening.enter_context(_connection(self._database))
                    worker = opening.enter_context(living_worker(self._database))
                    stack.push(opening.pop_all())
                    return connection, worker
            except _LOST:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.2)

    def _work(
        self,
        connection: psycopg.Connection,
        worker: str,
        lanes: list[Lane],
        outbox: Outbox,
        tally: Tally,
        ends: float,
    ) -> None:
        while True:
            self._record(connection, lanes, tally)
            if tally.halted is None and not tally.has_more:
                if time.monotonic() >= ends:
                    tally.has_more = any(not lane.is_empty for lane in lanes)
                else:
                    self._claim(connection, worker, lanes, outbox, tally)
            if self._is_done(lanes, outbox, tally):
                return
            self._unrecorded.extend(outbox.collect(self._wait(lanes, outbox)))

    def _wait(self, lanes: list[Lane], outbox: Outbox) -> float:
        """How long to wait for a message to finish before looking at the lanes again."""
        if outbox.in_flight > self._window // 2:
            return _TICK_SECONDS
        soonest = min((lane.not_before for lane in lanes if not lane.is_empty), default=0.0)
        return max(0.001, min(soonest - time.monotonic(), _TICK_SECONDS))

    def _claim(
        self,
        connection: psycopg.Connection,
        worker: str,
        lanes: list[Lane],
        outbox: Outbox,
        tally: Tally,
    ) -> None:
        # Refilled by half a window: a claim of many costs the database little more than one of
        # few. The lanes take turns, each with all the room there is.
        if outbox.in_flight > self._window // 2:
            return
        now = time.monotonic()
        for _ in range(len(lanes)):
            lane = lanes[0]
            lanes.append(lanes.pop(0))
            if lane.is_empty or lane.not_before > now:
                continue
            room = self._window - outbox.in_flight
            most = lane.allowance(self._clients.limiter, room)
            if most < 1:
                continue
            claims = claim_batch(
                connection,
                worker=worker,
                channel=lane.channel,
                from_address=lane.from_address,
                most=most,
                now=self._clock.now(),
                rules=self._rules,
                templates=self._templates,
            )
            lane.is_empty = not claims
            cleared = [claim for claim in claims if self._count(claim, tally)]
            lane.used(len(cleared), sum(segment_count(c.message.body) for c in cleared))
            for claim in cleared:
                outbox.submit(claim.message)
            if outbox.in_flight > self._window // 2:
                return

    def _count(self, claim: Claim, tally: Tally) -> bool:
        """Whether a claimed message is to be sent; counts it if not."""
        if claim.result is Claimed.CANCELLED:
            tally.cancelled[str(claim.reason)] += 1
        elif claim.result is Claimed.POSTPONED:
            tally.postponed += 1
        if claim.result in (Claimed.CANCELLED, Claimed.POSTPONED):
            self._progressed(1)
        return claim.result is Claimed.CLEARED

    def _record(self, connection: psycopg.Connection, lanes: list[Lane], tally: Tally) -> None:
        finished = list(self._unrecorded)
        if not finished:
            return
        bug = next((one.bug for one in finished if one.bug is not None), None)
        settled = [(one.message, one.outcome) for one in finished if one.outcome is not None]
        statuses = record_all(connection, settled, now=self._clock.now(), policy=self._policy)
        # Only now: a record that failed is made again.
        for _ in finished:
            self._unrecorded.popleft()
        for (message, outcome), status in zip(settled, statuses, strict=True):
            lane = next(
                (lane for lane in lanes if lane.from_address == message.from_address
                 and lane.channel is message.channel),
                None,
            )  # fmt: skip
            if status == "sent":
                tally.sent[message.batch_id, message.channel.value] += 1
            elif status == "rejected":
                tally.rejected[outcome.reason or "rejected"] += 1
            elif status == "failed":
                tally.gave_up += 1
            elif status == "intent" and outcome.result is Result.RETRY:
                tally.retried += 1
            if lane is not None and status == "intent":
                # It is due again, now or soon.
                lane.is_empty = False
                if outcome.retry_after > timedelta(0):
                    lane.pause(outcome.retry_after.total_seconds())
            if outcome.result is Result.HALT:
                tally.halted = outcome
        stale = sum(outcome.result is Result.STALE for _, outcome in settled)
        # Where answers are slow, no more is claimed than there are threads to send it.
        self._window = (
            self._policy.workers if stale else min(self._policy.window, self._window + len(settled))
        )
        self._progressed(len(settled) - stale)
        if bug is not None:
            raise bug

    def _finish(self, outbox: Outbox, tally: Tally) -> None:
        """Records what was under way when the round was cut short."""
        deadline = time.monotonic() + self._policy.database_patience.total_seconds()
        while outbox.in_flight or self._unrecorded:
            if outbox.in_flight:
                self._unrecorded.extend(outbox.collect(_TICK_SECONDS))
            else:
                try:
                    with self._database.connect(autocommit=True) as connection:
                        self._record(connection, [], tally)
                except _LOST:
                    if time.monotonic() >= deadline:
                        # Their claims stay: settling asks the providers about them.
                        raise
                    time.sleep(0.2)

    def _progressed(self, count: int) -> None:
        if self._progress is not None:
            for _ in range(count):
                self._progress(1)


@contextmanager
def _connection(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect(autocommit=True) as connection:
        yield connection
