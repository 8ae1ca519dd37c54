"""Intent before effect: an approved plan becomes rows of ``ops.sends`` before any request."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from activation.approve import BatchError, expire_if_stale, lock_batch
from activation.audit import audit
from activation.queries import load_sql
from activation.senders import Sender
from activation.types import Channel
from warehouse.database import Database


def queue_batch(
    database: Database, found: dict[str, Sender], batch_id: UUID, now: datetime
) -> tuple[int, int]:
    """Writes the rows of intent, once per batch.

    Returns:
        How many rows are new, and how many leads had the step already.

    Raises:
        BatchError: the batch is unknown, a dry run, not approved, or its approval ran out.
    """
    addresses = [
        {"location_id": sender.location_id, "channel": channel.value, "address": address}
        for sender in found.values()
        for channel in Channel
        if (address := sender.address(channel))
    ]
    with database.connect() as connection:
        batch = lock_batch(connection, batch_id)
    if expire_if_stale(database, batch, now):
        raise BatchError(
            f"The approval of batch {batch_id} ran out 24 hours after it was given.",
            remedy="Plan the batch again: too much may have changed since.",
        )
    with database.connect() as connection:
        batch = lock_batch(connection, batch_id)
        if batch["dry_run"]:
            raise BatchError(
                f"Batch {batch_id} is a dry run and sends nothing.",
                remedy="Plan it again without dry run.",
            )
        if batch["status"] == "dispatching":
            return 0, 0
        if batch["status"] != "approved":
            raise BatchError(
                f"Batch {batch_id} is {batch['status']}, not approved.",
                remedy="Plan a batch, look at it, and approve it first.",
            )
        wanted = connection.execute(
            "select count(*) from ops.batch_items where batch_id = %s and decision = 'send'",
            (batch_id,),
        ).fetchone()
        queued = connection.execute(
            load_sql("create_intents"),
            {"batch_id": batch_id, "now": now, "senders": json.dumps(addresses)},
        ).rowcount
        connection.execute(
            "update ops.batches set status = 'dispatching' where batch_id = %s", (batch_id,)
        )
        already = (int(wanted[0]) if wanted else 0) - queued
        audit(
            connection,
            at=now,
            actor=batch["approved_by"],
            action="batch_queued",
            entity="batch",
            entity_id=str(batch_id),
            detail={"queued": queued, "already_queued": already},
        )
    return queued, already
