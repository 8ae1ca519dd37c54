"""Every call of the clients that a published contract describes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.ghl import GhlClient
from providers.sendgrid import SUPPRESSION_KINDS, SendGridClient
from providers.twilio import TwilioClient
from tests.providers import clients

SINCE = datetime(2026, 2, 1, 8, 30, tzinfo=UTC)


def drain(pages: Any) -> int:
    """Reads all pages."""
    return sum(len(page) for page in pages)


def first(pages: Any) -> object:
    """Reads one page; where the next one is, is the server's word, not ours."""
    return next(pages, None)


GHL_CALLS: dict[str, Callable[[GhlClient], object]] = {
    "ping": lambda c: c.ping(),
    "contacts": lambda c: drain(c.iter_contacts()),
    "changed contacts": lambda c: drain(c.iter_contacts(SINCE)),
    "number of contacts": lambda c: c.count_contacts(),
    "opportunities": lambda c: drain(c.iter_opportunities()),
    "messages": lambda c: drain(c.iter_messages()),
    "changed emails": lambda c: drain(c.iter_messages(SINCE, "Email")),
    "events": lambda c: drain(c.iter_calendar_events(SINCE, SINCE + timedelta(days=200))),
    "tasks": lambda c: drain(c.iter_tasks()),
    "users": lambda c: c.list_users(),
    "calendars": lambda c: c.list_calendars(),
    "pipelines": lambda c: c.list_pipelines(),
    "workflows": lambda c: c.list_workflows(),
    "custom fields": lambda c: c.list_custom_fields(),
    "location": lambda c: c.get_location(),
    "contact": lambda c: c.get_contact("c1"),
    "transcription": lambda c: c.get_transcription("m1"),
    "update": lambda c: c.update_contact("c1", {"f1": "hot", "f2": 87, "f3": True}),
    "new field": lambda c: c.create_custom_field("Lead score", "NUMERICAL"),
    "add tags": lambda c: c.bulk_tags("add", ["c1", "c2"], ["hot"]),
    "remove tags": lambda c: c.bulk_tags("remove", ["c1"], ["hot"]),
    "notes": lambda c: c.list_notes("c1"),
    "contact's tasks": lambda c: c.list_contact_tasks("c1"),
    "note": lambda c: c.add_note("c1", "called", user_id="u1"),
    "task": lambda c: c.create_task("c1", "Call Ada", SINCE, body="Why", assigned_to="u1"),
    "upsert": lambda c: c.upsert_contact(firstName="Ada", email=clients.EMAIL_ADDRESS, tags=["a"]),
    "workflow": lambda c: c.add_to_workflow("c1", "w1"),
}


TWILIO_CALLS: dict[str, Callable[[TwilioClient], object]] = {
    "ping": lambda c: c.ping(),
    "send": lambda c: c.send_sms(
        clients.PHONE, clients.SENDER, clients.BODY, "https://example.com/status"
    ),
    "send by service": lambda c: c.send_sms(clients.PHONE, "MG" + "0" * 32, clients.BODY),
    "fetch": lambda c: c.fetch_message("SM" + "0" * 32),
    "messages": lambda c: first(c.iter_messages(to=clients.PHONE, sent_after=SINCE)),
    "calls": lambda c: first(c.iter_calls(SINCE)),
    "recordings": lambda c: first(c.iter_recordings(SINCE)),
}


SENDGRID_CALLS: dict[str, Callable[[SendGridClient], object]] = {
    "ping": lambda c: c.ping(),
    "send": lambda c: c.send_email(clients.EMAIL),
    "activity": lambda c: c.search_activity('to_email="ada@example.com"', 500),
    **{
        kind: lambda c, kind=kind: drain(c.iter_suppressions(kind, SINCE))  # type: ignore[misc]
        for kind in SUPPRESSION_KINDS
    },
}
