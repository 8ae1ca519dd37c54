"""Dispatch: each message once, only where allowed, and the books agree with the providers'."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from activation.approve import BatchError, cancel_batch
from activation.consent import opt_out
from activation.dispatch import DispatchHalted, dispatch_due
from activation.policy import DispatchPolicy
from activation.preflight import PreflightError
from activation.settle import LookupMemory, resolve_send, settle, unsettled_by_hand
from activation.unsubscribe import make_token, secret_key, unsubscribe
from activation.worker import run_worker
from leadengine.settings import Settings
from providers.factory import build_clients
from providers.limits import LocalRateLimiter
from tests.activation.batches import approved, dispatch, plan, plan_and_send
from tests.activation.conftest import FAST, IMPATIENT, LIMITS, World
from tests.activation.marts import NOON_EAST, Lead, add_consent, add_leads, phone, rows

_WRONG = SecretStr("wrong")  # pragma: allowlist secret


def people(world: World, count: int, start: int = 1) -> None:
    """Half can be reached by text, half by email, in both locations."""
    locations = world.locations
    add_leads(
        world.database,
        [
            Lead(
                f"p{n}",
                locations[n % 2],
                phone=phone(n) if n % 4 < 2 else None,
                email="default" if n % 4 >= 2 else None,
                score=1 - n / 1000,
            )
            for n in range(start, start + count)
        ],
    )


def assert_books_agree(world: World, expected: int) -> None:
    """One line in the providers' ledger for each message sent, and the other way round."""
    ledger = {entry["tag"]: entry for entry in world.ledger()}
    assert len(world.ledger()) == len(ledger), "somebody got a message twice"
    sent = rows(
        world.database,
        "select send_id::text, provider_message_id, to_address, from_address, body, channel"
        " from ops.sends where status in ('sent', 'delivered')",
    )
    assert {row[0] for row in sent} == set(ledger)
    assert len(sent) == expected
    for send_id, message_id, to, sender, body, channel in sent:
        entry = ledger[send_id]
        assert entry["id"] == message_id
        assert (entry["to"], entry["from"], entry["channel"]) == (to, sender, channel)
        assert entry["body"] == body


def test_every_planned_message_arrives_once_and_the_books_agree(world: World) -> None:
    people(world, 24)
    report = plan_and_send(world)
    assert report.status == "done"
    assert report.sent == {"sms": 12, "email": 12}
    assert report.left == {}
    assert_books_agree(world, 24)
    stored = rows(
        world.database,
        "select bool_and(consent_log_id is not null), bool_and(consent_hash is not null),"
        " bool_and(rule_version is not null), bool_and(model_version = '7'), max(attempts)"
        " from ops.sends",
    )
    assert stored == [(True, True, True, True, 1)]


def test_emails_carry_the_one_click_header_and_a_link_of_their_own(world: World) -> None:
    add_leads(world.database, [Lead("m1", world.locations[0]), Lead("m2", world.locations[1])])
    plan_and_send(world)
    links = {word for entry in world.ledger() for word in entry["body"].split() if "/unsub" in word}
    assert len(links) == 2


def test_dispatching_again_sends_nothing(world: World) -> None:
    people(world, 8)
    batch = approved(world)
    dispatch(world, batch)
    with pytest.raises(Exception, match="done"):
        dispatch(world, batch)
    assert plan(world).counts == {"send": 0, "holdout": 0, "suppress": 8}
    assert_books_agree(world, 8)


def test_two_batches_planned_alike_send_each_lead_one_message(world: World) -> None:
    people(world, 10)
    first, second = approved(world), approved(world)
    dispatch(world, first)
    report = dispatch(world, second)
    assert report.queued == 0
    assert report.already_queued == 10
    assert_books_agree(world, 10)


def test_consent_withdrawn_after_approval_stops_the_message(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [Lead(f"p{n}", loc, phone=phone(n), email=None) for n in range(1, 7)],
    )
    batch = approved(world)
    with world.database.connect() as connection:
        add_consent(connection, f"{loc}:p1", "sms", "revoked", NOON_EAST - timedelta(minutes=1))
        connection.execute(
            "insert into ops.suppressions values (%s, 'sms', %s, 'x', 'test', now())",
            (loc, phone(2)),
        )
        connection.execute("update marts.dim_leads set is_dnd_sms = true where contact_id = 'p3'")
        connection.execute("update marts.dim_leads set is_open = false where contact_id = 'p4'")
        connection.execute("delete from marts.dim_leads where contact_id = 'p5'")
    report = dispatch(world, batch)
    assert report.cancelled == {
        "opted_out": 1, "suppressed_address": 1, "dnd": 1, "lead_closed": 2,
    }  # fmt: skip
    assert [entry["to"] for entry in world.ledger()] == [phone(6)]


