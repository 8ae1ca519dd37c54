"""When a message may reach a person: allowed hours in the recipient's own time zone and state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from activation.places import NATIONWIDE, whereabouts
from activation.rule_model import DayHours, HoursRule

__all__ = ["NATIONWIDE", "Schedule", "is_allowed", "next_allowed", "recipient_zones"]

_LOOK_AHEAD = timedelta(days=14)
Span = tuple[time, time]


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The hours of each local day by several rules at once: always the narrowest.

    Args:
        rules: those that may hold; each counts on the days on which it is in force.
    """

    rules: tuple[HoursRule, ...]
    _days: dict[date, Span | None] = field(default_factory=dict, repr=False)

    def on(self, day: date) -> Span | None:
        """Earliest and latest local time (end excluded) of a day; None where it is closed."""
        try:
            return self._days[day]
        except KeyError:
            span = self._days[day] = self._compute(day)
            return span

    def binding(self, day: date) -> tuple[str, ...]:
        """The ids of the rules that narrow a day."""
        span = self.on(day)
        ids = []
        for rule in self.rules:
            if not rule.in_force(day):
                continue
            hours = hours_of(rule, day)
            if hours == "closed" or (
                span is not None and (hours.earliest == span[0] or hours.latest == span[1])
            ):
                ids.append(rule.id)
        return tuple(ids)

    def _compute(self, day: date) -> Span | None:
        earliest, latest = time.min, time.max
        for rule in self.rules:
            if not rule.in_force(day):
                continue
            hours = hours_of(rule, day)
            if hours == "closed":
                return None
            earliest, latest = max(earliest, hours.earliest), min(latest, hours.latest)
        return (earliest, latest) if earliest < latest else None


def hours_of(rule: HoursRule, day: date) -> DayHours:
    """What one rule says of one day; a legal holiday goes before Saturday and Sunday."""
    parameters = rule.parameters
    if parameters.holiday is not None and is_holiday(rule.states, day):
        return parameters.holiday
    if parameters.saturday is not None and day.weekday() == 5:
        return parameters.saturday
    if parameters.sunday is not None and day.weekday() == 6:
        return parameters.sunday
    return parameters


@lru_cache(maxsize=16_384)
def is_holiday(states: tuple[str, ...], day: date) -> bool:
    """Whether a day is a legal holiday, kept or observed, of the nation or of one of the states."""
    return any(day in calendar for calendar in _calendars(states, day.year))


@lru_cache(maxsize=256)
def _calendars(states: tuple[str, ...], year: int) -> tuple[holidays.HolidayBase, ...]:
    # The library makes the next year's first day, observed on the last of this one, known too.
    return tuple(
        holidays.country_holidays("US", subdiv=state, years=year, observed=True)
        for state in (None, *states)
    )


def recipient_zones(
    timezone: str | None, phone: str | None, state: str | None = None
) -> tuple[str, ...]:
    """Every time zone a person may be in; see :func:`activation.places.whereabouts`."""
    return whereabouts(timezone, state, phone).zones


def is_allowed(at: datetime, zones: Iterable[str], hours: Schedule | Span) -> bool:
    """Whether ``at`` lies within the hours (end excluded) in every zone.

    Raises:
        ValueError: ``at`` is naive.
    """
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be judged")
    for zone in zones:
        local = at.astimezone(ZoneInfo(zone))
        span = hours.on(local.date()) if isinstance(hours, Schedule) else hours
        if span is None or not span[0] <= local.time() < span[1]:
            return False
    return True


def next_allowed(at: datetime, zones: tuple[str, ...], hours: Schedule | Span) -> datetime | None:
    """The first moment from ``at`` on that is right in every zone.

    Daylight saving is right because each day's opening is computed as a local wall time, and no
    rule opens at an hour at which clocks are changed.

    Returns:
        An aware UTC datetime; ``at`` itself where it is allowed; None if the zones' hours do not
        overlap within two weeks.
    """
    moment = at.astimezone(UTC)
    limit = moment + _LOOK_AHEAD
    while moment <= limit:
        pushed = moment
        for zone in zones:
            opening = _opening(pushed, zone, hours)
            if opening is None:
                return None
            pushed = opening
        if pushed == moment:
            return moment
        moment = pushed
    return None


def _opening(moment: datetime, zone: str, hours: Schedule | Span) -> datetime | None:
    """``moment`` if it is open in ``zone``, else the zone's next opening, in UTC."""
    tz = ZoneInfo(zone)
    local = moment.astimezone(tz)
    day, clock = local.date(), local.time()
    for ahead in range(_LOOK_AHEAD.days + 1):
        span = hours.on(day) if isinstance(hours, Schedule) else hours
        if span is not None:
            if ahead == 0 and span[0] <= clock < span[1]:
                return moment
            if ahead > 0 or clock < span[0]:
                return datetime.combine(day, span[0], tzinfo=tz).astimezone(UTC)
        day += timedelta(days=1)
    return None
