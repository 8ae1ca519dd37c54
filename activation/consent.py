"""Consent: the append-only log, words against it, and what they cancel."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from activation.audit import audit
from activation.marts import reading_marts
from activation.queries import load_sql
from activation.types import SyncReport
from leadengine.clock import Clock, SystemClock
from warehouse.database import Database

_BY_TEXT = ("sms_reply", "carrier", "twilio", "twilio:21610")


@dataclass(frozen=True, slots=True)
class OptOut:
    """What recording a word against did."""

    was_new: bool
    cancelled: int


def sync_consent(database: Database, clock: Clock | None = None) -> SyncReport:
    """Copies the warehouse's consent events into ``ops.consent_logs``, each once.

    Rows are only ever added; an event already there, by its evidence key, is left as it is.

    Raises:
        MartsMissingError: the warehouse has not been built.
    """
    now = (clock or SystemClock()).now()
    with reading_marts(), database.connect() as connection:
        seen_row = connection.execute("select count(*) from marts.fct_consent_events").fetchone()
        cursor = connection.execute(load_sql("sync_consent"), {"recorded_by": "consent_sync"})
        added, seen = cursor.rowcount, int(seen_row[0]) if seen_row else 0
        if added:
            audit(
                connection,
                at=now,
                actor="consent_sync",
                action="consent_synced",
                entity="consent_logs",
                entity_id="marts.fct_consent_events",
                detail={"added": added, "seen": seen},
            )
    return SyncReport(added=added, seen=seen)


def consent_hash(row: dict[str, Any]) -> str:
    """What proves later that the consent row read at sending is the one on file (SHA-256).

    The same for a row as the driver reads it and as JSON from the server, which writes times with
    as few decimals as they need.
    """
    keys = (
        "consent_log_id", "location_id", "lead_id", "channel", "purpose", "action", "source",
        "method", "consent_text", "occurred_at", "evidence_key",
    )  # fmt: skip
    canonical = {key: row[key] for key in keys}
    occurred_at = row["occurred_at"]
    if isinstance(occurred_at, str):
        occurred_at = datetime.fromisoformat(occurred_at)
    canonical["occurred_at"] = occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def opt_out(
    connection: psycopg.Connection,
    *,
    location_id: str,
    lead_id: str,
    channel: str,
    source: str,
    method: str,
    evidence_key: str,
    at: datetime,
    actor: str,
    consent_text: str | None = None,
    occurred_at: datetime | None = None,
    suppress: bool = False,
) -> OptOut:
    """Records a word against a channel and cancels what is queued for the lead on it.

    Runs in the caller's transaction. A message that a worker has claimed already is on its way
    and is not touched.

    Args:
        connection: in a transaction.
        location_id: of the lead.
        lead_id: whose word it is.
        channel: ``sms``, ``email`` or ``call``.
        source: where the word was given, such as ``unsubscribe_link``.
        method: how, in words.
        evidence_key: names the evidence; the same one is recorded once.
        at: when we learn of it.
        actor: who records it.
        consent_text: what the person wrote, where there is a text.
        occurred_at: when the person said so; ``at`` if not given.
        suppress: also puts every address of the person on the list of those never written to, so
            that the word outlives a record that is deleted and imported again under a new id.
    """
    # The contact that we wrote to: it keeps the word if the person's records come apart again.
    row = connection.execute(
        "select contact_id from ops.sends where lead_id = %s"
        " order by created_at desc, send_id limit 1",
        (lead_id,),
    ).fetchone()
    contact_id = row[0] if row else lead_id.split(":", 1)[-1]
    cursor = connection.execute(
        "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose,"
        " action, source, method, consent_text, occurred_at, known_at, evidence_key, recorded_by)"
        " values (%s, %s, %s, %s, 'marketing', 'revoked', %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (evidence_key) do nothing",
        (
            location_id, lead_id, contact_id, channel, source, method, consent_text,
            occurred_at or at, at, evidence_key, actor,
        ),
    )  # fmt: skip
    was_new = cursor.rowcount == 1
    cancelled = cancel_queued(
        connection, lead_id=lead_id, channel=channel, reason="opted_out", at=at
    )
    if suppress:
        suppress_person(
            connection, lead_id=lead_id, channel=channel, reason="opted_out", source=source, at=at
        )
    if was_new or cancelled:
        audit(
            connection,
            at=at,
            actor=actor,
            action="opted_out",
            entity="lead",
            entity_id=lead_id,
            location_id=location_id,
            detail={"channel": channel, "source": source, "cancelled": cancelled},
        )
    return OptOut(was_new, cancelled)


def newest_action(connection: psycopg.Connection, lead_id: str, channel: str) -> str | None:
    """The lead's newest word on a channel: ``granted``, ``revoked``, or None if there is none."""
    row = connection.execute(
        "select action from ops.consent_logs"
        " where lead_id = %s and channel = %s and purpose = 'marketing'"
        " order by occurred_at desc, action desc, consent_log_id desc limit 1",
        (lead_id, channel),
    ).fetchone()
    return str(row[0]) if row else None


