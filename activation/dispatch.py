"""Dispatch: turns an approved plan into messages, each sent exactly once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from activation.audit import audit
from activation.changes import template_versions
from activation.deliver import Courier
from activation.intents import queue_batch
from activation.policy import DispatchPolicy, policy_for, segment_limits
from activation.preflight import Preflight
from activation.rulebook import current_rules
from activation.senders import Sender, senders
from activation.sending import Sending, Tally
from activation.settle import LookupMemory, settle
from activation.templating import TemplateLibrary
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
        if tally.has_more:
            continue
        if tally.handled:
            deadline = time.monotonic() + policy.wait.total_seconds()
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
        self._preflight = preflight or Preflight()
        self._memory = memory or LookupMemory()
        library = TemplateLibrary()
        self._sending = Sending(
            database,
            clients,
            Courier(clients, settings, found, secret_key(settings), library),
            clock,
            policy,
            current_rules(),
            template_versions(library),
            segment_limits(settings),
            progress,
        )

    def once(self) -> tuple[Tally, SettleReport, dict[str, int]]:
        """Settles, asks the CRM, and sends until nothing is due or the round's time is up."""
        settled = self._settle()
        cancelled = self._preflight.run(self._database, self._clients, self._clock, self._policy)
        tally = self._sending.run()
        if tally.handled or tally.retried:
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


def _add(
    report: DispatchReport,
    tally: Tally,
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


def _raise_if_halted(tally: Tally) -> None:
    if tally.halted is None:
        return
    error = tally.halted.error
    message = error.message if isinstance(error, LeadEngineError) else str(error)
    raise DispatchHalted(
        f"Sending stopped, since {tally.halted.provider} refuses our account: {message}",
        remedy="Correct the account's credentials or permissions; what is queued waits.",
    ) from error
