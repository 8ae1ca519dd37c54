"""Histories as a CRM and a telephone provider tell them, and what the timeline makes of them.

One :class:`RawLead` is a contact with its messages, calls, emails, appointments and opportunities:
late, corrected, told twice, dated ahead, merged, deleted, and around the nights on which clocks
change. :func:`write` puts many of them into the raw tables; :func:`events_of` says in plain Python
which events the warehouse must make of one.
"""

import datetime as dt
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from hypothesis import strategies as st

from tests.dbt_project.raw_fixture import Row, insert
from tests.dbt_project.reference import Event

LOCATIONS = {
    "new_york": "America/New_York",
    "london": "Europe/London",
    # Its summer time is half an hour.
    "lord_howe": "Australia/Lord_Howe",
}
AGENTS = ["dana", "eli", "kim"]
FIRST = dt.datetime(2024, 9, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
# When clocks change in those places, and some other days.
_ANCHORS = [
    dt.datetime(2024, 10, 5, 15, 30, tzinfo=dt.UTC),
    dt.datetime(2024, 10, 27, 1, tzinfo=dt.UTC),
    dt.datetime(2024, 11, 3, 6, tzinfo=dt.UTC),
    dt.datetime(2025, 3, 9, 7, tzinfo=dt.UTC),
    dt.datetime(2025, 3, 30, 1, tzinfo=dt.UTC),
    dt.datetime(2025, 4, 5, 15, tzinfo=dt.UTC),
    dt.datetime(2025, 6, 1, tzinfo=dt.UTC),
    dt.datetime(2025, 8, 20, 12, tzinfo=dt.UTC),
]
_EDGES = [dt.timedelta(days=days) for days in (0, 7, 30, 31, 90)]
_CALLS = [("completed", 61), ("completed", 0), ("voicemail", 20), ("no-answer", 0), ("busy", 0)]


@dataclass(frozen=True)
class RawLead:
    """What the providers hold of one lead. Times are UTC; ``_known_at`` of a row is its own."""

    location_id: str
    created_at: dt.datetime
    source: str
    messages: list[Row]
    calls_and_texts: list[Row]
    appointments: list[Row]
    opportunities: list[Row]
    merged_at: dt.datetime | None
    deleted_at: dt.datetime | None
    as_of: list[dt.datetime] = field(default_factory=list)


_offset = st.one_of(
    st.sampled_from(_EDGES),
    st.builds(operator.add, st.sampled_from(_EDGES), st.sampled_from([-SECOND, SECOND])),
    st.integers(-72, 72).map(lambda hours: hours * HOUR),
    st.integers(0, 90 * 86_400).map(lambda seconds: seconds * SECOND),
)  # fmt: skip
# Known at once, later, much later, or (as a record dated ahead is) before it happens.
_delay = st.one_of(
    st.just(dt.timedelta()),
    st.sampled_from([SECOND, 7 * DAY, 30 * DAY]),
    st.integers(-240, 2400).map(lambda hours: hours * HOUR),
)


@st.composite
def raw_leads(draw: st.DrawFn) -> RawLead:
    """A lead; its rows have no ids yet, :func:`write` numbers them."""
    anchor = draw(st.sampled_from(_ANCHORS))

    def moment() -> dt.datetime:
        sign = draw(st.sampled_from([-1, 1]))
        found: dt.datetime = max(FIRST, anchor + sign * draw(_offset))
        return found

    def row(at: dt.datetime, **columns: Any) -> Row:
        updated_at = draw(st.sampled_from([at, at, at + HOUR, at + 40 * DAY]))
        return {
            "_known_at": updated_at + draw(_delay),
            "_backfill": draw(st.booleans()),
            "at": at,
            "updated_at": updated_at,
            **columns,
        }

    def message() -> Row:
        kind = draw(st.sampled_from(["SMS", "SMS", "EMAIL", "CALL"]))
        direction = draw(st.sampled_from(["inbound", "outbound"]))
        status, seconds = draw(st.sampled_from(_CALLS))
        outcomes = ["delivered", "failed"]
        if kind == "EMAIL" and direction == "outbound":
            outcomes += ["opened", "clicked"]
        return row(
            moment(),
            kind=kind,
            direction=direction,
            status=draw(st.sampled_from(outcomes)),
            call=(status, seconds) if kind == "CALL" else None,
            agent_id=draw(st.sampled_from([*AGENTS, None])),
            sent_by=draw(st.sampled_from(["app", "workflow", None])),
            of_merged=draw(st.booleans()),
        )

    def told_by_twilio(messages: Sequence[Row]) -> Row:
        texts = [m for m in messages if m["kind"] == "SMS"]
        if texts and draw(st.booleans()):
            twin = draw(st.sampled_from(texts))
            at = twin["at"] + draw(st.sampled_from([0, 9, -60, 60, 61, -61])) * SECOND
            direction = twin["direction"]
        else:
            at, direction = moment(), draw(st.sampled_from(["inbound", "outbound"]))
        return row(at, direction=direction)

    messages = [message() for _ in range(draw(st.integers(0, 12)))]
    lead = RawLead(
        location_id=draw(st.sampled_from([*LOCATIONS])),
        created_at=min(anchor, moment()),
        source=draw(st.sampled_from(["zillow", "referral"])),
        messages=messages,
        calls_and_texts=[told_by_twilio(messages) for _ in range(draw(st.integers(0, 2)))],
        appointments=[
            row(at := moment(), starts_at=at + draw(st.integers(0, 400)) * HOUR,
                status=draw(st.sampled_from(["confirmed", "showed", "noshow", "cancelled"])))
            for _ in range(draw(st.integers(0, 2)))
        ],
        opportunities=[
            row(at := moment(), changed_at=at + draw(st.integers(0, 400)) * HOUR,
                status=draw(st.sampled_from(["open", "won", "lost", "abandoned"])))
            for _ in range(draw(st.integers(0, 2)))
        ],
        merged_at=draw(st.none() | st.builds(moment)),
        deleted_at=draw(st.none() | st.builds(moment)),
    )  # fmt: skip
    rows = [*messages, *lead.calls_and_texts, *lead.appointments, *lead.opportunities]
    moments = [anchor, lead.created_at, lead.created_at + SECOND]
    moments += [one[name] for one in rows for name in ("at", "_known_at")]
    for _ in range(4):
        step = draw(st.sampled_from([0 * SECOND, SECOND, *_EDGES]))
        lead.as_of.append(draw(st.sampled_from(moments)) + step)
    return lead


def write(connection: psycopg.Connection, leads: Sequence[RawLead], loaded_at: dt.datetime) -> None:
    """Fills the raw tables; lead ``n`` is the contact ``c{n}``, its merged one ``m{n}``."""
    insert(
        connection,
        "raw_ghl.locations",
        [
            {"id": name, "location_id": name, "name": name, "timezone": timezone}
            for name, timezone in LOCATIONS.items()
        ],
        known_at=FIRST,
    )
    tables: dict[str, list[Row]] = {
        "raw_ghl.contacts": [], "raw_ghl.contact_tombstones": [], "raw_ghl.messages": [],
        "raw_ghl.appointments": [], "raw_ghl.opportunities": [], "raw_twilio.messages": [],
    }  # fmt: skip
    for n, lead in enumerate(leads):
        _write_lead(tables, n, lead)
    for name, rows in tables.items():
        insert(connection, name, rows, known_at=loaded_at)


def _write_lead(tables: dict[str, list[Row]], n: int, lead: RawLead) -> None:
    place = {"location_id": lead.location_id}
    contact = {**place, "source": lead.source, "dnd": False, "_loaded_at": FIRST}
    tables["raw_ghl.contacts"].append(
        {**contact, "id": f"c{n}", "phone": _phone(n), "date_added": lead.created_at,
         "date_updated": lead.created_at, "_known_at": lead.created_at}
    )  # fmt: skip
    if lead.merged_at is not None:
        # Younger than the one that it is merged into.
        added = lead.created_at + HOUR
        tables["raw_ghl.contacts"].append(
            {**contact, "id": f"m{n}", "date_added": added, "date_updated": added,
             "_known_at": added}
        )  # fmt: skip
        tables["raw_ghl.contact_tombstones"].append(
            {**place, "contact_id": f"m{n}", "merged_into": f"c{n}", "detected_at": lead.merged_at}
        )
    if lead.deleted_at is not None:
        tables["raw_ghl.contact_tombstones"].append(
            {**place, "contact_id": f"c{n}", "detected_at": lead.deleted_at}
        )
    for i, row in enumerate(lead.messages):
        status, seconds = row["call"] or (None, None)
        tables["raw_ghl.messages"].append(
            {**place, **_clocks(row), "id": f"{n}-{i}", "contact_id": _contact(n, lead, row),
             "message_type": f"TYPE_{row['kind']}", "direction": row["direction"],
             "status": row["status"], "call_status": status, "call_duration": seconds,
             "user_id": row["agent_id"], "source": row["sent_by"], "date_added": row["at"],
             "date_updated": row["updated_at"]}
        )  # fmt: skip
    for i, row in enumerate(lead.calls_and_texts):
        ours, theirs = "+18135550999", _phone(n)
        inbound = row["direction"] == "inbound"
        tables["raw_twilio.messages"].append(
            {**place, **_clocks(row), "sid": f"SM{n}-{i}", "status": "delivered",
             "direction": "inbound" if inbound else "outbound-api", "date_created": row["at"],
             "from_number": theirs if inbound else ours, "to_number": ours if inbound else theirs}
        )  # fmt: skip
    for i, row in enumerate(lead.appointments):
        tables["raw_ghl.appointments"].append(
            {**place, **_clocks(row), "id": f"{n}-{i}", "contact_id": f"c{n}",
             "appointment_status": row["status"], "start_time": row["starts_at"],
             "end_time": row["starts_at"] + HOUR, "date_added": row["at"],
             "date_updated": row["updated_at"]}
        )  # fmt: skip
    for i, row in enumerate(lead.opportunities):
        tables["raw_ghl.opportunities"].append(
            {**place, **_clocks(row), "id": f"{n}-{i}", "contact_id": f"c{n}",
             "status": row["status"], "created_at": row["at"], "updated_at": row["updated_at"],
             "last_status_change_at": row["changed_at"]}
        )  # fmt: skip


def events_of(lead: RawLead) -> list[Event]:
    """The events that the warehouse must know of that lead, with both clocks."""
    told = [event for row in lead.messages for event in _message_events(lead, row)]
    texts = [e for e in told if e.event_type == "touch" and e.channel == "sms"]
    return [
        *told,
        *(
            Event("touch", row["at"], row["_known_at"], "sms", row["direction"], "delivered",
                  None, "lead" if row["direction"] == "inbound" else "automation")
            for row in lead.calls_and_texts
            # What the CRM tells of as well is one message.
            if not any(
                e.direction == row["direction"] and abs(e.occurred_at - row["at"]) <= 60 * SECOND
                for e in texts
            )
        ),
        *(event for row in lead.appointments for event in _appointment_events(row)),
        *(event for row in lead.opportunities for event in _opportunity_events(row)),
    ]  # fmt: skip


def _message_events(lead: RawLead, row: Row) -> list[Event]:
    merge_known_at = lead.merged_at if row["of_merged"] else None
    outbound = row["direction"] == "outbound"
    status = row["status"]
    if row["call"] is not None:
        word, seconds = row["call"]
        status = {"completed": "answered" if seconds else "no_answer", "voicemail": "voicemail",
                  "busy": "busy"}.get(word, "no_answer")  # fmt: skip
    engaged = outbound and status in {"opened", "clicked"}
    # What was opened since had been sent, and known, before: the row's clock is the opening's.
    known_at = row["at"] if engaged else row["_known_at"]
    by_agent = row["agent_id"] is not None and row["sent_by"] in {"app", None}
    found = [
        Event(
            "touch",
            row["at"],
            max(known_at, merge_known_at or known_at),
            {"SMS": "sms", "EMAIL": "email", "CALL": "call"}[row["kind"]],
            row["direction"],
            status,
            row["call"][1] if row["call"] else None,
            ("agent" if by_agent else "automation") if outbound else "lead",
            row["agent_id"],
        )
    ]
    if engaged:
        known_at = max(row["_known_at"], merge_known_at or row["_known_at"])
        found.append(Event("email_opened", row["updated_at"], known_at))
        if status == "clicked":
            found.append(Event("email_clicked", row["updated_at"], known_at))
    return found


def _appointment_events(row: Row) -> list[Event]:
    found = [Event("appointment_booked", row["at"], _made_known_at(row))]
    word = {"showed": "kept", "noshow": "no_show", "cancelled": "cancelled"}.get(row["status"])
    if word is not None:
        at = row["updated_at"] if word == "cancelled" else row["starts_at"]
        found.append(Event(f"appointment_{word}", at, row["_known_at"]))
    return found


def _opportunity_events(row: Row) -> list[Event]:
    found = [Event("opportunity_created", row["at"], _made_known_at(row))]
    if row["status"] != "open":
        word = "won" if row["status"] == "won" else "lost"
        found.append(Event(f"opportunity_{word}", row["changed_at"], row["_known_at"]))
    return found


def _made_known_at(row: Row) -> dt.datetime:
    """A record that was changed since it was made had been known from the start."""
    moment: dt.datetime = (
        row["at"] if row["_backfill"] or row["updated_at"] > row["at"] else row["_known_at"]
    )
    return moment


def _clocks(row: Row) -> Row:
    return {"_known_at": row["_known_at"], "_backfill": row["_backfill"]}


def _contact(n: int, lead: RawLead, row: Row) -> str:
    return f"m{n}" if row["of_merged"] and lead.merged_at is not None else f"c{n}"


def _phone(n: int) -> str:
    return f"+1813{2000000 + n}"
