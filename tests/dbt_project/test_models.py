"""What the models make of a small CRM written by hand, dirt included."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import clone, drop
from tests.dbt_project.conftest import NOW
from tests.dbt_project.hand_made import (
    BODIES,
    CALLS,
    DAY,
    EMAILS,
    MOMENTS,
    MONEY,
    PHONES,
    L,
    M,
    fill,
)
from tests.dbt_project.raw_fixture import create_raw_tables
from tests.dbt_project.running import run_dbt
from warehouse.database import Database


@pytest.fixture(scope="module")
def built(
    template_database: Database, dbt_target: Path
) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    database = clone(template_database)
    with database.connect() as connection:
        create_raw_tables(connection)
        fill(connection)
    run = run_dbt(database, dbt_target, "run", as_of=NOW.isoformat())
    assert run.success, run.messages
    with psycopg.connect(database.libpq_url, row_factory=dict_row, autocommit=True) as connection:
        yield connection
    drop(database)


Built = psycopg.Connection[dict[str, Any]]


def lead(built: Built, contact_id: str, location_id: str = L) -> dict[str, Any]:
    row = built.execute(
        "select * from marts.dim_leads where lead_id = %s", (f"{location_id}:{contact_id}",)
    ).fetchone()
    assert row is not None
    return row


def column(built: Built, sql: str) -> list[Any]:
    return [next(iter(row.values())) for row in built.execute(sql)]


def test_phone_numbers_become_e164(built: Built) -> None:
    # The contacts of one number are one lead.
    contacts = {
        row["contact_id"]: row
        for row in built.execute(
            "select * from staging.stg_ghl__contacts where location_id = %s", (M,)
        )
    }
    found = [contacts[f"phone{n}"] for n in range(len(PHONES))]
    assert dict(zip(PHONES, (row["phone"] for row in found), strict=True)) == PHONES
    assert [row["is_phone_valid"] for row in found] == [
        value is not None for value in PHONES.values()
    ]


def test_addresses_become_lower_case_or_nothing(built: Built) -> None:
    found = [lead(built, f"email{n}", M) for n in range(len(EMAILS))]
    assert dict(zip(EMAILS, (row["email"] for row in found), strict=True)) == EMAILS
    assert [row["is_email_valid"] for row in found] == [
        value is not None for value in EMAILS.values()
    ]


def test_typed_amounts_and_times_are_read_or_dropped(built: Built) -> None:
    amounts = [lead(built, f"money{n}", M)["price_min_cents"] for n in range(len(MONEY))]
    assert dict(zip(MONEY, amounts, strict=True)) == MONEY
    times = column(
        built,
        "select consent_at from staging.stg_ghl__contacts where contact_id like 'moment%'"
        " order by contact_id",
    )
    assert dict(zip(MOMENTS, times, strict=True)) == MOMENTS


def test_a_yes_without_a_readable_time_grants_nothing(built: Built) -> None:
    granted = column(
        built,
        "select contact_id from marts.fct_consent_events"
        " where contact_id like 'moment%' and action = 'granted' order by 1",
    )
    assert granted == [f"moment{n}" for n, at in enumerate(MOMENTS.values()) if at]


@pytest.mark.parametrize(("number", "body"), enumerate(BODIES))
def test_opt_outs_are_told_from_talk(built: Built, number: int, body: str) -> None:
    scopes = column(
        built,
        f"select opt_out_scope from staging.stg_ghl__messages where message_id = 'body{number}'",
    )
    assert scopes == [BODIES[body]]


def test_calls_end_in_one_vocabulary(built: Built) -> None:
    found = column(
        built,
        "select status from marts.fct_communications where source_row_id like 'call%'"
        " order by source_row_id",
    )
    assert found == list(CALLS.values())


def test_a_lead_has_its_custom_fields_as_columns(built: Built) -> None:
    expected = {
        "first_name": "Ann", "last_name": "Lee", "email": "ann@example.com",
        "phone": "+18135550100", "source": "zillow", "state": "FL", "timezone": "America/Chicago",
        "assigned_agent_id": "agent", "assigned_agent_name": "Dana Whitlock",
        "price_min_cents": 30_000_000, "price_max_cents": 50_000_000, "beds": 3,
        "timeline": "0-3 months", "lead_intent": "buy", "property_type": "condo",
        "is_dnd_all": False, "is_dnd_sms": True, "is_dnd_email": False, "origin": "ghl",
        "status": "open", "is_open": True,
    }  # fmt: skip
    assert expected.items() <= lead(built, "full").items()


def test_dirt_of_the_wrong_shape_is_no_fault(built: Built) -> None:
    row = lead(built, "dirt", M)
    assert row["is_dnd_all"] is False
    assert row["timezone"] == "UTC", "neither the lead's zone nor its location's exists"
    assert lead(built, "odd_zone")["timezone"] == "America/New_York"
    assert lead(built, "abroad_dnd")["is_dnd_all"] is True
    tags = column(
        built,
        "select tag from staging.stg_ghl__contact_tags where contact_id = 'tagged' order by 1",
    )
    assert tags == ["buyer", "vip"]


def test_a_person_with_two_contacts_is_one_lead(built: Built) -> None:
    rows = built.execute(
        "select record_id, lead_id, tied_by, tied_to_record_id, link_known_at"
        " from intermediate.int_lead_identities where lead_id = %s order by record_id",
        (f"{L}:full",),
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("full", f"{L}:full", None, None, None),
        ("merged", f"{L}:full", "crm_merge", "full", NOW),
        ("twin", f"{L}:full", "phone", "full", NOW - DAY),
    ]
    assert lead(built, "full")["contact_id"] == "full"
    assert column(built, f"select 1 from marts.dim_leads where lead_id = '{L}:twin'") == []


@pytest.mark.parametrize(
    ("contact_id", "status", "closed_days_ago"),
    [("won", "won", 40), ("lost", "lost", 40), ("back", "open", None), ("gone", "deleted", 0.5)],
)
def test_status_follows_the_opportunities(
    built: Built, contact_id: str, status: str, closed_days_ago: float | None
) -> None:
    row = lead(built, contact_id)
    closed = None if closed_days_ago is None else NOW - closed_days_ago * DAY
    assert (row["status"], row["is_open"], row["closed_at"]) == (status, status == "open", closed)


def test_a_merged_contact_hands_its_history_over_from_then_on(built: Built) -> None:
    assert column(built, f"select lead_id from marts.dim_leads where lead_id = '{L}:merged'") == []
    rows = built.execute(
        "select lead_id, known_at from marts.fct_communications where source_row_id = 'evening'"
    ).fetchall()
    assert rows == [{"lead_id": f"{L}:full", "known_at": NOW}]


def test_each_touch_is_there_once_and_with_its_lead(built: Built) -> None:
    rows = built.execute(
        "select source_row_id, lead_id, channel, direction, actor from marts.fct_communications"
        " where source_system != 'ghl' or source_row_id in ('first', 'note', 'orphan')"
        " order by source_row_id"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("E1", f"{L}:full", "email", "outbound", "automation"),
        ("SM1", f"{L}:full", "sms", "outbound", "automation"),
        ("SM2", f"{L}:full", "sms", "inbound", "lead"),
        ("first", f"{L}:full", "sms", "outbound", "agent"),
    ]
    opened = column(
        built,
        "select occurred_at from intermediate.int_lead_timeline where event_type = 'email_opened'",
    )
    assert opened == [NOW - DAY]


def test_every_sign_withdraws_consent_with_each_record_that_has_the_address(built: Built) -> None:
    rows = built.execute(
        "select contact_id, channel, method from marts.fct_consent_events"
        f" where action = 'revoked' and lead_id = '{L}:full' order by 1, 2, 3"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("full", "email", "suppression_bounces"),
        ("full", "sms", "dnd_channel"),
        ("full", "sms", "inbound_sms"),
        ("twin", "sms", "inbound_sms"),
    ]


def test_evidence_keys_stay_when_our_write_back_touches_the_contact(
    built: Built, dbt_target: Path
) -> None:
    sql = "select evidence_key from marts.fct_consent_events order by 1"
    before = column(built, sql)
    built.execute("update raw_ghl.contacts set date_updated = now(), _known_at = now()")
    info = built.info
    database = Database(
        host=info.host, port=info.port, user=info.user, password="x", dbname=info.dbname
    )
    run = run_dbt(
        database, dbt_target, "run", "--select", "+fct_consent_events", as_of=NOW.isoformat()
    )
    assert run.success, run.messages
    assert column(built, sql) == before
    assert len(before) == len(set(before)) > 10


def test_imported_leads_stand_beside_the_crm(built: Built) -> None:
    rows = built.execute(
        "select lead_id, contact_id, status from marts.dim_leads where origin = 'import' order by 1"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (f"{L}:x1", None, "open"),
        (f"{L}:x2", None, "won"),
        (f"{L}:x3", None, "lost"),
    ]
    # A row that names a contact tells of that contact.
    assert lead(built, "odd_zone")["status"] == "won"


def test_appointments_tell_how_they_ended(built: Built) -> None:
    rows = built.execute(
        "select appointment_id, status from marts.fct_appointments order by 1"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("a-cancelled", "cancelled"), ("a-confirmed", "booked"), ("a-noshow", "no_show"),
        ("a-showed", "kept"),
    ]  # fmt: skip
    events = built.execute(
        "select event_type, occurred_at from intermediate.int_lead_timeline"
        " where event_type like 'appointment%' and event_type != 'appointment_booked' order by 1"
    ).fetchall()
    assert [tuple(row.values()) for row in events] == [
        ("appointment_cancelled", NOW - 4 * DAY),
        ("appointment_kept", NOW - 5 * DAY),
        ("appointment_no_show", NOW - 5 * DAY),
    ]


def test_figures_go_by_the_locations_own_day(built: Built) -> None:
    row = built.execute(
        f"select * from marts.kpi_daily where location_id = '{L}' and day = '2025-08-01'"
    ).fetchone()
    assert row is not None
    assert (row["sms_inbound"], row["leads_engaged"]) == (1, 1)
    first = built.execute(
        f"select * from marts.kpi_daily where location_id = '{L}' and new_leads > 5"
    ).fetchone()
    assert first is not None
    assert first["leads_answered"] == 2
    assert first["avg_first_response_minutes"] == (30 + 50 * 24 * 60) / 2
    gaps = column(
        built,
        "select max(day) - min(day) + 1 - count(*) from marts.kpi_daily group by location_id",
    )
    assert set(gaps) == {0}


def test_agents_are_seen_with_their_leads(built: Built) -> None:
    (row,) = built.execute("select * from marts.agent_performance").fetchall()
    assert row["agent_name"] == "Dana Whitlock"
    assert (row["leads_assigned"], row["leads_open"], row["touches"]) == (1, 1, 1)
    assert row["avg_first_response_minutes"] == 30
