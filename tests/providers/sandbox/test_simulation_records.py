"""The simulated brokerage's records: the same bytes, the right shapes, the promised dirt."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import phonenumbers
import pytest

from leadengine.errors import LeadEngineError
from providers.sandbox.simulation import Brokerage, generate
from providers.sandbox.simulation.world import OFFICES
from tests.providers.sandbox.simulation_views import (
    ANCHOR,
    instant,
    last_versions,
    midnight,
    whole,
)


@pytest.fixture(scope="module")
def brokerage() -> Brokerage:
    """The default size."""
    return generate(7, 5000, ANCHOR)


def _digest_elsewhere(hash_seed: str) -> str:
    code = (
        "import datetime, sys\n"
        "from providers.sandbox.simulation import generate\n"
        "sys.stdout.write(generate(7, 300, datetime.date(2025, 11, 20)).digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_same_arguments_give_the_same_bytes_in_any_process() -> None:
    here = generate(7, 300, ANCHOR).digest()
    assert _digest_elsewhere("0") == here
    assert _digest_elsewhere("4242") == here


def test_seed_size_and_anchor_each_change_the_bytes() -> None:
    digests = {
        generate(seed, contacts, anchor).digest()
        for seed, contacts, anchor in (
            (7, 40, ANCHOR),
            (8, 40, ANCHOR),
            (7, 41, ANCHOR),
            (7, 40, ANCHOR + dt.timedelta(days=1)),
        )
    }
    assert len(digests) == 4


@pytest.mark.parametrize("contacts", [20, 21, 57])
@pytest.mark.parametrize(
    "anchor", [dt.date(2024, 2, 29), dt.date(2025, 8, 31), dt.date(2026, 1, 1)]
)
def test_small_brokerages_around_awkward_dates(contacts: int, anchor: dt.date) -> None:
    small = generate(3, contacts, anchor)
    assert {record.kind for record in small.records} >= {"contact", "message", "opportunity"}
    assert small.broken


@pytest.mark.parametrize(
    ("seed", "contacts", "anchor", "named"),
    [(-1, 100, ANCHOR, "-1"), (1, 3, ANCHOR, "3 contacts"), (1, 100, dt.date(1, 1, 1), "0001")],
)
def test_impossible_arguments_are_named(
    seed: int, contacts: int, anchor: dt.date, named: str
) -> None:
    with pytest.raises(LeadEngineError, match=named):
        generate(seed, contacts, anchor)


def test_volumes(brokerage: Brokerage) -> None:
    until = midnight(0)
    touches, transcripts, calls = set(), set(), set()
    contacts = set()
    for record in brokerage.records:
        if record.known_at > until or (record.kind, record.id) in brokerage.broken:
            continue
        if record.kind == "message" and record.payload is not None:
            if record.payload["type"] in (1, 2, 3):
                touches.add(record.id)
            if record.payload.get("meta", {}).get("callStatus") == "completed":
                calls.add(record.id)
        elif record.kind == "transcription":
            transcripts.add(record.id)
        elif record.kind == "contact":
            contacts.add(record.id)
    assert 70_000 <= len(touches) <= 92_000
    assert len(contacts) == 5000
    assert len(brokerage.users) == 12
    assert len(brokerage.locations) == 2
    assert len({location["timezone"] for location in brokerage.locations}) == 2
    assert transcripts <= calls
    assert len(calls - transcripts) <= 5  # the last calls are still being transcribed
    assert len(brokerage.records) > len(touches)


def test_ten_times_the_contacts_take_about_ten_times_as_long() -> None:
    spent = []
    for contacts in (500, 5000):
        began = time.process_time()
        generate(1, contacts, ANCHOR)
        spent.append(time.process_time() - began)
    assert spent[1] < 25 * spent[0]


def test_records_are_in_order_and_within_the_period(brokerage: Brokerage) -> None:
    times = [record.known_at for record in brokerage.records]
    assert all(a <= b for a, b in pairwise(times))
    assert times[0] >= dt.datetime(2024, 5, 20, tzinfo=dt.UTC)
    assert midnight(0) < times[-1] <= midnight(-14)
    after = Counter(r.kind for r in brokerage.records if r.known_at > midnight(0))
    assert set(after) == {
        "contact", "message", "opportunity", "appointment", "task", "note", "transcription"
    }  # fmt: skip


def test_each_record_follows_what_it_refers_to(brokerage: Brokerage) -> None:
    contacts: set[str] = set()
    messages: set[str] = set()
    for record in brokerage.records:
        if record.kind == "contact":
            contacts.add(record.id)
        elif record.payload is not None and (record.kind, record.id) not in brokerage.broken:
            if record.kind == "transcription":
                assert record.id in messages
            else:
                assert record.payload["contactId"] in contacts
        if record.kind == "message":
            messages.add(record.id)
    ids = [(record.kind, record.id) for record in brokerage.records if record.kind == "contact"]
    assert len({id_ for _, id_ in ids}) > 5000


def test_update_stamps_tell_when_a_version_became_known(brokerage: Brokerage) -> None:
    stamped = {"contact": "dateUpdated", "message": "dateUpdated", "opportunity": "updatedAt"}
    for kind, field in stamped.items():
        for record in whole(brokerage, kind):
            if record.payload is not None:
                lag = record.known_at - instant(record.payload[field])
                assert abs(lag) <= dt.timedelta(seconds=1), record


def test_agents_and_stages_referred_to_exist(brokerage: Brokerage) -> None:
    users = {
        (location, user["id"])
        for user in brokerage.users
        for location in user["roles"]["locationIds"]
    }
    stages = {
        (pipeline["locationId"], pipeline["id"], stage["id"])
        for pipeline in brokerage.pipelines
        for stage in pipeline["stages"]
    }
    calendars = {(calendar["locationId"], calendar["id"]) for calendar in brokerage.calendars}
    fields = {(field["locationId"], field["id"]) for field in brokerage.custom_fields}
    for opportunity in last_versions(brokerage, "opportunity").values():
        location = opportunity["locationId"]
        assert (location, opportunity["assignedTo"]) in users
        assert (location, opportunity["pipelineId"], opportunity["pipelineStageId"]) in stages
    for appointment in last_versions(brokerage, "appointment").values():
        assert (appointment["locationId"], appointment["calendarId"]) in calendars
    for contact in last_versions(brokerage, "contact").values():
        for value in contact["customFields"]:
            assert (contact["locationId"], value["id"]) in fields


def test_nobody_real_is_in_it(brokerage: Brokerage) -> None:
    email = re.compile(r"@.*example\.(com|org|net)$", re.IGNORECASE)
    for contact in last_versions(brokerage, "contact").values():
        phone = contact.get("phone", "")
        if phone.startswith("+1") and len(phone) == 12:
            number = phonenumbers.parse(phone)
            assert re.match(r"\+1\d{3}55501\d\d$", phone)
            assert phonenumbers.is_possible_number(number)
            assert phonenumbers.is_valid_number(number)
        address = contact.get("email", "")
        assert not address or "example" in address.lower()
        if address.count("@") == 1 and " " not in address and address.rsplit(".", 1)[-1].isalpha():
            assert email.search(address) or address.lower().endswith("@example")


def test_every_kind_of_dirt_is_there(brokerage: Brokerage) -> None:
    contacts = [c for r in whole(brokerage, "contact") if (c := r.payload) is not None]
    messages = [m for r in whole(brokerage, "message") if (m := r.payload) is not None]
    phones = [c.get("phone") for c in contacts]
    emails = [c.get("email") for c in contacts]
    assert phones.count(None) > 50
    assert phones.count("") > 20
    assert sum(bool(p) and not p.startswith("+1") for p in phones if p is not None) > 200
    assert sum("+" in p and len(p) != 12 for p in phones if p is not None) > 20
    assert sum(e is not None and e != e.lower() for e in emails) > 200
    assert sum(e is not None and "@" not in e and e != "" for e in emails) > 5
    assert sum("timezone" not in c for c in contacts) > 500
    assert len({c["timezone"] for c in contacts if "timezone" in c}) >= 5
    late = [
        m
        for m in messages
        if m["status" if "status" in m else "id"] in ("delivered", "connected", "undelivered")
        and instant(m["dateUpdated"]) - instant(m["dateAdded"]) > dt.timedelta(hours=1)
    ]
    assert len(late) > 300
    durations: dict[str, set[str]] = defaultdict(set)
    for m in messages:
        if m["type"] == 1:
            durations[m["id"]].add(m["meta"]["callDuration"])
    assert sum(len(seen) > 1 for seen in durations.values()) > 30
    values: dict[str, set[float]] = defaultdict(set)
    for record in whole(brokerage, "opportunity"):
        if record.payload is not None:
            values[record.id].add(record.payload["monetaryValue"])
    assert sum(len(seen) > 1 for seen in values.values()) > 20
    names: dict[str, set[str]] = defaultdict(set)
    for c in contacts:
        names[c["id"]].add(c["lastName"])
    assert sum(len(seen) > 1 for seen in names.values()) > 5


def test_duplicates_share_an_email_or_a_phone_and_a_name(brokerage: Brokerage) -> None:
    by_key: dict[tuple[str, ...], set[str]] = defaultdict(set)
    households: dict[tuple[str, str], set[str]] = defaultdict(set)
    for contact in last_versions(brokerage, "contact").values():
        location = contact["locationId"]
        digits = re.sub(r"\D", "", contact.get("phone", ""))[-10:]
        if contact.get("email"):
            by_key[location, contact["email"].lower()].add(contact["id"])
        if len(digits) == 10:
            by_key[location, digits, contact["name"].lower()].add(contact["id"])
            households[location, digits].add(contact["firstName"].lower())
    assert sum(len(ids) > 1 for ids in by_key.values()) >= 60
    assert sum(len(names) > 1 for names in households.values()) >= 15  # two people, one phone


def _merged(brokerage: Brokerage) -> Iterator[tuple[str, dict[str, Any]]]:
    """Deleted contacts whose messages went to another, with that one's last version."""
    contacts = last_versions(brokerage, "contact")
    deleted = {r.id for r in whole(brokerage, "contact") if r.op == "delete"}
    moved: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, str] = {}
    for record in whole(brokerage, "message"):
        if record.payload is not None:
            before = owners.get(record.id)
            owner = owners[record.id] = record.payload["contactId"]
            if before is not None and before != owner:
                moved[before].add(owner)
    for loser in sorted(deleted & moved.keys()):
        (survivor,) = moved[loser]
        if survivor in contacts:
            yield loser, contacts[survivor]
    assert moved.keys() <= deleted


