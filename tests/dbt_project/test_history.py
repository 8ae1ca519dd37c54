"""Corrections append: what was known at a moment stays answerable after a later load."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.conftest import clone, drop
from tests.dbt_project.conftest import NOW
from tests.dbt_project.hand_made import BATCH_ID, DAY, L, contact, fill
from tests.dbt_project.raw_fixture import create_raw_tables, insert
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

HOUR = dt.timedelta(hours=1)
CHANGED, LOADED, LATER = NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR
LEAD = f"{L}:full"
Built = psycopg.Connection[dict[str, Any]]

_CHANGES = {
    "tags, owner, do not disturb": (
        "update raw_ghl.contacts set tags = %(tags)s, assigned_to = 'other', dnd = true,"
        " date_updated = %(changed)s, _known_at = %(loaded)s, _loaded_at = %(loaded)s"
        " where id = 'full'"
    ),
    "stage": (
        "update raw_ghl.opportunities set pipeline_stage_id = 's2', updated_at = %(changed)s,"
        " last_stage_change_at = %(changed)s, _known_at = %(loaded)s where id = 'o0'"
    ),
    "no-show after all": (
        "update raw_ghl.appointments set appointment_status = 'noshow', date_updated = %(changed)s,"
        " _known_at = %(loaded)s where id = 'a-showed'"
    ),
    "a contact that goes": (
        "insert into raw_ghl.contact_tombstones (location_id, contact_id, detected_at, merged_into,"
        " _loaded_at, _known_at, _backfill, _row_hash)"
        " values (%(location)s, 'second', %(loaded)s, 'full', %(loaded)s, %(loaded)s, false, 'x')"
    ),
}


@pytest.fixture(scope="module")
def built(template_database: Database, dbt_target: Path) -> Iterator[Built]:
    """A CRM built, scored and enrolled, then changed and built again, and once more unchanged."""
    database = clone(template_database)

    def build(as_of: dt.datetime) -> None:
        run = run_dbt(database, dbt_target, "run", as_of=as_of.isoformat())
        assert run.success, run.messages

    with psycopg.connect(database.libpq_url, row_factory=dict_row, autocommit=True) as connection:
        with database.connect() as filling:
            create_raw_tables(filling)
            fill(filling)
            insert(filling, "raw_ghl.contacts", [contact("second")], known_at=NOW - DAY)
            filling.execute(
                "insert into raw_ghl.pipelines (location_id, id, name, stages, _loaded_at,"
                " _known_at, _backfill, _row_hash)"
                " values (%s, 'p', 'Buyers', %s, %s, %s, true, 'x')",
                (L, Jsonb([{"id": "s1", "name": "New"}, {"id": "s2", "name": "Met"}]), NOW, NOW),
            )
            filling.execute(
                "update raw_ghl.opportunities set pipeline_id = 'p', pipeline_stage_id = 's1',"
                " last_stage_change_at = created_at"
            )
        build(NOW)
        _score(connection, NOW, "cold")
        _score(connection, NOW + HOUR / 2, "hot")
        connection.execute(
            "update ops.batches set approved_by = 'me', approved_at = %s where batch_id = %s",
            (NOW, BATCH_ID),
        )
        for decision, who in (("send", "full"), ("holdout", "won"), ("suppress", "lost")):
            connection.execute(
                "insert into ops.batch_items (batch_id, lead_id, location_id, contact_id,"
                " decision, reason_code, reason) values (%s, %s, %s, %s, %s, 'x', 'x')",
                (BATCH_ID, f"{L}:{who}", L, who, decision),
            )
        _lead_on(connection)
        for statement in _CHANGES.values():
            connection.execute(
                statement,
                {"tags": Jsonb(["VIP", "Hot"]), "changed": CHANGED, "loaded": LOADED,
                 "location": L},
            )  # fmt: skip
        build(LATER)
        build(LATER + HOUR)
        yield connection
    drop(database)


def _lead_on(connection: Built) -> None:
    """Notes of a journey: enrolled, its second step, and its end, noted an hour later."""
    connection.execute(
        "insert into ops.enrollments (enrollment_id, batch_id, lead_id, location_id, contact_id,"
        " sequence, zone, status, step, enrolled_at, updated_at)"
        " values (%(id)s, %(id)s, %(lead)s, %(location)s, 'full', 's', 'UTC', 'stopped', 2,"
        " %(at)s, %(at)s)",
        {"id": BATCH_ID, "lead": LEAD, "location": L, "at": NOW},
    )
    for kind, step, detail, at in (
        ("enrolled", 1, {}, NOW),
        ("sent", 1, {"event": "sent"}, NOW),
        ("branch", 1, {"go_to": 3}, NOW + HOUR / 2),
        ("queued", 3, {}, NOW + HOUR / 2),
        ("stopped", 3, {"reason": "reply"}, NOW + HOUR),
    ):
        connection.execute(
            "insert into ops.enrollment_events (enrollment_id, location_id, at, kind, step,"
            " detail, created_at) values (%s, %s, %s, %s, %s, %s, %s)",
            (BATCH_ID, L, at, kind, step, Jsonb(detail), at + HOUR),
        )


def _score(connection: Built, as_of: dt.datetime, tier: str) -> None:
    connection.execute(
        "insert into ml.lead_scores (lead_id, as_of, location_id, score, tier, rank, reasons,"
        " model_name, model_version, features_digest, features, scored_at)"
        " values (%s, %s, %s, 0.5, %s, 1, '[]', 'lead_conversion', '7', 'x', '{}', %s)",
        (LEAD, as_of, L, tier, as_of),
    )


def rows(built: Built, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in built.execute(sql)]


def test_changes_are_events_with_both_clocks(built: Built) -> None:
    found = rows(
        built,
        "select event_type, outcome, occurred_at, known_at from intermediate.int_lead_timeline"
        f" where lead_id = '{LEAD}' and source_row_id in ('full', 'o0', 'a-showed')"
        f" and known_at = '{LOADED.isoformat()}' order by 1, 2",
    )
    assert found == [
        ("appointment_corrected", "no_show", CHANGED, LOADED),
        # The appointment itself is no-show now; that it was thought kept, the snapshot remembers.
        ("appointment_no_show", "no_show", NOW - 5 * DAY, LOADED),
        ("dnd_changed", "on", CHANGED, LOADED),
        ("opportunity_stage_changed", "Met", CHANGED, LOADED),
        ("owner_changed", None, CHANGED, LOADED),
        ("tag_added", "hot", CHANGED, LOADED),
        ("tag_added", "vip", CHANGED, LOADED),
    ]


def test_the_engines_own_deeds_are_events(built: Built) -> None:
    found = rows(
        built,
        "select event_type, lead_id, outcome, occurred_at from intermediate.int_lead_timeline"
        " where event_type in ('enrolled', 'held_out', 'score_tier_changed') order by 1, 4",
    )
    assert found == [
        ("enrolled", LEAD, "s", NOW),
        ("held_out", f"{L}:won", "s", NOW),
        ("score_tier_changed", LEAD, "cold", NOW),
        ("score_tier_changed", LEAD, "hot", NOW + HOUR / 2),
    ]


def test_every_step_of_a_sequence_is_an_event_known_when_it_was_noted(built: Built) -> None:
    found = rows(
        built,
        "select event_type, outcome, occurred_at, known_at from intermediate.int_lead_timeline"
        f" where lead_id = '{LEAD}' and (event_type like 'step%' or event_type like 'sequence%')"
        " order by occurred_at, event_type",
    )
    half = NOW + HOUR / 2
    assert found == [
        ("step_sent", "s:1", NOW, NOW + HOUR),
        ("sequence_branched", "s:1:3", half, half + HOUR),
        ("step_queued", "s:3", half, half + HOUR),
        ("sequence_stopped", "s:3:reply", NOW + HOUR, NOW + 2 * HOUR),
    ]


@pytest.mark.parametrize(
    ("moment", "tags", "owner", "stage", "status"),
    [
        (LOADED - HOUR, None, "agent", "s1", "kept"),
        (LOADED, "hot\nvip", "other", "s2", "no_show"),
        (LATER + DAY, "hot\nvip", "other", "s2", "no_show"),
    ],
)
def test_what_was_known_then_is_still_there(
    built: Built, moment: dt.datetime, tags: str | None, owner: str, stage: str, status: str
) -> None:
    then = f"dbt_valid_from <= '{moment}' and coalesce(dbt_valid_to > '{moment}', true)"
    assert rows(
        built,
        "select tags, assigned_agent_id from snapshots.snap_contacts"
        f" where contact_id = 'full' and {then}",
    ) == [(tags, owner)]
    assert rows(
        built,
        f"select stage_id from snapshots.snap_opportunities where opportunity_id = 'o0' and {then}",
    ) == [(stage,)]
    assert rows(
        built,
        "select status from snapshots.snap_appointments"
        f" where appointment_id = 'a-showed' and {then}",
    ) == [(status,)]


def test_a_deal_has_its_stays(built: Built) -> None:
    found = rows(
        built,
        "select stay_number, stage_name, entered_at, left_at, days_in_stage, is_current,"
        " left_by, left_known_at from marts.fct_opportunity_stage_history"
        " where opportunity_id = 'o0' order by 1",
    )
    made, now = NOW - 90 * DAY, LATER + HOUR
    assert found == [
        (1, "New", made, CHANGED, (CHANGED - made) / DAY, False, "moved", LOADED),
        (2, "Met", CHANGED, None, (now - CHANGED) / DAY, True, None, None),
    ]
    assert rows(
        built,
        "select left_by, left_at, days_in_stage from marts.fct_opportunity_stage_history"
        " where opportunity_id = 'o1'",
    ) == [("won", NOW - 40 * DAY, 50)]


def test_a_lead_has_its_history(built: Built) -> None:
    found = rows(
        built,
        "select version_number, stage_name, assigned_agent_id, score_tier, valid_from, valid_to"
        f" from marts.dim_leads_history where lead_id = '{LEAD}' order by 1",
    )
    assert found == [
        (1, "New", "agent", None, NOW, LATER),
        (2, "Met", "other", "hot", LATER, None),
    ]


def test_a_merged_lead_ends_and_the_rest_stay_as_they_were(built: Built) -> None:
    current = rows(
        built, f"select is_current from marts.dim_leads_history where lead_id = '{L}:second'"
    )
    assert current == [(False,)]
    (counts,) = rows(
        built,
        "select count(*) filter (where is_current) as current,"
        " count(*) filter (where not is_current) as past from marts.dim_leads_history",
    )
    (leads,) = rows(built, "select count(*) from marts.dim_leads")
    assert counts == (leads[0], 2), "a build without changes adds no version"


def test_the_tables_of_events_agree(built: Built) -> None:
    """Calls are the touches by phone; what emails became is in both tables the same."""
    assert rows(
        built,
        "select (select count(*) from marts.fct_calls) as calls,"
        " (select count(*) from marts.fct_communications where channel = 'call') as touches",
    ) == [(6, 6)]
    timeline = rows(
        built,
        "select event_type, occurred_at from intermediate.int_lead_timeline"
        " where event_type like 'email%' order by 1, 2",
    )
    facts = rows(
        built,
        "select 'email_' || event_type, occurred_at from marts.fct_email_events"
        " where event_type not in ('sent', 'delivered') order by 1, 2",
    )
    assert timeline == facts == [
        ("email_opened", NOW - DAY), ("email_suppressed", NOW - 2 * DAY),
    ]  # fmt: skip
