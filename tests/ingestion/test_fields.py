"""What counts as a valid record, and how a broken one is described."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.fields import clean_text, read_timestamp
from ingestion.records import ghl, sendgrid, twilio
from ingestion.validate import Rejection, validate

CONTEXT = {"locationId": "L1"}


def contact(**changes: Any) -> dict[str, Any]:
    return {
        "id": "C1",
        "locationId": "L1",
        "firstName": "Ann",
        "dateAdded": "2025-03-01T10:00:00.000Z",
        "dateUpdated": "2025-03-02T10:00:00.000Z",
    } | changes


def message(**changes: Any) -> dict[str, Any]:
    return {
        "id": "M1",
        "locationId": "L1",
        "contactId": "C1",
        "messageType": "TYPE_SMS",
        "direction": "inbound",
        "dateAdded": "2025-03-01T10:00:00.000Z",
    } | changes


def accepted(record: Any, payload: Any) -> dict[str, Any]:
    row = validate(record, payload, CONTEXT)
    assert not isinstance(row, Rejection), row
    return row


def rejected(record: Any, payload: Any) -> Rejection:
    result = validate(record, payload, CONTEXT)
    assert isinstance(result, Rejection), result
    return result


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-03-09T06:59:59.123Z", datetime(2025, 3, 9, 6, 59, 59, 123000, UTC)),
        ("2025-03-09T01:00:00-05:00", datetime(2025, 3, 9, 6, tzinfo=UTC)),
        ("2025-03-09T06:00:00", datetime(2025, 3, 9, 6, tzinfo=UTC)),
        ("2025-03-09", datetime(2025, 3, 9, tzinfo=UTC)),
        (1741500000, datetime(2025, 3, 9, 6, tzinfo=UTC)),
        (1741500000000, datetime(2025, 3, 9, 6, tzinfo=UTC)),
        ("1741500000000", datetime(2025, 3, 9, 6, tzinfo=UTC)),
        ("Sun, 09 Mar 2025 06:00:00 +0000", datetime(2025, 3, 9, 6, tzinfo=UTC)),
        ("Sun, 09 Mar 2025 01:00:00 -0500", datetime(2025, 3, 9, 6, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read_in_every_form_the_providers_use(
    value: Any, expected: datetime | None
) -> None:
    assert read_timestamp(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "0001-01-01T00:00:00Z",
        "2199-01-01",
        True,
        {},
        [],
        float("nan"),
        1e30,
        -1e30,
        "13/45",
    ],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        read_timestamp(value)


@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30)),  # noqa: DTZ001 - naive bounds
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_means_the_same_moment_in_every_zone(naive: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = naive.replace(tzinfo=UTC)
    assert read_timestamp(moment.astimezone(zone).isoformat()) == moment


@given(st.text(st.characters(codec=None)))
def test_text_can_always_be_stored_and_loses_nothing_else(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned
    assert "\\." not in cleaned.split("\n")
    if text.isprintable() and text.isascii() and "\\." not in text:
        assert cleaned == text


def test_a_contact_becomes_a_row_in_snake_case_with_nested_data_kept() -> None:
    row = accepted(
        ghl.Contact,
        contact(tags=["a"], customFields=[{"id": "f", "value": 3}], dnd=True, phone=15550100),
    )
    assert row["first_name"] == "Ann"
    assert row["tags"] == ["a"]
    assert row["custom_fields"] == [{"id": "f", "value": 3}]
    assert row["dnd"] is True
    assert row["phone"] == "15550100"
    assert row["date_updated"] == datetime(2025, 3, 2, 10, tzinfo=UTC)


def test_birth_dates_and_social_security_numbers_are_never_loaded() -> None:
    row = accepted(ghl.Contact, contact(dateOfBirth="1980-01-01", ssn="000-00-0000"))
    assert not {"date_of_birth", "ssn"} & row.keys()
    assert "1980" not in str(row)


def test_empty_text_counts_as_absent() -> None:
    assert accepted(ghl.Contact, contact(email="", phone=None))["email"] is None


@pytest.mark.parametrize(
    ("changes", "named", "kind"),
    [
        ({"id": None}, "id", "null"),
        ({"id": ""}, "id", "empty text"),
        ({"dateAdded": "yesterday"}, "dateAdded", "text"),
        ({"dateAdded": None}, "dateAdded", "null"),
        ({"email": {"a": 1}}, "email", "an object"),
        ({"tags": "hot"}, "tags", "text"),
        ({"dnd": "perhaps"}, "dnd", "text"),
        ({"customFields": [float("nan")]}, "customFields", "a list"),
    ],
)
def test_the_reason_names_the_field_and_the_kind_of_value(
    changes: dict[str, Any], named: str, kind: str
) -> None:
    reason = rejected(ghl.Contact, contact(**changes)).reason
    assert f"{named}: " in reason
    assert f"got {kind}" in reason


def test_the_reason_never_repeats_the_value() -> None:
    secret = "ann.example@example.com"  # pragma: allowlist secret
    rejection = rejected(
        ghl.Contact, contact(email=[secret], dateAdded=secret, dnd=secret, tags=secret)
    )
    assert secret not in rejection.reason
    assert "1 more" in rejection.reason
    assert rejection.payload["email"] == [secret]


def test_a_missing_field_is_said_to_be_missing() -> None:
    payload = contact()
    del payload["dateAdded"]
    assert "dateAdded: " in rejected(ghl.Contact, payload).reason
    assert "missing" in rejected(ghl.Contact, payload).reason


def test_a_record_of_another_location_is_broken() -> None:
    assert "another location" in rejected(ghl.Contact, contact(locationId="L2")).reason


@pytest.mark.parametrize("payload", ["text", None, 3, [1]])
def test_what_is_no_object_is_broken(payload: Any) -> None:
    assert "expected an object" in rejected(ghl.Contact, payload).reason


def test_a_call_tells_its_outcome() -> None:
    row = accepted(
        ghl.Message,
        message(messageType="TYPE_CALL", meta={"callDuration": "120", "callStatus": "completed"}),
    )
    assert (row["call_duration"], row["call_status"]) == (120, "completed")
    live = accepted(ghl.Message, message(meta={"call": {"duration": 12, "status": "voicemail"}}))
    assert (live["call_duration"], live["call_status"]) == (12, "voicemail")


def test_amounts_keep_their_cents_and_stay_finite() -> None:
    base = {"id": "O", "contactId": "C", "status": "open", "createdAt": "2025-01-01"}
    assert accepted(ghl.Opportunity, base | {"monetaryValue": "10.10"})["monetary_value"] == (
        Decimal("10.10")
    )
    assert "monetaryValue" in rejected(ghl.Opportunity, base | {"monetaryValue": 1e300}).reason
    assert "monetaryValue" in rejected(ghl.Opportunity, base | {"monetaryValue": "much"}).reason


def test_twilio_and_sendgrid_keep_their_own_names() -> None:
    sms = {
        "sid": "SM1", "from": "+15550100", "to": "+15550101", "direction": "inbound",
        "status": "received", "date_created": "Sun, 09 Mar 2025 06:00:00 +0000",
        "num_segments": "2", "error_code": 30007,
    }  # fmt: skip
    row = accepted(twilio.SmsMessage, sms)
    assert (row["from_number"], row["to_number"]) == ("+15550100", "+15550101")
    assert (row["num_segments"], row["error_code"]) == (2, "30007")
    bounce = {"kind": "bounces", "email": " Ann@Example.com ", "created": 1741500000}
    suppression = accepted(sendgrid.Suppression, bounce)
    assert suppression["email"] == "ann@example.com"
    assert suppression["created_at"] == datetime(2025, 3, 9, 6, tzinfo=UTC)
