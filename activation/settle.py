"""Settles messages whose answer was lost: looks them up before anything is sent again."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.approve import BatchError
from activation.audit import audit
from activation.liveness import is_alive
from activation.lookup import LostSend, find_emails, find_texts
from activation.policy import DispatchPolicy, policy_for
from activation.types import SettleReport
from leadengine.clock import Clock
from leadengine.log import get_logger
from leadengine.settings import Settings
from providers.errors import ProviderError, Rejected
from providers.factory import Clients
from warehouse.database import Database

_log = get_logger("activation.settle")
_AT_ONCE = 100
_BY_HAND = "cannot_be_looked_up"


@dataclass(slots=True)
class LookupMemory:
    """When each message was last looked up, so that providers are not asked every moment.

    The first look is at once, the next after 2 seconds, then each twice as late, up to 2 minutes.
    """

    asked: dict[UUID, tuple[float, int]] = field(default_factory=dict)

    def is_due(self, send_id: UUID) -> bool:
        """Whether it is time to look (again); counts as a look if so."""
        now = time.monotonic()
        last, looks = self.asked.get(send_id, (now, 0))
        if looks and now - last < min(2.0**looks, 120.0):
            return False
        self.asked[send_id] = (now, looks + 1)
        return True

    def forget(self, send_id: UUID) -> None:
        """The message is settled."""
        self.asked.pop(send_id, None)


def settle(
    database: Database,
    clients: Clients,
    settings: Settings,
    clock: Clock,
    *,
    policy: DispatchPolicy | None = None,
    memory: LookupMemory | None = None,
    ask_again: bool = False,
) -> SettleReport:
    """Finds out about every message whose answer was lost, and about claims of dead workers.

    A message that the provider has is ``sent``. One that it does not have, once enough time has
    passed to believe the absence, goes back to be sent. Where the provider cannot be asked, the
    message stays ``unsettled`` for a person (see :func:`resolve_send`).

    Several processes may settle at once; each message is looked up by one of them.

    Args:
        database: where the messages are.
        clients: the providers.
        settings: choose the policy where none is given.
        clock: tells the time.
        policy: how long an absence must last.
        memory: kept between calls, it spaces the looks at one message.
        ask_again: also about those that could not be looked up before.
    """
    policy = policy or policy_for(settings)
    memory = memory or LookupMemory()
    report = SettleReport()
    now = clock.now()
    with database.connect() as connection:
        release_dead_claims(connection, now)
    after: tuple[datetime, UUID] = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    while True:
        with database.connect() as connection:
            rows = _unsettled(connection, after, ask_again)
            if not rows:
                break
            after = (rows[-1]["claimed_at"], rows[-1]["send_id"])
            due = [row for row in rows if memory.is_due(row["send_id"])]
            report.waiting += len(rows) - len(due)
            found, blind = _look_up(connection, clients, due)
            for row in due:
                if _settle_one(connection, row, found, blind, policy, now, report):
                    memory.forget(row["send_id"])
    report.by_hand = len(unsettled_by_hand(database))
    return report


def unsettled_by_hand(database: Database) -> list[dict[str, Any]]:
    """The messages that only a person can settle: id, lead, channel, provider and time (UTC)."""
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select send_id, lead_id, location_id, channel, provider, claimed_at from ops.sends"
            " where status = 'unsettled' and status_reason = %s order by claimed_at, send_id",
            (_BY_HAND,),
        ).fetchall()


def _unsettled(
    connection: psycopg.Connection, after: tuple[datetime, UUID], ask_again: bool
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select * from ops.sends where status = 'unsettled'"
            " and (%(ask_again)s or status_reason is distinct from %(by_hand)s)"
            " and (claimed_at, send_id) > (%(at)s, %(send_id)s)"
            " order by claimed_at, send_id limit %(limit)s for update skip locked",
            {
                "ask_again": ask_again,
                "by_hand": _BY_HAND,
                "at": after[0],
                "send_id": after[1],
                "limit": _AT_ONCE,
            },
        ).fetchall()


def release_dead_claims(connection: psycopg.Connection, now: datetime) -> int:
    """Turns the claims of workers that no longer live into messages to look up. How many."""
    workers = connection.execute(
        "select distinct claimed_by from ops.sends where status = 'claimed'"
    ).fetchall()
    released = 0
    for (worker,) in workers:
        if worker is not None and is_alive(connection, worker):
            continue
        released += connection.execute(
            "update ops.sends set status = 'unsettled', status_reason = 'worker_died',"
            " claimed_at = coalesce(claimed_at, %s)"
            " where status = 'claimed' and claimed_by is not distinct from %s",
            (now, worker),
        ).rowcount
    return released


def resolve_send(
    database: Database, send_id: UUID, *, was_sent: bool, resolved_by: str, clock: Clock
) -> None:
    """A person's word on a message that could not be looked up.

    Args:
        database: where the message is.
        send_id: of the message.
        was_sent: True: it went out. False: it did not, and is given up, never repeated.
        resolved_by: the person's name.
        clock: tells the time.

    Raises:
        BatchError: the message is not unsettled.
    """
    now = clock.now()
    with database.connect() as connection:
        done = connection.execute(
            "update ops.sends set status = %s, status_reason = 'resolved_by_hand',"
            " settled_at = %s, sent_at = case when %s then coalesce(claimed_at, %s) end"
            " where send_id = %s and status = 'unsettled'",
            ("sent" if was_sent else "failed", now, was_sent, now, send_id),
        ).rowcount
        if not done:
            raise BatchError(
                f"Message {send_id} is not among the unsettled.",
                remedy="Look at its state with `leadengine explain-send`.",
            )
        audit(
            connection,
            at=now,
            actor=resolved_by,
            action="send_resolved",
            entity="send",
            entity_id=str(send_id),
            detail={"was_sent": was_sent},
        )


def _look_up(
    connection: psycopg.Connection, clients: Clients, rows: list[dict[str, Any]]
) -> tuple[dict[UUID, str], dict[UUID, str]]:
    """What was found, and what could not be asked about (with the reason)."""
    found: dict[UUID, str] = {}
    blind: dict[UUID, str] = {}
    texts: defaultdict[str, list[LostSend]] = defaultdict(list)
    emails: list[LostSend] = []
    for row in rows:
        send = LostSend(
            row["send_id"], row["to_address"], row["from_address"], row["subject"], row["body"],
            row["created_at"],
        )  # fmt: skip
        if row["channel"] == "sms":
            texts[send.to_address].append(send)
        else:
            emails.append(send)
    down: str | None = None
    for address, sends in texts.items():
        try:
            if down is None:
                found |= find_texts(clients.twilio, sends, _taken(connection, address))
        except ProviderError as error:
            down = _why(error)
        if down is not None:
            blind |= {send.send_id: down for send in sends if send.send_id not in found}
    if emails:
        try:
            found |= find_emails(clients.sendgrid, emails)
        except ProviderError as error:
            blind |= {send.send_id: _why(error) for send in emails}
    return found, blind


def _taken(connection: psycopg.Connection, address: str) -> set[str]:
    rows = connection.execute(
        "select provider_message_id from ops.sends"
        " where to_address = %s and provider_message_id is not null",
        (address,),
    ).fetchall()
    return {str(row[0]) for row in rows}


def _why(error: ProviderError) -> str:
    _log.warning("a lost answer could not be looked up: %s", error.message)
    # What the account lacks it will lack tomorrow; an outage or a wrong token ends.
    lacking = isinstance(error, Rejected) and error.status in {403, 404}
    return _BY_HAND if lacking else "provider_unavailable"


def _settle_one(
    connection: psycopg.Connection,
    row: dict[str, Any],
    found: dict[UUID, str],
    blind: dict[UUID, str],
    policy: DispatchPolicy,
    now: datetime,
    report: SettleReport,
) -> bool:
    """True once the message is settled."""
    send_id = row["send_id"]
    if send_id in found:
        report.found += 1
        connection.execute(
            "update ops.sends set status = 'sent', provider_message_id = %s,"
            " sent_at = coalesce(claimed_at, %s), settled_at = %s, status_reason = 'found'"
            " where send_id = %s",
            (found[send_id], now, now, send_id),
        )
        _note(connection, row, "send_found_at_provider", now)
        return True
    if send_id in blind:
        report.waiting += blind[send_id] != _BY_HAND
        connection.execute(
            "update ops.sends set status_reason = %s where send_id = %s", (blind[send_id], send_id)
        )
        return False
    if now - row["claimed_at"] < policy.grace(row["provider"] or "sendgrid"):
        report.waiting += 1
        return False
    report.returned += 1
    connection.execute(
        "update ops.sends set status = 'intent', status_reason = 'absent_at_provider',"
        " not_before = %s, claimed_by = null, claimed_at = null where send_id = %s",
        (now, send_id),
    )
    _note(connection, row, "send_absent_at_provider", now)
    return True


def _note(connection: psycopg.Connection, row: dict[str, Any], action: str, now: datetime) -> None:
    audit(
        connection,
        at=now,
        actor="settle",
        action=action,
        entity="send",
        entity_id=str(row["send_id"]),
        location_id=row["location_id"],
        detail={"attempts": row["attempts"]},
    )
