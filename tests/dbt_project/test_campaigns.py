"""A campaign is measured as ``leadengine batch measure`` measures its only batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from activation import measure, sequential
from activation.measure import measure_batch
from leadengine.clock import FixedClock
from tests.conftest import clone, drop
from tests.dbt_project.conftest import NOW
from tests.dbt_project.hand_made import DAY, MINUTE, L, M, contact, message
from tests.dbt_project.raw_fixture import create_raw_tables, insert
from tests.dbt_project.rendering import PROJECT
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

ENOUGH = UUID("7f9c0a52-0000-4000-8000-000000000010")
EARLY = UUID("7f9c0a52-0000-4000-8000-000000000011")
CALLED_OFF = UUID("7f9c0a52-0000-4000-8000-000000000012")
DRY_RUN = UUID("7f9c0a52-0000-4000-8000-000000000013")
STARTED = NOW - 40 * DAY
LEADS, HELD_OUT = 120, 50


def batch(connection: psycopg.Connection, batch_id: UUID, **columns: Any) -> None:
    """A batch, approved when the window starts unless ``columns`` say otherwise."""
    row = {
        "batch_id": batch_id, "audience": "hottest", "sequence": "hot_follow_up",
        "channels": ["sms"], "requested_size": 200, "holdout_share": 0.4, "seed": 0,
        "status": "done", "dry_run": False, "as_of": STARTED, "digest": "d", "summary": "{}",
        "planned_by": "me", "planned_at": STARTED - 60 * MINUTE, "approved_at": STARTED, **columns,
    }  # fmt: skip
    connection.execute(
        f"insert into ops.batches ({', '.join(row)})"
        f" values ({', '.join(['%s'] * len(row))})".encode(),
        list(row.values()),
    )


def choose(
    connection: psycopg.Connection, batch_id: UUID, contact_id: str, arm: str, location_id: str = L
) -> None:
    """Puts a lead into an arm of a batch; a lead of the arm ``send`` is sent to an hour later."""
    connection.execute(
        "insert into ops.batch_items (batch_id, lead_id, location_id, contact_id, decision,"
        " reason_code, reason) values (%s, %s, %s, %s, %s, 'r', 'r')",
        (batch_id, f"{location_id}:{contact_id}", location_id, contact_id, arm),
    )
    if arm == "send" and batch_id != CALLED_OFF:
        connection.execute(
            "insert into ops.sends (send_id, batch_id, lead_id, location_id, contact_id, channel,"
            " to_address, from_address, body, body_digest, template_id, template_version, sequence,"
            " step, idempotency_key, status, not_before, created_at, sent_at)"
            " select gen_random_uuid(), %s, %s, %s, %s, 'sms', '+1', '+1', 'b', 'd', 't', '1', 's',"
            " 1, gen_random_uuid()::text, 'delivered', at, at, at"
            " from (select %s::timestamptz as at) as moment",
            (batch_id, f"{location_id}:{contact_id}", location_id, contact_id,
             STARTED + 60 * MINUTE),
        )  # fmt: skip


def fill(connection: psycopg.Connection) -> None:
    """One campaign with a result in L, too young in M, and batches that must not count."""
    names = [f"c{n:03}" for n in range(LEADS)]
    held, written = names[:HELD_OUT], names[HELD_OUT:]
    insert(connection, "raw_ghl.contacts", [contact(name) for name in [*names, "off", "dry"]])
    insert(connection, "raw_ghl.contacts", [contact(name, M) for name in ("young", "kept_back")])
    batch(connection, ENOUGH)
    batch(connection, EARLY, audience="recover_dormant", approved_at=NOW - 3 * DAY)
    batch(connection, CALLED_OFF, status="cancelled")
    batch(connection, DRY_RUN, dry_run=True, approved_at=None, audience="dry")
    for name in held:
        choose(connection, ENOUGH, name, "holdout")
    for name in written:
        choose(connection, ENOUGH, name, "send")
    choose(connection, EARLY, "young", "send", M)
    choose(connection, EARLY, "kept_back", "holdout", M)
    choose(connection, CALLED_OFF, "off", "send")
    choose(connection, DRY_RUN, "dry", "send")
    insert(
        connection,
        "raw_ghl.appointments",
        [
            {"id": f"a-{name}", "location_id": L, "contact_id": name, "appointment_status": status,
             "start_time": STARTED + 9 * DAY, "end_time": STARTED + 9 * DAY + 60 * MINUTE,
             "date_added": STARTED + 8 * DAY, "date_updated": STARTED + 10 * DAY}
            for name, status in [
                *((name, "showed") for name in [*written[:30], *held[:3]]),
                *((name, "noshow") for name in [*written[30:35], *held[3:9]]),
            ]
        ],
    )  # fmt: skip
    insert(
        connection,
        "raw_ghl.opportunities",
        [
            {"id": f"o-{name}", "location_id": L, "contact_id": name, "status": status,
             "monetary_value": 9000.5, "created_at": STARTED - 9 * DAY, "updated_at": at,
             "last_status_change_at": at}
            for name, status, at in [
                (written[0], "won", STARTED + 20 * DAY),
                (written[40], "won", STARTED + 20 * DAY),
                (written[41], "won", STARTED - DAY),
                (written[42], "lost", STARTED + 20 * DAY),
                (held[9], "won", STARTED + 20 * DAY),
                # Of leads that converted by an appointment already.
                *((name, "won", STARTED + 21 * DAY) for name in written[1:10]),
            ]
        ],
    )  # fmt: skip
    insert(
        connection,
        "raw_ghl.messages",
        [
            message(f"r-{name}", name, at, direction="inbound", body="hello")
            for name, at in [
                *((name, STARTED + 2 * DAY) for name in [*written[:12], *held[:2]]),
                # Between the approval and the message: no answer to it.
                (written[13], STARTED + 30 * MINUTE),
            ]
        ]
        + [
            message(f"by-hand-{name}", name, STARTED + DAY, body="shall we talk?", user_id="u1")
            for name in (written[20], held[20])
        ],
    )
    connection.execute(
        "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose, action,"
        " source, method, occurred_at, known_at, evidence_key, recorded_by, created_at)"
        " values (%s, %s, %s, 'sms', 'marketing', 'revoked', 's', 'm', %s, %s, 'e', 'me', %s)",
        (L, f"{L}:{written[5]}", written[5], STARTED + 2 * DAY, STARTED + 2 * DAY, NOW),
    )


@pytest.fixture(scope="module")
def campaigns(template_database: Database, dbt_target: Path) -> Iterator[Database]:
    database = clone(template_database)
    with database.connect() as connection:
        create_raw_tables(connection)
        fill(connection)
    run = run_dbt(
        database, dbt_target, "run", "--select", "+campaign_performance", as_of=NOW.isoformat()
    )
    assert run.success, run.messages
    yield database
    drop(database)


def performance(database: Database) -> dict[tuple[str, str], dict[str, Any]]:
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("select * from marts.campaign_performance").fetchall()
    return {(row["campaign_id"], row["location_id"]): row for row in rows}


def test_only_what_went_out_is_a_campaign(campaigns: Database) -> None:
    assert set(performance(campaigns)) == {
        ("hottest:hot_follow_up", L), ("recover_dormant:hot_follow_up", M),
    }  # fmt: skip
    with campaigns.connect() as connection:
        found = connection.execute(
            "select campaign_id, batches_planned, batches_approved, first_batch_at, last_batch_at"
            " from marts.dim_campaigns order by 1"
        ).fetchall()
    assert found == [
        ("hottest:hot_follow_up", 2, 2, STARTED, STARTED),
        ("recover_dormant:hot_follow_up", 1, 1, NOW - 3 * DAY, NOW - 3 * DAY),
    ]


def test_a_campaign_of_one_batch_equals_its_measurement(campaigns: Database) -> None:
    row = performance(campaigns)["hottest:hot_follow_up", L]
    told = measure_batch(campaigns, ENOUGH, FixedClock(NOW))
    assert told.enough_data
    for arm, name in ((told.send, "send"), (told.holdout, "holdout")):
        assert (arm.leads, arm.replied, arm.opted_out, arm.converted) == tuple(
            row[f"{name}_{figure}"] for figure in ("leads", "replied", "opted_out", "converted")
        )
        assert row[f"{name}_conversion_rate"] == pytest.approx(arm.conversion_rate)
    assert (told.send.sent, told.send.delivered) == (row["leads_sent"], row["leads_delivered"])
    assert (told.send.converted, told.holdout.converted) == (31, 4)
    assert (told.send.replied, told.holdout.replied, told.send.opted_out) == (12, 2, 1)
    assert row["conversion_difference"] == pytest.approx(told.lift, abs=1e-12)
    # A campaign has no end, so its interval is the open-ended one.
    sizes = told.send.leads, told.holdout.leads
    for prefix, seen in (
        ("difference", (told.send.converted, told.holdout.converted)),
        ("kept_difference", (told.send.appointments, told.holdout.appointments)),
    ):
        assert (row[f"{prefix}_low"], row[f"{prefix}_high"]) == pytest.approx(
            sequential.open_ended_interval(*sizes, *seen), abs=1e-12
        )
    assert told.interval is not None
    assert told.interval[0] > row["difference_low"], "a batch's own is sharper"
    assert told.conversions is not None
    assert told.appointments is not None
    assert told.money is not None
    assert row["extra_conversions"] == pytest.approx(told.conversions.extra)
    assert row["extra_appointments"] == pytest.approx(told.appointments.extra)
    assert row["extra_value_cents"] == told.money.extra_cents
    assert row["value_difference_cents"] == pytest.approx(told.money.difference)
    assert (row["value_difference_low_cents"], row["value_difference_high_cents"]) == (
        pytest.approx(told.money.interval)
    )
    assert told.contamination.send == {"person": row["send_reached_elsewhere"]} == {"person": 1}
    assert told.contamination.holdout == {"person": row["holdout_reached_elsewhere"]}
    assert row["verdict"] == "worked"
    assert row["mean_days"] == pytest.approx(told.days)
    assert (row["send_booked"], row["send_kept"], row["send_won"]) == (35, 30, 11)
    assert row["send_won_value_cents"] == 11 * 900_050
    assert row["is_sample_ratio_off"] is False


def test_too_early_is_said_and_no_number_is_given(campaigns: Database) -> None:
    row = performance(campaigns)["recover_dormant:hot_follow_up", M]
    told = measure_batch(campaigns, EARLY, FixedClock(NOW))
    assert not told.enough_data
    assert row["verdict"] == "not enough data yet"
    assert row["conversion_difference"] is row["difference_low"] is row["difference_high"] is None
    assert row["is_sample_ratio_off"] is None, "two leads say nothing about the ratio"


def test_arms_far_from_the_share_asked_for_are_flagged(
    campaigns: Database, dbt_target: Path
) -> None:
    """120 leads at a share of 0.1 hold out 12; 50 are no accident."""
    with campaigns.connect() as connection:
        connection.execute("update ops.batches set holdout_share = 0.1")
    run = run_dbt(
        campaigns, dbt_target, "run", "--select",
        "stg_ops__batches", "dim_campaigns", "fct_campaign_leads", "campaign_performance",
        as_of=NOW.isoformat(),
    )  # fmt: skip
    assert run.success, run.messages
    assert performance(campaigns)["hottest:hot_follow_up", L]["is_sample_ratio_off"] is True


def test_batches_and_campaigns_are_judged_by_the_same_figures() -> None:
    text = (PROJECT / "dbt_project.yml").read_text(encoding="utf-8")
    figures = yaml.safe_load(text)["vars"]
    assert figures["campaign_window_days"] == measure.CONVERSION_WINDOW.days
    assert figures["campaign_min_days"] == sequential.FIRST_LOOK_DAY
    assert figures["campaign_min_leads_per_arm"] == measure.FEWEST_PER_ARM
    assert figures["campaign_min_conversions"] == sequential.FEWEST_CONVERSIONS
    assert figures["campaign_min_deals"] == measure.FEWEST_DEALS
    assert figures["campaign_alpha"] == sequential.ALPHA
    assert figures["campaign_mixture_at"] == sequential.MIXTURE_AT
