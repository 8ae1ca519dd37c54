"""Where a person may be: the table of states, and what counts when sources disagree."""

from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import geocoder

from activation.hours import NATIONWIDE
from activation.places import area_state, state_code, states, whereabouts


def test_the_table_is_sound() -> None:
    assert len(states()) == 56
    areas = [area for state in states().values() for area in state.areas]
    assert len(areas) == len(set(areas)) > 330
    for state in states().values():
        assert state.zones, state.code
        assert all(ZoneInfo(zone) for zone in state.zones)
        # Geocoding's own name of the state; it knows nothing of American Samoa.
        for area in sorted(state.areas)[:2] if state.code != "AS" else ():
            told = geocoder.description_for_number(phonenumbers.parse(f"+1{area}5550100"), "en")
            name = {"DC": "Washington D.C.", "NY": "New York", "WA": "Washington State"}
            assert name.get(state.code, state.name) in told or f", {state.code}" in told, area


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("FL", "FL"), ("fl", "FL"), (" Florida ", "FL"), ("new  york", "NY"), ("D.C.", "DC"),
        ("Ontario", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_state_as_people_write_it(written: str | None, code: str | None) -> None:
    assert state_code(written) == code


def test_a_number_says_its_state_where_it_has_one() -> None:
    assert area_state("+18135550123") == "FL"
    assert area_state("+18005550123") is None
    assert area_state("+442079460123") is None
    assert area_state(None) is None


@pytest.mark.parametrize(
    ("timezone", "state", "phone", "zones", "of_states"),
    [
        # All three agree.
        ("America/New_York", "FL", "+18135550123", {"America/New_York"}, {"FL"}),
        # Moved with the number: the laws of both, the clocks of both.
        (
            "America/Los_Angeles", "CA", "+18135550123",
            {"America/Los_Angeles", "America/New_York", "America/Chicago"}, {"CA", "FL"},
        ),
        # The account's zone is not one of the state's: any of the state's may be right.
        (
            "America/Los_Angeles", "Texas", None,
            {"America/Los_Angeles", "America/Chicago", "America/Denver"}, {"TX"},
        ),
        # The Panhandle's numbers are in two zones.
        (None, None, "+18505550123", {"America/New_York", "America/Chicago"}, {"FL"}),
        ("US/Central", "TX", None, {"America/Chicago"}, {"TX"}),
        # Nothing but a zone: every state of it.
        ("Pacific/Honolulu", None, "+18005550123", {"Pacific/Honolulu"}, {"HI"}),
        ("Europe/London", None, "+442079460123", {"Europe/London"}, set()),
    ],
)  # fmt: skip
def test_what_may_be_counts(
    timezone: str | None, state: str | None, phone: str | None, zones: set[str], of_states: set[str]
) -> None:
    found = whereabouts(timezone, state, phone)
    assert (set(found.zones), set(found.states)) == (zones, of_states)


def test_of_somebody_of_whom_nothing_is_known_every_state_may_be_the_one() -> None:
    found = whereabouts(None, None, None)
    assert found.zones == NATIONWIDE
    assert {"FL", "RI", "HI", "AK"} <= set(found.states)