def test_who_has_turned_out_to_be_another_lead_since_the_plan_is_left_to_that_one(
    world: World,
) -> None:
    people(world, 4)
    batch_id = approved(world)
    loc = world.locations[1]
    with world.database.connect() as connection:
        connection.execute(
            "update intermediate.int_lead_identities set lead_id = %s where record_id = 'p3'",
            (f"{loc}:p1",),
        )
        connection.execute("delete from marts.dim_leads where lead_id = %s", (f"{loc}:p3",))
    dispatch(world, batch_id)
    assert rows(
        world.database,
        "select lead_id, status_reason from ops.sends where status = 'cancelled'",
    ) == [(f"{loc}:p3", "duplicate_person")]
    assert_books_agree(world, 3)


def test_do_not_disturb_set_in_the_crm_since_the_load_stops_the_message(world: World) -> None:
    contacts = [c for c in world.get("/_truth/contacts") if not c["dnd"] and not c["dnd_channels"]]
    muted, other, refuser = contacts[:3]
    add_leads(
        world.database,
        [
            Lead(c["id"], c["location_id"], phone=phone(n), email=None)
            for n, c in enumerate((muted, other, refuser))
        ],
    )
    batch = approved(world)
    client = world.clients.ghl[muted["location_id"]]
    client.upsert_contact(
        email=muted["email"], phone=muted["phone"],
        dndSettings={"SMS": {"status": "active", "message": "", "code": ""}},
    )  # fmt: skip
    denying = world.clients.ghl[refuser["location_id"]]
    [field] = [
        f["id"] for f in denying.list_custom_fields() if f["fieldKey"] == "contact.sms_consent"
    ]
    denying.update_contact(refuser["id"], {field: "no"})
    report = dispatch(world, batch)
    assert report.cancelled == {"dnd": 1, "opted_out": 1}
    assert [entry["to"] for entry in world.ledger()] == [phone(1)]
    [(source,)] = rows(
        world.database,
        "select source from ops.consent_logs where action = 'revoked' and contact_id = %s",
        refuser["id"],
    )
    assert source == "ghl"


def test_nothing_is_sent_when_the_crm_cannot_be_asked(world: World) -> None:
    people(world, 4)
    batch = approved(world)
    world.fault(provider="ghl", kind="status", value=503, rate=1)
    with pytest.raises(PreflightError, match="cannot be asked"):
        dispatch(world, batch)
    assert world.ledger() == []
    world.no_faults()
    assert sum(dispatch(world, batch).sent.values()) == 4
    assert_books_agree(world, 4)


def test_answers_that_get_lost_are_looked_up_and_not_repeated(world: World) -> None:
    people(world, 24)
    world.fault(provider="twilio", kind="drop_response", rate=0.4, method="POST")
    world.fault(provider="sendgrid", kind="drop_response", rate=0.4, method="POST")
    report = plan_and_send(world)
    assert report.settled.found > 5
    assert report.left == {}
    assert_books_agree(world, 24)


def test_a_failure_before_the_work_was_done_is_repeated_in_the_end(world: World) -> None:
    people(world, 40)
    world.fault(provider="twilio", kind="status", value=500, rate=0.5, method="POST")
    report = plan_and_send(world)
    assert report.settled.returned > 0
    assert report.status == "done"
    assert_books_agree(world, 40)


def test_absence_is_not_believed_before_its_time(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1), email=None)])
    policy = DispatchPolicy(wait=timedelta(0), twilio_grace=timedelta(minutes=3))
    world.fault(provider="twilio", kind="status", value=500, rate=1, method="POST")
    report = dispatch(world, approved(world), policy)
    world.no_faults()
    assert report.left == {"unsettled": 1}

    def settled() -> tuple[int, int]:
        again = settle(world.database, world.clients, world.settings, world.clock, policy=policy)
        return again.waiting, again.returned

    world.clock.advance(timedelta(minutes=2))
    assert settled() == (1, 0)
    world.clock.advance(timedelta(minutes=2))
    assert settled() == (0, 1)
    assert world.ledger() == []