def test_merged_contacts_leave_their_messages_and_addresses_to_the_survivor(
    brokerage: Brokerage,
) -> None:
    merged = list(_merged(brokerage))
    assert len(merged) >= 40
    left = {m["contactId"] for m in last_versions(brokerage, "message").values()}
    for loser, _ in merged:
        assert loser not in left
    gained = [s for _, s in merged if s["additionalEmails"] or s["additionalPhones"]]
    assert len(gained) >= len(merged) * 0.6
    plain_deletions = sum(r.op == "delete" for r in whole(brokerage, "contact")) - len(merged)
    assert plain_deletions >= 20


def test_broken_records_are_a_handful_and_named(brokerage: Brokerage) -> None:
    kinds = Counter(kind for kind, _ in brokerage.broken)
    assert set(kinds) == {"message", "opportunity", "contact", "appointment"}
    assert len(brokerage.broken) <= 60
    payloads = [r.payload for r in brokerage.records if (r.kind, r.id) in brokerage.broken]
    assert len(payloads) == len(brokerage.broken)
    assert any(p is not None and "dateAdded" not in p for p in payloads)
    values = [p["monetaryValue"] for p in payloads if p is not None and "monetaryValue" in p]
    assert any(isinstance(v, str) for v in values)
    assert any(isinstance(v, int) and v < 0 for v in values)


