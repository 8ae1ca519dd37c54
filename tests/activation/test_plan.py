"""Plans: one decision per candidate, the same every time, and nothing sent."""

from datetime import timedelta

import pytest

from activation.plan import PlanError, plan_batch
from activation.types import BatchPlan
from leadengine.clock import FixedClock
from leadengine.errors import LeadEngineError
from tests.activation.batches import REQUEST, approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import (
    NOON_EAST,
    Lead,
    add_consent,
    add_leads,
    add_record,
    phone,
    rows,
)
from warehouse.database import Database


def decisions(planned: BatchPlan) -> dict[str, tuple[str, str, str | None]]:
    return {
        item.lead_id.split(":")[1]: (item.decision, item.reason_code, item.channel)
        for item in planned.items
    }


def test_each_lead_gets_the_decision_its_record_asks_for(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [
            Lead("text", loc, phone=phone(101)),
            Lead("mail", loc),
            Lead("nophone", loc, phone=None, email=None),
            Lead("textonly", loc, phone=phone(102), email_consent=None),
            Lead("noconsent", loc, phone=phone(103), sms=None, email_consent=None),
            Lead("mailback", loc, phone=phone(104), sms="revoked"),
            Lead("out", loc, phone=phone(105), sms="revoked", email_consent="revoked"),
            Lead("dnd", loc, phone=phone(106), fields={"is_dnd_all": True}),
            Lead("dndsms", loc, phone=phone(107), fields={"is_dnd_sms": True}),
            Lead("shared", loc, phone=phone(101), score=0.8),
            Lead("won", loc, phone=phone(109), fields={"is_open": False}),
            Lead("cold", loc, phone=phone(110), tier="cold", score=0.01),
            # Somebody else with this number said STOP; and somebody with this one is on DND.
            Lead("stopper", loc, phone=phone(111), sms="revoked", email=None),
            Lead("housemate", loc, phone=phone(111), email=None),
            Lead("quiet", loc, phone=phone(112), email=None, fields={"is_dnd_sms": True}),
            Lead("flatmate", loc, phone=phone(112), email=None),
            Lead("bad", loc, phone=phone(113), email=None, fields={"is_phone_valid": False}),
        ],
    )
    with world.database.connect() as connection:
        connection.execute(
            "insert into ops.suppressions values (%s, 'sms', %s, 'bounce', 'test', now())",
            (loc, phone(102)),
        )
    found = decisions(plan(world))
    assert found == {
        "text": ("send", "send_now", "sms"),
        "mail": ("send", "send_now", "email"),
        "nophone": ("suppress", "invalid_phone", None),
        "textonly": ("suppress", "suppressed_address", None),
        "noconsent": ("suppress", "no_consent", None),
        "mailback": ("send", "send_now", "email"),
        "out": ("suppress", "opted_out", None),
        "dnd": ("suppress", "dnd", None),
        "dndsms": ("send", "send_now", "email"),
        "shared": ("suppress", "duplicate_person", None),
        "stopper": ("suppress", "opted_out", None),
        "housemate": ("suppress", "opted_out", None),
        "quiet": ("suppress", "dnd", None),
        "flatmate": ("suppress", "dnd", None),
        "bad": ("suppress", "invalid_phone", None),
    }


