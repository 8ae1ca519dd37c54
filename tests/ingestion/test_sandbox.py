"""Loads from the sandbox: the tables hold what the simulated providers hold."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ingestion.load import load_all, load_source
from ingestion.tables import TABLES
from leadengine.clock import FixedClock
from leadengine.settings import Settings
from providers.factory import Clients, build_clients
from providers.limits import LocalRateLimiter
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from providers.sendgrid import EmailMessage
from tests.ingestion.conftest import UNLIMITED
from warehouse.database import Database


def get(box: SandboxProcess, path: str) -> Any:
    """The JSON behind one of the sandbox's own addresses."""
    return httpx.get(f"{box.url}{path}", timeout=30).raise_for_status().json()


def post(box: SandboxProcess, path: str, body: dict[str, Any]) -> Any:
    """Posts JSON to one of the sandbox's own addresses."""
    return httpx.post(f"{box.url}{path}", json=body, timeout=30).raise_for_status().json()


def now(box: SandboxProcess) -> datetime:
    """The sandbox's time."""
    return datetime.fromisoformat(get(box, "/_health")["now"]).astimezone(UTC)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox of these tests' own, without rate limits, since they change it."""
    home = tmp_path_factory.mktemp("ingestion-sandbox")
    with start_sandbox(home, contacts=120, seed=5, unlimited=True) as process:
        yield process


@pytest.fixture
def own_settings(settings: Settings, box: SandboxProcess, tmp_path: Path) -> Settings:
    """Settings whose providers are ``box``, with small budgets."""
    more = {"leadengine_home": tmp_path, "apollo_budget": 25, "transcription_budget": 5}
    return settings.model_copy(update=more).use_sandbox(box.url, box.credentials)


@pytest.fixture
def clients(own_settings: Settings) -> Iterator[Clients]:
    """Clients of ``box``."""
    with build_clients(own_settings, LocalRateLimiter(), limits=UNLIMITED) as clients:
        yield clients


def check_contacts(db: Database, box: SandboxProcess) -> None:
    """The contacts without tombstone, and the broken ones, are those that live, as they are."""
    with db.connect() as connection:
        held = {
            row["id"]: row
            for row in connection.cursor(row_factory=psycopg.rows.dict_row).execute(
                "select contact.* from raw_ghl.contacts as contact "
                "left join raw_ghl.contact_tombstones as tombstone "
                "on tombstone.contact_id = contact.id where tombstone.contact_id is null"
            )
        }
        broken = {
            name
            for (name,) in connection.execute(
                "select row_key from ops.quarantine where source = 'ghl' and entity = 'contacts'"
            )
        }
    truth = {person["id"]: person for person in get(box, "/_truth/contacts")}
    assert held.keys() | broken == truth.keys()
    assert len(held) > 100
    for name, row in held.items():
        person = truth[name]
        for column in ("location_id", "first_name", "last_name", "phone", "email"):
            assert row[column] == (person[column] or None), column
        assert bool(row["dnd"]) == person["dnd"]
        assert row["tags"] == person["tags"]
        assert row["date_added"] == datetime.fromisoformat(person["date_added"])
        assert row["date_updated"] == datetime.fromisoformat(person["date_updated"])


def test_a_full_load_equals_the_sandbox_and_follows_it(
    db: Database, box: SandboxProcess, own_settings: Settings, clients: Clients
) -> None:
    clock = FixedClock(now(box))
    first = {
        (one.schema, one.table): one for one in load_all(db, clients, own_settings, clock=clock)
    }
    assert {(spec.schema, spec.table) for spec in TABLES} == set(first)
    check_contacts(db, box)
    with db.connect() as connection:
        early = connection.execute(
            "select count(*) from raw_ghl.messages where _known_at > _loaded_at"
        ).fetchone()
        assert early == (0,)
        people = connection.execute("select count(*) from raw_apollo.people").fetchone()
    assert people == (25,)

    # Nothing changed: nothing is written.
    again = load_all(db, clients, own_settings, clock=clock)
    budgeted = {"people", "transcriptions"}
    assert {one.rows_loaded for one in again if one.table not in budgeted} == {0}

    # Days pass at the brokerage: people write, change, merge and vanish.
    for _ in range(3):
        post(box, "/_clock", {"advance_seconds": 86_400})
        clock = FixedClock(now(box))
        load_source(db, clients, own_settings, "ghl", clock=clock)
        check_contacts(db, box)


