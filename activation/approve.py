"""Approval of a plan: a named person puts their name to one exact digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.audit import audit
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError
from warehouse.database import Database

APPROVAL_LASTS = timedelta(hours=24)


class BatchError(LeadEngineError):
    """A batch is unknown, or not in a state in which this can be done with it."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved what, until when it holds (UTC)."""

    batch_id: UUID
    digest: str
    approved_by: str
    approved_at: datetime
    expires_at: datetime


def approve_batch(
    database: Database, batch_id: UUID, *, digest: str, approved_by: str, clock: Clock
) -> Approval:
    """Approves the plan with that digest. The approval holds for 24 hours.

    Args:
        database: where the batch is.
        batch_id: of the plan.
        digest: what the approver was shown; a prefix of 8 or more characters will do.
        approved_by: the person's name; required.
        clock: tells the time.

    Raises:
        BatchError: unknown batch, dry run, wrong digest, no name, or not waiting for approval.
    """
    if not approved_by.strip():
        raise BatchError("An approval needs a name.", remedy="Say who approves the batch.")
    now = clock.now()
    with database.connect() as connection:
        batch = lock_batch(connection, batch_id)
        if batch["dry_run"]:
            raise BatchError(
                f"Batch {batch_id} is a dry run and cannot be approved.",
                remedy="Plan it again without dry run.",
            )
        if len(digest) < 8 or not batch["digest"].startswith(digest):
            raise BatchError(
                f"The digest {digest!r} is not that of batch {batch_id}.",
                remedy="Look at the plan again and approve the digest it shows.",
            )
        if batch["status"] not in {"planned", "expired"}:
            raise BatchError(
                f"Batch {batch_id} is {batch['status']}, not waiting for approval.",
                remedy="Plan a new batch.",
            )
        if now - batch["planned_at"] > APPROVAL_LASTS:
            raise BatchError(
                f"Batch {batch_id} was planned more than 24 hours ago.",
                remedy="Plan a new batch: too much may have changed since.",
            )
        connection.execute(
            "update ops.batches set status = 'approved', approved_by = %s, approved_at = %s"
            " where batch_id = %s",
            (approved_by.strip(), now, batch_id),
        )
        audit(
            connection,
            at=now,
            actor=approved_by.strip(),
            action="batch_approved",
            entity="batch",
            entity_id=str(batch_id),
            detail={"digest": batch["digest"]},
        )
        full_digest = str(batch["digest"])
    return Approval(batch_id, full_digest, approved_by.strip(), now, now + APPROVAL_LASTS)


def cancel_batch(database: Database, batch_id: UUID, *, cancelled_by: str, clock: Clock) -> int:
    """Calls a batch off. What a worker has claimed already still goes out.

    Returns:
        How many queued messages were cancelled; a later batch may send those.

    Raises:
        BatchError: the batch is unknown, or finished.
    """
    now = clock.now()
    with database.connect() as connection:
        batch = lock_batch(connection, batch_id)
        if batch["status"] in {"done", "cancelled"}:
            raise BatchError(
                f"Batch {batch_id} is {batch['status']} and cannot be cancelled.",
                remedy="What has been sent cannot be called back.",
            )
        cancelled = connection.execute(
            "update ops.sends set status = 'cancelled', status_reason = 'batch_cancelled',"
            " settled_at = %s, idempotency_key = idempotency_key || '#cancelled:' || send_id"
            " where batch_id = %s and status = 'intent'",
            (now, batch_id),
        ).rowcount
        connection.execute(
            "update ops.batches set status = 'cancelled', finished_at = %s where batch_id = %s",
            (now, batch_id),
        )
        audit(
            connection,
            at=now,
            actor=cancelled_by,
            action="batch_cancelled",
            entity="batch",
            entity_id=str(batch_id),
            detail={"cancelled": cancelled},
        )
    return cancelled


def lock_batch(connection: psycopg.Connection, batch_id: UUID) -> dict[str, Any]:
    """The batch's row, locked until the transaction ends.

    Raises:
        BatchError: there is no such batch.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select * from ops.batches where batch_id = %s for update", (batch_id,)
        ).fetchone()
    if row is None:
        raise BatchError(
            f"There is no batch {batch_id}.", remedy="List batches with `leadengine batch show`."
        )
    return row


def expire_if_stale(database: Database, batch: dict[str, Any], now: datetime) -> bool:
    """Marks an approved batch whose approval ran out before anything was sent. True if so."""
    if batch["status"] != "approved" or now - batch["approved_at"] <= APPROVAL_LASTS:
        return False
    with database.connect() as connection:
        connection.execute(
            "update ops.batches set status = 'expired' where batch_id = %s and status = 'approved'",
            (batch["batch_id"],),
        )
        audit(
            connection,
            at=now,
            actor="dispatch",
            action="batch_expired",
            entity="batch",
            entity_id=str(batch["batch_id"]),
            detail={"approved_at": batch["approved_at"].isoformat()},
        )
    return True
