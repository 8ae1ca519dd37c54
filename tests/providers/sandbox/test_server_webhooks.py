"""Webhooks carry signatures that the providers' own libraries accept, and are retried as theirs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator

from providers.sandbox.signing import Keys, twilio_signature
from tests.providers.sandbox.conftest import World
from tests.providers.server import Answer, Received, Server
from tests.shared_folder import shared


@pytest.fixture
def hooked(world: World, server: Server) -> Iterator[Server]:
    """A receiver of everything the sandbox posts."""
    for provider in ("ghl", "twilio", "sendgrid"):
        order = {"provider": provider, "url": f"{server.url}/hooks/{provider}"}
        assert world.own.post("/_webhooks", json=order).status_code == 201
    yield server
    for provider in ("ghl", "twilio", "sendgrid"):
        world.own.post("/_webhooks", json={"provider": provider, "url": None})
    world.own.delete("/_faults")


def wait_for(server: Server, wanted: Callable[[Received], bool], count: int = 1) -> list[Received]:
    """The first ``count`` requests that are wanted, within five seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = [r for r in list(server.received) if wanted(r)]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"got {[r.path for r in server.received]}")


def test_twilio_statuses_are_posted_and_signed(world: World, server: Server) -> None:
    callback = f"{server.url}/status?send_id=w1"
    sid = world.text("+18135550401", StatusCallback=callback).json()["sid"]
    world.later(60)
    got = wait_for(server, lambda r: r.path == "/status", 2)
    forms = [r.form for r in got]
    assert {f["MessageSid"] for f in forms} == {sid}
    statuses = {f["MessageStatus"] for f in forms}
    assert statuses in ({"sent", "delivered"}, {"sent", "undelivered"})
    validator = RequestValidator(world.process.credentials["twilio"]["auth_token"])
    for request in got:
        signature = request.headers["x-twilio-signature"]
        assert validator.validate(callback, request.form, signature)
        forged = {**request.form, "MessageStatus": "failed"}
        assert not validator.validate(callback, forged, signature)


def test_replies_are_posted_and_signed(world: World, hooked: Server) -> None:
    order = {
        "from": "+18135550402",
        "to": world.location["from_number"],
        "body": "Stop",
    }
    world.own.post("/_people/text", json=order)
    got = wait_for(hooked, lambda r: r.path == "/hooks/twilio")[0]
    assert (got.form["Body"], got.form["OptOutType"]) == ("Stop", "STOP")
    assert got.form["SmsStatus"] == "received"
    validator = RequestValidator(world.process.credentials["twilio"]["auth_token"])
    url = f"{hooked.url}/hooks/twilio"
    assert validator.validate(url, got.form, got.headers["x-twilio-signature"])


def test_people_answer_by_themselves(world: World, hooked: Server) -> None:
    for number in range(200):
        world.text(f"+1813559{number:04}", "Are you still looking?")
    world.later(2 * 86_400)
    got = wait_for(hooked, lambda r: r.path == "/hooks/twilio", 3)
    for request in got:
        listed = world.twilio.get(f"/Messages/{request.form['MessageSid']}.json").json()
        assert (listed["direction"], listed["body"]) == ("inbound", request.form["Body"])
        if request.form.get("OptOutType") == "STOP":
            assert world.text(request.form["From"]).json()["code"] == 21610
    calls = world.twilio.get("/Calls.json").json()["calls"]
    recordings = world.twilio.get("/Recordings.json").json()["recordings"]
    answered = {c["sid"] for c in calls if c["status"] == "completed"}
    assert answered
    assert {r["call_sid"] for r in recordings} == answered


def test_sendgrid_events_are_posted_and_signed(world: World, hooked: Server) -> None:
    message_id = world.mail("hooked@example.com", send_id="w2").headers["x-message-id"]
    world.later(86_400)
    got = wait_for(hooked, lambda r: r.path == "/hooks/sendgrid" and b'"w2"' in r.body)
    events = [e for r in got for e in r.json if e.get("send_id") == "w2"]
    assert events[0]["event"] == "processed"
    assert events[0]["sg_message_id"].startswith(message_id)
    key = world.process.credentials["sendgrid"]["webhook_public_key"]
    verifier = EventWebhook(key)
    prefix = "x-twilio-email-event-webhook"
    for request in got:
        signature = request.headers[f"{prefix}-signature"]
        timestamp = request.headers[f"{prefix}-timestamp"]
        assert verifier.verify_signature(request.body.decode(), signature, timestamp)
        assert not verifier.verify_signature(request.body.decode() + " ", signature, timestamp)


