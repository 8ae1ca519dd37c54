"""What comes back: signed webhooks of the sandbox, posted to a running service."""

import csv
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import uvicorn

from activation.inbound import InboundEvent, handle_events, store_events
from activation.preflight import PreflightError
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from service.app import create_app
from tests.activation.batches import approved, dispatch
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_leads, phone, rows
from tests.shared_folder import shared

DAY = 86_400


@pytest.fixture(scope="module")
def wide_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One of this module's own: time moves in it, and people opt out."""
    process = start_sandbox(
        tmp_path_factory.mktemp("inbound-sandbox"), contacts=60, seed=3, unlimited=True
    )
    yield process
    process.stop()


@pytest.fixture
def service(world: World) -> Iterator[str]:
    """A running service that the sandbox posts to; its address."""
    server = uvicorn.Server(uvicorn.Config("", host="127.0.0.1", port=0, log_level="warning"))
    socket = server.config.bind_socket()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    world.settings = world.settings.model_copy(update={"public_url": url})
    server.config.app = create_app(world.settings, world.database)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    for provider, path in (("twilio", "twilio/sms"), ("sendgrid", "sendgrid/events")):
        world.post("/_webhooks", {"provider": provider, "url": f"{url}/webhooks/{path}"})
    yield url
    for provider in ("twilio", "sendgrid"):
        world.post("/_webhooks", {"provider": provider, "url": None})
    server.should_exit = True
    thread.join(20)


def eventually(world: World, query: str, expected: list[tuple[object, ...]]) -> None:
    deadline = time.monotonic() + 20
    while rows(world.database, query) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rows(world.database, query) == expected


def text_us(world: World, person: str, body: str) -> None:
    number = world.settings.locations()[0].from_number
    world.post("/_people/text", {"from": person, "to": number, "body": body})


REVOKED = "select channel from ops.consent_logs where action = 'revoked' order by channel"
OPEN = "select count(*) from ops.webhook_events where handled_at is null and handling_error is null"


def test_stop_cancels_what_waits_under_another_record_of_the_person(
    world: World, service: str
) -> None:
    loc = world.locations[0]
    leads = [Lead("c", loc, phone=phone(981), email=None), Lead("d", loc, phone=phone(982))]
    add_leads(world.database, leads)
    batch = approved(world)
    world.fault(provider="ghl", kind="status", value=503, rate=1)
    with pytest.raises(PreflightError):
        dispatch(world, batch)  # queued now, and not sent
    world.no_faults()
    waiting = "select lead_id from ops.sends where channel = 'sms' and status = 'intent' order by 1"
    assert rows(world.database, waiting) == [(lead.lead_id,) for lead in leads]
    with world.database.connect() as connection:
        connection.execute(
            "update intermediate.int_lead_identities set lead_id = %s where record_id = 'd'",
            (leads[0].lead_id,),
        )
        connection.execute("delete from marts.dim_leads where lead_id = %s", (leads[1].lead_id,))
    text_us(world, phone(981), "stop texting me")
    eventually(world, waiting, [])


def test_stop_ends_texts_to_the_person_and_the_number(world: World, service: str) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(971)), Lead("b", loc, phone=phone(972))])
    batch = approved(world)
    text_us(world, phone(971), "STOP")
    eventually(world, REVOKED, [("sms",)])
    eventually(world, "select address from ops.suppressions", [(phone(971),)])
    dispatch(world, batch)
    assert [(entry["channel"], entry["to"]) for entry in world.ledger()] != []
    assert phone(971) not in {entry["to"] for entry in world.ledger()}
    [(words,)] = rows(
        world.database, "select consent_text from ops.consent_logs where action = 'revoked'"
    )
    assert words == "STOP"


def test_a_plain_request_ends_every_channel(world: World, service: str) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(971))])
    text_us(world, phone(971), "Please leave me alone, I bought elsewhere")
    eventually(world, REVOKED, [("call",), ("email",), ("sms",)])


def test_a_reply_ends_what_is_queued_and_no_consent(world: World, service: str) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(971), email=None)])
    batch = approved(world)
    world.clock.advance(timedelta(hours=14))
    dispatch(world, batch)
    assert rows(world.database, "select status from ops.sends") == [("intent",)]
    text_us(world, phone(971), "Could we stop by on Sunday?")
    eventually(world, "select status, status_reason from ops.sends", [("cancelled", "replied")])
    assert rows(world.database, REVOKED) == []


def test_receipts_come_home(world: World, service: str) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"p{n}", loc, phone=phone(n)) for n in range(1, 9)])
    dispatch(world, approved(world))
    world.post("/_clock", {"advance_seconds": 2 * DAY})
    eventually(world, "select count(*) from ops.sends where status = 'sent'", [(0,)])
    settled = dict(rows(world.database, "select status, count(*) from ops.sends group by status"))
    assert settled.get("delivered", 0) > 0
    eventually(world, OPEN, [(0,)])
    assert (
        rows(
            world.database, "select handling_error from ops.webhook_events where handled_at is null"
        )
        == []
    )


