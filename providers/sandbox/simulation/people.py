"""Who the contacts are and what is known of them when they come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from providers.sandbox.simulation import world
from providers.sandbox.simulation.chain import SPEED_EDGES_MINUTES, Floats, Ints
from providers.sandbox.simulation.names import EMAIL_DOMAINS, FIRST_NAMES, LAST_NAMES
from providers.sandbox.simulation.places import (
    AWAY_PLACES,
    AWAY_SHARE,
    HOME_PLACES,
    HOME_WEIGHTS,
    PLACES,
    PhoneBook,
)
from providers.sandbox.simulation.timeline import (
    DAY,
    DAYS_AHEAD,
    HOUR,
    MINUTE,
    Bools,
    Calendar,
    stream,
    zone_index,
)

# Share of contacts, and effect on the score (log multiplier of the steps up).
SOURCES: Final = {
    "Zillow": (0.22, -0.05),
    "Website": (0.18, 0.05),
    "Facebook Ads": (0.20, -0.25),
    "Google Ads": (0.12, 0.00),
    "Realtor.com": (0.10, 0.05),
    "Open House": (0.07, 0.25),
    "Referral": (0.06, 0.45),
    "Cold List Import": (0.05, -0.50),
}
TIMELINE_SHARES: Final = (0.22, 0.24, 0.19, 0.15, 0.20)  # the last: not asked
TIMELINE_EFFECTS: Final = (0.32, 0.10, -0.10, -0.35, -0.05)
INTENT_SHARES: Final = (0.66, 0.20, 0.14)
INTENT_EFFECTS: Final = (-0.05, 0.05, 0.15)
# Price bands in USD: from, to, share, effect.
PRICE_BANDS: Final = (
    (150_000, 250_000, 0.18, -0.15),
    (250_000, 400_000, 0.34, 0.05),
    (400_000, 650_000, 0.28, 0.10),
    (650_000, 1_000_000, 0.14, 0.00),
    (1_000_000, 2_500_000, 0.06, -0.20),
)
PROPERTY_SHARES: Final = (0.58, 0.18, 0.14, 0.06, 0.04)
HOUSEHOLD_SHARE: Final = 0.012
OPEN_MINUTE, CLOSE_MINUTE = 8 * 60, 20 * 60 + 30

ABSENT, VALID, MALFORMED = range(3)
ABSENT_ANSWER, YES, NO = range(3)


@dataclass(frozen=True)
class People:
    """Columns, one entry a person; days, minutes and milliseconds as in :mod:`.timeline`."""

    office: Ints
    agent: Ints  # index into world.AGENTS
    source: Ints
    timeline: Ints
    intent: Ints
    band: Ints
    property_type: Ints
    beds: Ints
    place: Ints
    zone: Ints
    habit: Ints  # 0 morning, 1 lunch, 2 evening: when this person tends to be at the phone
    arrival_day: Ints
    created_ms: Ints
    response_ms: Ints  # first answer of a person
    response_day: Ints
    speed: Ints
    score: Floats
    phone_kind: Ints
    email_kind: Ints
    sms_consent: Ints
    email_consent: Ints
    first_name: list[str]
    last_name: list[str]
    phone: list[str]
    email: list[str]

    def __len__(self) -> int:
        return len(self.office)

    @property
    def can_text(self) -> Bools:
        able: Bools = (self.phone_kind == VALID) & (self.sms_consent != NO)
        return able

    @property
    def can_call(self) -> Bools:
        able: Bools = self.phone_kind == VALID
        return able

    @property
    def can_mail(self) -> Bools:
        able: Bools = (self.email_kind == VALID) & (self.email_consent != NO)
        return able


def _draw(rng: np.random.Generator, shares: tuple[float, ...], count: int) -> Ints:
    edges = np.cumsum(shares) / sum(shares)
    index = np.searchsorted(edges, rng.random(count), side="right").astype(np.int64)
    capped: Ints = np.minimum(index, len(shares) - 1)
    return capped


def _arrivals(
    rng: np.random.Generator, calendar: Calendar, count: int, later: int
) -> tuple[Ints, Ints]:
    """Day and local millisecond of arrival; the last ``later`` arrive after the anchor."""
    days = np.arange(calendar.days)
    weekday = (calendar.start.weekday() + days) % 7
    weight = np.where(weekday >= 5, 1.25, 0.95) * (1 + 0.25 * np.sin(days / 365.25 * 2 * np.pi))
    history = calendar.history_days
    past = _draw(rng, tuple((weight[: history - 1]).tolist()), count - later)
    future = history + rng.integers(0, DAYS_AHEAD, later)
    day = np.concatenate([np.sort(past), np.sort(future)]).astype(np.int64)
    hours = (1, 2, 3, 4, 4, 5, 5, 4, 4, 4, 5, 6, 7, 7, 6, 4, 2)  # 07:00 to 23:59
    minute = (7 + _draw(rng, tuple(map(float, hours)), count)) * 60 + rng.integers(0, 60, count)
    return day, minute * MINUTE + rng.integers(0, MINUTE, count)


def _first_response(
    rng: np.random.Generator, calendar: Calendar, created: Ints, office_zone: Ints, median: Floats
) -> Ints:
    """When a human answers first: the agent's habit, in office hours."""
    latency = np.exp(np.log(median) + 0.9 * rng.standard_normal(len(created)))
    early = np.exp(rng.normal(np.log(25.0), 0.8, len(created)))  # first thing in the morning
    minute = calendar.local_minute(office_zone, created)
    asleep = (minute < OPEN_MINUTE) | (minute >= CLOSE_MINUTE)
    to_opening = np.where(minute < OPEN_MINUTE, OPEN_MINUTE - minute, 1440 + OPEN_MINUTE - minute)
    fast_agent = np.minimum(median, 60.0)
    after = np.where(asleep, to_opening + np.minimum(early, 4 * fast_agent + 5), latency)
    answer = created + np.maximum(after * MINUTE, 30_000).astype(np.int64)
    minute = calendar.local_minute(office_zone, answer)
    closed = (minute < OPEN_MINUTE) | (minute >= CLOSE_MINUTE)
    to_opening = np.where(minute < OPEN_MINUTE, OPEN_MINUTE - minute, 1440 + OPEN_MINUTE - minute)
    moved = answer + (to_opening + np.minimum(early, 150.0)).astype(np.int64) * MINUTE
    in_hours: Ints = np.where(closed, moved, answer)
    return in_hours


