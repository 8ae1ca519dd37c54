"""What comes back: signed webhooks of the sandbox, posted to a running service."""

import csv
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import uvicorn
from twilio.request_validator import RequestValidator

from activation.auto_reply import NO_ANSWER, answer
from activation.inbound import InboundEvent, handle_events, sendgrid_events, store_events
from activation.preflight import PreflightError
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from service.app import create_app
from tests.activation.batches import approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_consent, add_leads, phone, rows
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


CARRIER_WORDS = [
    "STOP", "stop", "  Stop. ", "STOPALL", "stop all", "UNSUBSCRIBE!", "Cancel", "END", "Quit",
    "REVOKE", "OPT OUT", "OPTOUT", "opt-out",
]  # fmt: skip
CHANNEL_WORDS = (
    "stop stop|please stop|Stop it|S.T.O.P|Reply STOP|optout please|STOP!!!|unsubcribe"
    "|please unsubscribe me|please stop texting me|stop messaging me|quit texting me"
    "|stop sending me these texts|no more texts|don't text me anymore|Don\u2019t text me again"
    "|do not text this number again|never text me again|I'd like to opt out|opt me out"
    "|I no longer wish to receive messages|I don't want any more texts|Wrong number"
    "|you have the wrong number|stop spamming me|stop with the texts|stop calling"
)
ALL_WORDS = (
    "Take me off your list|do not contact me|remove me|please remove my number|delete my number"
    "|lose my number|leave me alone|stop contacting me|quit bothering me|I withdraw my consent"
    "|I revoke consent|i don't want to hear from you|Wrong number, remove me"
)
NO_WORDS = (
    "Can we stop by at 5?|the weekend works|I can't stop smiling"
    "|my dog won't stop calling for food|cancel our 3pm, 4pm is better"
    "|don't call before noon, text me"
    "|Can you not send the listing by email but text|don't text me the address, email it"
    "|he told me to stop calling agents|Is there a bus stop nearby?|end unit please|never mind"
    "|We'll be remodeling, don't contact the HOA yet|I don't want this one, anything else?"
    "|Yes|START"
)


def test_opt_out_words(world: World) -> None:
    told: list[tuple[str, str | None]] = [(word, "channel") for word in CARRIER_WORDS]
    for words, scope in ((CHANNEL_WORDS, "channel"), (ALL_WORDS, "all"), (NO_WORDS, None)):
        told += [(text, scope) for text in words.split("|")]
    with world.database.connect() as connection:
        heard = [
            (text, connection.execute("select ops.opt_out_scope(%s)", (text,)).fetchone())
            for text, _ in told
        ]
    assert heard == [(text, (scope,)) for text, scope in told]


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


REPLIES = "select kind, address from ops.auto_replies order by at"


def hear(world: World, number: int, body: str, **extra: str) -> str:
    """A text comes in, is answered and handled; the answer's TwiML."""
    form = {
        "MessageSid": f"SM{number}",
        "From": phone(961),
        "To": world.settings.locations()[0].from_number or "",
        "Body": body,
        **extra,
    }
    event = InboundEvent("twilio", f"SM{number}:received", "message.received", form)
    assert store_events(world.database, [event]) == 1
    twiml = answer(world.database, world.settings, event, world.clock.now())
    assert handle_events(world.database, world.settings, world.clock) == 1
    return twiml


def newest(world: World) -> list[tuple[object, ...]]:
    query = "select action from ops.consent_logs where channel = 'sms' order by consent_log_id desc"
    return rows(world.database, f"{query} limit 1")


def test_an_opt_out_is_confirmed_once_until_the_person_comes_back(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(961))])
    first = hear(world, 1, "please stop texting me")
    assert "no more texts from us" in first
    assert "Reply START" in first
    assert hear(world, 2, "I said stop texting me!") == NO_ANSWER
    assert newest(world) == [("revoked",)]
    assert rows(world.database, "select address from ops.suppressions") == [(phone(961),)]
    assert hear(world, 3, "START") == NO_ANSWER
    assert newest(world) == [("granted",)]
    assert rows(world.database, "select address from ops.suppressions") == []
    assert "no more texts" in hear(world, 4, "Stop texting me now")
    assert rows(world.database, REPLIES) == [("confirmation", phone(961))] * 2


def test_what_twilio_answers_itself_we_leave_to_it(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(961))])
    assert hear(world, 1, "STOP") == NO_ANSWER
    assert hear(world, 2, "HELP") == NO_ANSWER
    assert hear(world, 3, "lass mich", OptOutType="STOP") == NO_ANSWER
    assert newest(world) == [("revoked",)]
    world.settings = world.settings.model_copy(update={"twilio_answers_stop": False})
    assert "no more texts" in hear(world, 4, "STOP")
    assert "Reply STOP to opt out" in hear(world, 5, "help")


