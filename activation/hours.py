"""When a message may reach a person: allowed hours in the recipient's own time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as phone_zones

# A number that may ring anywhere in the country (toll-free, non-geographic) says nothing about
# where its owner is; these span the fifty states.
NATIONWIDE = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
)
_MOST_ZONES_OF_AN_AREA = 5
# What a system writes for a person whose zone it does not know.
_NOWHERE = {"UTC", "Etc/UTC", "GMT", "Etc/GMT"}


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _area_zones(phone: str) -> tuple[str, ...]:
    """The zones of a number's area; empty where the number says nothing about the place."""
    # In North America the area and the exchange tell it all; parsing costs 0.2 ms a number.
    is_american = phone.startswith("+1") and len(phone) == 12 and phone[1:].isdigit()
    return _parsed_zones(f"{phone[:8]}0100" if is_american else phone)


@lru_cache(maxsize=65_536)
def _parsed_zones(phone: str) -> tuple[str, ...]:
    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    zones = tuple(z for z in phone_zones.time_zones_for_number(parsed) if _zone(z) is not None)
    return zones if len(zones) <= _MOST_ZONES_OF_AN_AREA else ()


def recipient_zones(timezone: str | None, phone: str | None) -> tuple[str, ...]:
    """Every time zone a person may be in: the contact's, and the phone's area.

    A CRM fills a contact's zone from the account's where it knows no better, and people keep
    their number when they move: neither is sure, so both count, and a moment must be right in
    all of them. With neither, the whole country counts.

    Args:
        timezone: IANA name from the contact; an unknown name is passed over.
        phone: E.164.
    """
    zones: list[str] = []
    if timezone and timezone not in _NOWHERE and _zone(timezone) is not None:
        zones.append(timezone)
    if phone:
        zones.extend(zone for zone in _area_zones(phone) if zone not in zones)
    return tuple(zones) or NATIONWIDE


def is_allowed(at: datetime, zones: Iterable[str], hours: tuple[time, time]) -> bool:
    """Whether ``at`` lies within the hours (end excluded) in every zone.

    Raises:
        ValueError: ``at`` is naive.
    """
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be judged")
    earliest, latest = hours
    return all(earliest <= at.astimezone(ZoneInfo(zone)).time() < latest for zone in zones)


def next_allowed(at: datetime, zones: tuple[str, ...], hours: tuple[time, time]) -> datetime | None:
    """The first moment from ``at`` on that is right in every zone.

    Daylight saving is right because each day's opening is computed as a local wall time.

    Returns:
        An aware UTC datetime; ``at`` itself where it is allowed; None if the zones' hours do not
        overlap within a week.
    """
    moment = at.astimezone(UTC)
    limit = moment + timedelta(days=7)
    while moment <= limit:
        pushed = max(_opening(moment, zone, hours) for zone in zones)
        if pushed == moment:
            return moment
        moment = pushed
    return None


def _opening(moment: datetime, zone: str, hours: tuple[time, time]) -> datetime:
    """``moment`` if it is open in ``zone``, else the zone's next opening, in UTC."""
    earliest, latest = hours
    tz = ZoneInfo(zone)
    local = moment.astimezone(tz)
    if earliest <= local.time() < latest:
        return moment
    day = local.date() if local.time() < earliest else local.date() + timedelta(days=1)
    return datetime.combine(day, earliest, tzinfo=tz).astimezone(UTC)
