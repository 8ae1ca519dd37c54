"""What changes between a plan and its dispatch voids the leads that it touches, and no others."""

import os
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from activation.approve import BatchError
from activation.dead_letters import dead_letters, replay
from activation.guards import GuardError, load_guards
from activation.plan import PlanRefusedError
from activation.policy import DispatchPolicy
from activation.preflight import PreflightError
from tests.activation.batches import approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_consent, add_leads, phone, rows

_CHANGES = 1000 if os.environ.get("LEADENGINE_NIGHTLY") == "1" else 150
Change = Callable[[psycopg.Connection, str, str], object]


def _sql(statement: str) -> Change:
    def change(connection: psycopg.Connection, lead: str, contact: str) -> object:
        location = lead.split(":")[0]
        values = {"lead": lead, "contact": contact, "location": location}
        return connection.execute(statement.encode(), values)

    return change


def _revoked(connection: psycopg.Connection, lead: str, _contact: str) -> None:
    [(now,)] = connection.execute("select now()").fetchall()
    for channel in ("sms", "email"):
        add_consent(connection, lead, channel, "revoked", now - timedelta(days=1))


# What happens to a lead, and why its message must not go out then; None: it must go out.
_WHAT_HAPPENS: dict[str, tuple[Change, str | None]] = {
    "nothing": (_sql("select 1"), None),
    "another name": (
        _sql("update marts.dim_leads set first_name = 'Zoe' where lead_id = %(lead)s"), None,
    ),
    "a higher score of the same tier": (
        _sql("update marts.lead_priorities set score = 0.99 where lead_id = %(lead)s"), None,
    ),
    "an appointment that was called off": (
        _sql(
            "insert into marts.fct_appointments (appointment_id, lead_id, location_id, status,"
            " booked_at, starts_at) values (%(lead)s, %(lead)s, %(location)s,"
            " 'cancelled', now() + interval '1 day', now() + interval '9 days')"
        ), None,
    ),
    "an answer long ago": (
        _sql(
            "insert into marts.fct_communications (event_id, lead_id, location_id, channel,"
            " direction, occurred_at, known_at)"
            " values (%(lead)s, %(lead)s, %(location)s, 'sms', 'inbound',"
            " now() - interval '90 days', now())"
        ), None,
    ),
    "consent withdrawn": (_revoked, "opted_out"),
    "do not disturb": (
        _sql("update marts.dim_leads set is_dnd_all = true where lead_id = %(lead)s"), "dnd",
    ),
    "closed": (
        _sql("update marts.dim_leads set is_open = false where lead_id = %(lead)s"), "lead_closed",
    ),
    "another tier": (
        _sql("update marts.lead_priorities set tier = 'cold' where lead_id = %(lead)s"),
        "tier_changed",
    ),
    "an answer": (
        _sql(
            "insert into marts.fct_communications (event_id, lead_id, location_id, channel,"
            " direction, occurred_at, known_at)"
            " values (%(lead)s, %(lead)s, %(location)s, 'sms', 'inbound',"
            " now() + interval '1 day', now())"
        ), "replied",
    ),
    "an appointment": (
        _sql(
            "insert into marts.fct_appointments (appointment_id, lead_id, location_id, status,"
            " booked_at, starts_at) values (%(lead)s, %(lead)s, %(location)s,"
            " 'booked', now() + interval '1 day', now() + interval '9 days')"
        ), "appointment_booked",
    ),
    "a template that was edited": (
        _sql("update ops.sends set template_version = 'old' where lead_id = %(lead)s"),
        "template_changed",
    ),
}  # fmt: skip


