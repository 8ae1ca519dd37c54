"""How each contact's path ends, and the appointments on the way: read off the hidden paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from providers.sandbox.simulation import chain, world
from providers.sandbox.simulation.chain import Ints
from providers.sandbox.simulation.people import People
from providers.sandbox.simulation.timeline import HOUR, MINUTE, Bools, Calendar, stream, zone_index

PENDING, SHOWED, NO_SHOW, CANCELLED = range(4)
NEVER: Final = np.iinfo(np.int64).max
OFFICE_ZONES: Final = np.array([zone_index(office.timezone) for office in world.OFFICES])


@dataclass(frozen=True)
class Bookings:
    """Columns, one entry an appointment; instants in UTC milliseconds."""

    person: Ints
    booked_ms: Ints
    start_ms: Ints
    result: Ints
    cancelled_ms: Ints


@dataclass(frozen=True)
class Endings:
    """Columns, one entry a person.

    ``closed_ms`` is the instant of conversion or loss, ``NEVER`` while the lead is open;
    ``kept`` tells a conversion by appointment from a deal won without one.
    """

    closed_ms: Ints
    converted: Bools
    kept: Bools


def slot_ms(calendar: Calendar, office: Ints, day: Ints, slot: Ints) -> Ints:
    """UTC of an office-local slot of a day."""
    minute = chain.FIRST_SLOT_MINUTE + slot * chain.SLOT_MINUTES
    return calendar.utc_ms(OFFICE_ZONES[office], day, minute * MINUTE)


def read_outcomes(
    seed: int, calendar: Calendar, people: People, paths: Ints
) -> tuple[Bookings, Endings]:
    """Appointments and endings of the paths, with their times of day."""
    rng = stream(seed, "outcomes")
    bookings, appointment_day = _bookings(rng, calendar, people, paths)

    count = len(people)
    last = paths[-1]
    converted, lost = last == chain.CONVERTED, last == chain.LOST
    ended = np.flatnonzero(converted | lost)
    day = np.argmax(paths[:, ended] >= chain.CONVERTED, axis=0) - 1
    closed = np.full(count, NEVER)
    slot = rng.integers(0, chain.SLOTS, len(ended))
    closed[ended] = slot_ms(calendar, people.office[ended], day, slot)
    kept = np.zeros(count, dtype=np.bool_)
    showed = np.flatnonzero(bookings.result == SHOWED)
    kept[bookings.person[showed]] = True
    closed[bookings.person[showed]] = bookings.start_ms[showed]
    assert (appointment_day[showed] < calendar.days).all()  # noqa: S101 - by construction
    return bookings, Endings(closed, converted, kept)


def _bookings(
    rng: np.random.Generator, calendar: Calendar, people: People, paths: Ints
) -> tuple[Bookings, Ints]:
    booked = (paths >= chain.BOOKED_1) & (paths < chain.TRANSIENT)
    day, person = np.nonzero(booked[1:-1] & ~booked[:-2])
    day = day + 1
    count = len(day)
    due = day + paths[day, person] - chain.BOOKED_1
    result = np.full(count, PENDING)
    cancel_day = np.zeros(count, dtype=np.int64)
    for ahead in range(1, chain.LONGEST_LEAD):
        at = np.minimum(day + ahead, calendar.days)
        gone = (result == PENDING) & (day + ahead <= due) & (day + ahead < calendar.days)
        gone &= paths[at, person] == chain.COOLING
        result[gone] = CANCELLED
        cancel_day[gone] = at[gone]
    happened = (result == PENDING) & (due < calendar.days)
    after = paths[np.minimum(due + 1, calendar.days), person]
    result[happened] = np.where(after[happened] == chain.CONVERTED, SHOWED, NO_SHOW)

    start = slot_ms(calendar, people.office[person], due, rng.integers(0, chain.SLOTS, count))
    zone = people.zone[person]
    booked_ms = calendar.utc_ms(zone, day, _daytime(rng, count))
    cancelled_ms = calendar.utc_ms(zone, cancel_day, _daytime(rng, count))
    return Bookings(person, booked_ms, start, result, cancelled_ms), due


def _daytime(rng: np.random.Generator, count: int) -> Ints:
    return 9 * HOUR + (rng.random(count) * 10 * HOUR).astype(np.int64)
