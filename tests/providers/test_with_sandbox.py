"""The clients and the sandbox together, over HTTP, as in the demo and in production."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadengine.settings import Settings
from providers.core import RetryPolicy
from providers.errors import Rejected, Unknown
from providers.factory import Clients, build_clients
from providers.ghl import GhlClient
from providers.limits import LocalRateLimiter
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from providers.sendgrid import SUPPRESSION_KINDS, EmailMessage

QUICK = RetryPolicy(attempts=6, wait_initial=0.01, wait_max=0.05, wait_jitter=0.01)


class Controls:
    """The sandbox's own endpoints."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own sandbox
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            content = answer.read()
        return json.loads(content) if content else None

    def fault(self, **fault: Any) -> None:
        self.ask("/_faults", fault)

    def sent_to(self, address: str) -> list[Any]:
        return [entry for entry in self.ask("/_ledger/messages") if entry["to"] == address]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One of this module's own: these tests send, write and break things."""
    process = start_sandbox(tmp_path_factory.mktemp("sandbox"), contacts=300, seed=11)
    yield process
    process.stop()


@pytest.fixture
def controls(sandbox: SandboxProcess) -> Iterator[Controls]:
    made = Controls(sandbox.url)
    yield made
    made.ask("/_faults", method="DELETE")


@pytest.fixture
def clients(sandbox_settings: Settings) -> Iterator[Clients]:
    with build_clients(sandbox_settings, LocalRateLimiter(), policy=QUICK) as made:
        yield made


@pytest.fixture
def ghl(clients: Clients) -> GhlClient:
    return clients.ghl[sorted(clients.ghl)[0]]


def email(to: str, settings: Settings) -> EmailMessage:
    return EmailMessage(
        to=to,
        from_email=settings.locations()[0].from_email or "",
        from_name="Team",
        subject="Hello",
        text="Hello",
        custom_args={"send_id": "send-1"},
    )


def test_every_ping_answers(clients: Clients, ghl: GhlClient) -> None:
    ghl.ping()
    clients.twilio.ping()
    clients.sendgrid.ping()
    assert clients.claude is not None
    clients.claude.ping()


def test_apollos_ping_answers(clients: Clients) -> None:
    assert clients.apollo is not None
    clients.apollo.ping()


