"""Dispatch: turns an approved plan into messages, each sent exactly once."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

from activation.audit import audit
from activation.claim import Claimed, claim_next
from activation.deliver import Courier, Outcome, Result, record
from activation.intents import queue_batch
from activation.liveness import living_worker
from activation.policy import DispatchPolicy, policy_for
from activation.preflight import Preflight
from activation.rulebook import RuleBook, current_rules
from activation.senders import Sender, senders
from activation.settle import LookupMemory, settle
from activation.types import DispatchReport, SettleReport
from activation.unsubscribe import secret_key
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from providers.factory import Clients
from warehouse.database import Database

_log = get_logger("activation.dispatch")
_PAUSE_SECONDS = 1.0
_OPEN = ("intent", "claimed", "unsettled")
Progress = Callable[[int], None]


class DispatchHalted(LeadEngineError):  # noqa: N818 - it is a stop, not a fault of ours
    """A provider refuses the account itself, so sending stopped; what was queued stays queued."""


@dataclass(slots=True)
class _Tally:
    """What the senders did, added up under a lock."""

    sent: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    postponed: int = 0
    retried: int = 0
    gave_up: int = 0
    halted: Outcome | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)


def dispatch_batch(
    database: Database,
    clients: Clients,
    settings: Settings,
    batch_id: UUID,
    clock: Clock,
    *,
    policy: DispatchPolicy | None = None,
    progress: Progress | None = None,
) -> DispatchReport:
    """Sends an approved batch; called again, goes on where it stopped.

    First every message becomes a row of intent in ``ops.sends``; then workers claim, check once
    more, and send. Whatever else is due, from batches that were interrupted, goes out with it.
    What must wait for its hour stays queued for the worker (:func:`dispatch_due`).

    Args:
        database: with the approved batch.
        clients: the providers.
        settings: senders and addresses.
        batch_id: of the batch.
        clock: tells the time.
        policy: patience; the default suits the settings.
        progress: called with the number of messages finished.

    Raises:
        BatchError: the batch is unknown, a dry run, not approved, or its approval ran out.
        PreflightError: the CRM could not be asked who has opted out since the last load.
        DispatchHalted: a provider refuses our account.
    """
    policy = policy or policy_for(settings)
    found = senders(settings, database)
    queued, already = queue_batch(database, found, batch_id, clock.now())
    report = DispatchReport(batch_id=batch_id, queued=queued, already_queued=already)
    run = _Run(database, clients, settings, found, clock, policy, progress)
    deadline = time.monotonic() + policy.wait.total_seconds()
    while True:
        tally, settled, cancelled = run.once()
        _add(report, tally, settled, cancelled, batch_id)
        if tally.halted is not None:
            break
        if not _soon(database, batch_id, clock.now()) or time.monotonic() >= deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    report.left = _left(database, batch_id)
    report.next_due = _next_due(database, batch_id)
    report.status = close_finished(database, clock.now(), batch_id)
    _note_dispatch(database, batch_id, report, clock.now())
    _raise_if_halted(tally)
    return report


def dispatch_due(
    database: Database,
    clients: Clients,
    settings: Settings,
    clock: Clock,
    *,
    policy: DispatchPolicy | None = None,
    preflight: Preflight | None = None,
    memory: LookupMemory | None = None,
) -> DispatchReport:
    """One round of the long-running worker: settles what is open and sends what is due.

    Args:
        database: with the queue.
        clients: the providers.
        settings: senders and addresses.
        clock: tells the time.
        policy: patience; the default suits the settings.
        preflight: kept between rounds, so that the CRM is not asked every moment.
        memory: kept between rounds, so that lost answers are not looked up every moment.

    Raises:
        PreflightError, DispatchHalted: as :func:`dispatch_batch`.
    """
    policy = policy or policy_for(settings)
    found = senders(settings, database)
    run = _Run(database, clients, settings, found, clock, policy, None, preflight, memory)
    tally, settled, cancelled = run.once()
    report = DispatchReport(batch_id=None)
    _add(report, tally, settled, cancelled, None)
    report.left = _left(database, None)
    report.next_due = _next_due(database, None)
    close_finished(database, clock.now())
    _raise_if_halted(tally)
    return report


def close_finished(database: Database, now: datetime, batch_id: UUID | None = None) -> str:
    """Marks batches with nothing left to send as done. Returns the status of ``batch_id``."""
    with database.connect() as connection:
        connection.execute(
            "update ops.batches set status = 'done', finished_at = %(now)s"
            " where status = 'dispatching' and not exists ("
            "   select 1 from ops.sends where sends.batch_id = batches.batch_id"
            "   and sends.status = any(%(open)s))",
            {"now": now, "open": list(_OPEN)},
        )
        row = connection.execute(
            "select status from ops.batches where batch_id = %s", (batch_id,)
        ).fetchone()
    return str(row[0]) if row else "done"


class _Run:
    """One process's sending: a worker's name, its threads, its connection to the CRM."""

    def __init__(
        self,
        database: Database,
        clients: Clients,
        settings: Settings,
        found: dict[str, Sender],
        clock: Clock,
        policy: DispatchPolicy,
        progress: Progress | None,
        preflight: Preflight | None = None,
        memory: LookupMemory | None = None,
    ) -> None:
        self._database = database
        self._clients = clients
        self._settings = settings
        self._clock = clock
        self._policy = policy
        self._progress = progress
        self._preflight = preflight or Preflight()
        self._memory = memory or LookupMemory()
        self._rules: RuleBook = current_rules()
        self._courier = Courier(clients, settings, found, secret_key(settings))

    def once(self) -> tuple[_Tally, SettleReport, dict[str, int]]:
        """Settles, asks the CRM, and sends until nothing is due."""
        settled = self._settle()
        cancelled = self._preflight.run(self._database, self._clients, self._clock, self._policy)
        tally = _Tally()
        due = _due(self._database, self._clock.now())
        if due:
            threads = min(self._policy.workers, due)
            with (
                living_worker(self._database) as worker,
                ThreadPoolExecutor(threads, thread_name_prefix="sender") as pool,
            ):
                futures = [pool.submit(self._drain, worker, tally) for _ in range(threads)]
                for future in futures:
                    future.result()
            # Lost answers are usually found at once; only an absence has to wait.
            settled.add(self._settle())
        return tally, settled, cancelled

    def _settle(self) -> SettleReport:
        return settle(
            self._database,
            self._clients,
            self._settings,
            self._clock,
            policy=self._policy,
            memory=self._memory,
        )

    def _drain(self, worker: str, tally: _Tally) -> None:
        try:
            with self._database.connect() as connection:
                while not tally.stop.is_set():
                    if not self._step(connection, worker, tally):
                        return
                    if self._progress is not None:
                        with tally.lock:
                            self._progress(1)
        except BaseException:
            # The others stop too: what this one met will meet them.
            tally.stop.set()
            raise

    def _step(self, connection: psycopg.Connection, worker: str, tally: _Tally) -> bool:
        """Claims and handles one message. False when nothing is due."""
        claim = claim_next(
            connection, worker=worker, batch_id=None, now=self._clock.now(), rules=self._rules
        )
        if claim is None:
            return False
        message = claim.message
        if claim.result is not Claimed.CLEARED:
            with tally.lock:
                if claim.result is Claimed.CANCELLED:
                    tally.cancelled[str(claim.reason)] += 1
                else:
                    tally.postponed += 1
            return True
        outcome = self._courier.send(message)
        status = record(
            connection,
            message,
            outcome,
            worker=worker,
            now=self._clock.now(),
            policy=self._policy,
        )
        with tally.lock:
            if status == "sent":
                tally.sent[claim.batch_id, message.channel.value] += 1
            elif status == "rejected":
                tally.rejected[outcome.reason or "rejected"] += 1
            elif status == "failed":
                tally.gave_up += 1
            elif status == "intent":
                tally.retried += 1
            if outcome.result is Result.HALT:
                tally.halted = outcome
                tally.stop.set()
        return True


def _add(
    report: DispatchReport,
    tally: _Tally,
    settled: SettleReport,
    cancelled: dict[str, int],
    batch_id: UUID | None,
) -> None:
    for (of_batch, channel), count in tally.sent.items():
        if batch_id is None or of_batch == batch_id:
            report.sent[channel] = report.sent.get(channel, 0) + count
        else:
            report.sent_of_other_batches += count
    for reason, count in (Counter(cancelled) + tally.cancelled).items():
        report.cancelled[reason] = report.cancelled.get(reason, 0) + count
    for reason, count in tally.rejected.items():
        report.rejected[reason] = report.rejected.get(reason, 0) + count
    report.postponed += tally.postponed
    report.retried += tally.retried
    report.gave_up += tally.gave_up
    report.settled.add(settled)


def _due(database: Database, now: datetime) -> int:
    with database.connect() as connection:
        row = connection.execute(
            "select count(*) from ops.sends where status = 'intent' and not_before <= %s", (now,)
        ).fetchone()
    return int(row[0]) if row else 0


def _soon(database: Database, batch_id: UUID, now: datetime) -> bool:
    """Whether a retry or a lost answer of the batch is worth staying for."""
    with database.connect() as connection:
        row = connection.execute(
            "select exists (select 1 from ops.sends where batch_id = %s and ("
            " (status = 'intent' and not_before < %s::timestamptz + interval '1 minute')"
            " or (status = 'unsettled' and status_reason <> 'cannot_be_looked_up')))",
            (batch_id, now),
        ).fetchone()
    return bool(row and row[0])


def _left(database: Database, batch_id: UUID | None) -> dict[str, int]:
    with database.connect() as connection:
        rows = connection.execute(
            "select status, count(*) from ops.sends where status = any(%(open)s)"
            " and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s) group by status",
            {"open": list(_OPEN), "batch_id": batch_id},
        ).fetchall()
    return {str(status): int(count) for status, count in rows}


def _next_due(database: Database, batch_id: UUID | None) -> datetime | None:
    with database.connect() as connection:
        row = connection.execute(
            "select min(not_before) from ops.sends where status = 'intent'"
            " and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s)",
            {"batch_id": batch_id},
        ).fetchone()
    return row[0] if row else None


def _note_dispatch(
    database: Database, batch_id: UUID, report: DispatchReport, now: datetime
) -> None:
    detail = {
        key: value for key, value in report.as_dict().items() if key not in {"batch_id", "next_due"}
    }
    _log.info("batch %s: %s", batch_id, json.dumps(detail))
    with database.connect() as connection:
        audit(
            connection,
            at=now,
            actor="dispatch",
            action="batch_dispatched",
            entity="batch",
            entity_id=str(batch_id),
            detail=detail,
        )


def _raise_if_halted(tally: _Tally) -> None:
    if tally.halted is None:
        return
    error = tally.halted.error
    message = error.message if isinstance(error, LeadEngineError) else str(error)
    raise DispatchHalted(
        f"Sending stopped, since {tally.halted.provider} refuses our account: {message}",
        remedy="Correct the account's credentials or permissions; what is queued waits.",
    ) from error