def test_a_webhook_that_comes_twice_counts_once(world: World, service: str) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(971))])
    world.fault(provider="twilio", kind="duplicate_webhook", rate=1)
    text_us(world, phone(971), "Unsubscribe")
    eventually(world, REVOKED, [("sms",)])
    time.sleep(0.5)
    assert rows(world.database, "select count(*) from ops.webhook_events") == [(1,)]
    assert rows(world.database, REVOKED) == [("sms",)]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("twilio/sms", {"X-Twilio-Signature": "c2lnbmVk"}, b"MessageSid=SM1&Body=STOP"),
        ("twilio/status", {}, b"MessageSid=SM1&MessageStatus=delivered"),
        (
            "sendgrid/events",
            {
                "X-Twilio-Email-Event-Webhook-Signature": "c2lnbmVk",
                "X-Twilio-Email-Event-Webhook-Timestamp": "1790000000",
            },
            b"[]",
        ),
    ],
)
def test_what_is_not_signed_is_refused_and_not_kept(
    world: World, service: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = httpx.post(f"{service}/webhooks/{path}", headers=headers, content=body)
    assert answer.status_code == 403
    assert rows(world.database, "select count(*) from ops.webhook_events") == [(0,)]


def test_a_body_without_end_is_refused(service: str) -> None:
    answer = httpx.post(f"{service}/webhooks/sendgrid/events", content=b" " * 6_000_000)
    assert answer.status_code == 413


def test_what_cannot_be_handled_keeps_its_reason_and_holds_nobody_up(world: World) -> None:
    stranger = {"MessageSid": "SM1", "From": phone(971), "To": "+19995550100", "Body": "STOP"}
    ours = {"MessageSid": "SM2", "MessageStatus": "delivered", "send_id": "not-an-id"}
    fine = {"MessageSid": "SM3", "MessageStatus": "delivered"}
    store_events(
        world.database,
        [
            InboundEvent("twilio", "1", "message.received", stranger),
            InboundEvent("twilio", "2", "message.status", ours),
            InboundEvent("twilio", "3", "message.status", fine),
        ],
    )
    assert handle_events(world.database, world.settings, world.clock) == 1
    errors = rows(
        world.database,
        "select event_id, handling_error from ops.webhook_events"
        " where handled_at is null order by event_id",
    )
    assert [event for event, _ in errors] == ["1", "2"]
    assert errors[0][1] == "no location has the number that was texted"
    assert phone(971) not in str(errors)


@pytest.mark.parametrize(
    ("event", "revoked", "suppressed"),
    [
        ({"event": "bounce", "type": "bounce"}, [], [("email", "bounced")]),
        ({"event": "bounce", "type": "blocked"}, [], []),
        ({"event": "spamreport"}, [("email",)], [("email", "opted_out")]),
        ({"event": "unsubscribe"}, [("email",)], [("email", "opted_out")]),
        ({"event": "open"}, [], []),
    ],
)
def test_words_of_the_mail_provider(
    world: World,
    event: dict[str, str],
    revoked: list[tuple[str]],
    suppressed: list[tuple[str, str]],
) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], email="ann@example.com")])
    payload = event | {"email": "Ann@example.com", "sg_message_id": "m.1"}
    store_events(world.database, [InboundEvent("sendgrid", "1", event["event"], payload)])
    assert handle_events(world.database, world.settings, world.clock) == 1
    assert rows(world.database, REVOKED) == revoked
    assert rows(world.database, "select channel, reason from ops.suppressions") == suppressed


@pytest.mark.parametrize(
    ("body", "scope"),
    [
        ("stop", "channel"), ("  Stop. ", "channel"), ("QUIT", "channel"), ("End", "channel"),
        ("revoke", "channel"), ("OPT OUT", "channel"), ("optout please", "channel"),
        ("Cancel", "channel"), ("UNSUBSCRIBE!", "channel"), ("stopall", "channel"),
        ("please stop texting me", "channel"), ("don't text me anymore", "channel"),
        ("Take me off your list", "all"), ("do not contact me", "all"), ("remove me", "all"),
        ("Can we stop by at 5?", None), ("the weekend works", None), ("I can't stop smiling", None),
        ("my dog won't stop calling for food", None), ("cancel our 3pm, 4pm is better", None),
    ],
)  # fmt: skip
def test_opt_out_words(world: World, body: str, scope: str | None) -> None:
    with world.database.connect() as connection:
        assert connection.execute("select ops.opt_out_scope(%s)", (body,)).fetchone() == (scope,)


def test_no_ordinary_text_is_taken_for_an_opt_out(world: World) -> None:
    with shared("data/sms-messages/sms.csv").open(encoding="utf-8", newline="") as file:
        ham = [(row["text"],) for row in csv.DictReader(file) if row["label"] == "ham"]
    assert len(ham) > 2_000
    with world.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create temp table ham (body text)")
        cursor.executemany("insert into ham values (%s)", ham)
        flagged = cursor.execute(
            "select body from ham where ops.opt_out_scope(body) is not null"
        ).fetchall()
    assert flagged == []
