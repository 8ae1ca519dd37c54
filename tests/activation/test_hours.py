"""Allowed hours against an independent oracle that looks at every minute."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activation.hours import NATIONWIDE, is_allowed, next_allowed, recipient_zones

HOURS = (time(8), time(21))
ZONES = [*NATIONWIDE, "America/Puerto_Rico", "America/Boise", "Pacific/Guam", "Europe/London"]


def oracle_open(minute: datetime, zone: str) -> bool:
    """Reads the wall clock, as a person would."""
    return 8 <= int(minute.astimezone(ZoneInfo(zone)).strftime("%H")) < 21


def oracle_next(at: datetime, zones: tuple[str, ...]) -> datetime | None:
    """Tries every minute of a week."""
    if all(oracle_open(at, zone) for zone in zones):
        return at
    minute = at.replace(second=0, microsecond=0)
    for _ in range(7 * 24 * 60):
        minute += timedelta(minutes=1)
        if all(oracle_open(minute, zone) for zone in zones):
            return minute
    return None


# Half of the moments lie around the changes of daylight saving, where mistakes live.
anywhen = st.integers(0, 126144000).map(
    lambda second: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
near_a_change = st.builds(
    lambda day, offset: datetime(*day, tzinfo=UTC) + offset,
    st.sampled_from(
        [(2025, 3, 9), (2025, 11, 2), (2026, 3, 8), (2026, 11, 1), (2026, 3, 29), (2026, 10, 25)]
    ),
    st.timedeltas(timedelta(days=-2), timedelta(days=2)),
)
moments = st.one_of(anywhen, near_a_change)


@settings(max_examples=100, deadline=None)
@given(at=moments, zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))
def test_next_allowed_is_the_first_minute_that_the_wall_clocks_allow(
    at: datetime, zones: list[str]
) -> None:
    assert next_allowed(at, tuple(zones), HOURS) == oracle_next(at, tuple(zones))


@settings(max_examples=1_000, deadline=None)
@given(at=moments, zone=st.sampled_from(ZONES))
def test_allowed_exactly_when_the_wall_clock_says_so(at: datetime, zone: str) -> None:
    assert is_allowed(at, [zone], HOURS) == oracle_open(at, zone)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # The clocks go forward at 2 in the night of 8 March 2026: 8:00 is 12:00 UTC, not 13:00.
        ("2026-03-08T03:00+00:00", "2026-03-08T12:00+00:00"),
        ("2026-03-07T03:00+00:00", "2026-03-07T13:00+00:00"),
        # ... and back on 1 November.
        ("2026-11-01T02:00+00:00", "2026-11-01T13:00+00:00"),
        ("2026-10-31T02:00+00:00", "2026-10-31T12:00+00:00"),
        # The end is excluded, the beginning included.
        ("2026-07-01T01:00+00:00", "2026-07-01T12:00+00:00"),
        ("2026-07-01T12:00+00:00", "2026-07-01T12:00+00:00"),
        ("2026-07-01T00:59:59+00:00", "2026-07-01T00:59:59+00:00"),
    ],
)
def test_new_york(at: str, expected: str) -> None:
    found = next_allowed(datetime.fromisoformat(at), ("America/New_York",), HOURS)
    assert found == datetime.fromisoformat(expected)


def test_zones_that_never_share_an_allowed_hour() -> None:
    assert next_allowed(datetime.now(UTC), ("America/New_York", "Pacific/Guam"), HOURS) is not None
    hours = (time(8), time(9))
    assert next_allowed(datetime.now(UTC), ("America/New_York", "Pacific/Guam"), hours) is None


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        is_allowed(datetime(2026, 1, 1), ["America/New_York"], HOURS)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("timezone", "phone", "expected"),
    [
        ("America/New_York", "+12125550123", {"America/New_York"}),
        ("America/New_York", "+16195550123", {"America/New_York", "America/Los_Angeles"}),
        (None, "+16195550123", {"America/Los_Angeles"}),
        ("UTC", "+16195550123", {"America/Los_Angeles"}),
        ("Mars/Olympus", "+16195550123", {"America/Los_Angeles"}),
        # A toll-free number says nothing about the place.
        ("America/Denver", "+18005550123", {"America/Denver"}),
        (None, "+18005550123", set(NATIONWIDE)),
        (None, "not a number", set(NATIONWIDE)),
        (None, None, set(NATIONWIDE)),
    ],
)
def test_every_zone_a_person_may_be_in_counts(
    timezone: str | None, phone: str | None, expected: set[str]
) -> None:
    assert set(recipient_zones(timezone, phone)) == expected
