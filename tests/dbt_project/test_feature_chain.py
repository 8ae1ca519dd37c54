"""From raw rows to features, over many histories at once: nothing of the future gets through."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from psycopg.rows import dict_row

from tests.conftest import clone, drop
from tests.dbt_project.raw_fixture import create_raw_tables
from tests.dbt_project.raw_histories import LOCATIONS, RawLead, events_of, raw_leads, write
from tests.dbt_project.reference import agent_days, features
from tests.dbt_project.rendering import RENDERED
from tests.dbt_project.running import run_dbt
from tests.dbt_project.test_features import differences
from warehouse.copy import copy_rows
from warehouse.database import Database

LOADED_AT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SQL = RENDERED.read_text(encoding="utf-8")
Found = dict[tuple[str, dt.datetime], dict[str, Any]]


@dataclass(frozen=True)
class Histories:
    """Leads that are loaded and built, with the moments to look at them.

    Attributes:
        database: where.
        leads: by id.
        expected: their features, by the slow way.
        batch: marts.lead_features as compiled, over the spine of open leads.
    """

    database: Database
    leads: dict[str, RawLead]
    expected: Found
    batch: str


def gathered(count: int) -> list[RawLead]:
    """As many generated leads; the same ones each time."""
    leads: list[RawLead] = []

    @seed(count)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(lead=raw_leads())
    def gather(lead: RawLead) -> None:
        leads.append(lead)

    gather()
    return leads


def build(database: Database, target: Path, leads: list[RawLead]) -> Histories:
    """Loads the leads, builds what features read, and computes them the slow way."""
    with database.connect() as connection:
        create_raw_tables(connection)
        write(connection, leads, LOADED_AT)
    run = run_dbt(
        database, target, "build", "--select", "+lead_features",
        "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test",
        as_of=LOADED_AT.isoformat(),
    )  # fmt: skip
    assert run.success, run.messages
    with database.connect() as connection:
        ids = dict(
            connection.execute(
                "select contact_id, lead_id from intermediate.int_contacts_surviving"
            ).fetchall()
        )
    named = {ids[f"c{n}"]: lead for n, lead in enumerate(leads)}
    events = {lead_id: events_of(lead) for lead_id, lead in named.items()}
    days = {
        location: agent_days(
            {i: events[i] for i, lead in named.items() if lead.location_id == location}
        )
        for location in LOCATIONS
    }
    expected: Found = {}
    for lead_id, lead in named.items():
        for as_of in lead.as_of:
            is_in = lead.created_at < as_of
            expected[lead_id, as_of] = features(
                lead.created_at,
                events[lead_id],
                as_of,
                timezone=LOCATIONS[lead.location_id],
                agent_days=days[lead.location_id],
            ) | {
                "source": lead.source if is_in else None,
                "market": lead.location_id if is_in else None,
            }
    compiled = target / "compiled/leadengine/models/intermediate/int_lead_features.sql"
    return Histories(database, named, expected, compiled.read_text(encoding="utf-8"))


def over_spine(query: str) -> str:
    """A query of features, over ``pg_temp.spine`` in place of the spine that it has."""
    spine = "as (\n    select lead_id, as_of from pg_temp.spine\n),"
    alone, one = re.subn(r"(?<=with one_lead )as \(.*?\n\),", spine, query, count=1, flags=re.S)
    batch, many = re.subn(r'"\w+"\."intermediate"\."int_scoring_spine"', "pg_temp.spine", query)
    assert (one == 1) != (many > 1)
    return alone if one else batch


def computed(histories: Histories, query: str) -> Found:
    """The same through the macro, for all leads and moments in one query."""
    with psycopg.connect(histories.database.libpq_url, row_factory=dict_row) as connection:
        connection.execute(
            "create temporary table spine (lead_id text, as_of timestamptz, location_id text)"
        )
        copy_rows(connection, "pg_temp.spine", ["lead_id", "as_of"], histories.expected)
        connection.execute("analyze pg_temp.spine")
        return {
            (row["lead_id"], row["as_of"]): row
            for row in connection.execute(
                over_spine(query)  # type: ignore[call-overload]
            ).fetchall()
        }


def differing(histories: Histories, sql: str) -> dict[tuple[str, dt.datetime], Any]:
    """What the macro gives that the reference does not, by lead and moment."""
    found = computed(histories, sql)
    assert found.keys() == histories.expected.keys()
    return {
        key: wrong
        for key, expected in histories.expected.items()
        if (wrong := differences(found[key], expected))
    }


@pytest.fixture(scope="module")
def histories(template_database: Database, dbt_target: Path) -> Iterator[Histories]:
    database = clone(template_database)
    yield build(database, dbt_target, gathered(400))
    drop(database)


def test_raw_rows_become_the_features_of_what_was_known(histories: Histories) -> None:
    assert len(histories.expected) > 1200
    assert differing(histories, SQL) == {}


def test_a_batch_reads_the_touches_as_they_were_known(histories: Histories) -> None:
    """Kept in order once, in versions, they give what putting them in order at each moment does."""
    assert differing(histories, histories.batch) == {}
    forgetful, conditions = re.subn(
        r"\s+and events\.known_until >= spine\.as_of", "", histories.batch
    )
    assert conditions == 3
    assert differing(histories, forgetful)


def test_histories_hold_what_goes_wrong(histories: Histories) -> None:
    """Late, corrected, told twice, dated ahead, merged, deleted; and features that are no nulls."""
    leads = histories.leads.values()
    rows = [row for lead in leads for row in lead.messages]
    assert sum(row["_known_at"] > row["at"] for row in rows) > 100
    assert sum(row["updated_at"] > row["at"] for row in rows) > 100
    assert sum(row["_known_at"] < row["at"] for row in rows) > 50
    assert sum(lead.merged_at is not None for lead in leads) > 50
    assert sum(lead.deleted_at is not None for lead in leads) > 50
    twice = [
        lead for lead in leads
        if sum(e.event_type == "touch" for e in events_of(lead))
        < len(lead.messages) + len(lead.calls_and_texts)
    ]  # fmt: skip
    assert len(twice) > 20
    for name in next(iter(histories.expected.values())):
        values = {str(one[name]) for one in histories.expected.values()}
        assert len(values) > 1, name


@pytest.mark.parametrize("clock", ["known_at", "occurred_at"])
def test_a_planted_leak_shows(histories: Histories, clock: str) -> None:
    """The comparison above would fail, were the macro to forget one of its two clocks."""
    condition = f"and timeline.{clock} < spine.as_of"
    assert SQL.count(condition) == 1
    leaks = differing(histories, SQL.replace(condition, ""))
    assert len(leaks) > 40


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_pairs_have_no_differing_value(
    template_database: Database, dbt_target: Path
) -> None:
    database = clone(template_database)
    try:
        histories = build(database, dbt_target, gathered(3500))
        assert len(histories.expected) >= 10_000
        assert differing(histories, SQL) == {}
        assert differing(histories, histories.batch) == {}
    finally:
        drop(database)