def suppress_address(
    connection: psycopg.Connection,
    *,
    location_id: str,
    channel: str,
    address: str,
    reason: str,
    source: str,
    at: datetime,
) -> None:
    """Puts an address on the list of those never written to on a channel."""
    connection.execute(
        "insert into ops.suppressions (location_id, channel, address, reason, source, created_at)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        (location_id, channel, address, reason, source, at),
    )


def suppress_person(
    connection: psycopg.Connection,
    *,
    lead_id: str,
    channel: str,
    reason: str,
    source: str,
    at: datetime,
) -> None:
    """Puts every address of a person's records on the list of those never written to."""
    if not _has_identities(connection):
        return
    connection.execute(
        load_sql("suppress_person"),
        {
            "records": records_of(connection, lead_id),
            "channel": channel,
            "reason": reason,
            "source": source,
            "at": at,
        },
    )


def opt_in_again(
    connection: psycopg.Connection,
    *,
    location_id: str,
    lead_id: str,
    address: str,
    evidence_key: str,
    consent_text: str,
    at: datetime,
) -> bool:
    """Takes back a texted opt-out: who texts START gets what stood before, and nothing more.

    The newest word must be a withdrawal that came by text, and a consent must stand before it:
    START by itself is no agreement to marketing. Other channels stay as they are.

    Returns:
        Whether a consent was restored.
    """
    rows = connection.execute(
        "select action, source, contact_id from ops.consent_logs"
        " where location_id = %s and channel = 'sms' and purpose = 'marketing'"
        " and location_id || ':' || contact_id = any(%s)"
        " order by occurred_at desc, action desc, consent_log_id desc",
        (location_id, records_of(connection, lead_id)),
    ).fetchall()
    granted = next((row for row in rows if row[0] == "granted"), None)
    if not rows or granted is None or rows[0][0] != "revoked" or rows[0][1] not in _BY_TEXT:
        return False
    connection.execute(
        "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose,"
        " action, source, method, consent_text, occurred_at, known_at, evidence_key, recorded_by)"
        " values (%s, %s, %s, 'sms', 'marketing', 'granted', 'sms_reply',"
        " 'texted START after an opt-out by text', %s, %s, %s, %s, 'webhook')"
        " on conflict (evidence_key) do nothing",
        (location_id, lead_id, granted[2], consent_text, at, at, evidence_key),
    )
    connection.execute(
        "delete from ops.suppressions where location_id = %s and channel = 'sms' and address = %s"
        " and reason = 'opted_out' and source = any(%s)",
        (location_id, address, list(_BY_TEXT)),
    )
    audit(
        connection,
        at=at,
        actor="recipient",
        action="opted_in_again",
        entity="lead",
        entity_id=lead_id,
        location_id=location_id,
        detail={"channel": "sms"},
    )
    return True


def cancel_queued(
    connection: psycopg.Connection,
    *,
    lead_id: str,
    channel: str | None,
    reason: str,
    at: datetime,
) -> int:
    """Cancels what waits for a lead; all channels where ``channel`` is None. Returns how many.

    The idempotency key is given up with the message: it was never sent, so a later batch may
    send that step, should the person agree anew.
    """
    return connection.execute(
        load_sql("cancel_queued"),
        {
            "lead_id": lead_id,
            "records": records_of(connection, lead_id),
            "channel": channel,
            "reason": reason,
            "at": at,
        },
    ).rowcount


def records_of(connection: psycopg.Connection, lead_id: str) -> list[str]:
    """Every record of the person, as ``location:record``.

    Only the lead's own while the warehouse is being built anew: a word against must not wait.
    """
    if not _has_identities(connection):
        return [lead_id]
    rows = connection.execute(
        "select others.record_lead_id from intermediate.int_lead_identities as own"
        " inner join intermediate.int_lead_identities as others on own.lead_id = others.lead_id"
        " where own.record_lead_id = %(lead_id)s or own.lead_id = %(lead_id)s",
        {"lead_id": lead_id},
    ).fetchall()
    return [lead_id, *(row[0] for row in rows)]


def _has_identities(connection: psycopg.Connection) -> bool:
    found = connection.execute(
        "select to_regclass('intermediate.int_lead_identities') is not null"
        " and to_regclass('intermediate.int_lead_addresses') is not null"
    ).fetchone()
    return bool(found and found[0])
