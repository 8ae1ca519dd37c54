"""The SendGrid part answers as SendGrid's OpenAPI says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.providers.sandbox.answers import faults
from tests.providers.sandbox.conftest import World

MAIL, ACTIVITY = "sendgrid/tsg_mail_v3.json", "sendgrid/tsg_email_activity_v3.json"
LISTS = "sendgrid/tsg_suppressions_v3.json"


def search(world: World, query: str, limit: int = 50) -> list[dict[str, Any]]:
    answer = world.sendgrid.get("/v3/messages", params={"query": query, "limit": limit})
    assert answer.status_code == 200, answer.text
    assert faults(ACTIVITY, "GET", "/v3/messages", 200, answer.json()) == []
    found: list[dict[str, Any]] = answer.json()["messages"]
    return found


def test_mail_is_accepted_and_found_by_our_id(world: World) -> None:
    sent = world.mail("a.person@example.com", send_id="id-1")
    assert (sent.status_code, sent.content) == (202, b"")
    message_id = sent.headers["x-message-id"]
    entry = world.ledger()[-1]
    assert (entry["provider"], entry["id"], entry["tag"]) == ("sendgrid", message_id, "id-1")
    assert (entry["to"], entry["subject"], entry["body"]) == (
        "a.person@example.com",
        "Hello",
        "Plain",
    )
    assert entry["location_id"] == world.location["id"]
    found = search(world, 'unique_args["send_id"]="id-1"')
    assert [m["msg_id"].split(".")[0] for m in found] == [message_id]
    read = world.sendgrid.get(f"/v3/messages/{found[0]['msg_id']}")
    assert faults(ACTIVITY, "GET", "/v3/messages/{msg_id}", 200, read.json()) == []


def test_opens_clicks_and_bounces_come_with_time(world: World) -> None:
    for number in range(150):
        world.mail(f"crowd{number}@example.com", send_id=f"crowd-{number}")
    world.later(3 * 86_400)
    found = search(world, 'to_email LIKE "crowd%"', limit=1000)
    assert len(found) == 150
    statuses = {m["status"] for m in found}
    assert statuses == {"delivered", "not_delivered"}
    assert 0 < sum(m["opens_count"] > 0 for m in found) < 100
    bounced = [m["to_email"] for m in found if m["status"] == "not_delivered"]
    lists = [world.sendgrid.get(f"/v3/suppression/{kind}").json() for kind in ("bounces", "blocks")]
    assert set(bounced) <= {e["email"] for entries in lists for e in entries}
    again = next(e["email"] for e in lists[0] if e["email"] in bounced)
    assert world.mail(again, send_id="to a bounced one").status_code == 202
    dropped = search(world, 'unique_args["send_id"]="to a bounced one"')[0]
    assert dropped["status"] == "not_delivered"
    events = world.sendgrid.get(f"/v3/messages/{dropped['msg_id']}").json()["events"]
    assert [e["event_name"] for e in events] == ["dropped"]


@pytest.mark.parametrize("kind", ["bounces", "blocks", "spam_reports", "invalid_emails"])
def test_suppression_lists(world: World, kind: str) -> None:
    path = f"/v3/suppression/{kind}"
    answer = world.sendgrid.get(path, params={"limit": 5})
    assert faults(LISTS, "GET", path, 200, answer.json()) == []


def test_global_unsubscribes(world: World) -> None:
    root = "/v3/asm/suppressions/global"
    body = {"recipient_emails": ["Gone@example.com"]}
    made = world.sendgrid.post(root, json=body)
    assert faults(LISTS, "POST", root, 201, made.json()) == []
    listed = world.sendgrid.get("/v3/suppression/unsubscribes")
    assert faults(LISTS, "GET", "/v3/suppression/unsubscribes", 200, listed.json()) == []
    assert listed.json()[0]["email"] == "gone@example.com"
    read = world.sendgrid.get(f"{root}/gone@example.com")
    assert faults(LISTS, "GET", f"{root}/{{email}}", 200, read.json()) == []
    assert world.sendgrid.delete(f"{root}/gone@example.com").status_code == 204
    assert world.sendgrid.get(f"{root}/gone@example.com").json() == {}


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"personalizations": []}, 400, "personalizations"),
        ({"personalizations": [{"to": []}]}, 400, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "x"}]}]}, 400, "personalizations.0.to.0.email"),
        ({"from": {}}, 400, "from.email"),
        ({"from": {"email": "me@stranger.test"}}, 403, "from"),
        ({"subject": ""}, 400, "subject"),
        ({"content": []}, 400, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, 400, "content.0.value"),
    ],
)
def test_what_sendgrid_refuses(
    world: World, change: dict[str, Any], status: int, field: str
) -> None:
    before = len(world.ledger())
    answer = world.mail("a@example.com", **change)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == field
    assert len(world.ledger()) == before
    found = answer.json()
    # The document says the help is an object; the API sends a text or null.
    assert faults(MAIL, "POST", "/v3/mail/send", status, found, slips=("help",)) == []


def test_wrong_key(world: World) -> None:
    answer = httpx.post(
        f"{world.sendgrid.base_url}v3/mail/send", headers={"Authorization": "Bearer SG.wrong"}
    )
    assert answer.status_code == 401
    path = "/v3/mail/send"
    assert faults(MAIL, "POST", path, 401, answer.json(), slips=("help",)) == []


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ('to_email="q1@example.com"', {"q1"}),
        ('to_email = "q1@example.com" OR to_email="q2@example.com"', {"q1", "q2"}),
        ('to_email LIKE "q%" AND subject="Two"', {"q2"}),
        ('to_email LIKE "q%" AND NOT (subject="Two")', {"q1"}),
        ("to_email IN ('q2@example.com', 'x')", {"q2"}),
        (
            'last_event_time BETWEEN TIMESTAMP "2020-01-01T00:00:00Z" AND '
            'TIMESTAMP "2099-01-01T00:00:00Z" AND to_email LIKE "q%"',
            {"q1", "q2"},
        ),
        ('opens > 5 AND to_email LIKE "q%"', set()),
        ('(unique_args["send_id"]="q2")', {"q2"}),
    ],
)
def test_activity_queries(world: World, query: str, matches: set[str]) -> None:
    for number, subject in ((1, "One"), (2, "Two")):
        if not search(world, f'unique_args["send_id"]="q{number}"'):
            world.mail(f"q{number}@example.com", send_id=f"q{number}", subject=subject)
    assert {m["to_email"].split("@")[0] for m in search(world, query)} == matches


@pytest.mark.parametrize("query", ["", "colour=1", 'to_email="a', "to_email", 'to_email="a" x'])
def test_bad_activity_queries(world: World, query: str) -> None:
    answer = world.sendgrid.get("/v3/messages", params={"query": query})
    assert answer.status_code == 400
    assert faults(ACTIVITY, "GET", "/v3/messages", 400, answer.json()) == []
