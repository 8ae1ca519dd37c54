"""Records of one person are one lead, and nothing else is: properties, and the known duplicates."""

import datetime as dt
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.tables import table
from providers.sandbox.simulation import Brokerage, generate
from tests.conftest import clone, drop
from tests.dbt_project.conftest import NOW
from tests.dbt_project.raw_fixture import _load, create_raw_tables, insert, load_brokerage
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

L = "loc1"
DAY = dt.timedelta(days=1)
START = NOW - 300 * DAY
MODELS = (
    "staging.stg_ghl__contacts", "intermediate.int_identity_records",
    "intermediate.int_identity_ties", "intermediate.int_identity_cores",
    "intermediate.int_identity_phone_ties", "intermediate.int_lead_identities",
)  # fmt: skip


@dataclass(frozen=True)
class Contact:
    """A contact of the CRM, as far as identity looks at it."""

    number: int
    email: str | None = None
    phone: str | None = None
    given: str | None = None
    family: str | None = None
    merged_into: int | None = None
    known_days: int = 0
    """Days from its making to the version that we know."""

    @property
    def id(self) -> str:
        return f"c{self.number:02d}"

    @property
    def known_at(self) -> dt.datetime:
        return START + (self.number + self.known_days) * DAY


@dataclass(frozen=True)
class Identity:
    lead: str
    tied_by: str | None
    tied_to: str | None
    link_known_at: dt.datetime | None


@dataclass(frozen=True)
class Project:
    """The identity models, compiled, on a database of their own."""

    connection: psycopg.Connection = field(repr=False)
    compiled: dict[str, str] = field(repr=False)

    def identities(self, contacts: Sequence[Contact]) -> dict[str, Identity]:
        """What the models make of the contacts, by contact id. Leaves no trace."""
        with self.connection.transaction(force_rollback=True):
            insert(
                self.connection,
                "raw_ghl.contacts",
                [
                    {"id": one.id, "location_id": L, "email": one.email, "phone": one.phone,
                     "first_name": one.given, "last_name": one.family,
                     "date_added": START + one.number * DAY, "_known_at": one.known_at}
                    for one in contacts
                ],
                known_at=NOW - 2 * DAY,
            )  # fmt: skip
            merged = [
                {"location_id": L, "contact_id": one.id, "detected_at": NOW - DAY,
                 "merged_into": f"c{one.merged_into:02d}"}
                for one in contacts
                if one.merged_into is not None
            ]  # fmt: skip
            if merged:
                insert(self.connection, "raw_ghl.contact_tombstones", merged)
            for name in MODELS:
                self.connection.execute(f"truncate {name}".encode())
                self.connection.execute(f"insert into {name} {self.compiled[name]}".encode())
            rows = self.connection.execute(
                "select record_id, lead_id, tied_by, tied_to_record_id, link_known_at"
                " from intermediate.int_lead_identities"
            ).fetchall()
        return {row[0]: Identity(row[1].split(":")[1], *row[2:]) for row in rows}


@pytest.fixture(scope="module")
def project(template_database: Database, dbt_target: Path) -> Iterator[Project]:
    database = clone(template_database)
    with database.connect() as connection:
        create_raw_tables(connection)
    run = run_dbt(
        database, dbt_target, "run", "--select", "+int_lead_identities", identity_max_shared=6
    )
    assert run.success, run.messages
    folder = dbt_target / "compiled" / "leadengine" / "models"
    compiled = {
        # Unit tests compile the models over fixtures of theirs, in folders named after the YAML.
        name: next(
            path
            for path in folder.rglob(f"{name.split('.')[1]}.sql")
            if path.parent.suffix != ".yml" and ".yml" not in str(path)
        ).read_text(encoding="utf-8")
        for name in MODELS
    }
    with database.connect() as connection:
        yield Project(connection, compiled)
    drop(database)


def leads(found: dict[str, Identity]) -> dict[str, str]:
    return {record: identity.lead for record, identity in found.items()}


EMAILS = [None, None, *(f"{name}@example.com" for name in ("ann", "bob", "cat", "home"))]
PHONES = [None, *(f"+1813555010{n}" for n in range(4))]
FULL = [("Ann", "Lee"), ("BOB", "Lee"), ("Robert", "lee"), ("Cat", "Ray"), ("Dan", "Ray")]
SHORT = [(None, None), ("A.", "Lee"), ("Bob", None), (None, "Ray"), ("Unknown", None)]


