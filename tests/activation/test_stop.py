"""STOP while a batch goes out: what is queued or claimed for the person is gone within a second."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn
from twilio.request_validator import RequestValidator

from activation.inbound import InboundEvent, handle_events, store_events
from service.app import create_app
from tests.activation.batches import approved, dispatch
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_leads, phone, rows

PEOPLE = 90
STOPPERS = range(0, PEOPLE, 3)
LATENCY = 0.25
WITHIN = 1.0


@pytest.fixture
def service(world: World) -> Iterator[str]:
    """A running service; its address."""
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
    yield url
    server.should_exit = True
    thread.join(20)


def stop(world: World, url: str, number: int) -> None:
    """A signed STOP from one of the people."""
    token = world.settings.twilio_auth_token
    assert token is not None
    form = {
        "MessageSid": f"SM{number}",
        "From": phone(number),
        "To": world.settings.locations()[0].from_number or "",
        "Body": "leave me alone",
    }
    target = f"{url}/webhooks/twilio/sms"
    signature = RequestValidator(token.get_secret_value()).compute_signature(target, form)
    answer = httpx.post(
        target, data=form, headers={"X-Twilio-Signature": signature}, trust_env=False, timeout=30
    )
    assert answer.status_code == 200


@pytest.mark.slow
def test_stop_while_the_batch_goes_out(world: World, service: str) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [Lead(f"s{n}", loc, phone=phone(n), score=1 - n / 1000) for n in range(PEOPLE)],
    )
    batch = approved(world)
    world.fault(provider="twilio", kind="latency", rate=1, value=LATENCY * 1000)
    with ThreadPoolExecutor(9) as pool:
        going = pool.submit(dispatch, world, batch)
        sent = "select count(*) from ops.sends where status = 'sent'"
        while rows(world.database, sent) < [(8,)]:
            assert not going.done()
            time.sleep(0.02)
        list(pool.map(lambda number: stop(world, service, number), STOPPERS))
        going.result(120)
    stoppers = [f"{loc}:s{number}" for number in STOPPERS]
    fates = rows(
        world.database,
        "select status, sent_at, contact_id from ops.sends where lead_id = any(%s)",
        stoppers,
    )
    assert len(fates) == len(stoppers)
    # Whoever was not reached in time is not reached at all; nothing is left open. Some numbers of
    # the sandbox are dead: a text to them was sent and failed.
    assert {status for status, _, _ in fates} <= {"cancelled", "sent", "delivered", "failed"}
    cancelled = [fate for fate in fates if fate[0] == "cancelled"]
    assert len(cancelled) > len(stoppers) / 3
    heard = "from ops.webhook_events where event_type = 'message.received'"
    assert rows(world.database, f"select count(*) {heard}") == [(len(stoppers),)]
    came = dict(rows(world.database, f"select payload ->> 'From', received_at {heard}"))
    ahead = world.clock.now() - datetime.now(UTC)  # the world's clock, before the database's
    for status, sent_at, contact in fates:
        if status != "cancelled":
            late = sent_at - ahead - came[phone(int(contact[1:]))]
            assert late.total_seconds() <= WITHIN + LATENCY, (contact, late)
    took = rows(
        world.database, f"select max(extract(epoch from handled_at - received_at))::float {heard}"
    )
    assert took[0][0] < WITHIN * 3, took  # thirty at once, on a busy machine
    reached = {entry["to"] for entry in world.ledger()}
    assert not reached & {phone(int(contact[1:])) for _, _, contact in cancelled}
    assert rows(world.database, "select count(*) from ops.sends where status = 'claimed'") == [(0,)]


def test_one_word_empties_every_queue_of_the_person_at_once(world: World) -> None:
    """A person with two records and ten thousand others in the queue: both channels, within 1 s."""
    loc = world.locations[0]
    add_leads(
        world.database,
        [Lead("a", loc, phone=phone(971)), Lead("b", loc, email="b@example.com", score=0.5)],
    )
    batch = approved(world, channels=["sms", "email"])
    with world.database.connect() as connection:
        connection.execute("update ops.batches set status = 'dispatching'")
        connection.execute(
            "update intermediate.int_lead_identities set lead_id = %s where record_id = 'b'",
            (f"{loc}:a",),
        )
        insert = (
            "insert into ops.sends (send_id, batch_id, lead_id, location_id, contact_id, channel,"
            " to_address, from_address, body, body_digest, template_id, template_version,"
            " sequence, step, idempotency_key, status, not_before, created_at)"
            " select gen_random_uuid(), %(batch)s, %(loc)s || ':' || who, %(loc)s, who, channel,"
            " address, 'x', 'body', 'd', 't', '1', 's', 1, who || channel, 'intent', now(), now()"
            " from (select 'a' as who, 'sms' as channel, %(phone)s as address"
            " union all select 'b', 'email', 'b@example.com'"
            " union all select 'o' || n, 'sms', '+1303555' || lpad(n::text, 4, '0')"
            " from generate_series(1, 9999) as n) as people"
        )
        connection.execute(insert, {"batch": batch, "loc": loc, "phone": phone(971)})
    form = {
        "MessageSid": "SM1",
        "From": phone(971),
        "To": world.settings.locations()[0].from_number or "",
        "Body": "Please leave me alone",
    }
    began = time.monotonic()
    store_events(world.database, [InboundEvent("twilio", "SM1:received", "message.received", form)])
    handle_events(world.database, world.settings, world.clock)
    assert time.monotonic() - began < WITHIN
    assert rows(
        world.database,
        "select contact_id, channel, status_reason from ops.sends where status = 'cancelled'"
        " order by contact_id",
    ) == [("a", "sms", "opted_out"), ("b", "email", "opted_out")]
    assert rows(world.database, "select count(*) from ops.sends where status = 'intent'") == [
        (9_999,)
    ]
