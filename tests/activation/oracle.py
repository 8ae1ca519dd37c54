"""A second opinion on who may be written to, and when, written from the laws' words.

It shares no code and no table with ``activation``: its states, zones, area codes and holidays are
its own, and it looks at the clock on the wall half hour by half hour, as a person would. It is slow
on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

EAST, CENTRAL, MOUNTAIN, PACIFIC = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
)  # fmt: skip
COUNTRY = (
    EAST, CENTRAL, MOUNTAIN, "America/Phoenix", PACIFIC, "America/Anchorage", "Pacific/Honolulu",
)  # fmt: skip

# Where the wall clocks of a state may stand. Those with a law of their own, and some without.
ZONES = {
    "AL": [CENTRAL], "CT": [EAST], "FL": [EAST, CENTRAL], "KY": [EAST, CENTRAL],
    "LA": [CENTRAL], "MA": [EAST], "MD": [EAST], "MI": [EAST, CENTRAL], "MN": [CENTRAL],
    "MS": [CENTRAL], "NM": [MOUNTAIN], "NV": [PACIFIC, MOUNTAIN], "OK": [CENTRAL], "PA": [EAST],
    "RI": [EAST], "SD": [CENTRAL, MOUNTAIN], "TX": [CENTRAL, MOUNTAIN], "UT": [MOUNTAIN],
    "VA": [EAST], "WA": [PACIFIC], "NY": [EAST], "CA": [PACIFIC], "TN": [EAST, CENTRAL],
    "AZ": ["America/Phoenix", MOUNTAIN], "HI": ["Pacific/Honolulu"], "PR": ["America/Puerto_Rico"],
}  # fmt: skip
NAMES = {
    "Alabama": "AL", "Florida": "FL", "Texas": "TX", "New York": "NY", "Rhode Island": "RI",
    "Washington": "WA", "Utah": "UT", "Louisiana": "LA",
}  # fmt: skip
AREAS = {
    "205": "AL", "860": "CT", "813": "FL", "850": "FL", "502": "KY", "504": "LA", "617": "MA",
    "410": "MD", "313": "MI", "612": "MN", "601": "MS", "505": "NM", "702": "NV", "405": "OK",
    "215": "PA", "401": "RI", "605": "SD", "214": "TX", "915": "TX", "801": "UT", "703": "VA",
    "206": "WA", "212": "NY", "619": "CA", "615": "TN", "602": "AZ", "808": "HI", "787": "PR",
}  # fmt: skip


@dataclass
class Word:
    """The newest word on a channel, and what stands against it."""

    said: str | None = "granted"
    address: str | None = None
    valid: bool = True
    dnd: bool = False
    suppressed: bool = False
    address_said_no: bool = False
    lists: tuple[str, ...] = ()
    line: str | None = None


@dataclass
class Case:
    """All that is known of one person at one moment."""

    lead: str
    now: datetime
    channels: tuple[str, ...]
    words: dict[str, Word]
    timezone: str | None = None
    state: str | None = None
    open: bool = True
    duplicate: bool = False
    had_step: bool = False
    sends: list[datetime] = field(default_factory=list)
    campaign: str = "campaign"
    share: float = 0.0


@dataclass(frozen=True)
class Ruling:
    """What is to be done: the verdict, why, by which channel and when."""

    verdict: str
    reason: str
    channel: str | None = None
    at: datetime | None = None


ORDER = (
    "dnd", "opted_out", "suppressed_address", "do_not_call", "no_consent", "invalid_phone",
    "landline", "invalid_email",
)  # fmt: skip


def judge(case: Case) -> Ruling:
    """The ruling on a case."""
    if not case.open:
        return Ruling("suppress", "lead_closed")
    if case.duplicate:
        return Ruling("suppress", "duplicate_person")
    if case.had_step:
        return Ruling("suppress", "already_sent")
    reasons = {
        channel: objection(case.words[channel], channel, case.now.date())
        for channel in case.channels
    }
    usable = [channel for channel in case.channels if reasons[channel] is None]
    if not usable:
        given = [reason for reason in reasons.values() if reason is not None]
        return Ruling("suppress", min(given, key=ORDER.index))
    channel = usable[0]
    zones, states = places(case.timezone, case.state, case.words["sms"].address)
    if too_many(case, channel, states):
        return Ruling("suppress", "frequency_cap")
    number = int(sha256(f"{case.lead}|{case.campaign}".encode()).hexdigest()[:16], 16)
    if number < case.share * 16**16:
        return Ruling("holdout", "holdout", channel)
    if channel == "email":
        return Ruling("send", "send_now", channel)
    moment = first_moment(case.now, zones, states)
    if moment == case.now:
        return Ruling("send", "send_now", channel)
    if moment is None:
        return Ruling("suppress", "quiet_hours")
    return Ruling("send", "quiet_hours", channel, moment)


HOUSE_RULES_SINCE = date(2024, 1, 1)


def objection(word: Word, channel: str, today: date) -> str | None:
    """What forbids a channel, the weightiest first."""
    if word.dnd:
        return "dnd"
    if word.said == "revoked" or word.address_said_no:
        return "opted_out"
    if word.suppressed:
        return "suppressed_address"
    if "internal" in word.lists or (channel == "sms" and word.lists):
        return "do_not_call"
    if word.said != "granted" and (channel == "sms" or today >= HOUSE_RULES_SINCE):
        return "no_consent"
    if not word.valid or not word.address:
        return "invalid_phone" if channel == "sms" else "invalid_email"
    textless = word.line in ("landline", "pager", "tollFree", "voicemail")
    if channel == "sms" and textless and today >= HOUSE_RULES_SINCE:
        return "landline"
    return None


def too_many(case: Case, channel: str, states: set[str]) -> bool:
    """One message in 20 hours, three in a week, and in three states three texts a day."""
    ages = [(case.now - at).total_seconds() / 3600 for at in case.sends]
    of_20_hours, of_the_week = (len([age for age in ages if age < most]) for most in (20, 168))
    if case.now.date() >= HOUSE_RULES_SINCE and (of_20_hours >= 1 or of_the_week >= 3):
        return True
    of_the_day = len([age for age in ages if age < 24])
    # Maryland's act took effect on the first of January 2024.
    capped = {"FL", "OK"} | ({"MD"} if case.now.year >= 2024 else set())
    return channel == "sms" and bool(states & capped) and of_the_day >= 3


def places(
    timezone: str | None, written: str | None, phone: str | None
) -> tuple[set[str], set[str]]:
    """Zones and states in which somebody may be; each that is not ruled out."""
    own = timezone if timezone not in (None, "UTC", "Mars/Olympus") else None
    zones = {own} if own else set()
    states = set()
    home = (written or "").strip()
    home = NAMES.get(home.title(), home.upper())
    if home in ZONES:
        states.add(home)
    if phone is not None and phone.startswith("+1"):
        area = AREAS.get(phone[2:5])
        if area is not None:
            states.add(area)
            zones |= number_zones(phone[2:5])
    elif phone is not None and phone.startswith("+44"):
        zones.add("Europe/London")
    for state in states:
        if own not in ZONES[state]:
            zones |= set(ZONES[state])
    if not states:
        everywhere = zones or set(COUNTRY)
        states = {state for state, own_zones in ZONES.items() if everywhere & set(own_zones)}
    return zones or set(COUNTRY), states


def number_zones(area: str) -> set[str]:
    """Where a number of the fictional exchange 555 of an area is, by the numbering plan's data."""
    return {
        "605": {MOUNTAIN, "America/North_Dakota/Center"},
        "915": {MOUNTAIN},
        "615": {CENTRAL},
        "702": {PACIFIC},
        "602": {"America/Phoenix"},
    }.get(area, {ZONES[AREAS[area]][0]})


