"""Opportunities and appointments with their later versions, and the agents' tasks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from providers.sandbox.simulation import chain, outcomes, world
from providers.sandbox.simulation.chain import Ints
from providers.sandbox.simulation.emissions import group_of
from providers.sandbox.simulation.ids import random_ids
from providers.sandbox.simulation.log import SELL, SOURCE_NAMES, Cast, Log
from providers.sandbox.simulation.model import Payload
from providers.sandbox.simulation.outcomes import NEVER, OFFICE_ZONES, Bookings, Endings
from providers.sandbox.simulation.people import PRICE_BANDS
from providers.sandbox.simulation.timeline import (
    DAY,
    HOUR,
    MINUTE,
    iso,
    iso_many,
    stream,
    to_datetime,
)

STAGE: Final = {name: i for i, name in enumerate(world.STAGES)}
# Which stage an agent moves a lead to that they find in a state, by the state's group.
_STAGE_OF_GROUP: Final = {
    chain.ACTIVE: STAGE["Engaged"],
    chain.HOT: STAGE["Hot"],
    chain.DORMANT: STAGE["Nurture"],
    chain.BOOKED_1: STAGE["Appointment Set"],
}
COMMISSION: Final = 0.025
APPOINTMENT_MINUTES: Final = 60
_Move = tuple[int, dict[str, Any]]


def won_after(cast: Cast, endings: Endings) -> Ints:
    """When each deal is won (UTC ms), -1 for never: at once, or in the days after a meeting."""
    rng = stream(cast.seed, "won")
    count = len(cast)
    delay = HOUR + (rng.random(count) ** 2 * 4 * DAY).astype(np.int64)
    signs = rng.random(count) < 0.88
    won = np.where(endings.kept, endings.closed_ms + delay, endings.closed_ms)
    return np.where(endings.converted & (signs | ~endings.kept), won, -1)


def write_opportunities(
    cast: Cast, paths: Ints, bookings: Bookings, endings: Endings, won_ms: Ints, log: Log
) -> None:
    """One opportunity a contact (``SearchOpportunitiesResponseSchema``), through its stages."""
    rng = stream(cast.seed, "opportunities")
    people, count = cast.people, len(cast)
    ids = random_ids(stream(cast.seed, "opportunity ids"), count)
    created = people.created_ms + rng.integers(1_000, 90_000, count)
    stamps = iso_many(created)
    share = rng.random(count)
    slip = (rng.random(count) < 0.015).tolist()
    moves = _stage_moves(cast, paths, bookings, endings, rng)
    _final_moves(endings, won_ms, moves, rng)
    for i in range(count):
        low, high, *_ = PRICE_BANDS[people.band[i]]
        value = round((low + (high - low) * share[i]) * COMMISSION / 50) * 50
        pipeline = 1 if people.intent[i] == SELL else 0
        office = cast.office[i]
        payload: Payload = {
            "id": ids[i],
            "name": f"{people.first_name[i]} {people.last_name[i]}",
            "monetaryValue": value * 10 if slip[i] else value,
            "pipelineId": _PIPELINE_IDS[office][pipeline],
            "pipelineStageId": _STAGE_IDS[office][pipeline][STAGE["New Lead"]],
            "assignedTo": cast.agent_ids[i],
            "status": "open",
            "source": SOURCE_NAMES[people.source[i]],
            "lastStatusChangeAt": stamps[i],
            "lastStageChangeAt": stamps[i],
            "lastActionDate": stamps[i],
            "createdAt": stamps[i],
            "updatedAt": stamps[i],
            "contactId": cast.contact_ids[i],
            "locationId": cast.location_ids[i],
            "followers": [],
            "customFields": [],
        }
        log.upsert(int(created[i]), "opportunity", cast.location_ids[i], ids[i], payload)
        mine = moves.get(i, [])
        if slip[i]:  # a zero too many, put right within two days
            mine.append(
                (int(created[i]) + HOUR + int(share[i] * 2 * DAY), {"monetaryValue": value})
            )
        for ms, change in sorted(mine, key=_instant):
            payload = _moved(payload, ms, change, _STAGE_IDS[office][pipeline])
            log.upsert(ms, "opportunity", cast.location_ids[i], ids[i], payload)


_PIPELINE_IDS: Final = tuple(
    tuple(world.pipeline_id(o, p) for p in range(len(world.PIPELINES)))
    for o in range(len(world.OFFICES))
)
_STAGE_IDS: Final = tuple(
    tuple(
        tuple(world.stage_id(o, p, s) for s in range(len(world.STAGES)))
        for p in range(len(world.PIPELINES))
    )
    for o in range(len(world.OFFICES))
)


def _instant(move: _Move) -> int:
    return move[0]


def _moved(payload: Payload, ms: int, change: dict[str, Any], stages: tuple[str, ...]) -> Payload:
    stamp = iso(ms)
    version = {**payload, "updatedAt": stamp, "lastActionDate": stamp}
    for key, value in change.items():
        if key == "stage":
            version["pipelineStageId"] = stages[value]
            version["lastStageChangeAt"] = stamp
        else:
            version[key] = value
            if key == "status":
                version["lastStatusChangeAt"] = stamp
    return version


def _stage_moves(
    cast: Cast, paths: Ints, bookings: Bookings, endings: Endings, rng: np.random.Generator
) -> dict[int, list[_Move]]:
    """Agents keep the board up to date, mostly, and a day or two late."""
    calendar, people = cast.calendar, cast.people
    moves: dict[int, list[_Move]] = {}
    for i, ms in enumerate((people.response_ms + 5_000).tolist()):
        if ms < endings.closed_ms[i]:
            moves[i] = [(ms, {"stage": STAGE["Attempted Contact"]})]

    groups = np.minimum(paths, chain.BOOKED_1)
    ended = paths >= chain.CONVERTED
    day, person = np.nonzero((groups[1:-1] != groups[:-2]) & (groups[:-2] >= 0) & ~ended[1:-1])
    day = day + 1
    group = groups[day, person].astype(np.int64)
    lag = np.where(rng.random(len(day)) < 0.6, 0, rng.integers(1, 3, len(day)))
    lag = np.where(group == chain.DORMANT, rng.integers(1, 10, len(day)), lag)
    seen = day + lag
    minute = 9 * 60 + rng.integers(0, 10 * 60, len(day))
    wanted = (seen < calendar.days) & (rng.random(len(day)) < 0.88)
    wanted &= np.isin(group, [g for g in _STAGE_OF_GROUP if g != chain.BOOKED_1])
    # An agent acts on what they see then, not on what was.
    at_seen = paths[np.minimum(seen, calendar.days), person].astype(np.int64)
    wanted &= group_of(at_seen) == group
    ms = calendar.utc_ms(OFFICE_ZONES[people.office[person]], seen, minute * MINUTE)
    wanted &= ms < endings.closed_ms[person]
    for i, at, g in zip(
        person[wanted].tolist(), ms[wanted].tolist(), group[wanted].tolist(), strict=True
    ):
        moves.setdefault(i, []).append((at, {"stage": _STAGE_OF_GROUP[g]}))
    for i, at in zip(bookings.person.tolist(), bookings.booked_ms.tolist(), strict=True):
        moves.setdefault(i, []).append((at + 3_000, {"stage": STAGE["Appointment Set"]}))
    return moves


def _final_moves(
    endings: Endings,
    won_ms: Ints,
    moves: dict[int, list[_Move]],
    rng: np.random.Generator,
) -> None:
    ended = np.flatnonzero(endings.closed_ms != NEVER)
    for i, draw in zip(ended.tolist(), rng.random(len(ended)).tolist(), strict=True):
        mine = moves.setdefault(i, [])
        closed = int(endings.closed_ms[i])
        if not endings.converted[i]:
            mine.append((closed, {"status": "abandoned" if draw < 0.2 else "lost"}))
            continue
        if endings.kept[i]:
            shown = closed + (APPOINTMENT_MINUTES + 1) * MINUTE
            mine.append((shown, {"stage": STAGE["Appointment Kept"]}))
        if won_ms[i] >= 0:
            mine.append((max(int(won_ms[i]), closed), {"status": "won", "stage": STAGE["Closed"]}))
        else:
            gave_up = closed + 5 * DAY + int(draw * 25 * DAY)
            mine.append((gave_up, {"status": "lost"}))


def write_appointments(cast: Cast, bookings: Bookings, log: Log) -> None:
    """Appointments (``CalendarEventDTO``) from booking to outcome."""
    rng = stream(cast.seed, "appointments")
    count = len(bookings.person)
    ids = random_ids(stream(cast.seed, "appointment ids"), count)
    activity_ids = random_ids(stream(cast.seed, "activity ids"), count)
    confirms = rng.random(count) < 0.7
    confirm_lag = rng.integers(10 * MINUTE, 16 * HOUR, count)
    late = rng.random(count)
    slow = rng.integers(20 * HOUR, 70 * HOUR, count)
    quick = rng.integers(2 * MINUTE, 5 * HOUR, count)
    mistaken = rng.random(count) < 0.04
    stamps = iso_many(bookings.booked_ms)
    for k, i in enumerate(bookings.person.tolist()):
        office, location = cast.office[i], cast.location_ids[i]
        calendar = 1 if cast.sells(i) else 0
        booked, start = int(bookings.booked_ms[k]), int(bookings.start_ms[k])
        end = start + APPOINTMENT_MINUTES * MINUTE
        payload: Payload = {
            "id": ids[k],
            "title": f"{world.CALENDARS[calendar]} with {cast.slots[i]['first']}",
            "calendarId": _CALENDAR_IDS[office][calendar],
            "locationId": location,
            "contactId": cast.contact_ids[i],
            "groupId": _GROUP_IDS[office],
            "appointmentStatus": "new",
            "assignedUserId": cast.agent_ids[i],
            "users": [cast.agent_ids[i]],
            "address": world.OFFICES[office].address,
            "notes": "",
            "startTime": _local(cast, office, start),
            "endTime": _local(cast, office, end),
            "dateAdded": stamps[k],
            "dateUpdated": stamps[k],
        }
        log.upsert(booked, "appointment", location, ids[k], payload)
        _activity(cast, log, i, booked + 500, activity_ids[k])
        result = int(bookings.result[k])
        confirmed = booked + int(confirm_lag[k])
        over = int(bookings.cancelled_ms[k]) if result == outcomes.CANCELLED else start
        if confirms[k] and confirmed < over:
            _appointment(log, payload, confirmed, "confirmed")
        if result == outcomes.CANCELLED:
            _appointment(log, payload, int(bookings.cancelled_ms[k]), "cancelled")
        elif result != outcomes.PENDING:
            status = "showed" if result == outcomes.SHOWED else "noshow"
            noted = end + int(slow[k] if late[k] < 0.08 else quick[k])
            if status == "showed" and mistaken[k]:  # marked wrongly at first
                _appointment(log, payload, end + MINUTE, "noshow")
                noted = end + int(slow[k])
            _appointment(log, payload, noted, status)


def _appointment(log: Log, payload: Payload, ms: int, status: str) -> None:
    version = {**payload, "appointmentStatus": status, "dateUpdated": iso(ms)}
    log.upsert(ms, "appointment", payload["locationId"], payload["id"], version)


_CALENDAR_IDS: Final = tuple(
    tuple(world.calendar_id(o, c) for c in range(len(world.CALENDARS)))
    for o in range(len(world.OFFICES))
)
_GROUP_IDS: Final = tuple(world.calendar_group_id(o) for o in range(len(world.OFFICES)))


def _local(cast: Cast, office: int, ms: int) -> str:
    """An instant as HighLevel writes appointments: local time with its offset."""
    day = min((ms - cast.calendar.start_ms) // DAY, cast.calendar.days - 1)
    offset = int(cast.calendar.offsets[OFFICE_ZONES[office], day])
    hours, minutes = divmod(abs(offset), 60)
    sign = "-" if offset < 0 else "+"
    text = to_datetime(ms + offset * MINUTE).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}{sign}{hours:02d}:{minutes:02d}"


def _activity(cast: Cast, log: Log, person: int, ms: int, id_: str) -> None:
    """The line that a booking leaves in the conversation; the export lists it with messages."""
    payload = {
        "id": id_,
        "type": 31,
        "messageType": "TYPE_ACTIVITY_APPOINTMENT",
        "locationId": cast.location_ids[person],
        "contactId": cast.contact_ids[person],
        "conversationId": cast.conversation_ids[person],
        "dateAdded": iso(ms),
        "dateUpdated": iso(ms),
        "body": "Appointment booked",
        "direction": "outbound",
        "contentType": "text/plain",
    }
    log.upsert(ms, "message", cast.location_ids[person], id_, payload)


def write_tasks(cast: Cast, paths: Ints, bookings: Bookings, endings: Endings, log: Log) -> None:
    """Tasks (``TaskSchema``): call the hot, follow up on a missed appointment."""
    rng = stream(cast.seed, "tasks")
    hot = paths == chain.HOT
    day, hot_person = np.nonzero(hot[1:-1] & ~hot[:-2])
    zone = OFFICE_ZONES[cast.people.office[hot_person]]
    at = cast.calendar.utc_ms(zone, day + 1, rng.integers(15 * HOUR, 18 * HOUR, len(day)))
    missed = bookings.result == outcomes.NO_SHOW
    person = np.concatenate([hot_person, bookings.person[missed]])
    since = np.concatenate([at, bookings.start_ms[missed] + 2 * HOUR])
    titles = ["Call {first} about next steps"] * len(hot_person)
    titles += ["Follow up on missed appointment with {first}"] * int(missed.sum())
    ids = random_ids(stream(cast.seed, "task ids"), len(person))
    done = (rng.random(len(person)) < 0.8).tolist()
    took = rng.integers(HOUR, 3 * DAY, len(person)).tolist()
    for k, (i, ms) in enumerate(zip(person.tolist(), since.tolist(), strict=True)):
        if ms > endings.closed_ms[i]:
            continue
        payload: Payload = {
            "id": ids[k],
            "title": titles[k].format_map(cast.slots[i]),
            "body": "",
            "assignedTo": cast.agent_ids[i],
            "dueDate": iso(ms + DAY),
            "completed": False,
            "contactId": cast.contact_ids[i],
            "dateAdded": iso(ms),
            "dateUpdated": iso(ms),
        }
        location = cast.location_ids[i]
        log.upsert(ms, "task", location, ids[k], payload)
        if done[k]:
            finished = ms + took[k]
            version = {**payload, "completed": True, "dateUpdated": iso(finished)}
            log.upsert(finished, "task", location, ids[k], version)