def test_a_whole_location_is_read(ghl: GhlClient) -> None:
    now = datetime.now(UTC)
    contacts = [contact for page in ghl.iter_contacts() for contact in page]
    assert len({contact["id"] for contact in contacts}) == len(contacts) > 50
    assert all(contact["locationId"] == ghl.location_id for contact in contacts)
    assert ghl.count_contacts() == len(contacts)
    changes = [contact["dateUpdated"] for contact in contacts]
    assert changes == sorted(changes)
    middle = datetime.fromisoformat(changes[len(changes) // 2])
    newer = [contact for page in ghl.iter_contacts(middle) for contact in page]
    assert 0 < len(newer) < len(contacts)
    assert all(datetime.fromisoformat(contact["dateUpdated"]) >= middle for contact in newer)

    messages = [message for page in ghl.iter_messages() for message in page]
    assert len(messages) > 100
    assert "TYPE_EMAIL" not in {message["messageType"] for message in messages}
    emails = [message for page in ghl.iter_messages(None, "Email") for message in page]
    assert {message["messageType"] for message in emails} <= {"TYPE_EMAIL", "TYPE_CAMPAIGN_EMAIL"}
    assert sum(len(page) for page in ghl.iter_opportunities()) > 10
    year = timedelta(days=365)
    events = [event for page in ghl.iter_calendar_events(now - year, now + year) for event in page]
    assert len({event["id"] for event in events}) == len(events)
    for page in ghl.iter_tasks():
        assert page
    for listed in (
        ghl.list_users(),
        ghl.list_calendars(),
        ghl.list_pipelines(),
        ghl.list_workflows(),
        ghl.list_custom_fields(),
    ):
        assert listed
    assert ghl.get_location()["id"] == ghl.location_id
    with pytest.raises(Rejected) as gone:
        ghl.get_contact("NoSuchContact000000x")
    assert gone.value.status in (400, 404)


def test_what_is_written_is_read_again(ghl: GhlClient) -> None:
    fields = {field["name"]: field["id"] for field in ghl.list_custom_fields()}
    name = "Clients test score"
    field = fields.get(name) or ghl.create_custom_field(name, "NUMERICAL")["id"]
    contact = ghl.upsert_contact(firstName="Clients", email="clients-test@example.com")
    ghl.update_contact(contact["id"], {field: 87})
    assert ghl.bulk_tags("add", [contact["id"]], ["clients-test"]) == 0
    read = ghl.get_contact(contact["id"])
    values = {entry["id"]: entry.get("value") for entry in read["customFields"]}
    assert str(values[field]) == "87"
    assert "clients-test" in read["tags"]
    assert ghl.bulk_tags("remove", [contact["id"]], ["clients-test"]) == 0
    assert "clients-test" not in ghl.get_contact(contact["id"])["tags"]
    assert ghl.add_note(contact["id"], "A note")["body"] == "A note"
    task = ghl.create_task(contact["id"], "Call", datetime.now(UTC))
    assert task["id"] in {task["id"] for page in ghl.iter_tasks() for task in page}
    ghl.add_to_workflow(contact["id"], ghl.list_workflows()[0]["id"])
    again = ghl.upsert_contact(lastName="Test", email="clients-test@example.com")
    assert again["id"] == contact["id"]


def test_a_lost_answer_of_an_sms_is_unknown_sent_once_and_found(
    clients: Clients, controls: Controls, sandbox_settings: Settings
) -> None:
    to, sender = "+18135550161", sandbox_settings.locations()[0].from_number or ""
    controls.fault(provider="twilio", kind="drop_response", rate=1.0, method="POST")
    with pytest.raises(Unknown):
        clients.twilio.send_sms(to, sender, "Hello")
    assert len(controls.sent_to(to)) == 1
    lately = datetime.now(UTC) - timedelta(minutes=5)
    found = [m for page in clients.twilio.iter_messages(to, lately) for m in page]
    assert [(m["to"], m["body"]) for m in found] == [(to, "Hello")]
    assert clients.twilio.fetch_message(found[0]["sid"])["sid"] == found[0]["sid"]


def test_a_lost_answer_of_an_email_is_unknown_and_sent_once(
    clients: Clients, controls: Controls, sandbox_settings: Settings
) -> None:
    to = "lost-answer@example.com"
    controls.fault(provider="sendgrid", kind="drop_response", rate=1.0, method="POST")
    with pytest.raises(Unknown):
        clients.sendgrid.send_email(email(to, sandbox_settings))
    sent = controls.sent_to(to)
    assert [entry["tag"] for entry in sent] == ["send-1"]


def test_emails_leave_with_their_id(
    clients: Clients, controls: Controls, sandbox_settings: Settings
) -> None:
    to = "clients-test@example.com"
    message_id = clients.sendgrid.send_email(email(to, sandbox_settings))
    assert message_id
    assert len(controls.sent_to(to)) == 1
    found = clients.sendgrid.search_activity(f'to_email="{to}"', 10)
    assert [entry["msg_id"].split(".")[0] for entry in found] == [message_id]
    for kind in SUPPRESSION_KINDS:
        for page in clients.sendgrid.iter_suppressions(kind):
            assert all(entry["email"] for entry in page)


def test_reads_survive_a_provider_that_fails_every_third_time(
    ghl: GhlClient, controls: Controls
) -> None:
    calm = [contact["id"] for page in ghl.iter_contacts() for contact in page]
    controls.fault(provider="ghl", kind="status", value=503, rate=0.3)
    controls.fault(provider="ghl", kind="drop_response", rate=0.1)
    for _ in range(5):
        assert [contact["id"] for page in ghl.iter_contacts() for contact in page] == calm


def test_a_wrong_token_is_named(sandbox_settings: Settings) -> None:
    from pydantic import SecretStr

    wrong = sandbox_settings.model_copy(update={"twilio_auth_token": SecretStr("wrong")})
    with (
        build_clients(wrong, LocalRateLimiter()) as made,
        pytest.raises(Rejected, match="TWILIO_AUTH_TOKEN"),
    ):
        made.twilio.ping()


def test_enrichment_and_texts(clients: Clients) -> None:
    assert clients.apollo is not None
    people = [{"email": f"person{n}@example.com"} for n in range(12)]
    found = clients.apollo.bulk_match(people)
    assert len(found) == 12
    assert any(found)
    one = clients.apollo.match_person(email="person0@example.com")
    assert (one is None) == (found[0] is None)
    assert clients.claude is not None
    reply = clients.claude.create_message([{"role": "user", "content": "Write a short greeting."}])
    assert reply.text
    assert reply.output_tokens > 0
