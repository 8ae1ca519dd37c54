"""Messages that were given up or refused, and how a person lets them go out once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from activation.approve import BatchError
from activation.audit import audit
from activation.queries import load_sql
from leadengine.clock import Clock
from warehouse.database import Database


def dead_letters(database: Database, batch_id: UUID | None = None) -> list[dict[str, Any]]:
    """The messages that certainly did not go out and that nothing will try again.

    Returns:
        Of each, newest first: ``send_id``, ``batch_id``, ``lead_id``, ``location_id``,
        ``channel``, ``status`` (``failed``: given up after many attempts; ``rejected``: the
        provider refused it), ``status_reason``, ``attempts`` and ``settled_at`` (UTC).
    """
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            load_sql("dead_letters"), {"batch_id": batch_id, "send_ids": None}
        ).fetchall()


def replay(
    database: Database, send_ids: Sequence[UUID], *, replayed_by: str, clock: Clock
) -> list[UUID]:
    """Queues dead letters anew; each is checked again at the moment of sending, as any message is.

    Args:
        database: where they are.
        send_ids: which ones.
        replayed_by: the person's name.
        clock: tells the time.

    Returns:
        Those that were queued, all of ``send_ids``.

    Raises:
        BatchError: no name, or one of them is no dead letter; then none is queued.
    """
    if not replayed_by.strip():
        raise BatchError("A replay needs a name.", remedy="Say who replays the messages.")
    now = clock.now()
    with database.connect() as connection:
        rows = connection.execute(
            load_sql("dead_letters"), {"batch_id": None, "send_ids": list(send_ids)}
        ).fetchall()
        queued = {row[0] for row in rows}
        missing = [send_id for send_id in send_ids if send_id not in queued]
        if missing:
            raise BatchError(
                f"Message {missing[0]} is not among the dead letters.",
                remedy="`leadengine batch dead-letters` lists those that can be replayed.",
            )
        connection.execute(
            "update ops.sends set status = 'intent', status_reason = 'replayed', attempts = 0,"
            " not_before = %s, settled_at = null, claimed_by = null, claimed_at = null"
            " where send_id = any(%s) and status in ('failed', 'rejected')",
            (now, list(send_ids)),
        )
        connection.execute(
            "update ops.batches set status = 'dispatching', finished_at = null"
            " where batch_id = any(%s) and status = 'done'",
            ([row[1] for row in rows],),
        )
        for send_id in send_ids:
            audit(
                connection,
                at=now,
                actor=replayed_by.strip(),
                action="send_replayed",
                entity="send",
                entity_id=str(send_id),
            )
    return list(send_ids)