def test_what_is_noted_under_any_record_of_a_person_counts(world: World) -> None:
    loc = world.locations[0]
    yesterday = NOON_EAST - timedelta(days=1)
    add_leads(
        world.database,
        [
            Lead("stopped", loc, phone=phone(1), email=None),
            Lead("merely", loc, phone=phone(2), sms=None, email=None),
            Lead("elsewhere", loc, phone=phone(3), email=None),
            Lead("sharer", loc, phone=phone(4), email=None),
            Lead("apart", loc, phone=phone(5), email=None),
        ],
    )
    with world.database.connect() as connection:
        # A second record said STOP before it was known to be of the same person.
        add_record(connection, f"{loc}:stopped", "twin1")
        add_consent(connection, f"{loc}:twin1", "sms", "revoked", yesterday)
        # A second record's yes is no proof for this one's number.
        add_record(connection, f"{loc}:merely", "twin2")
        add_consent(connection, f"{loc}:twin2", "sms", "granted", yesterday)
        # The number of a record behind a lead that said STOP is another lead's as well.
        add_record(connection, f"{loc}:elsewhere", "twin3", phone=phone(4))
        add_consent(connection, f"{loc}:elsewhere", "sms", "revoked", yesterday)
        # Noted when two records were one person; they have come apart since.
        connection.execute(
            "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose,"
            " action, source, method, occurred_at, known_at, evidence_key, recorded_by)"
            " values (%s, %s, 'gone_its_way', 'sms', 'marketing', 'revoked', 'lead', 'inbound_sms',"
            " %s, %s, 'apart', 'test')",
            (loc, f"{loc}:apart", yesterday, yesterday),
        )
        add_record(connection, f"{loc}:gone_its_way", "gone_its_way")
    assert {name: found[:2] for name, found in decisions(plan(world)).items()} == {
        "stopped": ("suppress", "opted_out"),
        "merely": ("suppress", "no_consent"),
        "elsewhere": ("suppress", "opted_out"),
        "sharer": ("suppress", "opted_out"),
        "apart": ("send", "send_now"),
    }


def test_a_newer_word_counts_and_a_tie_goes_against(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [
            Lead("again", loc, phone=phone(1), sms="revoked", email=None),
            Lead("tie", loc, phone=phone(2), sms="granted", email=None),
        ],
    )
    with world.database.connect() as connection:
        add_consent(connection, f"{loc}:again", "sms", "granted", NOON_EAST - timedelta(days=1))
        add_consent(connection, f"{loc}:tie", "sms", "revoked", NOON_EAST - timedelta(days=90))
    assert {name: found[0] for name, found in decisions(plan(world)).items()} == {
        "again": "send",
        "tie": "suppress",
    }


def test_texts_at_night_wait_for_the_morning_and_emails_do_not(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("text", loc, phone=phone(1)), Lead("mail", loc)])
    night = FixedClock(NOON_EAST.replace(hour=6))
    planned = plan_batch(world.database, world.settings, REQUEST, night)
    items = {item.lead_id.split(":")[1]: item for item in planned.items}
    text, mail = items["text"], items["mail"]
    assert (text.decision, text.reason_code) == ("send", "quiet_hours")
    assert text.send_at is not None
    assert night.now() < text.send_at <= night.now() + timedelta(hours=8)
    assert "08:00" in text.reason
    assert mail.send_at is None


def test_planning_twice_makes_another_batch_with_the_same_decisions(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [Lead(f"c{n}", loc, phone=phone(n), score=n / 200) for n in range(1, 120)],
    )
    first = plan(world, holdout_share=0.2, size=60)
    world.clock.advance(timedelta(minutes=20))
    second = plan(world, holdout_share=0.2, size=60)
    assert first.batch_id != second.batch_id
    assert first.digest == second.digest
    assert first.items == second.items
    assert first.counts["send"] + first.counts["holdout"] == 60
    assert first.counts["holdout"] > 0
    assert first.audience_size == 119
    scores = [item.score for item in first.items]
    assert scores == sorted(scores, reverse=True)


def test_what_is_stored_is_what_was_planned(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(1)), Lead("b", loc, sms="revoked")])
    planned = plan(world)
    stored = rows(
        world.database,
        "select lead_id, decision, reason_code, body from ops.batch_items where batch_id = %s"
        " order by lead_id",
        planned.batch_id,
    )
    assert stored == sorted(
        (item.lead_id, item.decision, item.reason_code, item.body) for item in planned.items
    )
    [(status, digest, counts)] = rows(
        world.database, "select status, digest, summary -> 'counts' from ops.batches"
    )
    assert (status, digest, counts) == ("planned", planned.digest, planned.counts)
    assert rows(world.database, "select action from ops.audit_trail") == [("batch_planned",)]
    assert rows(world.database, "select count(*) from ops.sends") == [(0,)]