def first_moment(now: datetime, zones: set[str], states: set[str]) -> datetime | None:
    """The first half hour on which every wall clock shows a lawful time."""
    moment = now
    for _ in range(14 * 48):
        if all(lawful(moment.astimezone(ZoneInfo(zone)), states) for zone in zones):
            return moment
        half = 30 - moment.minute % 30
        moment = moment.replace(second=0, microsecond=0) + timedelta(minutes=half)
    return None


def lawful(clock: datetime, states: set[str]) -> bool:
    """Whether a text may arrive at that time of the wall clock, in all of the states."""
    if not 8 <= clock.hour < 21:  # 47 CFR 64.1200(c)(1)
        return False
    return all(lawful_in(state, clock) for state in states)


def lawful_in(state: str, clock: datetime) -> bool:
    """One state's law."""
    hour, day = clock.hour, clock.date()
    sunday, saturday = clock.strftime("%a") == "Sun", clock.strftime("%a") == "Sat"
    if state in ("AL", "LA"):
        return hour < 20 and not sunday and not legal_holiday(state, day)
    if state == "CT":
        return day < date(2023, 10, 1) or 9 <= hour < 20
    if state in ("FL", "OK", "WA", "MA"):
        return hour < 20
    if state == "MD":
        return day.year < 2024 or hour < 20
    if state == "KY":
        return hour >= 10
    if state in ("MI", "MN", "NM"):
        return hour >= 9
    if state == "NV":
        return 9 <= hour < 20
    if state == "MS":
        if day <= date(2024, 5, 31) and legal_holiday(state, day):
            return False
        return hour < 20 and not sunday
    if state == "PA":
        return not legal_holiday(state, day)
    if state == "RI":
        if sunday or legal_holiday(state, day):
            return False
        return 10 <= hour < 17 if saturday else 9 <= hour < 18
    if state == "SD":
        return hour >= 9 and not saturday and not sunday
    if state == "TX":
        return day < date(2025, 9, 1) or (hour >= 12 if sunday else hour >= 9)
    if state == "UT":
        return not sunday and not legal_holiday(state, day)
    return True


