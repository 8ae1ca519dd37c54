"""What is wrong with the records of real CRMs: duplicates, merges, deletions, broken rows.

Late rows, corrections, odd formats and missing values are made where their records are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from providers.sandbox.simulation import chain, world
from providers.sandbox.simulation import signals as e
from providers.sandbox.simulation.chain import Ints
from providers.sandbox.simulation.contacts import Change, Changes, custom_values, first_versions
from providers.sandbox.simulation.conversations import message
from providers.sandbox.simulation.ids import random_ids
from providers.sandbox.simulation.log import SOURCE_NAMES, Cast, Log
from providers.sandbox.simulation.model import Kind, Payload
from providers.sandbox.simulation.names import EMAIL_DOMAINS, NICKNAMES
from providers.sandbox.simulation.outcomes import Endings
from providers.sandbox.simulation.people import VALID, People
from providers.sandbox.simulation.places import display_phone
from providers.sandbox.simulation.signals import OptOuts
from providers.sandbox.simulation.timeline import DAY, HOUR, MINUTE, iso, stream

DUPLICATE_SHARE: Final = 0.04
MERGED_SHARE: Final = 0.45
DELETED_SHARE: Final = 0.04
"""Of the contacts that were lost."""
BROKEN_EVERY: Final = 1200


def duplicate_count(contacts: int) -> int:
    """How many of a brokerage's contact records are second records of somebody."""
    return round(contacts * DUPLICATE_SHARE)


def write_duplicates(
    cast: Cast, paths: Ints, opt_outs: OptOuts, count: int, log: Log, changes: Changes
) -> dict[str, str]:
    """People who come in a second time as somebody new; some are merged later.

    A duplicate shares with the first record either the email (typed differently) or the phone
    and the name (in another format). When merged, the younger record is deleted, its messages
    move to the older one, and that one gets the other address and number.

    Returns:
        Each duplicate's id with that of the person's first record.
    """
    rng = stream(cast.seed, "duplicates")
    whom, day = _second_comings(cast, paths, count, rng)
    ids = random_ids(stream(cast.seed, "duplicate ids"), 5 * len(whom))
    by_text = cast.people.can_text & (opt_outs.sms_ms < 0)
    base = first_versions(cast, stream(cast.seed, "duplicate forms"))
    first_records: dict[str, str] = {}
    for k, (i, on) in enumerate(zip(whom.tolist(), day.tolist(), strict=True)):
        contact, conversation, *message_ids = ids[5 * k : 5 * k + 5]
        first_records[contact] = cast.contact_ids[i]
        at = cast.calendar.utc_ms(
            cast.people.zone[i : i + 1], np.array([on]), rng.integers(9 * HOUR, 21 * HOUR, 1)
        )[0].item()
        payload = _second_record(cast, base[i], i, contact, at, rng)
        location = cast.location_ids[i]
        log.upsert(at, "contact", location, contact, payload)
        channel = e.SMS if payload.get("phone") and by_text[i] else e.EMAIL
        messages = _messages(cast, i, payload, conversation, message_ids, channel, at, rng)
        for ms, written in messages:
            log.upsert(ms, "message", location, written["id"], written)
        if rng.random() < MERGED_SHARE:
            merged = at + int(rng.integers(2 * DAY, 60 * DAY))
            log.delete(merged, "contact", location, contact)
            for ms, written in messages:
                moved = {
                    **written,
                    "contactId": cast.contact_ids[i],
                    "conversationId": cast.conversation_ids[i],
                    "dateUpdated": iso(max(merged, ms)),
                }
                log.upsert(max(merged, ms) + 1, "message", location, written["id"], moved)
            changes.setdefault(i, []).append((merged + 2, _absorb(payload)))
    return first_records