def test_too_many_requests_are_waited_out(world: World) -> None:
    people(world, 40)
    world.fault(provider="twilio", kind="status", value=429, rate=0.5)
    report = plan_and_send(world)
    assert report.retried > 0
    assert report.status == "done"
    assert_books_agree(world, 40)


def test_an_outage_gives_up_after_so_many_attempts_and_says_so(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1), email=None)])
    world.fault(provider="twilio", kind="status", value=429, rate=1)
    policy = DispatchPolicy(max_attempts=3, retry_base=timedelta(0), wait=timedelta(seconds=5))
    report = dispatch(world, approved(world), policy)
    assert (report.gave_up, report.retried) == (1, 2)
    [(status, reason)] = rows(world.database, "select status, status_reason from ops.sends")
    assert status == "failed"
    assert reason.startswith("gave_up")


def test_a_carrier_opt_out_is_remembered_for_person_and_address(world: World) -> None:
    loc = world.locations[0]
    number = world.settings.locations()[0].from_number
    add_leads(
        world.database,
        [Lead("a", loc, phone=phone(990)), Lead("b", loc, phone=phone(991), email=None)],
    )
    batch = approved(world)
    world.post("/_people/text", {"from": phone(990), "to": number, "body": "STOP"})
    report = dispatch(world, batch)
    assert report.rejected == {"21610": 1}
    assert rows(world.database, "select address, reason from ops.suppressions") == [
        (phone(990), "opted_out")
    ]
    assert rows(
        world.database, "select lead_id, channel from ops.consent_logs where action = 'revoked'"
    ) == [(f"{loc}:a", "sms")]
    assert [entry["to"] for entry in world.ledger()] == [phone(991)]


def test_a_refused_account_stops_everything_and_burns_nothing(
    world: World, settings: Settings
) -> None:
    people(world, 8)
    batch = approved(world)
    broken = world.settings.model_copy(update={"twilio_auth_token": _WRONG})
    with (
        build_clients(broken, LocalRateLimiter(), limits=LIMITS, policy=FAST) as clients,
        pytest.raises(DispatchHalted, match="twilio"),
    ):
        dispatch(World(world.database, broken, clients, world.clock, world.url), batch)
    states = dict(rows(world.database, "select status, count(*) from ops.sends group by 1"))
    assert "rejected" not in states
    assert states["intent"] >= 4
    assert rows(world.database, "select max(attempts) from ops.sends where channel = 'sms'") == [
        (0,)
    ]
    world.clock.advance(timedelta(minutes=1))
    dispatch(world, batch)
    assert_books_agree(world, 8)


def test_texts_for_the_morning_stay_queued_until_the_worker_finds_them_due(world: World) -> None:
    people(world, 8)
    world.clock.advance(timedelta(hours=12))  # six in the morning, UTC
    report = plan_and_send(world)
    assert report.sent == {"email": 4}
    assert report.left == {"intent": 4}
    assert report.status == "dispatching"
    assert report.next_due is not None
    assert report.next_due > world.clock.now()
    early = dispatch_due(
        world.database, world.clients, world.settings, world.clock, policy=IMPATIENT
    )
    assert early.sent == {}
    world.clock.advance(timedelta(hours=12))
    stop = threading.Event()
    thread = threading.Thread(
        target=run_worker,
        args=(world.database, world.clients, world.settings, world.clock),
        kwargs={"stop": stop, "policy": IMPATIENT, "every": 0.05},
    )
    thread.start()
    for _ in range(100):
        if rows(world.database, "select status from ops.batches") == [("done",)]:
            break
        stop.wait(0.1)
    stop.set()
    thread.join(20)
    assert_books_agree(world, 8)


def test_an_hour_that_closes_between_plan_and_sending_postpones(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1), email=None)])
    batch = approved(world)
    world.clock.advance(timedelta(hours=12))
    report = dispatch(world, batch, DispatchPolicy(wait=timedelta(0)))
    assert report.postponed == 1
    assert report.left == {"intent": 1}
    assert world.ledger() == []


def test_several_dispatchers_at_once_send_nothing_twice(world: World) -> None:
    people(world, 40)
    batch = approved(world)
    others = [build_clients(world.settings, LocalRateLimiter(), limits=LIMITS) for _ in range(3)]
    worlds = [World(world.database, world.settings, c, world.clock, world.url) for c in others]
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda one: dispatch(one, batch), worlds))
    for clients in others:
        clients.close()
    total = Counter[str]()
    for report in reports:
        total.update(report.sent)
    assert sum(total.values()) == 40
    assert sum(report.queued for report in reports) == 40
    assert_books_agree(world, 40)


