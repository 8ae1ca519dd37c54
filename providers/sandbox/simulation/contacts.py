"""Contact records (``GetContectByIdSchema`` and what the search adds) and their later versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from providers.sandbox.simulation import world
from providers.sandbox.simulation.chain import Ints
from providers.sandbox.simulation.log import SOURCE_NAMES, Cast, Log
from providers.sandbox.simulation.model import Payload
from providers.sandbox.simulation.outcomes import Endings
from providers.sandbox.simulation.people import (
    ABSENT,
    ABSENT_ANSWER,
    MALFORMED,
    NO,
    PRICE_BANDS,
    YES,
    People,
)
from providers.sandbox.simulation.places import PLACES, STREETS, display_phone
from providers.sandbox.simulation.signals import OptOuts
from providers.sandbox.simulation.timeline import DAY, HOUR, MINUTE, iso, iso_many, stream

Change = Callable[[Payload], None]
Changes = dict[int, list[tuple[int, Change]]]
"""By person: instants (UTC ms) and what then changes in the contact's record."""

_INTENT_TAGS: Final = ("buyer", "seller", "buyer-seller")
_ANSWERS: Final = {YES: "yes", NO: "no"}
CONSENT_TEXT: Final = (
    "By submitting this form I agree to receive calls, texts and emails about real estate from "
    "{office} at the number and address provided, including by automated means. Consent is not a "
    "condition of purchase. Reply STOP to opt out."
)
CONSENT_SOURCES: Final = {
    "Zillow": "Zillow lead form",
    "Website": "website form",
    "Facebook Ads": "Facebook lead form",
    "Google Ads": "landing page form",
    "Realtor.com": "Realtor.com lead form",
    "Open House": "open house sign-in sheet",
    "Referral": "verbal, noted by agent",
    "Cold List Import": "imported list",
}


def write_contacts(cast: Cast, log: Log, changes: Changes) -> None:
    """Every person's contact record and its later versions."""
    rng = stream(cast.seed, "contacts")
    payloads = first_versions(cast, rng)
    created = cast.people.created_ms.tolist()
    _mistype(rng, cast, payloads, changes)
    for i, payload in enumerate(payloads):
        location, id_ = cast.location_ids[i], cast.contact_ids[i]
        log.upsert(created[i], "contact", location, id_, payload)
        for ms, change in sorted(changes.get(i, ()), key=_instant):
            payload = {**payload, "dateUpdated": iso(ms)}
            change(payload)
            log.upsert(ms, "contact", location, id_, payload)


def _instant(change: tuple[int, Change]) -> int:
    return change[0]


def first_versions(cast: Cast, rng: np.random.Generator) -> list[Payload]:
    """The records as they come in, typed as carelessly as people do."""
    people, count = cast.people, len(cast)
    stamps = iso_many(people.created_ms)
    style = np.where(rng.random(count) < 0.1, rng.integers(0, 5, count), -1).tolist()
    casing = np.where(rng.random(count) < 0.12, rng.integers(1, 3, count), 0).tolist()
    zoned = (rng.random(count) < 0.74).tolist()
    empty = (rng.random(count) < 0.4).tolist()
    house = rng.integers(100, 9900, count).tolist()
    street = rng.integers(0, len(STREETS), count).tolist()
    garbled = rng.integers(0, 4, count).tolist()
    result = []
    for i in range(count):
        place, first, last = PLACES[people.place[i]], people.first_name[i], people.last_name[i]
        source = SOURCE_NAMES[people.source[i]]
        payload: Payload = {
            "id": cast.contact_ids[i],
            "locationId": cast.location_ids[i],
            "name": f"{first} {last}",
            "firstName": first,
            "lastName": last,
            "type": "lead",
            "source": source,
            "country": "US",
            "address1": f"{house[i]} {STREETS[street[i]]}",
            "city": place.city,
            "state": place.state,
            "postalCode": place.postal_code,
            "assignedTo": cast.agent_ids[i],
            "dateAdded": stamps[i],
            "dateUpdated": stamps[i],
            "tags": [source.lower().replace(" ", "-"), _INTENT_TAGS[people.intent[i]]],
            "dnd": False,
            "dndSettings": {},
            "customFields": custom_values(cast, people, i, stamps[i]),
            "additionalEmails": [],
            "additionalPhones": [],
            "followers": [],
        }
        phone = typed_phone(people.phone[i], int(people.phone_kind[i]), style[i], garbled[i])
        if phone or empty[i]:
            payload["phone"] = phone
        email = typed_email(people.email[i], int(people.email_kind[i]), casing[i], garbled[i])
        if email or empty[i]:
            payload["email"] = email
        if zoned[i]:
            payload["timezone"] = place.timezone
        result.append(payload)
    return result


def typed_phone(number: str, kind: int, style: int, garbled: int) -> str:
    """A phone as somebody typed it; empty for none. ``style`` -1 is E.164."""
    if kind == ABSENT:
        return ""
    if kind == MALFORMED:
        return (number[:-3], number[5:], "n/a", f"{number}555123")[garbled]
    return number if style < 0 else display_phone(number, style)


def typed_email(address: str, kind: int, casing: int, garbled: int) -> str:
    """An email as somebody typed it; empty for none."""
    if kind == ABSENT:
        return ""
    if kind == MALFORMED:
        return (
            address.replace("@", ""),
            address.replace("@", "@@"),
            address.rsplit(".", 1)[0],
            address.replace(".", " ", 1).replace("@", " @ "),
        )[garbled]
    if casing == 1:
        return address.upper()
    if casing == 2:
        return ".".join(part.capitalize() for part in address.split("."))
    return address