def contact(number: int, names: list[tuple[str | None, str | None]]) -> st.SearchStrategy[Contact]:
    return st.builds(
        lambda email, phone, name, days: Contact(number, email, phone, *name, known_days=days),
        st.sampled_from(EMAILS), st.sampled_from(PHONES), st.sampled_from(names),
        st.integers(0, 40),
    )  # fmt: skip


def crm(
    names: list[tuple[str | None, str | None]], *, merges: bool
) -> st.SearchStrategy[list[Contact]]:
    """A CRM of up to nine contacts that share what they can."""

    @st.composite
    def build(draw: st.DrawFn) -> list[Contact]:
        found = [draw(contact(number, names)) for number in range(draw(st.integers(2, 9)))]
        if merges:
            for loser in draw(st.lists(st.sampled_from(range(len(found))), max_size=3)):
                into = draw(st.sampled_from(range(len(found))))
                if into != loser:
                    found[loser] = replace(found[loser], merged_into=into)
        return found

    return build()


anything = crm([*FULL, *SHORT], merges=True)
checked = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@checked
@given(contacts=anything, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    project: Project, contacts: list[Contact], shuffle: random.Random
) -> None:
    other = list(contacts)
    shuffle.shuffle(other)
    assert project.identities(contacts) == project.identities(other)


@checked
@given(contacts=anything)
def test_a_lead_is_named_after_its_first_record_and_explained(
    project: Project, contacts: list[Contact]
) -> None:
    found = project.identities(contacts)
    groups = defaultdict(list)
    for record, identity in found.items():
        groups[identity.lead].append(record)
    by_id = {one.id: one for one in contacts}
    for name, members in groups.items():
        assert name == min(members)
        for record in members:
            tie = found[record]
            assert (tie.tied_by is None) == (record == name) == (tie.link_known_at is None)
            if tie.tied_by is None or tie.tied_to is None or tie.link_known_at is None:
                continue
            assert tie.tied_to in members
            one, other = by_id[record], by_id[tie.tied_to]
            if tie.tied_by == "email":
                assert one.email == other.email
            elif tie.tied_by == "phone":
                assert one.phone == other.phone
            else:
                assert other.number in {one.merged_into} or one.number in {other.merged_into}
            # Not before the record has one of its keys, or was merged.
            assert tie.link_known_at >= min(one.known_at, NOW - DAY)


@checked
@given(contacts=crm(FULL, merges=False), cut=st.integers(1, 8))
def test_leads_keep_their_ids_when_records_come_in(
    project: Project, contacts: list[Contact], cut: int
) -> None:
    """They may turn out to be one, which then has the older one's id; none comes apart.

    A record without a whole name is the exception: at a number where a second name turns up, it
    may be either's.
    """
    before, after = leads(project.identities(contacts[:cut])), leads(project.identities(contacts))
    for record, lead in before.items():
        assert after[record] == after[lead]
        assert after[lead] <= lead
        assert after[lead] in before.values()


@checked
@given(contacts=anything, chosen=st.integers(0, 8))
def test_a_corrected_record_comes_away_and_the_others_are_as_without_it(
    project: Project, contacts: list[Contact], chosen: int
) -> None:
    one = contacts[chosen % len(contacts)]
    others = [
        replace(other, merged_into=None) if other.merged_into == one.number else other
        for other in contacts
        if other is not one
    ]
    corrected = replace(one, email="right@example.com", phone="+18135550199", merged_into=None)
    found = project.identities([*others, corrected])
    assert found.pop(corrected.id) == Identity(corrected.id, None, None, None)
    assert found == project.identities(others)


@checked
@given(contacts=crm(FULL, merges=False))
def test_a_number_ties_nobody_to_another_name(project: Project, contacts: list[Contact]) -> None:
    """Whatever bridges there are: without a common email two names are two people."""
    found = leads(project.identities(contacts))
    for one, other in itertools.combinations(contacts, 2):
        if one.email is None and other.email is None and name(one) != name(other):
            assert found[one.id] != found[other.id]


def name(one: Contact) -> tuple[str, str]:
    given_name = (one.given or "").lower()
    return ("robert" if given_name == "bob" else given_name, (one.family or "").lower())


