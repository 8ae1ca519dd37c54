"""Where a person may be: states and time zones, from the address, then from the phone's area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
import yaml
from phonenumbers import timezone as phone_zones

_FILE = Path(__file__).parent / "places.yaml"
_MOST_ZONES_OF_AN_AREA = 5
# What a system writes for a person whose zone it does not know.
_NOWHERE = {"UTC", "Etc/UTC", "GMT", "Etc/GMT"}

_OLD_NAMES = {
    "US/Eastern": "America/New_York",
    "US/Central": "America/Chicago",
    "US/Mountain": "America/Denver",
    "US/Arizona": "America/Phoenix",
    "US/Pacific": "America/Los_Angeles",
    "US/Alaska": "America/Anchorage",
    "US/Hawaii": "Pacific/Honolulu",
    "US/Michigan": "America/Detroit",
    "US/East-Indiana": "America/Indiana/Indianapolis",
    "EST5EDT": "America/New_York",
    "CST6CDT": "America/Chicago",
    "MST7MDT": "America/Denver",
    "PST8PDT": "America/Los_Angeles",
}

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


@dataclass(frozen=True, slots=True)
class State:
    """A state: postal code, name, IANA zones, and the area codes of its telephones."""

    code: str
    name: str
    zones: tuple[str, ...]
    areas: frozenset[str]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Every zone and every state that a person may be in; a message must be right in all."""

    zones: tuple[str, ...]
    states: tuple[str, ...]


@lru_cache(maxsize=1)
def states() -> Mapping[str, State]:
    """The states by postal code, the territories among them."""
    content = yaml.safe_load(_FILE.read_text("utf-8"))
    return {
        code: State(
            code, entry["name"], tuple(entry["zones"]), frozenset(str(a) for a in entry["areas"])
        )
        for code, entry in content.items()
    }


@lru_cache(maxsize=1)
def _state_of_area() -> Mapping[str, str]:
    return {area: state.code for state in states().values() for area in state.areas}


@lru_cache(maxsize=1)
def _state_of_name() -> Mapping[str, str]:
    return {state.name.casefold(): state.code for state in states().values()}


@lru_cache(maxsize=4096)
def state_code(written: str | None) -> str | None:
    """The postal code of a state as people write it: ``FL``, ``fl`` or ``Florida``."""
    word = " ".join((written or "").replace(".", "").split())
    if word.upper() in states():
        return word.upper()
    return _state_of_name().get(word.casefold())


def area_state(phone: str | None) -> str | None:
    """The state of a number's area code; None where it has none. ``phone`` is E.164."""
    if phone is None or not phone.startswith("+1") or len(phone) != 12:
        return None
    return _state_of_area().get(phone[2:5])


def whereabouts(timezone: str | None, state: str | None, phone: str | None) -> Whereabouts:
    """Where a person may be, by all that is known.

    A CRM fills a contact's zone from the account's where it knows no better, people keep their
    number when they move, and several states hold that who has one of their numbers lives there:
    none of the three is sure, so each counts. All of a state's zones count, unless the contact's
    zone is one of them. With neither an address nor a telling number, every state of the zones
    counts.

    Args:
        timezone: IANA name from the contact; an unknown name is passed over.
        state: as the address has it.
        phone: E.164.
    """
    # In North America the area and the exchange tell it all; parsing costs 0.2 ms a number.
    if phone and phone.startswith("+1") and len(phone) == 12 and phone[1:].isdigit():
        phone = f"{phone[:8]}0100"
    return _whereabouts(timezone, state, phone)


@lru_cache(maxsize=131_072)
def _whereabouts(timezone: str | None, state: str | None, phone: str | None) -> Whereabouts:
    name = _OLD_NAMES.get(timezone or "", timezone)
    own = name if name and name not in _NOWHERE and zone(name) else None
    zones: list[str] = [own] if own else []
    zones.extend(_area_zones(phone) if phone else ())
    codes = [code for code in (state_code(state), area_state(phone)) if code is not None]
    for code in codes:
        if own not in states()[code].zones:
            zones.extend(states()[code].zones)
    if not codes:
        spanned = set(zones or NATIONWIDE)
        codes = [entry.code for entry in states().values() if spanned & set(entry.zones)]
    return Whereabouts(tuple(dict.fromkeys(zones)) or NATIONWIDE, tuple(sorted(set(codes))))


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo | None:
    """The zone of that name; None if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _area_zones(phone: str) -> tuple[str, ...]:
    """The zones of a number's area; empty where the number says nothing about the place."""
    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    zones = tuple(name for name in phone_zones.time_zones_for_number(parsed) if zone(name))
    return zones if len(zones) <= _MOST_ZONES_OF_AN_AREA else ()