def test_stop_switches_texting_off(brokerage: Brokerage) -> None:
    stops = {
        record.payload["contactId"]: record.known_at
        for record in whole(brokerage, "message")
        if record.payload is not None
        and record.payload["direction"] == "inbound"
        and record.payload["type"] == 2
        and record.payload["body"].upper().rstrip(".") in {"STOP", "UNSUBSCRIBE", "QUIT"}
    }
    assert len(stops) >= 80
    switched = {
        record.id: record.known_at
        for record in reversed(whole(brokerage, "contact"))
        if record.payload is not None
        and record.payload["dndSettings"].get("SMS", {}).get("status") == "active"
    }
    for contact, at in stops.items():
        if at < midnight(-13):
            assert dt.timedelta(0) < switched[contact] - at < dt.timedelta(minutes=1)
    refused = 0
    for record in whole(brokerage, "message"):
        message = record.payload
        if message is None or message["type"] != 2 or message["contactId"] not in stops:
            continue
        if instant(message["dateAdded"]) > stops[message["contactId"]]:
            assert message["status"] == "opt_out", message
            refused += 1
    assert refused >= 1


def test_consent_is_said_in_words(brokerage: Brokerage) -> None:
    keys = {field["id"]: field["fieldKey"] for field in brokerage.custom_fields}
    seen: Counter[tuple[str, str]] = Counter()
    for contact in last_versions(brokerage, "contact").values():
        values = {keys[v["id"]]: v["value"] for v in contact["customFields"]}
        for channel in ("sms", "email"):
            seen[channel, values.get(f"contact.{channel}_consent", "absent")] += 1
        if "yes" in (values.get("contact.sms_consent"), values.get("contact.email_consent")):
            assert "Reply STOP" in values["contact.consent_text"]
            assert values["contact.consent_source"]
            assert instant(values["contact.consent_at"]) == instant(contact["dateAdded"])
    for channel in ("sms", "email"):
        for answer in ("yes", "no", "absent"):
            assert seen[channel, answer] > 100


