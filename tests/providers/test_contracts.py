"""Our requests, as they come over the wire, judged by the providers' published contracts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers import clients
from tests.providers.calls import GHL_CALLS, SENDGRID_CALLS, TWILIO_CALLS
from tests.providers.contracts import Contract
from tests.providers.server import Answer, Received, Server
from tests.shared_folder import shared

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
    ("/contacts/search", {"contacts": [], "total": 0}),
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
    ("/notes", {"note": {"id": "n1"}, "notes": []}),
    ("/tasks", {"task": {"id": "t1"}, "tasks": []}),
]


def answer_ghl(request: Received) -> Answer:
    for ending, body in GHL_ANSWERS:
        if request.path.endswith(ending):
            return Answer(200, body)
    return Answer(200, {"contact": {"id": "c1"}, "location": {"id": "loc1"}, "errorCount": 0})


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
