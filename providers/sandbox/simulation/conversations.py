"""Messages and calls (``GetMessageResponseDto``), their later versions, transcripts, call notes."""

from __future__ import annotations

from typing import Final

import numpy as np

from providers.sandbox.simulation import signals as e
from providers.sandbox.simulation import text
from providers.sandbox.simulation.ids import random_ids
from providers.sandbox.simulation.log import Cast, Log
from providers.sandbox.simulation.model import Payload
from providers.sandbox.simulation.signals import Events
from providers.sandbox.simulation.timeline import DAY, HOUR, MINUTE, iso, iso_many, stream
from providers.sandbox.simulation.transcripts import dialogue, transcription

# HighLevel's numbers beside the names.
MESSAGE_TYPES: Final = {
    e.CALL: (1, "TYPE_CALL"),
    e.SMS: (2, "TYPE_SMS"),
    e.EMAIL: (3, "TYPE_EMAIL"),
}
_DIRECTIONS: Final = ("inbound", "outbound")
_STATUSES: Final = ("delivered", "opened", "clicked", "failed", "opt_out")
_CALL_STATUSES: Final = ("no-answer", "voicemail", "busy", "completed")
_CALL_MESSAGE_STATUSES: Final = ("undelivered", "delivered", "undelivered", "connected")
_ROBOTS: Final = frozenset({e.DRIP, e.ALERT})
LATE_SHARE: Final = 0.012
CORRECTED_SHARE: Final = 0.012
NOTED_SHARE: Final = 0.25
_NOTES: Final = (
    "Spoke with {first}. Looking around {price} in {city}.",
    "Call with {first}: wants {beds} bedrooms, will talk to a lender.",
    "{first} asked for comparables in {city}. Sent.",
    "Good call. {first} knows the area, price is the question ({price}).",
)


def message(
    id_: str,
    channel: int,
    direction: str,
    stamp: str,
    body: str,
    status: str,
    location: str,
    contact: str,
    conversation: str,
) -> Payload:
    """The fields that every message has."""
    number, name = MESSAGE_TYPES[channel]
    return {
        "id": id_,
        "type": number,
        "messageType": name,
        "locationId": location,
        "contactId": contact,
        "conversationId": conversation,
        "dateAdded": stamp,
        "dateUpdated": stamp,
        "body": body,
        "direction": direction,
        "status": status,
        "contentType": "text/html" if channel == e.EMAIL else "text/plain",
    }


