"""When a record counts as changed, and when it counts as known."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingestion.versions import Stamp, Versions, known_at, row_hash
from leadengine.clock import FixedClock

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
YEARS = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - hypothesis adds the zone
TIMES = st.datetimes(*YEARS, timezones=st.just(UTC))
MAYBE = st.none() | TIMES
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(added=MAYBE, updated=MAYBE, backfill=st.booleans())
def test_known_is_never_after_loaded_and_never_in_the_past_for_what_came_later(
    added: datetime | None, updated: datetime | None, backfill: bool
) -> None:
    known = known_at(
        {"added": added, "updated": updated}, ("added", "updated"), NOW, backfill=backfill
    )
    assert known <= NOW
    if not backfill:
        assert known == NOW
        return
    times = [time for time in (added, updated) if time is not None]
    for time in times:
        # A version is not known before the provider had all of it.
        assert known >= min(time, NOW)
    if not times:
        assert known == NOW


@given(st.dictionaries(st.text(min_size=1), JSON, max_size=6))
def test_the_digest_does_not_depend_on_order(row: dict[str, Any]) -> None:
    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: backwards(value[key]) for key in reversed(value)}
        if isinstance(value, list):
            return [backwards(entry) for entry in value]
        return value

    assert row_hash(row) == row_hash(backwards(row))


@given(st.dictionaries(st.text(min_size=1), JSON, min_size=1, max_size=6), st.data())
def test_the_digest_tells_every_change(row: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(row)))
    other = data.draw(JSON.filter(lambda value: repr(value) != repr(row[name])))
    assert row_hash(row) != row_hash(row | {name: other})


PAGES = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=5), max_size=6
)


@given(stored=st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), pages=PAGES)
def test_a_load_gives_exactly_the_changes_and_the_last_version_wins(
    stored: dict[str, int], pages: list[list[tuple[str, int]]]
) -> None:
    def row(name: str, value: int) -> dict[str, Any]:
        return {"id": name, "value": value}

    digests = {(name,): row_hash(row(name, value)) for name, value in stored.items()}
    versions = Versions((), ("id",), backfill=False)
    stamp = Stamp(FixedClock(NOW))
    given_rows: list[dict[str, Any]] = []
    expected = dict(stored)
    changes = 0
    for page in pages:
        loaded_at = stamp.next()
        rows = [row(name, value) for name, value in page]
        for name, value in dict(page).items():
            changes += expected.get(name) != value
            expected[name] = value
        given_rows += versions.changed(rows, digests, loaded_at)
    assert len(given_rows) == changes
    # What the merge does: the version with the newest load time stays.
    result = dict(stored)
    for given_row in sorted(given_rows, key=lambda found: found["_loaded_at"]):
        result[given_row["id"]] = given_row["value"]
    assert result == expected


def test_load_times_increase_even_when_the_clock_stands_still_or_goes_back() -> None:
    clock = FixedClock(NOW)
    stamp = Stamp(clock)
    first, second = stamp.next(), stamp.next()
    clock.advance(timedelta(seconds=-5))
    third = stamp.next()
    assert first < second < third


def test_what_hangs_on_a_backfilled_row_is_known_with_it() -> None:
    origin = NOW - timedelta(days=90)
    versions = Versions((), ("id",), backfill=False, origins={"old": origin})
    rows = list(versions.changed([{"id": "old"}, {"id": "new"}], {}, NOW))
    assert [(row["_known_at"], row["_backfill"]) for row in rows] == [
        (origin, True),
        (NOW, False),
    ]
