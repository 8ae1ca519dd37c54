"""What comes back from people and providers: replies, opt-outs, receipts, bounces.

Events are in ``ops.webhook_events`` before anybody handles them. Each is handled in a transaction
of its own; one that cannot be handled keeps its reason and stays, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from activation.consent import cancel_queued, opt_in_again, opt_out, suppress_address
from activation.queries import load_sql
from activation.receipts import record_receipt
from leadengine.clock import Clock
from leadengine.log import get_logger
from leadengine.settings import Settings
from warehouse.database import Database
from warehouse.storable import storable

_log = get_logger("activation.inbound")
_CHANNELS = ("sms", "email", "call")
_CARRIER_OPT_OUT = "21610"


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """One thing that a provider told us.

    Attributes:
        provider: ``twilio`` or ``sendgrid``.
        event_id: unique within the provider; the same event told twice has the same.
        event_type: ``message.received``, ``message.status``, ``call.status``, or SendGrid's word.
        payload: what the provider said, with ``send_id`` where it carries ours.

    All of it is kept as PostgreSQL can hold it.
    """

    provider: str
    event_id: str
    event_type: str
    payload: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("event_id", "event_type", "payload"):
            object.__setattr__(self, name, storable(getattr(self, name)))


class _EventError(Exception):
    """The event makes no sense here; the text says why, without personal data."""


def store_events(database: Database, events: Sequence[InboundEvent]) -> int:
    """Keeps events durably, each once. Returns how many were new."""
    new = 0
    with database.connect() as connection:
        for event in events:
            new += connection.execute(
                "insert into ops.webhook_events (provider, event_id, event_type, payload)"
                " values (%s, %s, %s, %s) on conflict do nothing",
                (event.provider, event.event_id, event.event_type, Jsonb(event.payload)),
            ).rowcount
    return new


def handle_events(database: Database, settings: Settings, clock: Clock) -> int:
    """Handles all events that wait, oldest first. Returns how many were handled.

    Several processes may do this at once; no event is handled twice.
    """
    handled = 0
    while True:
        with database.connect() as connection:
            row = _claim(connection)
            if row is None:
                return handled
            error = None
            try:
                with connection.transaction():
                    _handle(connection, row, settings, clock.now())
            except (_EventError, psycopg.DataError) as problem:
                error = str(problem).splitlines()[0]
                _log.warning(
                    "%s %s cannot be handled: %s", row["provider"], row["event_type"], error
                )
            connection.execute(
                "update ops.webhook_events set handled_at = %s, handling_error = %s"
                " where provider = %s and event_id = %s",
                (None if error else clock.now(), error, row["provider"], row["event_id"]),
            )
            handled += error is None


def _claim(connection: psycopg.Connection) -> dict[str, Any] | None:
    """The next event, a possible word against first: it does not wait behind receipts."""
    with connection.cursor(row_factory=dict_row) as cursor:
        for query in ("claim_event_urgent", "claim_event"):
            row = cursor.execute(load_sql(query)).fetchone()
            if row is not None:
                return row
    return None


def _handle(
    connection: psycopg.Connection, row: dict[str, Any], settings: Settings, now: datetime
) -> None:
    payload = row["payload"]
    if row["provider"] == "sendgrid":
        _email_event(connection, row["event_type"], payload, row["event_id"], now)
    elif row["event_type"] == "message.received":
        _text_received(connection, payload, settings, now)
    elif row["event_type"] == "message.status":
        _text_status(connection, payload, now)
    elif row["event_type"] == "call.status":
        # Kept for whoever reads calls; the next load brings the call itself.
        _text(payload, "CallSid")
    else:
        raise _EventError(f"unknown type {row['event_type']!r}")


def _text_received(
    connection: psycopg.Connection, form: dict[str, Any], settings: Settings, now: datetime
) -> None:
    """A reply ends what is queued for the person; a word against counts for all who answer there.

    START takes back an opt-out that came by text; HELP is answered and changes nothing.
    """
    sid, body = _text(form, "MessageSid"), str(form.get("Body", ""))
    person, number = _text(form, "From"), _text(form, "To")
    places = [place for place in settings.locations() if place.from_number == number]
    if not places:
        raise _EventError("no location has the number that was texted")
    location = places[0].location_id
    leads = _leads_at(connection, location, "sms", person)
    row = connection.execute(
        "select ops.opt_out_scope(%(body)s), ops.keyword(%(body)s)", {"body": body}
    ).fetchone()
    scope, keyword = row if row else (None, None)
    if scope is None and form.get("OptOutType") == "STOP":
        scope = "channel"
    if scope is None and keyword == "help":
        return
    if scope is None and (keyword == "start" or form.get("OptOutType") == "START"):
        _start(connection, location, leads, person, sid, body, now)
        return
    if scope is None:
        for lead in leads:
            cancel_queued(connection, lead_id=lead, channel=None, reason="replied", at=now)
        return
    suppress_address(
        connection,
        location_id=location,
        channel="sms",
        address=person,
        reason="opted_out",
        source="sms_reply",
        at=now,
    )
    for lead in leads:
        for channel in _CHANNELS if scope == "all" else ("sms",):
            opt_out(
                connection,
                location_id=location,
                lead_id=lead,
                channel=channel,
                source="sms_reply",
                method="texted us",
                evidence_key=f"twilio:{sid}:{lead}:{channel}",
                consent_text=body,
                at=now,
                actor="webhook",
                suppress=True,
            )


def _start(
    connection: psycopg.Connection,
    location: str,
    leads: list[str],
    person: str,
    sid: str,
    body: str,
    now: datetime,
) -> None:
    connection.execute(
        "update ops.auto_replies set ended_at = %s where location_id = %s and address = %s"
        " and kind = 'confirmation' and ended_at is null",
        (now, location, person),
    )
    for lead in leads:
        opt_in_again(
            connection,
            location_id=location,
            lead_id=lead,
            address=person,
            evidence_key=f"twilio:{sid}:{lead}:start",
            consent_text=body,
            at=now,
        )


def _text_status(connection: psycopg.Connection, form: dict[str, Any], now: datetime) -> None:
    sid, error_code = _text(form, "MessageSid"), form.get("ErrorCode")
    record_receipt(
        connection,
        send_id=form.get("send_id"),
        provider="twilio",
        provider_message_id=sid,
        provider_status=_text(form, "MessageStatus"),
        error_code=error_code,
        at=now,
    )
    if error_code == _CARRIER_OPT_OUT:
        send = _send(connection, form.get("send_id"))
        if send is not None:
            _against(connection, send, "sms", "carrier", f"twilio:{sid}:{error_code}", now)


def _email_event(
    connection: psycopg.Connection, kind: str, event: dict[str, Any], event_id: str, now: datetime
) -> None:
    """Receipts and words against. Opens and clicks are for the next load to count."""
    if kind in {"group_resubscribe", "account_status_change"}:
        return
    send = _send(connection, event.get("send_id"))
    blocked = kind == "bounce" and event.get("type") == "blocked"
    record_receipt(
        connection,
        send_id=event.get("send_id"),
        provider="sendgrid",
        provider_message_id=str(event.get("sg_message_id", "")).split(".")[0] or None,
        provider_status=kind,
        error_code="blocked" if blocked else kind,
        at=now,
    )
    address = _text(event, "email").strip().lower()
    places = [send["location_id"]] if send else _places_of(connection, address)
    # A block is the receiving server's mood, a bounce the address's end.
    if kind == "bounce" and not blocked:
        for location in places:
            suppress_address(
                connection,
                location_id=location,
                channel="email",
                address=address,
                reason="bounced",
                source="sendgrid",
                at=now,
            )
    if kind in {"unsubscribe", "group_unsubscribe", "spamreport"}:
        for location in places:
            for lead in _leads_at(connection, location, "email", address) or (
                [send["lead_id"]] if send else []
            ):
                subject = {"location_id": location, "lead_id": lead, "to_address": address}
                _against(connection, subject, "email", kind, f"sendgrid:{event_id}:{lead}", now)


def _against(
    connection: psycopg.Connection,
    send: dict[str, Any],
    channel: str,
    source: str,
    evidence_key: str,
    now: datetime,
) -> None:
    suppress_address(
        connection,
        location_id=send["location_id"],
        channel=channel,
        address=send["to_address"],
        reason="opted_out",
        source=source,
        at=now,
    )
    opt_out(
        connection,
        location_id=send["location_id"],
        lead_id=send["lead_id"],
        channel=channel,
        source=source,
        method="told by the provider",
        evidence_key=evidence_key,
        at=now,
        actor="webhook",
        suppress=True,
    )


def _send(connection: psycopg.Connection, send_id: str | None) -> dict[str, Any] | None:
    if send_id is None:
        return None
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select location_id, lead_id, to_address from ops.sends where send_id = %s::uuid",
            (send_id,),
        ).fetchone()


def _leads_at(
    connection: psycopg.Connection, location_id: str, channel: str, address: str
) -> list[str]:
    """The leads of a location with a record at that address; none before the warehouse exists."""
    if not _has_warehouse(connection):
        return []
    query = (
        "select distinct lead_id from intermediate.int_lead_addresses"
        " where location_id = %s and channel = %s and address = %s order by lead_id"
    )
    return [row[0] for row in connection.execute(query, (location_id, channel, address))]


def _places_of(connection: psycopg.Connection, email: str) -> list[str]:
    if not _has_warehouse(connection):
        return []
    query = (
        "select distinct location_id from intermediate.int_lead_addresses"
        " where channel = 'email' and address = %s order by location_id"
    )
    return [row[0] for row in connection.execute(query, (email,))]


def _has_warehouse(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "select to_regclass('intermediate.int_lead_addresses') is not null"
    ).fetchone()
    return bool(row and row[0])


def _text(payload: dict[str, Any], key: str) -> str:
    value = payload.get(key)
    if not isinstance(value, str) or not value:
        raise _EventError(f"{key} is missing")
    return value


def twilio_event(form: dict[str, str], send_id: str | None) -> InboundEvent:
    """A Twilio callback as an event: a text that came in, a status of one of ours, or a call.

    Raises:
        KeyError: the form has neither ``MessageSid`` nor ``CallSid``.
    """
    if "MessageSid" not in form and "CallSid" in form:
        event_id = f"{form['CallSid']}:{form.get('CallStatus', 'unknown')}"
        return InboundEvent("twilio", event_id, "call.status", dict(form))
    sid = form["MessageSid"]
    if "MessageStatus" in form:
        payload = {**form, **({"send_id": send_id} if send_id else {})}
        return InboundEvent("twilio", f"{sid}:{form['MessageStatus']}", "message.status", payload)
    return InboundEvent("twilio", f"{sid}:received", "message.received", dict(form))


def sendgrid_events(batch: Sequence[dict[str, Any]]) -> list[InboundEvent]:
    """The events of one SendGrid call.

    Raises:
        KeyError: an event lacks ``sg_event_id`` or ``event``.
    """
    return [
        InboundEvent("sendgrid", str(event["sg_event_id"]), str(event["event"]), dict(event))
        for event in batch
    ]