def write_conversations(cast: Cast, events: Events, log: Log) -> None:
    """All messages and calls, with what became of them."""
    rng = stream(cast.seed, "messages")
    count = len(events)
    ids = random_ids(stream(cast.seed, "message ids"), count)
    lag = np.where(rng.random(count) < LATE_SHARE, rng.integers(2 * HOUR, 5 * DAY, count), 0)
    # A status that came later keeps a message in time, and a STOP acts at once.
    punctual = (events.status != e.DELIVERED) | (events.topic == e.STOP)
    lag = np.where(punctual, 0, lag)
    known = events.at_ms + lag
    picks = rng.integers(0, 1 << 30, count).tolist()
    corrected = (rng.random(count) < CORRECTED_SHARE).tolist()
    noted = (rng.random(count) < NOTED_SHARE).tolist()
    added, updated = iso_many(events.at_ms), iso_many(known)
    talked = (events.channel == e.CALL) & (events.call == e.ANSWERED)
    note_ids = iter(random_ids(stream(cast.seed, "note ids"), int(talked.sum())))
    sells = (cast.people.intent == 1).tolist()
    columns = zip(
        ids,
        events.person.tolist(),
        events.at_ms.tolist(),
        known.tolist(),
        added,
        updated,
        events.channel.tolist(),
        events.direction.tolist(),
        events.topic.tolist(),
        events.group.tolist(),
        events.status.tolist(),
        events.status_ms.tolist(),
        events.call.tolist(),
        events.seconds.tolist(),
        picks,
        corrected,
        noted,
        strict=True,
    )
    for (
        id_, person, at, ms, stamp, stamp_known, channel, direction, topic, group, status,
        status_ms, call, seconds, pick, wrong, note,
    ) in columns:  # fmt: skip
        slots, location = cast.slots[person], cast.location_ids[person]
        payload = message(
            id_, channel, _DIRECTIONS[direction], stamp, "", "delivered", location,
            cast.contact_ids[person], cast.conversation_ids[person],
        )  # fmt: skip
        payload["dateUpdated"] = stamp_known
        if direction == e.OUTBOUND:
            if topic in _ROBOTS:
                payload["source"] = "workflow" if pick & 3 else "campaign"
            else:
                payload["source"] = "app"
                payload["userId"] = cast.agent_ids[person]
        if channel == e.CALL:
            _fill_call(payload, direction, call, seconds)
            log.upsert(ms, "message", location, id_, payload)
            if wrong and call != e.NO_ANSWER:
                _correct_call(log, payload, ms + HOUR + pick % DAY, seconds + 7 + pick % 60)
            if call == e.ANSWERED:
                _transcribe(cast, log, payload, person, group, seconds, pick, ms)
                if note:
                    _note(
                        cast,
                        log,
                        next(note_ids),
                        person,
                        ms + (seconds + 60 + pick % 600) * 1000,
                        pick,
                    )
            continue
        if channel == e.EMAIL:
            core = _pick(text.mail_core(topic, direction, group, sells[person]), pick, slots)
            greeted, signed = ("first", "agent") if direction == e.OUTBOUND else ("agent", "first")
            payload["body"] = text.html(core, slots[greeted], slots[signed])
            payload["meta"] = {"email": {"messageIds": [id_]}}
        else:
            options = text.choices(topic, direction, group, sells[person])
            payload["body"] = _pick(options, pick, slots)
        if status == e.DELIVERED:
            if wrong and direction == e.OUTBOUND:
                log.upsert(ms, "message", location, id_, {**payload, "status": "pending"})
                ms += (1 + pick % 600) * 1000
                payload["dateUpdated"] = iso(ms)
            log.upsert(ms, "message", location, id_, payload)
            continue
        if status in (e.FAILED, e.REFUSED):
            payload["status"] = _STATUSES[status]
            log.upsert(at, "message", location, id_, payload)
            continue
        log.upsert(at, "message", location, id_, payload)
        if status == e.CLICKED:
            opened_ms = status_ms - 40_000
            _status(log, payload, opened_ms, "opened")
        _status(log, payload, status_ms, _STATUSES[status])


def _pick(options: tuple[str, ...], pick: int, slots: dict[str, str]) -> str:
    return options[pick % len(options)].format_map(slots)


def _fill_call(payload: Payload, direction: int, call: int, seconds: int) -> None:
    payload["status"] = _CALL_MESSAGE_STATUSES[call]
    # The contract gives the duration as a string.
    payload["meta"] = {"callDuration": str(seconds), "callStatus": _CALL_STATUSES[call]}
    if direction == e.INBOUND:
        payload["source"] = "app"


def _status(log: Log, payload: Payload, ms: int, status: str) -> None:
    version = {**payload, "status": status, "dateUpdated": iso(ms)}
    log.upsert(ms, "message", payload["locationId"], payload["id"], version)


def _correct_call(log: Log, payload: Payload, ms: int, seconds: int) -> None:
    """The carrier's bill puts the duration right."""
    meta = {**payload["meta"], "callDuration": str(seconds)}
    version = {**payload, "meta": meta, "dateUpdated": iso(ms)}
    log.upsert(ms, "message", payload["locationId"], payload["id"], version)


def _transcribe(
    cast: Cast, log: Log, call: Payload, person: int, group: int, seconds: int, pick: int, ms: int
) -> None:
    lines = dialogue(group, cast.sells(person))
    if seconds < 40:  # a short call gets no further than this
        lines = lines[:4]
    sentences = transcription(lines, pick, seconds, cast.slots[person])
    payload = {
        "messageId": call["id"],
        "locationId": call["locationId"],
        "sentences": sentences,
    }
    ready = ms + seconds * 1000 + 2 * MINUTE
    log.upsert(ready, "transcription", call["locationId"], call["id"], payload)


def _note(cast: Cast, log: Log, id_: str, person: int, ms: int, pick: int) -> None:
    payload = {
        "id": id_,
        "body": _pick(_NOTES, pick, cast.slots[person]),
        "userId": cast.agent_ids[person],
        "dateAdded": iso(ms),
        "contactId": cast.contact_ids[person],
        "title": "Call summary",
        "pinned": False,
    }
    log.upsert(ms, "note", cast.location_ids[person], id_, payload)
