"""Leads on their way through a sequence: from an approved batch to the last step, once each."""

import dataclasses
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from activation import plan as planning
from activation.approve import approve_batch, cancel_batch
from activation.consent import opt_out
from activation.dispatch import dispatch_due
from activation.enrollments import JourneyReport, advance_due, stop_batch
from activation.plan import plan_batch
from activation.policy import DispatchPolicy
from activation.sequence import SEQUENCES_DIR, load_sequence
from activation.templating import TEMPLATES_DIR, TemplateLibrary
from activation.worker import run_worker
from tests.activation.batches import REQUEST, dispatch
from tests.activation.conftest import IMPATIENT, World
from tests.activation.marts import Lead, add_leads, phone, rows

THREE = """
name: Three steps
description: Text, then email or text, then text.
stop_on: [reply, opt_out, appointment, won]
steps:
  - step: 1
    templates: {sms: quick_call.sms, email: quick_call.email}
    wait: 2 days
    branches:
      - when: click
        go_to: 3
      - when: {tier: [cold]}
        go_to: end
  - step: 2
    templates: {email: still_looking.email, sms: still_looking.sms}
    wait: 3 days
  - step: 3
    templates: {sms: dormant_check_in.sms, email: dormant_check_in.email}
"""


@pytest.fixture(autouse=True)
def three_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sequence ``three`` stands beside those that ship."""
    (tmp_path / "three.yaml").write_text(THREE)
    monkeypatch.setattr(planning, "load_sequence", lambda name: load_sequence(name, tmp_path))


def started(world: World, *leads: Lead, **changes: Any) -> UUID:
    """A batch of those leads, whose first messages have gone out."""
    add_leads(world.database, list(leads), now=world.clock.now())
    request = dataclasses.replace(REQUEST, sequence="three", **changes)
    planned = plan_batch(world.database, world.settings, request, world.clock)
    approve_batch(
        world.database, planned.batch_id, digest=planned.digest, approved_by="Bo Broker",
        clock=world.clock,
    )  # fmt: skip
    dispatch(world, planned.batch_id)
    return planned.batch_id


def turn(world: World, days: float = 0, policy: DispatchPolicy = IMPATIENT) -> JourneyReport:
    """Time passes, and the worker makes a round."""
    world.clock.advance(timedelta(days=days))
    report = advance_due(world.database, world.settings, world.clock)
    dispatch_due(world.database, world.clients, world.settings, world.clock, policy=policy)
    # What was sent is noticed a minute later.
    world.clock.advance(timedelta(minutes=2))
    noticed = advance_due(world.database, world.settings, world.clock)
    report.ended.update(noticed.ended)
    return report


def sent(world: World) -> list[tuple[Any, ...]]:
    return rows(
        world.database,
        "select contact_id, step, channel from ops.sends where status in ('sent', 'delivered')"
        " order by contact_id, step",
    )


def standing(world: World) -> list[tuple[Any, ...]]:
    return rows(
        world.database,
        "select contact_id, status, step, ended_by from ops.enrollments order by contact_id",
    )


def notes(world: World, kind: str) -> list[Any]:
    return [
        row[0]
        for row in rows(
            world.database,
            "select detail from ops.enrollment_events where kind = %s order by enrollment_event_id",
            kind,
        )
    ]


def test_a_lead_goes_from_step_to_step_each_once_with_its_proof(world: World) -> None:
    loc = world.locations[0]
    batch = started(
        world, Lead("a", loc, phone=phone(1)), Lead("b", loc, phone=phone(2), email=None)
    )
    assert turn(world).enrolled == 2
    assert turn(world, 1).queued == {}
    assert turn(world, 1).queued == {2: 2}
    assert turn(world, 3).queued == {3: 2}
    assert turn(world, 30).queued == {}
    assert sent(world) == [
        ("a", 1, "sms"), ("a", 2, "email"), ("a", 3, "sms"),
        ("b", 1, "sms"), ("b", 2, "sms"), ("b", 3, "sms"),
    ]  # fmt: skip
    assert standing(world) == [
        ("a", "completed", 3, "last_step"),
        ("b", "completed", 3, "last_step"),
    ]
    assert len(world.ledger()) == 6
    proof = rows(
        world.database,
        "select bool_and(consent_log_id is not null), bool_and(consent_hash is not null),"
        " bool_and(model_version = '7'), bool_and(batch_id = %s),"
        " bool_and(idempotency_key = lead_id || ':three:' || step),"
        " bool_and(body_digest = encode(sha256(convert_to("
        " coalesce(subject, '') || E'\\n' || body, 'UTF8')), 'hex')) from ops.sends",
        batch,
    )
    assert proof == [(True, True, True, True, True, True)]
    kinds = rows(
        world.database,
        "select kind from ops.enrollment_events inner join ops.enrollments using (enrollment_id)"
        " where contact_id = 'a' order by enrollment_event_id",
    )
    assert [kind for (kind,) in kinds] == [
        "enrolled", "sent", "queued", "sent", "queued", "sent", "completed",
    ]  # fmt: skip


def test_what_comes_in_between_stops_or_turns_the_way_with_evidence(world: World) -> None:
    loc = world.locations[0]
    names = ["booked", "clicked", "cold", "left", "quiet", "replied", "texted", "won"]
    batch = started(
        world, *(Lead(name, loc, phone=phone(n)) for n, name in enumerate(names, start=1))
    )
    turn(world)
    now = world.clock.now() + timedelta(hours=1)
    world.clock.advance(timedelta(hours=2))
    with world.database.connect() as connection:
        connection.execute(
            "insert into marts.fct_appointments (appointment_id, lead_id, location_id, status,"
            " starts_at, booked_at, known_at) values ('a1', %s, %s, 'booked', %s, %s, %s)",
            (f"{loc}:booked", loc, now + timedelta(days=9), now, now),
        )
        connection.execute(
            "insert into marts.fct_communications values ('r1', %s, %s, 'sms', 'inbound', %s, %s)",
            (f"{loc}:replied", loc, now, now),
        )
        connection.execute(
            "insert into marts.fct_opportunities (opportunity_id, lead_id, location_id, status,"
            " closed_at, known_at) values ('o1', %s, %s, 'won', %s, %s)",
            (f"{loc}:won", loc, now, now),
        )
        connection.execute(
            "update marts.lead_priorities set tier = 'cold' where lead_id = %s", (f"{loc}:cold",)
        )
        opt_out(
            connection, location_id=loc, lead_id=f"{loc}:left", channel="email", source="test",
            method="test", evidence_key="test:left", at=now, actor="test",
        )  # fmt: skip
        send = connection.execute(
            "select send_id from ops.sends where contact_id = 'clicked'"
        ).fetchone()
        assert send is not None
        for provider, event_id, kind, payload in (
            (
                "sendgrid",
                "c0",
                "click",
                {"send_id": str(send[0]), "url": "https://x/unsubscribe/y"},
            ),
            ("sendgrid", "c1", "click", {"send_id": str(send[0]), "url": "https://example.com"}),
            ("twilio", "SM1", "message.received", {"From": phone(7), "Body": "yes please"}),
        ):
            connection.execute(
                "insert into ops.webhook_events (provider, event_id, event_type, payload,"
                " received_at, handled_at) values (%s, %s, %s, %s, %s, %s)",
                (provider, event_id, kind, Jsonb(payload), now, now),
            )
    report = turn(world, 2)
    assert report.queued == {2: 1, 3: 1}
    assert standing(world) == [
        ("booked", "stopped", 1, "appointment"),
        ("clicked", "completed", 3, "last_step"),
        ("cold", "completed", 1, "end_of_sequence"),
        ("left", "stopped", 1, "opt_out"),
        ("quiet", "active", 2, None),
        ("replied", "stopped", 1, "reply"),
        ("texted", "stopped", 1, "reply"),
        ("won", "stopped", 1, "won"),
    ]
    assert {note["evidence"] for note in notes(world, "stopped")} == {
        "appointment:a1", "test:left", "r1", "twilio:SM1", "opportunity:o1",
    }  # fmt: skip
    branches = {note["go_to"]: note["evidence"][0] for note in notes(world, "branch")}
    assert branches[3]["evidence"] == "sendgrid:c1"
    assert branches["end"]["value"] == "cold"
    assert len(world.ledger()) == len(names) + 2
    assert {row[0] for row in rows(world.database, "select batch_id from ops.sends")} == {batch}


def test_a_template_that_changed_since_the_approval_voids_the_later_step(
    world: World, tmp_path: Path
) -> None:
    started(world, Lead("a", world.locations[0], phone=phone(1)))
    turn(world)
    changed = tmp_path / "changed"
    shutil.copytree(TEMPLATES_DIR, changed)
    path = changed / "still_looking.email.txt.j2"
    path.write_text(path.read_text() + "\nOne more thing.\n")
    world.clock.advance(timedelta(days=2))
    report = advance_due(
        world.database, world.settings, world.clock, library=TemplateLibrary(changed)
    )
    assert report.ended == {"template_changed": 1}
    assert len(sent(world)) == 1


def test_the_digest_that_is_approved_covers_the_later_steps(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1))])
    request = dataclasses.replace(REQUEST, sequence="three")

    def digest() -> str:
        return plan_batch(world.database, world.settings, request, world.clock).digest

    first = digest()
    assert digest() == first
    (tmp_path / "three.yaml").write_text(THREE.replace("3 days", "4 days"))
    assert digest() != first


def test_who_ends_a_batch_ends_its_later_steps(world: World) -> None:
    loc = world.locations[0]
    batch = started(world, Lead("a", loc, phone=phone(1)))
    turn(world)
    assert stop_batch(world.database, batch, stopped_by="Mia", clock=world.clock) == 1
    assert turn(world, 2).queued == {}
    assert standing(world) == [("a", "stopped", 1, "stopped_by_hand")]


def test_a_cancelled_batch_goes_no_further(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1), email=None)])
    request = dataclasses.replace(REQUEST, sequence="three")
    planned = plan_batch(world.database, world.settings, request, world.clock)
    approve_batch(
        world.database, planned.batch_id, digest=planned.digest, approved_by="Bo",
        clock=world.clock,
    )  # fmt: skip
    # Half past midnight in New York: the text waits for the morning.
    midnight = (world.clock.now() + timedelta(days=1)).replace(hour=4, minute=30)
    world.clock.advance(midnight - world.clock.now())
    dispatch(world, planned.batch_id)
    assert turn(world).enrolled == 1
    cancel_batch(world.database, planned.batch_id, cancelled_by="Mia", clock=world.clock)
    assert turn(world, 1).ended == {"batch_cancelled": 1}
    assert sent(world) == []


def test_the_worker_moves_enrollments_in_its_rounds(world: World) -> None:
    started(world, Lead("a", world.locations[0], phone=phone(1)))
    turn(world)
    world.clock.advance(timedelta(days=2))
    stop = threading.Event()
    worker = threading.Thread(
        target=run_worker,
        args=(world.database, world.clients, world.settings, world.clock),
        kwargs={"stop": stop, "policy": IMPATIENT, "every": 0.05},
    )
    worker.start()
    try:
        for _ in range(200):
            if len(sent(world)) == 2:
                break
            stop.wait(0.1)
    finally:
        stop.set()
        worker.join()
    assert [step for _, step, _ in sent(world)] == [1, 2]


def test_who_is_on_the_way_is_not_taken_into_another_sequence(world: World, tmp_path: Path) -> None:
    shutil.copy(SEQUENCES_DIR / "hot_follow_up.yaml", tmp_path)
    started(world, Lead("a", world.locations[0], phone=phone(1)))
    turn(world, 1)
    planned = plan_batch(world.database, world.settings, REQUEST, world.clock)
    assert planned.reasons == {"suppress:in_other_sequence": 1}
    turn(world, 2)
    turn(world, 3)
    world.clock.advance(timedelta(days=2))
    later = plan_batch(world.database, world.settings, REQUEST, world.clock)
    assert later.counts["send"] == 1
