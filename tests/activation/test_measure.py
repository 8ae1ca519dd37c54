"""Measuring: both arms counted, and plain words when it is too early."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from activation.approve import BatchError
from activation.measure import Measurement, judge, measure_batch
from activation.receipts import record_receipt, sync_receipts
from tests.activation.batches import approved, dispatch
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_consent, add_leads, rows


def add(world: World, table: str, **values: object) -> None:
    with world.database.connect() as connection:
        connection.execute(
            f"insert into marts.{table} ({', '.join(values)})"
            f" values ({', '.join(['%s'] * len(values))})".encode(),
            list(values.values()),
        )


def test_too_early_says_so_and_later_the_lift_is_told(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"m{n}", loc, score=n / 300) for n in range(1, 201)])
    batch = approved(world, holdout_share=0.4)
    dispatch(world, batch)
    first = measure_batch(world.database, batch, world.clock)
    assert not first.enough_data
    assert first.lift is None
    assert first.verdict.startswith("Not enough data yet: 0 of 14 days")
    assert first.send.sent == first.send.leads
    assert first.send.leads + first.holdout.leads == 200

    world.clock.advance(timedelta(days=30))
    later = world.clock.now() - timedelta(days=10)
    arms = rows(world.database, "select lead_id, decision from ops.batch_items order by lead_id")
    written = [lead for lead, arm in arms if arm == "send"]
    held = [lead for lead, arm in arms if arm == "holdout"]
    for number, lead in enumerate([*written[:40], *held[:5]]):
        add(
            world, "fct_appointments", appointment_id=str(number), lead_id=lead,
            location_id=loc, status="kept", starts_at=later,
        )  # fmt: skip
    add(
        world, "fct_appointments", appointment_id="missed", lead_id=written[50],
        location_id=loc, status="no_show", starts_at=later,
    )  # fmt: skip
    add(
        world, "fct_opportunities", opportunity_id="1", lead_id=written[51],
        location_id=loc, status="won", closed_at=later, value_cents=900_050,
    )  # fmt: skip
    add(
        world, "fct_communications", event_id="1", lead_id=written[0], location_id=loc,
        channel="email", direction="inbound", occurred_at=later,
    )  # fmt: skip
    with world.database.connect() as connection:
        add_consent(connection, written[1], "email", "revoked", later)
    result = measure_batch(world.database, batch, world.clock)
    assert result.enough_data
    assert (result.send.converted, result.holdout.converted) == (41, 5)
    assert (result.send.replied, result.send.opted_out) == (1, 1)
    assert result.lift == pytest.approx(41 / len(written) - 5 / len(held))
    assert result.verdict.startswith("The batch worked")
    assert result.conversions is not None
    assert result.conversions.told_on_day == 21, "20 days and a moment after the approval"
    assert result.conversions.extra == pytest.approx(41 - len(written) * 5 / len(held))
    assert result.appointments is not None
    assert (result.send.appointments, result.send.won, result.holdout.appointments) == (40, 1, 5)
    assert result.money is not None
    assert (result.send.won_value_cents, result.money.extra_cents) == (900_050, 900_050)
    assert result.money.interval is None, "one deal says nothing of its certainty"
    assert not result.sample_ratio.is_off
    assert result.as_dict()["batch_id"] == str(batch)
    json.dumps(result.as_dict())


def test_leads_reached_from_elsewhere_are_told_and_can_be_left_out(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"k{n}", loc, score=n / 300) for n in range(1, 201)])
    batch = approved(world, holdout_share=0.4)
    dispatch(world, batch)
    arms = rows(world.database, "select lead_id, decision from ops.batch_items order by lead_id")
    written = [lead for lead, arm in arms if arm == "send"]
    held = [lead for lead, arm in arms if arm == "holdout"]
    world.clock.advance(timedelta(days=30))
    at = world.clock.now() - timedelta(days=20)
    for number, lead in enumerate([*written[:20], *held[:20]]):
        add(
            world, "fct_appointments", appointment_id=str(number), lead_id=lead,
            location_id=loc, status="kept", starts_at=at,
        )  # fmt: skip
    touches = [
        # Called before anything happened: reached from elsewhere.
        (held[0], "outbound", "agent", at - timedelta(days=1)),
        # Called after its own answer: what the batch brought.
        (written[0], "inbound", "lead", at - timedelta(days=2)),
        (written[0], "outbound", "agent", at - timedelta(days=1)),
        # Called after it converted, and our own message.
        (held[1], "outbound", "agent", at + timedelta(days=1)),
        (held[2], "outbound", "automation", at - timedelta(days=1)),
    ]
    for number, (lead, direction, actor, moment) in enumerate(touches):
        add(
            world, "fct_communications", event_id=str(number), lead_id=lead, location_id=loc,
            channel="call", direction=direction, actor=actor, occurred_at=moment,
        )  # fmt: skip
    with world.database.connect() as connection:
        other = uuid4()
        connection.execute(
            "insert into ops.batches select (jsonb_populate_record(batches, jsonb_build_object("
            "'batch_id', %s::text, 'sequence', 'other'))).* from ops.batches",
            (str(other),),
        )
        connection.execute(
            "insert into ops.sends select (jsonb_populate_record(sends, jsonb_build_object("
            "'send_id', gen_random_uuid(), 'batch_id', %s::text, 'lead_id', %s::text,"
            " 'idempotency_key', 'other', 'sent_at', %s::text))).* from ops.sends limit 1",
            (str(other), held[3], (at - timedelta(days=1)).isoformat()),
        )
    result = measure_batch(world.database, batch, world.clock)
    assert result.contamination.holdout == {"person": 1, "batch": 1}
    assert result.contamination.send == {}
    assert result.conversions is not None
    assert result.conversions.holdout_leads == len(held)
    without = result.contamination.without
    assert without is not None
    assert (without.send_leads, without.holdout_leads) == (len(written), len(held) - 2)
    assert without.difference == pytest.approx(20 / len(written) - 18 / (len(held) - 2))
    assert any("1 by another batch, 1 by a person" in line for line in result.lines)


def test_arms_that_are_not_as_drawn_raise_an_alarm(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"r{n}", loc, score=n / 300) for n in range(1, 101)])
    batch = approved(world, holdout_share=0.4)
    before = measure_batch(world.database, batch, world.clock)
    assert not before.sample_ratio.is_off
    with world.database.connect() as connection:
        connection.execute(
            "delete from ops.batch_items where decision = 'holdout' and lead_id in"
            " (select lead_id from ops.batch_items where decision = 'holdout' limit 25)"
        )
    after = measure_batch(world.database, batch, world.clock)
    assert after.sample_ratio.is_off
    assert after.verdict.startswith("Do not trust this comparison")
    assert "plan a new batch" in after.verdict


def test_a_lead_counts_in_the_first_batch_of_its_campaign(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead(f"f{n}", loc, score=n / 300) for n in range(1, 41)])
    first = approved(world, holdout_share=0.4)
    dispatch(world, first)
    add_leads(world.database, [Lead(f"g{n}", loc, score=n / 300) for n in range(1, 41)])
    world.clock.advance(timedelta(days=3))
    second = approved(world, holdout_share=0.4)
    told = [measure_batch(world.database, batch, world.clock) for batch in (first, second)]
    assert [each.send.leads + each.holdout.leads for each in told] == [40, 40]
    assert not any(each.sample_ratio.is_off for each in told)


def judged(day: int, send: int, holdout: int, converted: tuple[int, int]) -> Measurement:
    """A batch whose conversions come in turns from its 2nd day to its 50th."""
    start = datetime(2026, 3, 2, 15, tzinfo=UTC)
    leads = []
    for arm, size, many in zip(("send", "holdout"), (send, holdout), converted, strict=True):
        for number in range(size):
            at = start + timedelta(days=2 + 48 * number / many) if number < many else None
            leads.append(
                {
                    "arm": arm, "is_sent": arm == "send", "is_delivered": arm == "send",
                    "replied": False, "opted_out": False, "kept_at": at, "won_at": None,
                    "won_value_cents": 0, "touched_by": None,
                }
            )  # fmt: skip
    batch = {"status": "done", "holdout_share": holdout / (send + holdout), "started_at": start}
    return judge(uuid4(), batch, leads, start + timedelta(days=day))


def test_a_batch_too_small_to_tell_says_what_it_takes() -> None:
    early, late = (judged(day, 270, 30, (24, 0)) for day in (30, 61))
    assert early.verdict.startswith(
        "Not enough data yet to tell a difference from chance, on day 30 of 60, with 15 conversions"
        " where it takes 34 at least: "
    )
    assert late.verdict.startswith(
        "Not enough data to tell a difference from chance, with 24 conversions where it takes 34"
        " at least: "
    )
    assert "Plan a larger batch, or hold out more of it." in late.verdict
    assert late.interval is not None
    assert late.interval[0] < 0 < late.interval[1]


def test_a_batch_with_few_conversions_can_still_be_told_to_do_harm() -> None:
    assert judged(30, 270, 30, (12, 10)).verdict.startswith("The batch did harm: ")


def test_a_batch_with_conversions_enough_is_told_in_the_end() -> None:
    assert judged(61, 270, 30, (45, 0)).verdict.startswith("The batch worked: ")
    same = judged(61, 270, 30, (45, 5))
    assert same.verdict.startswith("No difference can be told from chance")
    assert same.conversions is not None
    assert 0.045 <= same.conversions.false_alarm <= 0.05


def test_an_unknown_batch(world: World) -> None:
    with pytest.raises(BatchError, match="no batch"):
        measure_batch(world.database, uuid4(), world.clock)


def test_receipts_count_once_and_the_last_word_stays(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0])])
    dispatch(world, approved(world))
    [(send_id, message_id)] = rows(
        world.database, "select send_id::text, provider_message_id from ops.sends"
    )

    def report(status: str, by_id: bool) -> bool:
        with world.database.connect() as connection:
            return record_receipt(
                connection,
                send_id=send_id if by_id else None,
                provider="sendgrid",
                provider_message_id=message_id,
                provider_status=status,
                error_code=None,
                at=world.clock.now(),
            )

    assert not report("processed", by_id=True)
    assert report("delivered", by_id=False)
    assert not report("delivered", by_id=True)
    assert not report("bounce", by_id=True)
    assert rows(world.database, "select status from ops.sends") == [("delivered",)]


def test_a_receipt_settles_what_was_lost(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0])])
    dispatch(world, approved(world))
    with world.database.connect() as connection:
        connection.execute("update ops.sends set status = 'unsettled', provider_message_id = null")
        [(send_id,)] = connection.execute("select send_id::text from ops.sends").fetchall()
        assert record_receipt(
            connection, send_id=send_id, provider="sendgrid", provider_message_id="m1",
            provider_status="processed", error_code=None, at=world.clock.now(),
        )  # fmt: skip
    assert rows(world.database, "select status, provider_message_id from ops.sends") == [
        ("sent", "m1")
    ]


def test_loaded_provider_rows_are_receipts_too(world: World) -> None:
    add_leads(
        world.database,
        [Lead("a", world.locations[0]), Lead("t", world.locations[0], phone="+12125550177")],
    )
    assert sync_receipts(world.database, world.clock) == 0
    dispatch(world, approved(world))
    with world.database.connect() as connection:
        connection.execute(
            "create table raw_twilio.messages (sid text, status text, error_code int)"
        )
        connection.execute("create table raw_sendgrid.email_activity (msg_id text, status text)")
        connection.execute(
            "insert into raw_twilio.messages select provider_message_id, 'undelivered', 30003"
            " from ops.sends where channel = 'sms'"
        )
        connection.execute(
            "insert into raw_sendgrid.email_activity"
            " select provider_message_id || '.recvd-1-0', 'delivered'"
            " from ops.sends where channel = 'email'"
        )
    assert sync_receipts(world.database, world.clock) == 2
    assert sync_receipts(world.database, world.clock) == 0
    assert rows(
        world.database, "select channel, status, status_reason from ops.sends order by channel"
    ) == [("email", "delivered", None), ("sms", "failed", "30003")]