def test_what_we_change_at_the_provider_comes_back_and_only_that(
    db: Database, box: SandboxProcess, own_settings: Settings, clients: Clients
) -> None:
    load_source(db, clients, own_settings, "ghl", clock=FixedClock(now(box)))
    place, client = next(iter(clients.ghl.items()))
    people = [one["id"] for one in get(box, "/_truth/contacts") if one["location_id"] == place]
    client.bulk_tags("add", people[:3], ["hot lead"])
    new = client.upsert_contact(firstName="Nova", email="nova@example.com")
    token = own_settings.locations()[0].token.get_secret_value()
    httpx.delete(
        f"{own_settings.ghl_base_url}/contacts/{people[5]}",
        headers={"Authorization": f"Bearer {token}", "Version": "2021-07-28"},
    ).raise_for_status()
    later = now(box) + timedelta(minutes=1)
    results = {
        (one.table, one.location_id): one.rows_loaded
        for one in load_source(db, clients, own_settings, "ghl", clock=FixedClock(later))
        if one.rows_loaded and one.table != "transcriptions"
    }
    assert results == {("contacts", place): 4, ("contact_tombstones", place): 1}
    with db.connect() as connection:
        assert connection.execute(
            "select contact_id, merged_into from raw_ghl.contact_tombstones"
        ).fetchall() == [(people[5], None)]
        assert connection.execute(
            "select _known_at, _backfill from raw_ghl.contacts where id = %s", (new["id"],)
        ).fetchone() == (later, False)
    check_contacts(db, box)


def test_messages_that_we_send_come_back_with_their_location(
    db: Database, box: SandboxProcess, own_settings: Settings, clients: Clients
) -> None:
    place = own_settings.locations()[1]
    assert place.from_number is not None
    assert place.from_email is not None
    person = next(
        one
        for one in get(box, "/_truth/contacts")
        if one["location_id"] == place.location_id
        and re.fullmatch(r"\+1\d{10}", one["phone"] or "")
        and re.fullmatch(r"[\w.]+@[\w.]+", one["email"] or "")
        and not one["dnd"] and not one["opted_out_sms"] and not one["email_suppressed"]
    )  # fmt: skip
    receipt = clients.twilio.send_sms(person["phone"], place.from_number, "Still looking?", None)
    clients.sendgrid.send_email(
        EmailMessage(
            to=person["email"], from_email=place.from_email, from_name="Ann",
            subject="Homes", text="Hello", html="<p>Hello</p>",
            custom_args={"send_id": "s"}, headers={},
        )
    )  # fmt: skip
    post(box, "/_clock", {"advance_seconds": 60})
    clock = FixedClock(now(box))
    for source in ("twilio", "sendgrid"):
        load_source(db, clients, own_settings, source, clock=clock)
    with db.connect() as connection:
        texts = connection.execute(
            "select sid, location_id, to_number, body, direction from raw_twilio.messages "
            "where sid = %s",
            (receipt.sid,),
        ).fetchall()
        emails = connection.execute(
            "select location_id, to_email, subject from raw_sendgrid.email_activity"
        ).fetchall()
    assert texts == [
        (receipt.sid, place.location_id, person["phone"], "Still looking?", "outbound-api")
    ]
    assert emails == [(place.location_id, person["email"], "Homes")]


def test_apollo_is_asked_about_nobody_twice(
    db: Database, box: SandboxProcess, own_settings: Settings, clients: Clients
) -> None:
    clock = FixedClock(now(box))
    load_source(db, clients, own_settings, "ghl", ["contacts"], clock=clock)
    counts = [
        load_source(db, clients, own_settings, "apollo", clock=clock)[0].rows_loaded
        for _ in range(2)
    ]
    assert counts == [25, 25]
    with db.connect() as connection:
        row = connection.execute(
            "select count(*), count(distinct email), bool_or(_backfill), "
            "bool_and(matched is not null) from raw_apollo.people"
        ).fetchone()
    assert row == (50, 50, False, True)