def test_nobody_gets_the_same_step_again_nor_more_than_the_cap(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(1))])
    dispatch(world, approved(world))
    assert decisions(plan(world)) == {"a": ("suppress", "already_sent", None)}
    other = decisions(plan(world, sequence="recover_dormant"))
    assert other == {"a": ("suppress", "frequency_cap", None)}
    world.clock.advance(timedelta(hours=24))
    later = decisions(plan(world, sequence="recover_dormant"))
    assert later == {"a": ("send", "send_now", "sms")}


def test_a_new_contact_at_an_address_that_had_the_step_is_passed_over(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(1), email=None)])
    dispatch(world, approved(world))
    with world.database.connect() as connection:
        connection.execute("update marts.dim_leads set is_open = false")
    add_leads(world.database, [Lead("again", loc, phone=phone(1), email=None)])
    assert decisions(plan(world)) == {"again": ("suppress", "already_sent", None)}


def test_nobody_is_written_to_at_the_address_of_somebody_held_out(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [
            Lead(f"c{n}", loc, phone=phone(n // 2), score=1 - n / 1000, email=None)
            for n in range(200)
        ],
    )
    planned = plan(world, holdout_share=0.3)
    held = {item.lead_id.split(":c")[1] for item in planned.items if item.decision == "holdout"}
    sent = {item.lead_id.split(":c")[1] for item in planned.items if item.decision == "send"}
    assert 15 < len(held) < 45
    assert len(held) + len(sent) == 100
    assert not {int(n) // 2 for n in held} & {int(n) // 2 for n in sent}


def test_an_audience_is_its_filter(world: World) -> None:
    loc = world.locations[0]
    long_ago = NOON_EAST - timedelta(days=60)
    add_leads(
        world.database,
        [
            Lead("dormant", loc, fields={"last_inbound_at": long_ago}),
            Lead("wrote", loc, fields={"last_inbound_at": NOON_EAST - timedelta(days=2)}),
            Lead("called", loc, fields={"last_outbound_at": NOON_EAST - timedelta(days=2)}),
            Lead("silent", loc),
            Lead("cold", loc, tier="cold"),
        ],
    )
    dormant = decisions(plan(world, audience="recover_dormant", sequence="recover_dormant"))
    assert set(dormant) == {"dormant", "silent"}
    unanswered = decisions(plan(world, audience="never_answered", sequence="no_answer"))
    assert set(unanswered) == {"silent"}


def test_the_message_names_sender_and_way_out(world: World) -> None:
    loc = world.locations[0]
    add_leads(
        world.database,
        [
            Lead("t", loc, phone=phone(1), fields={"assigned_agent_name": "Kim"}),
            Lead("m", loc, first_name=None),
        ],
    )
    items = {item.lead_id.split(":")[1]: item for item in plan(world).items}
    text, mail = items["t"].body or "", items["m"].body or ""
    brokerage = world.settings.locations()[0].name
    assert brokerage in text
    assert "Kim" in text
    assert "STOP" in text
    assert mail.startswith("Hi there,")
    assert "/unsubscribe/" in mail
    assert world.settings.sender_postal_address in mail


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": []}, "channels"),
        ({"channels": ["fax"]}, "fax"),
        ({"size": 0}, "size 0"),
        ({"holdout_share": 1.5}, "1.5"),
        ({"audience": "nobody"}, "nobody"),
        ({"sequence": "nothing"}, "nothing"),
    ],
)
def test_a_wrong_request_is_refused_with_its_value(
    world: World, change: dict[str, object], says: str
) -> None:
    with pytest.raises(LeadEngineError, match=says) as caught:
        plan(world, **change)
    assert caught.value.remedy
    assert rows(world.database, "select count(*) from ops.batches") == [(0,)]


def test_unknown_marts_are_said_to_be_missing(db: Database, world: World) -> None:
    with world.database.connect() as connection:
        connection.execute("drop table marts.lead_priorities")
    with pytest.raises(LeadEngineError, match="lead_priorities"):
        plan(world)


def test_a_batch_too_small_for_the_audience_takes_the_best(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"c{n}", loc, score=n / 10) for n in range(1, 10)])
    planned = plan(world, size=3)
    assert [item.lead_id for item in planned.items] == [f"{loc}:c{n}" for n in (9, 8, 7)]


def test_plan_error_is_a_leadengine_error() -> None:
    assert issubclass(PlanError, LeadEngineError)