def make_people(seed: int, calendar: Calendar, count: int, later: int) -> People:
    """Draws ``count`` people, of whom ``later`` come in after the anchor."""
    rng = stream(seed, "people")
    office = (rng.random(count) < 0.46).astype(np.int64)
    per_office = len(world.AGENTS) // len(world.OFFICES)
    agent = office * per_office + rng.integers(0, per_office, count)
    source = _draw(rng, tuple(share for share, _ in SOURCES.values()), count)
    timeline = _draw(rng, TIMELINE_SHARES, count)
    intent = _draw(rng, INTENT_SHARES, count)
    band = _draw(rng, tuple(share for _, _, share, _ in PRICE_BANDS), count)

    away = rng.random(count) < AWAY_SHARE
    home = _draw(rng, HOME_WEIGHTS, count) + office * len(HOME_PLACES[0])
    far = len(HOME_PLACES[0]) + len(HOME_PLACES[1]) + rng.integers(0, len(AWAY_PLACES), count)
    place = np.where(away, far, home)
    zone = np.array([zone_index(p.timezone) for p in PLACES])[place]

    arrival_day, local_ms = _arrivals(rng, calendar, count, later)
    created = calendar.utc_ms(zone, arrival_day, local_ms)
    office_zone = np.array([zone_index(o.timezone) for o in world.OFFICES])[office]
    median = np.array([a.reply_minutes for a in world.AGENTS])[agent]
    response = _first_response(rng, calendar, created, office_zone, median)
    minutes = (response - created) / MINUTE
    speed = np.searchsorted(np.array(SPEED_EDGES_MINUTES), minutes, side="right").astype(np.int64)
    response_day = (response - calendar.start_ms - 8 * HOUR) // DAY

    score = (
        np.array([effect for _, effect in SOURCES.values()])[source]
        + np.array(TIMELINE_EFFECTS)[timeline]
        + np.array(INTENT_EFFECTS)[intent]
        + np.array([effect for *_, effect in PRICE_BANDS])[band]
        + np.array([a.skill for a in world.AGENTS])[agent]
    )
    phone_kind, email_kind = _reachability(rng, count)
    first_name, last_name = _names(rng, count)
    phone = _phones(stream(seed, "phones"), place, count)
    _share_households(stream(seed, "households"), office, place, last_name, phone)
    return People(
        office=office,
        agent=agent,
        source=source,
        timeline=timeline,
        intent=intent,
        band=band,
        property_type=_draw(rng, PROPERTY_SHARES, count),
        beds=rng.integers(1, 6, count),
        place=place,
        zone=zone,
        habit=_draw(rng, (0.25, 0.3, 0.45), count),
        arrival_day=arrival_day,
        created_ms=created,
        response_ms=response,
        response_day=response_day,
        speed=speed,
        score=score,
        phone_kind=phone_kind,
        email_kind=email_kind,
        sms_consent=_draw(rng, (0.2, 0.7, 0.1), count),
        email_consent=_draw(rng, (0.15, 0.79, 0.06), count),
        first_name=first_name,
        last_name=last_name,
        phone=phone,
        email=[
            f"{first}.{last}{i + 1}@{EMAIL_DOMAINS[d]}".lower()
            for i, (first, last, d) in enumerate(
                zip(first_name, last_name, rng.integers(0, 3, count).tolist(), strict=True)
            )
        ],
    )


def _reachability(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
    """Phone and email of each: absent, valid or malformed; never are both unusable."""
    phone = _draw(rng, (0.045, 0.94, 0.015), count)
    email = _draw(rng, (0.055, 0.93, 0.015), count)
    email[(phone != VALID) & (email != VALID)] = VALID
    return phone, email


def _names(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    first = [FIRST_NAMES[i] for i in rng.integers(0, len(FIRST_NAMES), count).tolist()]
    last = [LAST_NAMES[i] for i in rng.integers(0, len(LAST_NAMES), count).tolist()]
    return first, last


def _phones(rng: np.random.Generator, place: Ints, count: int) -> list[str]:
    """Seven in ten have a number of the state they live in; the rest brought one along."""
    book = PhoneBook(rng)
    local = (rng.random(count) < 0.7).tolist()
    return [
        book.take(PLACES[p].state if near else None)
        for p, near in zip(place.tolist(), local, strict=True)
    ]


def _share_households(
    rng: np.random.Generator, office: Ints, place: Ints, last_name: list[str], phone: list[str]
) -> None:
    """Lets one contact in a hundred use the phone of another person of the same home."""
    for i in np.flatnonzero(rng.random(len(office)) < HOUSEHOLD_SHARE).tolist():
        other = i - 1 - int(rng.integers(0, 50))
        if other >= 0 and office[other] == office[i]:
            place[i], last_name[i], phone[i] = place[other], last_name[other], phone[other]