@pytest.mark.slow
def test_random_changes_between_plan_and_dispatch_lead_to_no_wrong_send(world: World) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable changes
    location = world.locations[0]
    leads = [
        Lead(f"c{n}", location, phone=phone(n, "305"), email=None, score=0.5)
        for n in range(_CHANGES)
    ]
    add_leads(world.database, leads)
    batch = approved(world, size=_CHANGES, override="test")
    names = [chance.choice(list(_WHAT_HAPPENS)) for _ in leads]
    # Queued first, so that a change may strike the message as well as the lead.
    world.fault(provider="ghl", kind="status", value=503, rate=1)
    with pytest.raises(PreflightError):
        dispatch(world, batch)
    world.no_faults()
    with world.database.connect() as connection:
        for lead, name in zip(leads, names, strict=True):
            _WHAT_HAPPENS[name][0](connection, lead.lead_id, lead.contact_id)
    dispatch(world, batch)
    outcome = {
        lead: (status, reason)
        for lead, status, reason in rows(
            world.database, "select lead_id, status, status_reason from ops.sends"
        )
    }
    wrong = {}
    for lead, name in zip(leads, names, strict=True):
        reason = _WHAT_HAPPENS[name][1]
        expected = ("sent", None) if reason is None else ("cancelled", reason)
        if outcome[lead.lead_id] != expected:
            wrong[name] = (outcome[lead.lead_id], expected)
    assert wrong == {}
    assert Counter(entry["to"] for entry in world.ledger()) == Counter(
        lead.phone
        for lead, name in zip(leads, names, strict=True)
        if _WHAT_HAPPENS[name][1] is None
    )


def test_a_dead_letter_is_listed_and_goes_out_when_a_person_says_so(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1), email=None)])
    world.fault(provider="twilio", kind="status", value=429, rate=1)
    policy = DispatchPolicy(max_attempts=1, wait=timedelta(0))
    assert dispatch(world, approved(world), policy).gave_up == 1
    world.no_faults()
    [letter] = dead_letters(world.database)
    assert letter["status"] == "failed"
    for ids, name, message in (
        ([letter["send_id"]], " ", "name"),
        ([letter["batch_id"]], "Mia", "not among"),
    ):
        with pytest.raises(BatchError, match=message):
            replay(world.database, ids, replayed_by=name, clock=world.clock)
    replay(world.database, [letter["send_id"]], replayed_by="Mia", clock=world.clock)
    assert dead_letters(world.database) == []
    assert dispatch(world, letter["batch_id"]).sent == {"sms": 1}
    assert len(world.ledger()) == 1


def test_a_budget_keeps_the_best_leads_and_names_the_reason(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [Lead(f"b{n}", loc, phone=phone(n), email=None, score=1 - n / 10) for n in range(4)],
    )
    segment = float(world.settings.sms_segment_cents)
    free = plan(world)
    each = free.segments // 4
    limited = plan(world, budget_cents=int(segment * each * 2) + 1)
    assert limited.counts == {"send": 2, "holdout": 0, "suppress": 2}
    assert limited.reasons["suppress:budget"] == 2
    assert [item.decision for item in limited.items] == ["send", "send", "suppress", "suppress"]
    assert "2 texts to 2 people of 4" in limited.blast_radius
    assert limited.cost_cents["sms"] <= segment * each * 2 + 1


def test_a_plan_beyond_the_guards_is_refused_unless_somebody_says_why(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"g{n}", loc, phone=phone(n), email=None) for n in range(230)])
    with pytest.raises(PlanRefusedError, match="of all open leads") as caught:
        plan(world)
    refused = caught.value.plan
    assert "of all open leads" in refused.refusals[0]
    [(status,)] = rows(
        world.database, "select status from ops.batches where batch_id = %s", refused.batch_id
    )
    assert status == "refused"
    passed = plan(world, override="the yearly letter")
    assert passed.status == "planned"
    [(detail,)] = rows(
        world.database,
        "select detail from ops.audit_trail where action = 'batch_planned' and entity_id = %s",
        str(passed.batch_id),
    )
    assert detail["override"] == "the yearly letter"
    assert detail["refusals"] == refused.refusals


def test_a_wrong_guard_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "guards.yaml"
    path.write_text("max_messages: many\n")
    with pytest.raises(GuardError, match=r"guards.yaml, line 1: max_messages"):
        load_guards(path)