def nth(year: int, month: int, weekday: int, number: int) -> date:
    """The ``number``-th Monday (0) ... Sunday (6) of a month; -1 is the last."""
    days = [date(year, month, 1) + timedelta(days=ahead) for ahead in range(31)]
    fitting = [day for day in days if day.month == month and day.weekday() == weekday]
    return fitting[number - 1] if number > 0 else fitting[number]


def easter(year: int) -> date:
    """Easter Sunday, by the rule of Gauss as Butcher wrote it."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    offset = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * offset) // 451
    month, day = divmod(h + offset - 7 * m + 114, 31)
    return date(year, month, day + 1)


def observed(day: date) -> set[date]:
    """A day, and the Friday before or the Monday after it where it falls on a weekend."""
    moved = {5: -1, 6: 1}.get(day.weekday())
    return {day} if moved is None else {day, day + timedelta(days=moved)}


_holidays: dict[tuple[str, int], set[date]] = {}


def legal_holiday(state: str, day: date) -> bool:
    """A federal holiday (5 U.S.C. 6103) or one of the state, kept or observed."""
    if (state, day.year) not in _holidays:
        days: set[date] = set()
        for year in (day.year - 1, day.year, day.year + 1):
            for month, number in ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25)):
                days |= observed(date(year, month, number))
            days |= {
                nth(year, 1, 0, 3), nth(year, 2, 0, 3), nth(year, 5, 0, -1), nth(year, 9, 0, 1),
                nth(year, 10, 0, 2), nth(year, 11, 3, 4),
            }  # fmt: skip
            if state == "AL":
                days |= {nth(year, 4, 0, 4), nth(year, 6, 0, 1)}
            elif state == "LA":
                days |= {easter(year) - timedelta(days=47), easter(year) - timedelta(days=2)}
                if year % 2 == 0:
                    days.add(nth(year, 11, 0, 1) + timedelta(days=1))
            elif state == "MS":
                days.add(nth(year, 4, 0, -1))
            elif state == "PA":
                days.add(nth(year, 11, 3, 4) + timedelta(days=1))
            elif state == "RI":
                days |= {nth(year, 8, 0, 2)}
            elif state == "UT":
                days |= observed(date(year, 7, 24))
        _holidays[state, day.year] = days
    return day in _holidays[state, day.year]
