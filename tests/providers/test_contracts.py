"""Our requests, as they come over the wire, judged by the providers' published contracts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.ghl import GhlClient
from providers.sendgrid import SUPPRESSION_KINDS, SendGridClient
from providers.twilio import TwilioClient
from tests.providers import clients
from tests.providers.contracts import Contract
from tests.providers.server import Answer, Received, Server
from tests.shared_folder import shared

SINCE = datetime(2026, 2, 1, 8, 30, tzinfo=UTC)

GHL_APPS = {
    "/contacts/": "contacts",
    "/conversations/": "conversations",
    "/opportunities/": "opportunities",
    "/calendars/": "calendars",
    "/users/": "users",
    "/workflows/": "workflows",
    "/locations/": "locations",
}
# Answers of the shapes that the client expects, by how a path ends.
GHL_ANSWERS: list[tuple[str, Any]] = [
    ("/contacts/search", {"contacts": []}),
    ("/opportunities/search", {"opportunities": [], "meta": {}}),
    ("/messages/export", {"messages": [], "total": 0}),
    ("/calendars/events", {"events": []}),
    ("/calendars/", {"calendars": [{"id": "cal1"}]}),
    ("/tasks/search", {"tasks": []}),
    ("/users/", {"users": []}),
    ("/pipelines", {"pipelines": []}),
    ("/workflows/", {"workflows": []}),
    ("/customFields", {"customFields": [], "customField": {"id": "f1"}}),
    ("/transcription", [{"transcript": "hello"}]),
    ("/notes", {"note": {"id": "n1"}}),
    ("/tasks", {"task": {"id": "t1"}}),
]


def answer_ghl(request: Received) -> Answer:
    for ending, body in GHL_ANSWERS:
        if request.path.endswith(ending):
            return Answer(200, body)
    return Answer(200, {"contact": {"id": "c1"}, "location": {"id": "loc1"}, "errorCount": 0})


def drain(pages: Any) -> int:
    return sum(len(page) for page in pages)


GHL_CALLS: dict[str, Callable[[GhlClient], object]] = {
    "ping": lambda c: c.ping(),
    "contacts": lambda c: drain(c.iter_contacts()),
    "changed contacts": lambda c: drain(c.iter_contacts(SINCE)),
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
    "note": lambda c: c.add_note("c1", "called", user_id="u1"),
    "task": lambda c: c.create_task("c1", "Call Ada", SINCE, body="Why", assigned_to="u1"),
    "upsert": lambda c: c.upsert_contact(firstName="Ada", email=clients.EMAIL_ADDRESS, tags=["a"]),
    "workflow": lambda c: c.add_to_workflow("c1", "w1"),
}


@pytest.mark.parametrize("name", GHL_CALLS)
def test_ghl_requests_keep_to_the_contract(server: Server, name: str) -> None:
    folder = shared("contracts/ghl/apps")
    server.default = answer_ghl
    GHL_CALLS[name](clients.ghl(server.url))
    assert server.received
    for request in server.received:
        prefix = next(prefix for prefix in GHL_APPS if request.path.startswith(prefix))
        assert Contract(folder / f"{GHL_APPS[prefix]}.json").faults(request) == []
        assert request.headers["authorization"] == f"Bearer {clients.SECRET}"


TWILIO_CALLS: dict[str, Callable[[TwilioClient], object]] = {
    "ping": lambda c: c.ping(),
    "send": lambda c: c.send_sms(
        clients.PHONE, clients.SENDER, clients.BODY, "https://example.com/status"
    ),
    "send by service": lambda c: c.send_sms(clients.PHONE, "MG" + "0" * 32, clients.BODY),
    "fetch": lambda c: c.fetch_message("SM" + "0" * 32),
    "messages": lambda c: drain(c.iter_messages(to=clients.PHONE, sent_after=SINCE)),
    "calls": lambda c: drain(c.iter_calls(SINCE)),
    "recordings": lambda c: drain(c.iter_recordings(SINCE)),
}


@pytest.mark.parametrize("name", TWILIO_CALLS)
def test_twilio_requests_keep_to_the_contract(
    server: Server, name: str, twilio_contract: Contract
) -> None:
    record = {"sid": "SM1", "status": "queued"}

    def answer(request: Received) -> Answer:
        if request.method == "POST" or "/Messages/" in request.path:
            return Answer(201 if request.method == "POST" else 200, record)
        key = request.path.rsplit("/", 1)[1].removesuffix(".json").lower()
        return Answer(200, {key: [], "page": 0, "next_page_uri": None})

    server.default = answer
    TWILIO_CALLS[name](clients.twilio(server.url))
    assert server.received
    for request in server.received:
        assert twilio_contract.faults(request) == []
        assert request.headers["authorization"].startswith("Basic ")


@pytest.fixture(scope="module")
def twilio_contract() -> Contract:
    return Contract(shared("contracts/twilio/twilio_api_v2010.json"))


SENDGRID_CALLS: dict[str, Callable[[SendGridClient], object]] = {
    "ping": lambda c: c.ping(),
    "send": lambda c: c.send_email(clients.EMAIL),
    "activity": lambda c: c.search_activity('to_email="ada@example.com"', 500),
    **{
        kind: lambda c, kind=kind: drain(c.iter_suppressions(kind, SINCE))  # type: ignore[misc]
        for kind in SUPPRESSION_KINDS
    },
}


@pytest.mark.parametrize("name", SENDGRID_CALLS)
def test_sendgrid_requests_keep_to_the_contract(server: Server, name: str) -> None:
    folder = shared("contracts/sendgrid")
    documents = {
        "/v3/mail": "tsg_mail_v3",
        "/v3/suppression": "tsg_suppressions_v3",
        "/v3/messages": "tsg_email_activity_v3",
    }

    def answer(request: Received) -> Answer:
        if request.path == "/v3/mail/send":
            return Answer(202, raw=b"", headers={"X-Message-Id": "m1"})
        return Answer(200, {"messages": []} if request.path == "/v3/messages" else [])

    server.default = answer
    SENDGRID_CALLS[name](clients.sendgrid(server.url))
    assert server.received
    for request in server.received:
        prefix = next(prefix for prefix in documents if request.path.startswith(prefix))
        assert Contract(folder / f"{documents[prefix]}.json").faults(request) == []
        assert request.headers["authorization"] == f"Bearer {clients.SECRET}"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"headers": {"version": "2020-01-01"}}, "header Version"),
        ({"headers": {}}, "header Version is missing"),
        ({"path": "/contacts/c1/noted"}, "no operation"),
        ({"body": b"{}"}, "'body' is a required property"),
        ({"body": b'{"body": 3}'}, "3 is not of type 'string'"),
        ({"body": b'{"body": "x", "extra": 1}'}, "body extra is not in the contract"),
        ({"query": [("a", "b")]}, "query a is not in the contract"),
        ({"body": b""}, "the body is missing"),
    ],
)
def test_the_judge_can_object(change: dict[str, Any], fault: str) -> None:
    contract = Contract(shared("contracts/ghl/apps/contacts.json"))
    headers = {"version": "2021-07-28", "content-type": "application/json"}
    fine: dict[str, Any] = {
        "method": "POST",
        "path": "/contacts/c1/notes",
        "query": [],
        "headers": headers,
        "body": b'{"body": "x"}',
        "at": 0.0,
    }
    assert contract.faults(Received(**fine)) == []
    broken = {**fine, **change}
    if "headers" in change:
        broken["headers"] = {"content-type": "application/json", **change["headers"]}
    assert any(fault in found for found in contract.faults(Received(**broken)))