def ghl_signatures_hold(credentials: dict[str, Any], request: Received, body: bytes) -> bool:
    ed25519 = serialization.load_pem_public_key(credentials["webhook_ed25519_public_key"].encode())
    rsa = serialization.load_pem_public_key(credentials["webhook_rsa_public_key"].encode())
    try:
        ed25519.verify(base64.b64decode(request.headers["x-ghl-signature"]), body)  # type: ignore[union-attr, call-arg]
        rsa.verify(  # type: ignore[union-attr, call-arg]
            base64.b64decode(request.headers["x-wh-signature"]),
            body,
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except InvalidSignature:
        return False
    return True


def test_ghl_events_are_posted_signed_and_shaped(world: World, hooked: Server) -> None:
    new = {"locationId": world.location["id"], "email": "webhook.one@example.com"}
    contact = world.ghl.post("/contacts/upsert", json=new).json()["contact"]["id"]
    path = f"/contacts/{contact}"
    world.ghl.post(f"{path}/tags", json={"tags": ["hot"]})
    world.ghl.put(path, json={"dndSettings": {"SMS": {"status": "active"}}})
    world.ghl.post(f"{path}/notes", json={"body": "noted"})
    got = wait_for(hooked, lambda r: r.path == "/hooks/ghl" and contact.encode() in r.body, 4)
    kinds = [r.json["type"] for r in got]
    assert set(kinds) == {"ContactCreate", "ContactTagUpdate", "ContactDndUpdate", "NoteCreate"}
    schemas = json.loads(shared("contracts/ghl/webhook-events.json").read_text("utf-8"))
    from jsonschema import Draft202012Validator

    for request in got:
        event = request.json
        assert event["locationId"] == world.location["id"]
        assert event["webhookId"]
        assert event["timestamp"].endswith("Z")
        for schema in schemas[event["type"]]["schemas"]:
            assert list(Draft202012Validator(schema).iter_errors(event)) == []
        credentials = world.process.credentials["ghl"]
        assert ghl_signatures_hold(credentials, request, request.body)
        assert not ghl_signatures_hold(credentials, request, request.body + b" ")
    assert len({r.json["webhookId"] for r in got}) == 4


def test_live_records_of_the_simulation_are_announced(world: World, hooked: Server) -> None:
    world.later(3 * 86_400)
    got = wait_for(hooked, lambda r: r.path == "/hooks/ghl")
    assert {r.json["type"] for r in got} & {"InboundMessage", "OutboundMessage", "ContactCreate"}


def test_lost_doubled_and_late_webhooks(world: World, hooked: Server) -> None:
    text = {"from": "+18135550403", "to": world.location["from_number"]}

    def tell(body: str, **fault: object) -> None:
        if fault:
            world.own.post("/_faults", json={"provider": "twilio", "rate": 1, **fault})
        world.own.post("/_people/text", json={**text, "body": body})
        world.own.delete("/_faults")

    tell("lost", kind="lose_webhook")
    tell("double", kind="duplicate_webhook")
    tell("late", kind="reorder_webhook", value=600)
    tell("prompt")
    got = wait_for(hooked, lambda r: r.path == "/hooks/twilio" and r.form["Body"] == "late")
    bodies = [r.form["Body"] for r in hooked.received if r.path == "/hooks/twilio"]
    assert bodies.count("lost") == 0
    assert bodies.count("double") == 2
    assert bodies.index("prompt") < bodies.index("late")
    assert len(got) == 1


def test_only_what_the_provider_repeats_is_repeated(world: World, hooked: Server) -> None:
    hooked.default = Answer(status=500)
    new = {"locationId": world.location["id"], "email": "retry.one@example.com"}
    world.ghl.post("/contacts/upsert", json=new)
    order = {"from": "+18135550404", "to": world.location["from_number"], "body": "retry"}
    world.own.post("/_people/text", json=order)
    world.mail("retry.two@example.com", send_id="w3")
    # SendGrid's first repeat comes after five seconds.
    deadline = time.monotonic() + 9
    events: list[str] = []
    while time.monotonic() < deadline and len(events) == len(set(events)):
        time.sleep(0.1)
        mails = [r for r in list(hooked.received) if r.path == "/hooks/sendgrid"]
        events = [e["sg_event_id"] for r in mails for e in r.json if e.get("send_id") == "w3"]
    assert len(events) > len(set(events)) >= 1
    assert sum(b"retry.one" in r.body for r in hooked.received) == 1
    assert sum(b"retry" in r.body and r.path == "/hooks/twilio" for r in hooked.received) == 1


def test_our_signing_agrees_with_the_published_vectors(tmp_path: Path) -> None:
    vectors = json.loads(shared("contracts/vectors/webhook-signatures.json").read_text("utf-8"))
    twilio = vectors["twilio"]
    for case in twilio["cases"]:
        if "params" not in case or ":" in case["name"] or "port" in case["name"]:
            continue
        made = twilio_signature(twilio["auth_token"], case["url"], case["params"])
        assert (made == case["signature"]) is case["valid"], case["name"]
    keys = Keys(tmp_path)
    signature = keys.sendgrid_signature("1600112502", b"payload")
    assert EventWebhook(keys.sendgrid_public_key).verify_signature(
        "payload", signature, "1600112502"
    )
    for case in vectors["sendgrid"]["cases"]:
        verifier = EventWebhook(vectors["sendgrid"]["public_key"])
        holds = verifier.verify_signature(case["body"], case["signature"], case["timestamp"])
        assert holds is case["valid"], case["name"]
    assert Keys(tmp_path).sendgrid_public_key == keys.sendgrid_public_key