def test_an_unsubscribe_cancels_what_is_queued(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc), Lead("b", loc)])
    batch = approved(world)
    world.fault(provider="ghl", kind="status", value=503, rate=1)
    with pytest.raises(PreflightError):
        dispatch(world, batch)  # queued now, and not sent
    world.no_faults()
    token = make_token(secret_key(world.settings), loc, f"{loc}:a")
    first = unsubscribe(world.database, world.settings, token, world.clock)
    second = unsubscribe(world.database, world.settings, token, world.clock)
    assert (first.was_new, first.cancelled) == (True, 1)
    assert (second.was_new, second.cancelled) == (False, 0)
    dispatch(world, batch)
    assert [entry["to"] for entry in world.ledger()] == ["b@example.com"]


def test_a_person_who_agrees_anew_may_get_the_step_that_was_cancelled(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(1), email=None)])
    batch = approved(world)
    with world.database.connect() as connection:
        opt_out(
            connection, location_id=loc, lead_id=f"{loc}:a", channel="sms", source="call",
            method="said so", evidence_key="call:1", at=world.clock.now(), actor="agent",
        )  # fmt: skip
    dispatch(world, batch)
    assert world.ledger() == []
    world.clock.advance(timedelta(minutes=5))
    with world.database.connect() as connection:
        add_consent(connection, f"{loc}:a", "sms", "granted", world.clock.now())
    assert plan_and_send(world).sent == {"sms": 1}
    assert_books_agree(world, 1)


def test_what_cannot_be_looked_up_waits_for_a_person(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0])])
    batch = approved(world)
    world.fault(provider="sendgrid", kind="drop_response", rate=1, method="POST")
    world.fault(provider="sendgrid", kind="status", value=403, rate=1, path="/v3/messages")
    report = dispatch(world, batch)
    assert report.settled.by_hand == 1
    assert report.left == {"unsettled": 1}
    world.no_faults()
    [waiting] = unsettled_by_hand(world.database)
    assert waiting["provider"] == "sendgrid"
    # Nobody asks about it again, unless told to.
    assert settle(world.database, world.clients, world.settings, world.clock).found == 0
    [(send_id,)] = rows(world.database, "select send_id from ops.sends")
    resolve_send(world.database, send_id, was_sent=True, resolved_by="Mia", clock=world.clock)
    with pytest.raises(Exception, match="unsettled"):
        resolve_send(world.database, send_id, was_sent=True, resolved_by="M", clock=world.clock)
    assert rows(world.database, "select status, status_reason from ops.sends") == [
        ("sent", "resolved_by_hand")
    ]
    assert len(world.ledger()) == 1


def test_what_could_not_be_looked_up_is_found_when_asked_again(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0])])
    batch = approved(world)
    world.fault(provider="sendgrid", kind="drop_response", rate=1, method="POST")
    world.fault(provider="sendgrid", kind="status", value=403, rate=1, path="/v3/messages")
    dispatch(world, batch)
    world.no_faults()
    report = settle(world.database, world.clients, world.settings, world.clock, ask_again=True)
    assert (report.found, report.by_hand) == (1, 0)
    assert_books_agree(world, 1)


def test_looks_at_one_message_are_spaced() -> None:
    memory = LookupMemory()
    one, other = uuid4(), uuid4()
    assert [memory.is_due(one), memory.is_due(one), memory.is_due(other)] == [True, False, True]
    memory.forget(one)
    assert memory.is_due(one)


def test_a_cancelled_batch_sends_nothing_more_and_frees_its_leads(world: World) -> None:
    people(world, 8)
    world.clock.advance(timedelta(hours=12))
    batch = approved(world)
    assert dispatch(world, batch).sent == {"email": 4}
    assert cancel_batch(world.database, batch, cancelled_by="Mia", clock=world.clock) == 4
    with pytest.raises(BatchError, match="cancelled"):
        cancel_batch(world.database, batch, cancelled_by="Mia", clock=world.clock)
    with pytest.raises(BatchError, match="cancelled"):
        dispatch(world, batch)
    world.clock.advance(timedelta(hours=12))
    assert len(world.ledger()) == 4
    assert plan_and_send(world).sent == {"sms": 4}
    assert_books_agree(world, 8)