def test_start_gives_back_only_what_a_text_took(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(961), sms=None)])
    hear(world, 1, "START")
    assert rows(world.database, "select count(*) from ops.consent_logs where channel = 'sms'") == [
        (0,)
    ]
    with world.database.connect() as connection:
        for action, days in (("granted", 90), ("revoked", 30)):
            at = world.clock.now() - timedelta(days=days)
            add_consent(connection, f"{loc}:a", "sms", action, at)
    hear(world, 2, "START")  # the withdrawal came from a form
    assert newest(world) == [("revoked",)]


def test_a_request_for_help_is_no_reply(world: World, service: str) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(961))])
    batch = approved(world)
    hear(world, 1, "HELP")
    dispatch(world, batch)
    assert [entry["to"] for entry in world.ledger()] == [phone(961)]


def test_a_word_against_outlives_its_record(world: World) -> None:
    """The contact is deleted and imported again under another id, with a consent: still no text."""
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(961))])
    hear(world, 1, "leave me alone")
    with world.database.connect() as connection:
        for table in ("marts.dim_leads", "marts.lead_priorities"):
            connection.execute(f"delete from {table}".encode())
        connection.execute("delete from intermediate.int_lead_identities")
    world.clock.advance(timedelta(days=1))
    again = Lead("b", loc, phone=phone(961), email="a@example.com")
    add_leads(world.database, [again], world.clock.now())
    assert plan(world).reasons == {"suppress:suppressed_address": 1}


def test_an_opt_out_does_not_wait_behind_receipts(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(961))])
    receipts = [
        InboundEvent("twilio", f"SM9{n}:sent", "message.status",
                     {"MessageSid": f"SM9{n}", "MessageStatus": "sent"})
        for n in range(300)
    ]  # fmt: skip
    store_events(world.database, receipts)
    form = {
        "MessageSid": "SM1",
        "From": phone(961),
        "To": world.settings.locations()[0].from_number or "",
        "Body": "STOP",
    }
    store_events(world.database, [InboundEvent("twilio", "SM1:received", "message.received", form)])
    handle_events(world.database, world.settings, world.clock)
    [(earlier,)] = rows(
        world.database,
        "select count(*) from ops.webhook_events where event_type = 'message.status'"
        " and handled_at < (select handled_at from ops.webhook_events"
        " where event_id = 'SM1:received')",
    )
    assert earlier == 0


def test_a_call_is_kept_and_only_if_it_is_signed(world: World, service: str) -> None:
    token = world.settings.twilio_auth_token
    assert token is not None
    url, form = f"{service}/webhooks/twilio/voice", {"CallSid": "CA1", "CallStatus": "completed"}
    signature = RequestValidator(token.get_secret_value()).compute_signature(url, form)
    for given, status in ((signature, 200), ("forged", 403)):
        answered = httpx.post(
            url, data=form, headers={"X-Twilio-Signature": given}, trust_env=False
        )
        assert answered.status_code == status
    eventually(world, OPEN, [(0,)])
    kept = "select event_id, event_type, handling_error from ops.webhook_events"
    assert rows(world.database, kept) == [("CA1:completed", "call.status", None)]


def test_a_stray_byte_loses_no_opt_out(world: World, service: str) -> None:
    """PostgreSQL holds no NUL; Twilio does not ask twice whether we took a text."""
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(971))])
    token = world.settings.twilio_auth_token
    assert token is not None
    url = f"{service}/webhooks/twilio/sms"
    form = {
        "MessageSid": "SM1",
        "From": phone(971),
        "To": world.settings.locations()[0].from_number or "",
        "Body": "stop\x00",
    }
    signature = RequestValidator(token.get_secret_value()).compute_signature(url, form)
    answered = httpx.post(
        url, data=form, headers={"X-Twilio-Signature": signature}, trust_env=False
    )
    assert answered.status_code == 200
    eventually(world, REVOKED, [("sms",)])


def test_events_of_mail_are_kept_with_what_postgres_cannot_hold(world: World) -> None:
    event = {
        "sg_event_id": "1\x00",
        "event": "open",
        "useragent": "\x00 \ud800",
        "odd": float("nan"),
    }
    assert store_events(world.database, sendgrid_events([event])) == 1
    kept = "select event_id, payload ->> 'useragent', payload ->> 'odd' from ops.webhook_events"
    assert rows(world.database, kept) == [("1", " ?", "nan")]
