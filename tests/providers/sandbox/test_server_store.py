"""The stores beneath the sandbox's API, against plain models of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.sandbox.chance import iso
from providers.sandbox.contacts import Contacts, phone_key
from providers.sandbox.crm import Crm
from providers.sandbox.index import KeyIndex
from providers.sandbox.segments import segment_count
from providers.sandbox.simulation import generate

Json = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = ("city", "state")

keys = st.tuples(st.integers(0, 20), st.sampled_from("abc"))


@given(
    st.lists(keys, unique=True),
    st.booleans(),
    st.one_of(st.none(), keys),
    st.one_of(st.none(), st.integers(0, 20)),
    st.one_of(st.none(), st.integers(0, 20)),
)
def test_an_index_walks_what_a_sorted_list_would(
    given_keys: list[tuple[int, str]],
    descending: bool,
    after: tuple[int, str] | None,
    low: int | None,
    high: int | None,
) -> None:
    index = KeyIndex()
    for key in given_keys:
        index.add(key)
    expected = [
        key
        for key in sorted(given_keys, reverse=descending)
        if (low is None or key[0] >= low)
        and (high is None or key[0] <= high)
        and (after is None or (key < after if descending else key > after))
    ]
    assert list(index.walk_keys(descending=descending, after=after, low=low, high=high)) == expected


base_versions = st.fixed_dictionaries(
    {"city": st.sampled_from("AB"), "state": st.sampled_from("XY")}
)
changes = st.one_of(
    st.tuples(st.just("base"), base_versions),
    st.tuples(st.just("fields"), st.dictionaries(st.sampled_from(FIELDS), st.sampled_from("PQ"))),
    st.tuples(st.just("tags_added"), st.lists(st.sampled_from("st"), max_size=2)),
    st.tuples(st.just("tags_removed"), st.lists(st.sampled_from("st"), max_size=2)),
)


@given(base_versions, st.lists(changes, max_size=12))
@settings(max_examples=200)
def test_the_last_writer_of_a_field_wins(first: Json, history: list[tuple[str, Any]]) -> None:
    contacts = Contacts()
    fixed = {"id": "c", "locationId": "l", "dateAdded": iso(START), "tags": ["s"]}
    base = {**fixed, **first, "dateUpdated": iso(START)}
    contacts.put(base)
    expected = dict(first)
    tags = {"s"}
    at = START
    for kind, value in history:
        at += timedelta(minutes=1)
        if kind == "base":
            # A new version of the simulation writes only what differs from its last one.
            expected |= {k: v for k, v in value.items() if base[k] != v}
            base = {**fixed, **value, "dateUpdated": iso(at)}
            contacts.put(base)
        else:
            contacts.patch("c", at, {kind: value})
            if kind == "fields":
                expected |= value
            elif kind == "tags_added":
                tags |= set(value)
            else:
                tags -= set(value)
        doc = contacts.get("c")
        assert doc is not None
        assert {k: doc[k] for k in FIELDS} == expected
        assert set(doc["tags"]) == tags
        assert doc["dateUpdated"] == iso(at)
        assert len(contacts.by_updated["l"]) == 1


def test_loading_a_past_at_once_is_the_same_as_living_it() -> None:
    records = generate(3, 60, date(2026, 3, 1)).records
    lived, loaded = Crm(), Crm()
    for record in records:
        lived.apply(record)
    loaded.load(records)
    for name in ("messages", "opportunities", "appointments", "tasks", "notes"):
        one, other = getattr(lived, name), getattr(loaded, name)
        assert one.by_id == other.by_id, name
    assert lived.transcriptions == loaded.transcriptions
    assert {i: c.doc for i, c in lived.contacts.by_id.items()} == {
        i: c.doc for i, c in loaded.contacts.by_id.items()
    }
    assert lived.contacts.deleted == loaded.contacts.deleted
    for order in ("by_created", "by_updated", "by_conversation", "by_contact", "conversations"):
        one, other = getattr(lived.messages, order), getattr(loaded.messages, order)
        assert {k: v.keys for k, v in one.items() if v.keys} == {
            k: v.keys for k, v in other.items() if v.keys
        }, order
    assert {k: v.keys for k, v in lived.contacts.by_updated.items()} == {
        k: v.keys for k, v in loaded.contacts.by_updated.items()
    }


def test_numbers_are_one_however_written() -> None:
    written = ("+18135550101", "(813) 555-0101", "813.555.0101", "1-813-555-0101", "8135550101")
    assert {phone_key(text) for text in written} == {"18135550101"}


@given(st.text(alphabet="ab€[é\U0001f3e0ç", max_size=400))
def test_segments_grow_with_the_text(text: str) -> None:
    count = segment_count(text)
    assert count >= 1
    assert segment_count(text + "a") in (count, count + 1)
    assert count <= 1 + len(text) * 2 // 33
