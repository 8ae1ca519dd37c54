"""What became of messages after the provider took them: delivered or failed."""

from __future__ import annotations

from datetime import datetime

import psycopg

from activation.queries import load_sql
from leadengine.clock import Clock
from warehouse.database import Database

# The provider's word -> ours. What is not here changes nothing.
_STATUSES = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "bounce": "failed",
    "dropped": "failed",
    "not_delivered": "failed",
}


def record_receipt(
    connection: psycopg.Connection,
    *,
    send_id: str | None,
    provider: str,
    provider_message_id: str | None,
    provider_status: str,
    error_code: str | None,
    at: datetime,
) -> bool:
    """Notes a provider's report on one message, in the caller's transaction. True if it counted.

    A report on a message whose answer was lost settles it: the provider has it. Reports may come
    twice and in any order; ``delivered`` and ``failed`` are final, the first one stays.
    """
    status = _STATUSES.get(provider_status.lower(), "sent")
    return (
        connection.execute(
            load_sql("record_receipt"),
            {
                "send_id": send_id,
                "provider": provider,
                "provider_message_id": provider_message_id,
                "status": status,
                "reason": error_code if status == "failed" else None,
                "at": at,
            },
        ).rowcount
        > 0
    )


def sync_receipts(database: Database, clock: Clock) -> int:
    """Takes over what the loaded provider data say about our messages. Returns how many changed.

    Reads ``raw_twilio.messages`` and ``raw_sendgrid.email_activity``, where they exist.
    """
    changed = 0
    with database.connect() as connection:
        for relation, statement in (
            ("raw_twilio.messages", "receipts_twilio"),
            ("raw_sendgrid.email_activity", "receipts_sendgrid"),
        ):
            row = connection.execute("select to_regclass(%s)", (relation,)).fetchone()
            if row and row[0] is not None:
                changed += connection.execute(load_sql(statement), {"now": clock.now()}).rowcount
    return changed
