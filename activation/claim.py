"""Claims messages that are due and judges each once more, at the moment of sending."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.audit import audit
from activation.changes import TemplateVersions, changed_since_plan
from activation.consent import consent_hash
from activation.content import ContentCheck
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
    AFTER_ANOTHER = "after_another"
    """Another message to the same person was claimed with it and goes first."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A claimed message that may be sent now.

    ``cleared_at`` is by the machine's monotonic clock, in seconds: a clearance does not keep.
    """

    send_id: UUID
    batch_id: UUID
    lead_id: str
    location_id: str
    channel: Channel
    to_address: str
    from_address: str
    subject: str | None
    body: str
    attempts: int
    worker: str
    template_id: str | None = None
    cleared_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A message and what is to be done with it; ``reason`` where it is not to be sent now."""

    result: Claimed
    message: OutgoingMessage
    reason: str | None = None


def claim_batch(
    connection: psycopg.Connection,
    *,
    worker: str,
    channel: Channel,
    from_address: str,
    most: int,
    now: datetime,
    rules: RuleBook,
    templates: TemplateVersions,
) -> list[Claim]:
    """Claims up to ``most`` due messages of a sender, checks each anew, and commits.

    Claims and checks are one transaction: a word against that was committed before it is seen,
    and one committed later finds the message on its way. What is no longer allowed is cancelled,
    what is not allowed yet goes back with a later time; a message that is cleared carries the
    consent row, its hash and the rule version that cleared it.

    Args:
        connection: not in a transaction.
        worker: whose lock is held; without it nothing is claimed.
        channel: of the messages.
        from_address: of the messages.
        most: how many to claim at most.
        now: the moment, aware.
        rules: the rule book.
        templates: tells the templates' versions now.
    """
    parameters = {
        "worker": worker, "channel": channel.value, "from_address": from_address, "now": now,
        "most": most, "lock_key": lock_key(worker),
    }  # fmt: skip
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(load_sql("claim"), parameters).fetchall()
        if not rows:
            return []
        send_ids = [row["send_id"] for row in rows]
        cursor.execute(load_sql("lock_people"), {"send_ids": send_ids})
        # Read after the locks are held: what other workers decided about these people is seen.
        facts = {
            row["send_id"]: row
            for row in cursor.execute(
                load_sql("recheck"),
                {"send_ids": send_ids, "now": now, "cap_window": rules.cap_window()},
            )
        }
        # The claim returns rows in no order of its own.
        rows.sort(key=lambda row: (row["not_before"], -(row["score"] or 0.0), row["send_id"]))
        cleared_at = time.monotonic()
        claims: list[Claim] = []
        proofs: list[tuple[UUID, dict[str, Any] | None]] = []
        people: set[str] = set()
        for row in rows:
            message = _message(row, worker, cleared_at)
            known = facts[message.send_id]
            if known["person_id"] in people:
                _give_back(connection, message)
                claims.append(Claim(Claimed.AFTER_ANOTHER, message))
                continue
            people.add(known["person_id"])
            decision = _judge(row, known, now, rules, templates)
            claims.append(_apply(connection, message, decision, now))
            if claims[-1].result is Claimed.CLEARED:
                proofs.append((message.send_id, known["consent"]))
        _clear(connection, proofs, rules)
    return claims


def _message(row: dict[str, Any], worker: str, cleared_at: float) -> OutgoingMessage:
    return OutgoingMessage(
        send_id=row["send_id"],
        batch_id=row["batch_id"],
        lead_id=row["lead_id"],
        location_id=row["location_id"],
        channel=Channel(row["channel"]),
        to_address=row["to_address"],
        from_address=row["from_address"],
        subject=row["subject"],
        body=row["body"],
        attempts=row["attempts"],
        template_id=row["template_id"],
        worker=worker,
        cleared_at=cleared_at,
    )


def _apply(
    connection: psycopg.Connection, message: OutgoingMessage, decision: Decision, now: datetime
) -> Claim:
    if decision.verdict is not Verdict.SEND:
        _cancel(connection, message, decision, now)
        return Claim(Claimed.CANCELLED, message, decision.reason)
    if decision.send_at is not None:
        _give_back(connection, message, decision.send_at, decision.reason.value)
        return Claim(Claimed.POSTPONED, message, decision.reason)
    return Claim(Claimed.CLEARED, message)


def _clear(
    connection: psycopg.Connection,
    proofs: Sequence[tuple[UUID, dict[str, Any] | None]],
    rules: RuleBook,
) -> None:
    if not proofs:
        return
    connection.execute(
        load_sql("clear"),
        {
            "send_ids": [send_id for send_id, _ in proofs],
            "consent_log_ids": [row["consent_log_id"] if row else None for _, row in proofs],
            "consent_hashes": [consent_hash(row) if row else None for _, row in proofs],
            "rule_version": rules.version,
        },
    )


def _judge(
    send: dict[str, Any],
    facts: dict[str, Any],
    now: datetime,
    rules: RuleBook,
    templates: TemplateVersions,
) -> Decision:
    if not facts["is_known"]:
        return Decision(Verdict.SUPPRESS, Reason.LEAD_CLOSED, "The lead no longer exists.")
    if facts["is_for_clients"] and not facts["is_open"]:
        return Decision(
            Verdict.SUPPRESS,
            Reason.LEAD_CLOSED,
            "The person is no past client any more: a deal of theirs is open or undone.",
        )
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
        do_not_call=tuple(facts["do_not_call"]),
        line_type=facts["line_type"],
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
    decision = decide(candidate, context)
    if decision.verdict is not Verdict.SEND:
        return decision
    refused = ContentCheck(rules, now).sending(
        channel, send["subject"], send["body"], is_first=send["step"] == 1
    )
    if refused is not None:
        return Decision(Verdict.SUPPRESS, refused.reason, refused.sentence)
    return changed_since_plan(send, facts, templates) or decision


def _give_back(
    connection: psycopg.Connection,
    message: OutgoingMessage,
    not_before: datetime | None = None,
    reason: str | None = None,
) -> None:
    connection.execute(
        "update ops.sends set status = 'intent', status_reason = %s,"
        " not_before = coalesce(%s, not_before), claimed_by = null, claimed_at = null,"
        " attempts = attempts - 1 where send_id = %s",
        (reason, not_before, message.send_id),
    )


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
