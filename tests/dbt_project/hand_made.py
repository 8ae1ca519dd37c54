"""A small CRM written by hand, with the dirt that real ones have."""

import datetime as dt
from typing import Any

import psycopg

from tests.dbt_project.conftest import NOW
from tests.dbt_project.raw_fixture import Row, insert

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
    """Fills the raw tables of a fresh database."""

    def put(table: str, *rows: Row) -> None:
        insert(connection, table, rows, known_at=NOW - DAY)

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
    """Our own message to ``twin``, sent before it was known to be ``full``."""
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
