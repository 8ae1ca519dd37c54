"""What the models make of a small CRM written by hand, dirt included."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import clone, drop
from tests.dbt_project.conftest import NOW
from tests.dbt_project.raw_fixture import Row, create_raw_tables, insert
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

L, M = "loc1", "loc2"
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
BATCH_ID = "7f9c0a52-0000-4000-8000-000000000001"
SEND_ID = "7f9c0a52-0000-4000-8000-000000000002"
IMPORT_ID = "7f9c0a52-0000-4000-8000-000000000003"
FIELDS = (
    "sms_consent", "email_consent", "consent_at", "consent_source", "consent_text", "price_min",
    "price_max", "beds", "timeline", "property_type", "lead_intent",
)  # fmt: skip

PHONES = {
    "(813) 555-0142": "+18135550142",
    "813.555.0142 x77": "+18135550142",
    "1-813-555-0142": "+18135550142",
    "+1 813 555 0142 ext. 5": "+18135550142",
    "+44 20 7946 0958": "+442079460958",
    "0044 20 7946 0958": "+442079460958",
    "555-0142": None,
    "813-155-0142": None,
    "013-555-0142": None,
    "call me": None,
    "+1813555014212345": None,
}
EMAILS = {
    " Ann.LEE@Example.com ": "ann.lee@example.com",
    "ann+sale@mail.example.co": "ann+sale@mail.example.co",
    "ann@example": None,
    "ann.example.com": None,
    "ann lee@example.com": None,
    "ann..lee@example.com": None,
    "ann@-example.com": None,
    "": None,
}
BODIES = {
    "STOP": "channel",
    " stop. ": "channel",
    "Please stop!": "channel",
    "Stop all": "channel",
    "UNSUBSCRIBE": "channel",
    "end": "channel",
    "Quit": "channel",
    "please unsubscribe me from this": "channel",
    "Stop texting me": "channel",
    "don't text me anymore": "channel",
    "Do not contact me again": "all",
    "Remove me from your list": "all",
    "please take me off": "all",
    "leave me alone": "all",
    "Can we stop by the house at 5?": None,
    "The weekend is fine": None,
    "I quit my job, so we wait": None,
    "don't call before 9 please": None,
    "cancel my 3pm, can we do Friday?": None,
    "sounds good, thanks": None,
}
CALLS = {
    ("completed", 61): "answered",
    ("completed", 0): "no_answer",
    ("voicemail", 20): "voicemail",
    ("busy", 0): "busy",
    ("no-answer", 0): "no_answer",
    ("canceled", 0): "failed",
}
MONEY = {"$450,000": 45_000_000, "350000.5": 35_000_050, "about 400k": None, "-1": None}
MOMENTS = {
    "2025-03-04T10:00:00.000Z": dt.datetime(2025, 3, 4, 10, tzinfo=dt.UTC),
    "2025-03-04T10:00:00-05:00": dt.datetime(2025, 3, 4, 15, tzinfo=dt.UTC),
    "2025-03-04 10:00": dt.datetime(2025, 3, 4, 10, tzinfo=dt.UTC),
    "2025-03-04": dt.datetime(2025, 3, 4, tzinfo=dt.UTC),
    "2024-02-29": dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
    "2025-02-29": None,
    "2025-13-01": None,
    "04/03/2025": None,
    "yesterday": None,
}


def contact(contact_id: str, location_id: str = L, **columns: Any) -> Row:
    custom = columns.pop("custom", {})
    return {
        "id": contact_id,
        "location_id": location_id,
        "date_added": NOW - 100 * DAY,
        "date_updated": NOW - 100 * DAY,
        "dnd": False,
        "custom_fields": [
            {"id": f"{location_id}-{key}", "value": value} for key, value in custom.items()
        ],
        **columns,
    }


def message(message_id: str, contact_id: str, at: dt.datetime, **columns: Any) -> Row:
    return {
        "id": message_id,
        "location_id": L,
        "contact_id": contact_id,
        "message_type": "TYPE_SMS",
        "direction": "outbound",
        "status": "delivered",
        "date_added": at,
        "date_updated": at,
        "_known_at": at,
        **columns,
    }


def fill(connection: psycopg.Connection) -> None:
    put = lambda table, *rows: insert(connection, table, rows, known_at=NOW - DAY)  # noqa: E731
    put(
        "raw_ghl.locations",
        {"id": L, "location_id": L, "name": "One", "timezone": "America/New_York"},
        {"id": M, "location_id": M, "name": "Two", "timezone": "Mars/Olympus"},
    )
    put(
        "raw_ghl.custom_fields",
        *(
            {"id": f"{location}-{key}", "location_id": location, "field_key": f"contact.{key}"}
            for location in (L, M)
            for key in FIELDS
        ),
    )
    put("raw_ghl.users", {"id": "agent", "location_id": L, "name": "Dana Whitlock"})
    put(
        "raw_ghl.contacts",
        *(contact(f"phone{n}", M, phone=phone) for n, phone in enumerate(PHONES)),
        *(contact(f"email{n}", M, email=email) for n, email in enumerate(EMAILS)),
        *(contact(f"money{n}", M, custom={"price_min": text}) for n, text in enumerate(MONEY)),
        *(
            contact(f"moment{n}", M, custom={"consent_at": text, "sms_consent": "Yes"})
            for n, text in enumerate(MOMENTS)
        ),
        contact("dirt", M, custom_fields={"not": "a list"}, tags={"no": "list"},
                dnd_settings=[], dnd=None),
        contact("tagged", M, tags=["Buyer", " buyer ", "VIP", ""]),
        contact(
            "full", first_name=" Ann ", last_name="Lee", email="ann@example.com", dnd=False,
            phone="813-555-0100", assigned_to="agent", state="fl", timezone="America/Chicago",
            source=" Zillow ", dnd_settings={"SMS": {"status": "active"}},
            custom={
                "sms_consent": "yes", "email_consent": "yes", "consent_at": "2025-06-01T00:00:00Z",
                "consent_source": "form", "consent_text": "I agree", "price_min": "300000",
                "price_max": 500000, "beds": "3", "timeline": "0-3 months", "lead_intent": "Buy",
                "property_type": "Condo",
            },
        ),
        contact("twin", first_name="Ann", last_name="LEE", phone="8135550100",
                date_added=NOW - 50 * DAY),
        contact("merged", email="old@example.com"),
        contact("gone"),
        contact("won"), contact("lost"), contact("back"), contact("abroad_dnd",
                inbound_dnd_settings={"all": {"status": "active"}}),
        contact("odd_zone", timezone="America/Nowhere"),
    )  # fmt: skip
    put(
        "raw_ghl.contact_tombstones",
        {"location_id": L, "contact_id": "merged", "detected_at": NOW, "merged_into": "full"},
        {"location_id": L, "contact_id": "gone", "detected_at": NOW - DAY / 2},
    )
    opened = {"status": "open", "created_at": NOW - 90 * DAY, "updated_at": NOW - 90 * DAY}
    closed = {"created_at": NOW - 90 * DAY, "updated_at": NOW - 40 * DAY,
              "last_status_change_at": NOW - 40 * DAY, "monetary_value": 9000.5}  # fmt: skip
    put(
        "raw_ghl.opportunities",
        *(
            {"id": f"o{n}", "location_id": L, "contact_id": who, **columns}
            for n, (who, columns) in enumerate(
                [
                    ("full", opened),
                    ("won", closed | {"status": "won"}),
                    ("won", closed | {"status": "lost"}),
                    ("lost", closed | {"status": "abandoned"}),
                    ("back", closed | {"status": "won"}),
                    ("back", opened),
                    ("nobody", opened),
                ]
            )
        ),
    )
    put(
        "raw_ghl.messages",
        *(
            message(f"body{n}", "lost", NOW - 60 * DAY + n * MINUTE, direction="inbound", body=body)
            for n, body in enumerate(BODIES)
        ),
        *(
            message(f"call{n}", "lost", NOW - 50 * DAY + n * MINUTE, message_type="TYPE_CALL",
                    call_status=status, call_duration=seconds)
            for n, (status, seconds) in enumerate(CALLS)
        ),
        message("first", "full", NOW - 100 * DAY + 30 * MINUTE, user_id="agent", source="app"),
        # 01:30 UTC is the evening before in New York.
        message("evening", "merged", dt.datetime(2025, 8, 2, 1, 30, tzinfo=dt.UTC),
                direction="inbound"),
        message("note", "full", NOW - 9 * DAY, message_type="TYPE_ACTIVITY_OPPORTUNITY"),
        message("orphan", "nobody", NOW - 9 * DAY),
    )  # fmt: skip
    put(
        "raw_ghl.appointments",
        *(
            {"id": f"a-{status}", "location_id": L, "contact_id": "full",
             "start_time": NOW - 5 * DAY, "end_time": NOW - 5 * DAY + 60 * MINUTE,
             "date_added": NOW - 10 * DAY, "date_updated": NOW - 4 * DAY,
             "appointment_status": status}
            for status in ("showed", "noshow", "cancelled", "confirmed")
        ),
    )  # fmt: skip
    send(connection)
    put(
        "raw_twilio.messages",
        {"sid": "SM1", "location_id": L, "to_number": "+18135550100", "from_number": "+18135550999",
         "direction": "outbound-api", "status": "delivered", "date_created": NOW - 3 * DAY},
        {"sid": "SM2", "location_id": L, "to_number": "+18135550999", "from_number": "+18135550100",
         "direction": "inbound", "status": "received", "body": "STOP",
         "date_created": NOW - 2 * DAY},
        # The CRM tells of this one too.
        {"sid": "SM3", "location_id": L, "to_number": "+18135550100", "from_number": "+18135550999",
         "direction": "outbound-api", "status": "delivered",
         "date_created": NOW - 100 * DAY + 30 * MINUTE + dt.timedelta(seconds=9)},
        {"sid": "SM4", "location_id": L, "to_number": "+18135550777", "from_number": "+18135550999",
         "direction": "outbound-api", "status": "failed", "date_created": NOW - 2 * DAY},
    )  # fmt: skip
    put("raw_sendgrid.email_activity", {
        "msg_id": "E1", "to_email": "ANN@example.com", "status": "delivered", "opens_count": 2,
        "clicks_count": 0, "last_event_time": NOW - DAY, "location_id": L,
    })  # fmt: skip
    put("raw_sendgrid.suppressions", {
        "kind": "bounces", "email": "ann@example.com", "location_id": None,
        "created_at": NOW - 2 * DAY,
    })  # fmt: skip
    put(
        "raw_import.leads",
        *(
            {"import_id": IMPORT_ID, "row_number": number, "location_id": L, "attributes": {},
             "external_id": external_id, "outcome": outcome, "created_at": NOW - 80 * DAY,
             "outcome_at": NOW - 70 * DAY if outcome is not None else None}
            for number, (external_id, outcome) in enumerate(
                [("x1", None), ("x2", True), ("x3", False), ("odd_zone", True), ("x1", None)]
            )
        ),
    )  # fmt: skip


def send(connection: psycopg.Connection) -> None:
    """Our own message to ``twin``, whose number ``full`` has as well."""
    connection.execute(
        "insert into ops.batches values (%s, 'a', 's', '{sms}', 1, 0, 1, 'done', false, %s, 'd',"
        " '{}', 'me', %s)",
        (BATCH_ID, NOW, NOW),
    )
    connection.execute(
        "insert into ops.sends (send_id, batch_id, lead_id, location_id, contact_id, channel,"
        " to_address, from_address, body, body_digest, template_id, template_version, sequence,"
        " step, idempotency_key, status, not_before, provider, provider_message_id, created_at,"
        " sent_at) values (%s, %s, %s, %s, 'twin', 'sms', '+18135550100', '+18135550999', 'hi',"
        " 'd', 't', '1', 's', 1, 'k', 'sent', %s, 'twilio', 'SM1', %s, %s)",
        (SEND_ID, BATCH_ID, f"{L}:twin", L, NOW, NOW, NOW - 3 * DAY),
    )


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
    found = [lead(built, f"phone{n}", M) for n in range(len(PHONES))]
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
        "status": "open", "is_open": True, "duplicate_of_lead_id": None,
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


def test_duplicates_name_the_lead_to_keep(built: Built) -> None:
    assert lead(built, "twin")["duplicate_of_lead_id"] == f"{L}:full"


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
        ("SM1", f"{L}:twin", "sms", "outbound", "automation"),
        ("SM2", f"{L}:full", "sms", "inbound", "lead"),
        ("first", f"{L}:full", "sms", "outbound", "agent"),
    ]
    opened = column(
        built,
        "select occurred_at from intermediate.int_lead_timeline where event_type = 'email_opened'",
    )
    assert opened == [NOW - DAY]


def test_every_sign_withdraws_consent_for_all_who_share_it(built: Built) -> None:
    rows = built.execute(
        "select lead_id, channel, method from marts.fct_consent_events"
        f" where action = 'revoked' and lead_id in ('{L}:full', '{L}:twin') order by 1, 2, 3"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (f"{L}:full", "email", "suppression_bounces"),
        (f"{L}:full", "sms", "dnd_channel"),
        (f"{L}:full", "sms", "inbound_sms"),
        (f"{L}:twin", "sms", "inbound_sms"),
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
