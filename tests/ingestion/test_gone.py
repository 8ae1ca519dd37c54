"""Comparing numbers first: all ids are read only when they differ, or once a day."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from providers.ghl import GhlClient
from providers.limits import LocalRateLimiter, RateLimit
from tests.ingestion.conftest import Crm, contact


class CountingClient(GhlClient):
    """A client that remembers how often it asked for the number."""

    counted = 0

    def count_contacts(self) -> int:
        """One request for the total."""
        type(self).counted += 1
        return super().count_contacts()


@pytest.fixture
def counting(crm: Crm) -> Crm:
    """The scripted CRM, with clients whose counting is counted."""
    CountingClient.counted = 0
    for place in ("L1", "L2"):
        crm.clients.ghl[place] = CountingClient(
            crm.settings.ghl_base_url,
            SecretStr(f"token-{place}"),
            place,
            limiter=LocalRateLimiter(),
            burst_limit=RateLimit(100_000, 10.0),
        )
        crm.ghl.put(place, "contacts", *(contact(f"C{n}", updated=-60 + n) for n in range(9)))
    crm.ghl.put("L1", "contacts", contact("broken", updated=-300, dateAdded="never"))
    return crm


def pages(crm: Crm, place: str) -> int:
    """Pages of contacts that were asked for, counting left out."""
    return sum(request == (place, "contacts") for request in crm.ghl.requests)


def test_while_the_numbers_agree_only_the_window_is_read(counting: Crm) -> None:
    counting.load()
    assert CountingClient.counted == 0  # everything was read anyway
    counting.clock.advance(timedelta(hours=1))
    results = counting.load()
    assert CountingClient.counted == 2
    assert not results["contacts", "L1"].full_load
    # One page of the window, its end, and the count; the broken contact makes no difference.
    assert pages(counting, "L1") == pages(counting, "L2") <= 3


def test_when_they_differ_all_ids_are_read_and_the_gone_are_found(counting: Crm) -> None:
    counting.load()
    counting.clock.advance(timedelta(hours=1))
    counting.ghl.remove("L1", "contacts", "C2")
    counting.load()
    gone = "select location_id, contact_id from raw_ghl.contact_tombstones"
    assert counting.query(gone) == [("L1", "C2")]
    assert pages(counting, "L1") > pages(counting, "L2")
    counting.clock.advance(timedelta(hours=1))
    counting.load()
    assert pages(counting, "L1") == pages(counting, "L2")


def test_once_a_day_one_gone_and_one_late_do_not_hide_each_other(counting: Crm) -> None:
    counting.load()
    counting.clock.advance(timedelta(hours=1))
    counting.ghl.remove("L1", "contacts", "C2")
    counting.ghl.put("L1", "contacts", contact("late", updated=-300, added=-300))
    counting.load()
    assert counting.query("select * from raw_ghl.contact_tombstones") == []
    counting.clock.advance(timedelta(days=1))
    assert counting.load()["contacts", "L1"].rows_loaded == 1
    assert counting.column("select contact_id from raw_ghl.contact_tombstones") == ["C2"]
