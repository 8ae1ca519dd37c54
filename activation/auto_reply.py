"""Texts that answer a text by themselves: one confirmation of an opt-out, and help.

They go out in the answer to Twilio's webhook (TwiML), so Twilio sends them and nothing is queued.
Neither is marketing: 47 CFR 64.1200(a)(12) allows one text that confirms an opt-out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

import psycopg

from activation.inbound import InboundEvent
from leadengine.settings import Settings
from warehouse.database import Database

NO_ANSWER = "<Response/>"


def answer(database: Database, settings: Settings, event: InboundEvent, now: datetime) -> str:
    """What Twilio is told to do with a text that came in, as TwiML.

    An opt-out is confirmed once until the person asks to hear from us again; a request for help is
    told who we are. Where Twilio answers its keywords itself (``TWILIO_ANSWERS_STOP``, its
    default, or an ``OptOutType`` in the webhook), we say nothing to those.
    """
    form = event.payload
    place = next(
        (place for place in settings.locations() if place.from_number == form.get("To")), None
    )
    if event.event_type != "message.received" or place is None or not form.get("From"):
        return NO_ANSWER
    body = str(form.get("Body", ""))
    with database.connect() as connection:
        row = connection.execute(
            "select ops.opt_out_scope(%(body)s) is not null, ops.keyword(%(body)s),"
            " ops.is_carrier_keyword(%(body)s)",
            {"body": body},
        ).fetchone()
        is_against, keyword, is_carriers = row if row else (False, None, False)
        if form.get("OptOutType") or (is_carriers and settings.twilio_answers_stop):
            return NO_ANSWER
        name = place.name or settings.sender_name
        if is_against:
            kind, text = "confirmation", (
                f"{name}: you will get no more texts from us. Reply START to get them again."
            )  # fmt: skip
        elif keyword == "help":
            kind, text = "help", (
                f"{name}: texts about homes that you asked us about. Reply STOP to opt out."
                f" {settings.sender_postal_address}"
            )  # fmt: skip
        else:
            return NO_ANSWER
        is_new = _note(connection, event, place.location_id, form, kind, text, now)
    return f"<Response><Message>{escape(text)}</Message></Response>" if is_new else NO_ANSWER


def _note(
    connection: psycopg.Connection,
    event: InboundEvent,
    location_id: str,
    form: dict[str, Any],
    kind: str,
    text: str,
    now: datetime,
) -> bool:
    """Whether this answer is given for the first time; the table's indexes see to it."""
    return (
        connection.execute(
            "insert into ops.auto_replies (event_id, location_id, address, kind, body, at)"
            " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
            (event.event_id, location_id, form["From"], kind, text, now),
        ).rowcount
        == 1
    )