def _second_comings(
    cast: Cast, paths: Ints, count: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Whom and on which day: most come back just when they become engaged again."""
    people, calendar = cast.people, cast.calendar
    usable = (people.phone_kind == VALID) & (people.email_kind == VALID)
    engaged = (paths == chain.ACTIVE) | (paths == chain.HOT)
    day, person = np.nonzero(engaged[1:-1] & ~engaged[:-2])
    day = day + 1
    good = usable[person] & (day > people.arrival_day[person] + 5) & (day < calendar.history_days)
    day, person = day[good], person[good]
    first = np.unique(person, return_index=True)[1]
    day, person = day[first], person[first]
    if len(person) < count:  # small or quiet brokerages: anybody, some days after coming in
        others = np.setdiff1d(np.flatnonzero(usable), person)
        late = np.minimum(people.arrival_day[others] + 8, calendar.history_days - 1)
        known = late > people.arrival_day[others]
        person = np.concatenate([person, others[known]])
        day = np.concatenate([day, late[known]])
    chosen = np.sort(rng.permutation(len(person))[:count])
    return person[chosen], day[chosen]


def _second_record(
    cast: Cast, first: Payload, i: int, id_: str, at: int, rng: np.random.Generator
) -> Payload:
    people, stamp = cast.people, iso(at)
    payload = {**first, "id": id_, "dateAdded": stamp, "dateUpdated": stamp}
    sources = [name for name in SOURCE_NAMES if name != first["source"]]
    payload["source"] = sources[int(rng.integers(0, len(sources)))]
    payload["tags"] = [payload["source"].lower().replace(" ", "-"), *first["tags"][1:]]
    payload["customFields"] = custom_values(cast, people, i, stamp)
    given, last = people.first_name[i], people.last_name[i]
    if rng.random() < 0.5:  # the same email in another spelling, the phone left out
        payload["email"] = people.email[i].upper() if rng.random() < 0.5 else people.email[i]
        payload.pop("phone", None)
        given = NICKNAMES.get(given, given)
    else:  # the same phone in another format, another email
        payload["phone"] = display_phone(people.phone[i], int(rng.integers(0, 5)))
        domain = EMAIL_DOMAINS[int(rng.integers(0, len(EMAIL_DOMAINS)))]
        payload["email"] = f"{given[0]}{last}{i + 1}@{domain}".lower()
        if rng.random() < 0.4:
            given, last = given.upper(), last.upper()
    payload |= {"firstName": given, "lastName": last, "name": f"{given} {last}"}
    return payload


def _messages(
    cast: Cast,
    i: int,
    contact: Payload,
    conversation: str,
    ids: list[str],
    channel: int,
    at: int,
    rng: np.random.Generator,
) -> list[tuple[int, Payload]]:
    """The inquiry of a duplicate and what it got back."""
    slots = cast.slots[i]
    texts = (
        ("inbound", 5_000, f"Hi, I am interested in {slots['city']}. Please contact me."),
        ("outbound", int(rng.integers(5, 240)) * MINUTE, f"Hi {slots['first']}, we are on it!"),
        ("outbound", int(rng.integers(1, 6)) * DAY, f"New homes in {slots['city']} this week."),
    )
    result = []
    for id_, (direction, delay, body) in zip(ids, texts, strict=True):
        written = message(
            id_, channel, direction, iso(at + delay), body, "delivered", cast.location_ids[i],
            contact["id"], conversation,
        )  # fmt: skip
        if direction == "outbound":
            written["source"] = "workflow"
        result.append((at + delay, written))
    return result


def _absorb(loser: Payload) -> Change:
    def absorb(survivor: Payload) -> None:
        email, phone = loser.get("email"), loser.get("phone")
        if email and email != survivor.get("email"):
            survivor["additionalEmails"] = [*survivor["additionalEmails"], {"email": email}]
        if phone and phone != survivor.get("phone"):
            survivor["additionalPhones"] = [*survivor["additionalPhones"], {"phone": phone}]

    return absorb


def write_deletions(cast: Cast, endings: Endings, log: Log) -> None:
    """Somebody tidies up: lost contacts that are deleted weeks later."""
    rng = stream(cast.seed, "deletions")
    lost = np.flatnonzero(~endings.converted & (endings.closed_ms < cast.calendar.end_ms))
    chosen = lost[rng.random(len(lost)) < DELETED_SHARE]
    delays = rng.integers(35 * DAY, 90 * DAY, len(chosen))
    for i, delay in zip(chosen.tolist(), delays.tolist(), strict=True):
        at = int(endings.closed_ms[i]) + delay
        log.delete(at, "contact", cast.location_ids[i], cast.contact_ids[i])


Broken = tuple[Kind, Callable[[Payload], None]]


def _without(*keys: str) -> Callable[[Payload], None]:
    def spoil(payload: Payload) -> None:
        for key in keys:
            del payload[key]

    return spoil


def _with(**values: Any) -> Callable[[Payload], None]:
    def spoil(payload: Payload) -> None:
        payload.update(values)

    return spoil


BREAKAGES: Final[tuple[Broken, ...]] = (
    ("message", _without("dateAdded", "dateUpdated")),
    ("message", _with(dateAdded="2025-02-30T25:61:00.000Z")),
    ("message", _with(dateAdded="0000-00-00T00:00:00.000Z")),
    ("message", _with(contactId=None, direction="sideways")),
    ("opportunity", _with(monetaryValue=-12500)),
    ("opportunity", _with(monetaryValue="call me")),
    ("contact", _with(firstName=4711, tags="vip", customFields="none", dateAdded=17)),
    ("contact", _with(dateAdded="yesterday", dnd="maybe")),
    ("appointment", _with(startTime="next Tuesday", endTime=None)),
)


def write_broken(cast: Cast, log: Log) -> frozenset[tuple[Kind, str]]:
    """Records that no loader can accept; each has an id of its own.

    Returns:
        Kind and id of every one.
    """
    rng = stream(cast.seed, "broken")
    people: People = cast.people
    rounds = max(1, len(cast) // BROKEN_EVERY)
    ids = random_ids(stream(cast.seed, "broken ids"), rounds * len(BREAKAGES))
    broken: set[tuple[Kind, str]] = set()
    known = np.flatnonzero(people.created_ms < cast.calendar.anchor_ms)
    for k, id_ in enumerate(ids):
        kind, spoil = BREAKAGES[k % len(BREAKAGES)]
        i = int(known[rng.integers(0, len(known))])
        at = int(rng.integers(people.created_ms[i], cast.calendar.anchor_ms))
        payload = _specimen(cast, kind, i, id_, at)
        spoil(payload)
        log.upsert(at, kind, cast.location_ids[i], id_, payload)
        broken.add((kind, id_))
    return frozenset(broken)


def _specimen(cast: Cast, kind: Kind, i: int, id_: str, at: int) -> Payload:
    """A whole record of a kind, to be spoiled."""
    stamp, location, contact = iso(at), cast.location_ids[i], cast.contact_ids[i]
    office = cast.office[i]
    if kind == "message":
        return message(
            id_, e.SMS, "inbound", stamp, "Sent from an old integration", "delivered", location,
            contact, cast.conversation_ids[i],
        )  # fmt: skip
    if kind == "opportunity":
        return {
            "id": id_,
            "name": "Imported deal",
            "monetaryValue": 0,
            "pipelineId": world.pipeline_id(office, 0),
            "pipelineStageId": world.stage_id(office, 0, 0),
            "assignedTo": cast.agent_ids[i],
            "status": "open",
            "source": "import",
            "lastStatusChangeAt": stamp,
            "lastStageChangeAt": stamp,
            "createdAt": stamp,
            "updatedAt": stamp,
            "contactId": contact,
            "locationId": location,
        }
    if kind == "appointment":
        return {
            "id": id_,
            "title": "Imported appointment",
            "calendarId": world.calendar_id(office, 0),
            "locationId": location,
            "contactId": contact,
            "groupId": world.calendar_group_id(office),
            "appointmentStatus": "new",
            "assignedUserId": cast.agent_ids[i],
            "users": [],
            "startTime": stamp,
            "endTime": stamp,
            "dateAdded": stamp,
            "dateUpdated": stamp,
        }
    return {
        "id": id_,
        "locationId": location,
        "firstName": "Imported",
        "lastName": "Row",
        "type": "lead",
        "source": "import",
        "dateAdded": stamp,
        "dateUpdated": stamp,
        "tags": [],
        "dnd": False,
        "customFields": [],
    }