def test_slow_agents_are_visibly_slow(brokerage: Brokerage) -> None:
    created = {c["id"]: c for c in last_versions(brokerage, "contact").values()}
    first: dict[str, dt.datetime] = {}
    for record in whole(brokerage, "message"):
        message = record.payload
        if message is not None and message["direction"] == "outbound" and "userId" in message:
            at = instant(message["dateAdded"])
            first[message["contactId"]] = min(at, first.get(message["contactId"], at))
    waits: dict[str, list[float]] = defaultdict(list)
    for contact, at in first.items():
        if contact in created:
            added = instant(created[contact]["dateAdded"])
            waits[created[contact]["assignedTo"]].append((at - added).total_seconds() / 60)
    medians = sorted(sorted(minutes)[len(minutes) // 2] for minutes in waits.values())
    assert len(medians) == 12
    assert medians[0] < 15
    assert medians[-1] > 240


def test_two_offices_write_local_times(brokerage: Brokerage) -> None:
    offsets: dict[str, set[str]] = defaultdict(set)
    for appointment in last_versions(brokerage, "appointment").values():
        offsets[appointment["locationId"]].add(appointment["startTime"][-6:])
        assert 9 <= int(appointment["startTime"][11:13]) <= 17
    assert offsets == {
        OFFICES[0].id: {"-04:00", "-05:00"},
        OFFICES[1].id: {"-05:00", "-06:00"},
    }