def custom_values(cast: Cast, people: People, i: int, stamp: str) -> list[Payload]:
    """The custom fields that the contact filled in; the contract gives values as strings."""
    office = cast.office[i]
    low, high, *_ = PRICE_BANDS[people.band[i]]
    values = {
        "lead_intent": world.INTENTS[people.intent[i]],
        "price_min": str(low),
        "price_max": str(high),
        "beds": str(people.beds[i]),
        "property_type": world.PROPERTY_TYPES[people.property_type[i]],
    }
    if people.timeline[i] < len(world.TIMELINES):
        values["timeline"] = world.TIMELINES[people.timeline[i]]
    sms, email = int(people.sms_consent[i]), int(people.email_consent[i])
    for key, answer in (("sms_consent", sms), ("email_consent", email)):
        if answer != ABSENT_ANSWER:
            values[key] = _ANSWERS[answer]
    if YES in (sms, email):
        values["consent_at"] = stamp
        values["consent_source"] = CONSENT_SOURCES[SOURCE_NAMES[people.source[i]]]
        values["consent_text"] = CONSENT_TEXT.format_map(cast.slots[i])
    return [{"id": _FIELD_IDS[office][key], "value": value} for key, value in values.items()]


_FIELD_IDS: Final = tuple(
    {key: world.field_id(o, key) for key in world.CUSTOM_FIELDS} for o in range(len(world.OFFICES))
)


def _mistype(
    rng: np.random.Generator, cast: Cast, payloads: list[Payload], changes: Changes
) -> None:
    """Typing errors that somebody corrects after hours or days."""
    wrong = np.flatnonzero(rng.random(len(cast)) < 0.035).tolist()
    for i in wrong:
        payload = payloads[i]
        key = ("lastName", "city", "postalCode", "phone")[int(rng.integers(0, 4))]
        right = payload.get(key)
        at = int(cast.people.created_ms[i]) + int(rng.integers(1 * HOUR, 4 * DAY))
        if not right:
            continue
        swap = int(rng.integers(1, max(len(right) - 2, 2)))
        payload[key] = right[:-2] if key == "phone" else _swapped(right, swap)
        if key == "lastName":
            payload["name"] = f"{payload['firstName']} {payload[key]}"
        changes.setdefault(i, []).append((at, _correction(key, right)))


def _swapped(word: str, at: int) -> str:
    return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]


def _correction(key: str, right: str) -> Change:
    def correct(payload: Payload) -> None:
        payload[key] = right
        if key == "lastName":
            payload["name"] = f"{payload['firstName']} {right}"

    return correct


def _dnd(channels: tuple[str, ...], status: str, message: str, code: str) -> Change:
    def switch(payload: Payload) -> None:
        setting = {"status": status, "message": message, "code": code}
        added = {channel: dict(setting) for channel in channels}
        payload["dndSettings"] = {**payload["dndSettings"], **added}

    return switch


def _everything(payload: Payload) -> None:
    payload["dnd"] = True
    _dnd(
        ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB"), "active", "Asked not to be contacted", ""
    )(payload)


def _inbound_block(payload: Payload) -> None:
    payload["inboundDndSettings"] = {
        "all": {"status": "active", "message": "Blocked by the office"}
    }


def _becomes_client(payload: Payload) -> None:
    payload["type"] = "customer"
    payload["tags"] = [*payload["tags"], "client"]


def dnd_changes(cast: Cast, opt_outs: OptOuts, endings: Endings, won_ms: Ints) -> Changes:
    """Opt-outs, blocks and new clients, as changes of the contact's record."""
    rng = stream(cast.seed, "dnd")
    changes: Changes = {}

    def at(person: int, ms: int, change: Change) -> None:
        changes.setdefault(person, []).append((ms, change))

    for i in np.flatnonzero(opt_outs.sms_ms >= 0).tolist():
        stop = _dnd(("SMS",), "active", "Contact replied STOP", "21610")
        at(i, int(opt_outs.sms_ms[i]) + 1_000, stop)
    for i in np.flatnonzero(opt_outs.email_ms >= 0).tolist():
        leave = _dnd(("Email",), "active", "Contact unsubscribed", "")
        at(i, int(opt_outs.email_ms[i]) + 1_000, leave)
    for i in np.flatnonzero(cast.people.phone_kind == MALFORMED).tolist():
        dead = _dnd(("SMS",), "permanent", "Invalid 'To' phone number", "21211")
        at(i, int(cast.people.response_ms[i]) + MINUTE, dead)
    lost = np.flatnonzero(~endings.converted & (endings.closed_ms < cast.calendar.end_ms))
    for i, draw in zip(lost.tolist(), rng.random(len(lost)).tolist(), strict=True):
        if draw < 0.05:
            at(i, int(endings.closed_ms[i]) + MINUTE, _everything)
        elif draw < 0.07:
            at(i, int(endings.closed_ms[i]) + MINUTE, _inbound_block)
        elif draw < 0.1:
            no_calls = _dnd(("Call",), "active", "Asked not to be called", "")
            at(i, int(endings.closed_ms[i]) + MINUTE, no_calls)
    for i in np.flatnonzero(won_ms >= 0).tolist():
        at(i, int(won_ms[i]) + 2_000, _becomes_client)
    return changes