def test_two_people_of_a_household_stay_two_with_a_record_between_them(project: Project) -> None:
    home = "+18135550100"
    contacts = [
        Contact(0, "ann@example.com", home, "Ann", "Lee"),
        Contact(1, "bob@example.com", home, "Bob", "Lee"),
        Contact(2, None, "(813) 555-0100", "Robert", "LEE"),
        Contact(3, "ANN@example.com", None, "Annie", "Lee"),
        Contact(4, None, home, None, "Lee"),
        # Bob's name and number with Ann's address.
        Contact(5, "ann@example.com", home, "Bob", "Lee"),
    ]
    assert leads(project.identities(contacts)) == {
        "c00": "c00", "c01": "c01", "c02": "c01", "c03": "c00", "c04": "c04", "c05": "c00",
    }  # fmt: skip


def test_a_placeholder_ties_nobody(project: Project) -> None:
    shared = [Contact(n, "none@example.com", "+18135550100", "Ann", "Lee") for n in range(7)]
    assert set(leads(project.identities(shared[:6])).values()) == {"c00"}
    assert len(set(leads(project.identities(shared)).values())) == 7


def test_a_link_is_known_from_the_later_of_its_ends_by_the_quickest_way(project: Project) -> None:
    contacts = [
        Contact(0, "ann@example.com", "+18135550100", "Ann", "Lee"),
        Contact(1, "ann@example.com", None, "Ann", "Lee", known_days=100),
        Contact(2, "a2@example.com", "+18135550100", "Ann", "Lee", known_days=10),
        # By her address through the one before, which the CRM merged yesterday.
        Contact(3, "a3@example.com", None, "Ann", "Lee", merged_into=2),
    ]
    found = project.identities(contacts)
    assert [found[f"c0{n}"].link_known_at for n in range(4)] == [
        None, START + 101 * DAY, START + 12 * DAY, NOW - DAY,
    ]  # fmt: skip


@pytest.mark.slow
def test_the_simulated_duplicates_are_found(template_database: Database, dbt_target: Path) -> None:
    """Against the truth of a brokerage of 3,000 contacts: 120 second records, 36 shared numbers.

    A second record has the first one's address, or its number and name; the loader finds half of
    the merges. Missed would be one whose first record lost that number or address. Wrongly tied
    would be members of a household with one given name: to the CRM, too, these are one person.
    """
    brokerage = generate(5, 3000, NOW.date())
    database = clone(template_database)
    with database.connect() as connection:
        create_raw_tables(connection)
        load_brokerage(connection, brokerage, NOW)
        _load_merged(connection, brokerage)
    run = run_dbt(database, dbt_target, "run", "--select", "+int_lead_identities")
    assert run.success, run.messages
    with database.connect() as connection:
        rows = connection.execute(
            "select record_id, lead_id from intermediate.int_lead_identities"
        ).fetchall()
    drop(database)
    groups = defaultdict(list)
    for record, lead in rows:
        groups[lead].append(record)
    found = {
        frozenset(pair)
        for members in groups.values()
        for pair in itertools.combinations(members, 2)
    }
    there = {record for record, _ in rows}
    truth = {
        frozenset(pair) for pair in brokerage.truth.duplicates().items() if there.issuperset(pair)
    }
    recall = len(found & truth) / len(truth)
    precision = len(found & truth) / len(found)
    assert len(truth) > 100
    assert recall >= 0.99
    assert precision >= 0.99


def _load_merged(connection: psycopg.Connection, brokerage: Brokerage) -> None:
    """What the loader holds of the contacts that are gone, half of them known to be merges.

    The others are as good as deleted: their first record says nothing of them.
    """
    last: dict[str, object] = {}
    gone = []
    for record in brokerage.records:
        if record.kind != "contact" or record.known_at > NOW:
            continue
        if record.payload is None:
            gone.append(record)
        else:
            last[record.id] = record.payload
    firsts = brokerage.truth.duplicates()
    _load(connection, table("raw_ghl", "contacts"), [last[one.id] for one in gone], NOW - DAY)
    insert(
        connection,
        "raw_ghl.contact_tombstones",
        [
            {"location_id": one.location_id, "contact_id": one.id, "detected_at": NOW,
             "merged_into": firsts.get(one.id) if place % 2 else None}
            for place, one in enumerate(gone)
        ],
    )  # fmt: skip
