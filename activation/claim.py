"""Claims the next message that is due and judges it once more, at the moment of sending."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.audit import audit
from activation.consent import consent_hash
from activation.decide import DecisionContext, decide
from activation.liveness import lock_key
from activation.queries import load_sql
from activation.rulebook import RuleBook
from activation.types import Candidate, Channel, ChannelState, ConsentRow, Decision, Reason, Verdict


class Claimed(StrEnum):
    """What came of a claim."""

    CLEARED = "cleared"
    CANCELLED = "cancelled"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A claimed message that may be sent now."""

    send_id: UUID
    lead_id: str
    location_id: str
    channel: Channel
    to_address: str
    from_address: str
    subject: str | None
    body: str
    attempts: int
    template_id: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A message and what is to be done with it; ``reason`` where it is not to be sent now."""

    result: Claimed
    batch_id: UUID
    message: OutgoingMessage
    reason: str | None = None


def claim_next(
    connection: psycopg.Connection,
    *,
    worker: str,
    batch_id: UUID | None,
    now: datetime,
    rules: RuleBook,
) -> Claim | None:
    """Claims one due message, checks it anew, and commits. None when nothing is due.

    Claim and check are one transaction: a word against that was committed before it is seen, and
    one committed later finds the message on its way. What is no longer allowed is cancelled, what
    is not allowed yet goes back with a later time; a message that is cleared carries the consent
    row, its hash and the rule version that cleared it.
    """
    parameters = {
        "worker": worker, "batch_id": batch_id, "now": now, "lock_key": lock_key(worker),
    }  # fmt: skip
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(load_sql("claim"), parameters).fetchone()
    if row is None:
        connection.rollback()
        return None
    message = OutgoingMessage(
        send_id=row["send_id"],
        lead_id=row["lead_id"],
        location_id=row["location_id"],
        channel=Channel(row["channel"]),
        to_address=row["to_address"],
        from_address=row["from_address"],
        subject=row["subject"],
        body=row["body"],
        attempts=row["attempts"],
        template_id=row["template_id"],
    )
    decision, consent = _judge(connection, row, now, rules)
    if decision.verdict is not Verdict.SEND:
        _cancel(connection, message, decision, now)
        result = Claim(Claimed.CANCELLED, row["batch_id"], message, decision.reason)
    elif decision.send_at is not None:
        connection.execute(
            "update ops.sends set status = 'intent', status_reason = %s, not_before = %s,"
            " claimed_by = null, claimed_at = null, attempts = attempts - 1 where send_id = %s",
            (decision.reason.value, decision.send_at, message.send_id),
        )
        result = Claim(Claimed.POSTPONED, row["batch_id"], message, decision.reason)
    else:
        connection.execute(
            "update ops.sends set consent_log_id = %s, consent_hash = %s, rule_version = %s"
            " where send_id = %s",
            (
                consent["consent_log_id"] if consent else None,
                consent_hash(consent) if consent else None,
                rules.version,
                message.send_id,
            ),
        )
        result = Claim(Claimed.CLEARED, row["batch_id"], message)
    connection.commit()
    return result


def _judge(
    connection: psycopg.Connection, send: dict[str, Any], now: datetime, rules: RuleBook
) -> tuple[Decision, dict[str, Any] | None]:
    parameters = {
        key: send[key] for key in ("send_id", "lead_id", "location_id", "channel", "to_address")
    } | {"now": now, "cap_window": rules.cap_window()}
    with connection.cursor(row_factory=dict_row) as cursor:
        facts = cursor.execute(load_sql("recheck"), parameters).fetchone()
    if facts is None:
        gone = Decision(Verdict.SUPPRESS, Reason.LEAD_CLOSED, "The lead no longer exists.")
        return gone, None
    channel = Channel(send["channel"])
    consent = facts["consent"]
    state = ChannelState(
        address=send["to_address"],
        is_valid=True,
        is_dnd=bool(facts["is_dnd_all"] or facts[f"is_dnd_{channel}"] or facts["is_address_dnd"]),
        is_suppressed=facts["is_suppressed"],
        consent=ConsentRow(
            consent["consent_log_id"], consent["action"], facts["consent_occurred_at"]
        )
        if consent
        else None,
        address_opted_out=facts["address_action"] == "revoked",
    )
    candidate = Candidate(
        lead_id=send["lead_id"],
        location_id=send["location_id"],
        contact_id=send["contact_id"],
        score=0.0,
        tier="",
        rank=None,
        channels={
            Channel.SMS: ChannelState(facts["phone"], is_valid=bool(facts["phone"])),
            channel: state,
        },
        timezone=facts["timezone"],
        state=facts["state"],
        is_open=bool(facts["is_open"]),
        duplicate_of=facts["duplicate_of_lead_id"],
        recent_sends=tuple(facts["recent_sends"]),
    )
    # The holdout was drawn when the batch was planned; here only the rules speak.
    context = DecisionContext(now, [channel], rules, send["sequence"], holdout_share=0.0)
    return decide(candidate, context), consent


def _cancel(
    connection: psycopg.Connection, message: OutgoingMessage, decision: Decision, now: datetime
) -> None:
    connection.execute(
        "update ops.sends set status = 'cancelled', status_reason = %s, settled_at = %s,"
        " idempotency_key = idempotency_key || '#cancelled:' || send_id where send_id = %s",
        (decision.reason.value, now, message.send_id),
    )
    audit(
        connection,
        at=now,
        actor="dispatch",
        action="send_cancelled",
        entity="send",
        entity_id=str(message.send_id),
        location_id=message.location_id,
        detail={"reason": decision.reason.value, "sentence": decision.sentence},
    )
