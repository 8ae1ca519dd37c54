"""Incremental models hold, row for row, what a full refresh gives, whatever the loads brought."""

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from tests.conftest import clone, drop
from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.raw_fixture import Row, insert
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

MODELS = ("+lead_training_set", "+lead_features", "+fct_communications")
INCREMENTAL = {
    "intermediate.int_communications": ("source_system", "location_id", "channel", "source_row_id"),
    "intermediate.int_lead_timeline": ("event_id",),
    "marts.fct_communications": ("event_id",),
    "marts.lead_training_set": ("lead_id", "as_of"),
}
COMPARED = (
    *INCREMENTAL,
    "staging.stg_ghl__contacts", "staging.stg_ghl__contact_tags", "staging.stg_import__leads",
    *(f"intermediate.{name}" for name in (
        "int_identity_records", "int_identity_ties", "int_identity_cores",
        "int_identity_phone_ties", "int_lead_identities", "int_contacts_surviving", "int_leads",
        "int_lead_addresses", "int_shared_people", "int_provider_touches", "int_opt_outs",
        "int_email_events", "int_consent_events", "int_contact_states", "int_contact_changes",
        "int_deal_events", "int_engine_events", "int_lead_status", "int_feature_events",
        "int_agent_spans", "int_agent_days", "int_training_spine", "int_scoring_spine",
        "int_lead_features",
    )),
    "marts.lead_features",
)  # fmt: skip
_RELATION = re.compile(r'"(?:staging|intermediate|marts|snapshots|raw_\w+)"\."(\w+)"')
# Views and what loads their rows.
_ROWS_OF = {
    "stg_ghl__messages": "messages", "stg_ghl__appointments": "appointments",
    "stg_ghl__opportunities": "opportunities", "stg_twilio__messages": "messages",
    "stg_ghl__contact_tombstones": "contact_tombstones",
    "stg_sendgrid__suppressions": "suppressions",
}  # fmt: skip
_NEWS_MACROS = {
    "find_changed_records": {"int_identity_records"},
    "news_of_agent_days": {"int_agent_days"},
    "all_timezones": {"stg_ghl__locations"},
    "rows_digest(source_rows('raw_ghl', 'custom_fields'))": {"custom_fields"},
    "rows_digest(ref('stg_ghl__pipeline_stages'))": {"stg_ghl__pipeline_stages"},
}
# What changes only with something else that is news: ties and cores with the records that they are
# of, and what is looked up by contact with the lead that the contact is of.
_FOLLOWS = {
    "int_identity_cores": {"int_identity_ties"},
    "int_identity_phone_ties": {"int_identity_cores"},
    "int_lead_identities": {"int_identity_ties", "int_identity_phone_ties"},
}
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def warehouse(brokerage_warehouse: Warehouse) -> Iterator[Database]:
    """A copy of the built brokerage, ours to change."""
    database = clone(brokerage_warehouse.database)
    yield database
    drop(database)


class Loads:
    """A load that brings what real ones bring, in an order that a seed decides.

    Args:
        connection: to the warehouse; each load is committed.
        seed: the same one gives the same load.
        number: which load of the series it is.
    """

    def __init__(self, connection: psycopg.Connection, seed: int, number: int) -> None:
        self.connection = connection
        self.rng = np.random.default_rng([seed, number])
        self.number = number

    def pick(self, table: str, count: int, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows ``(location_id, id)`` of a raw table."""
        rows = self.connection.execute(
            f"select location_id, id from raw_ghl.{table} where {where} order by 1, 2"
        ).fetchall()
        places = self.rng.permutation(len(rows))[:count]
        return [rows[place] for place in places]

    def load(self, now: dt.datetime) -> None:
        """One load at that moment: every kind of change, each to a few leads."""
        for step in self.rng.permutation(
            ["new", "late", "corrected", "deleted", "moved", "merged", "restored", "settled",
             "readdressed", "renamed", "provider", "imported", "lead"]
        ):  # fmt: skip
            getattr(self, step)(now)
        self.connection.commit()

    def put(self, now: dt.datetime, contact: tuple[Any, ...], at: dt.datetime, n: int) -> None:
        location_id, contact_id = contact
        kinds: list[Row] = [
            {"message_type": "TYPE_SMS", "direction": "inbound", "status": "delivered"},
            {"message_type": "TYPE_EMAIL", "direction": "outbound", "status": "clicked",
             "user_id": "agent", "source": "app"},
            {"message_type": "TYPE_CALL", "direction": "outbound", "call_status": "completed",
             "call_duration": 60 + n, "status": "completed"},
        ]  # fmt: skip
        insert(
            self.connection,
            "raw_ghl.messages",
            [{"id": f"load{self.number}-{at:%j%H%M}-{n}", "location_id": location_id,
              "contact_id": contact_id, "date_added": at, "date_updated": at, **kinds[n % 3]}],
            known_at=now,
        )  # fmt: skip

    def new(self, now: dt.datetime) -> None:
        for n, contact in enumerate(self.pick("contacts", 4)):
            self.put(now, contact, now - HOUR, n)

    def late(self, now: dt.datetime) -> None:
        for n, contact in enumerate(self.pick("contacts", 4)):
            self.put(now, contact, now - (60 + 40 * n) * DAY, n)

    def corrected(self, now: dt.datetime) -> None:
        for location_id, message_id in self.pick("messages", 5):
            self.connection.execute(
                "update raw_ghl.messages set status = 'failed', date_updated = %s, _known_at = %s,"
                " _loaded_at = %s, _backfill = false where location_id = %s and id = %s",
                (now, now, now, location_id, message_id),
            )

    def deleted(self, _now: dt.datetime) -> None:
        for table, count in (("messages", 4), ("appointments", 1), ("opportunities", 1)):
            for row in self.pick(table, count):
                self.connection.execute(
                    f"delete from raw_ghl.{table} where location_id = %s and id = %s", row
                )

    def moved(self, _now: dt.datetime) -> None:
        """A message turns out to be another contact's; the row's clocks do not move."""
        for location_id, message_id in self.pick("messages", 3):
            (_, other), *_ = self.pick("contacts", 1, f"location_id = '{location_id}'")
            self.connection.execute(
                "update raw_ghl.messages set contact_id = %s where location_id = %s and id = %s",
                (other, location_id, message_id),
            )

    def merged(self, now: dt.datetime) -> None:
        for location_id, loser in self.pick("contacts", 2):
            (_, survivor), *_ = self.pick(
                "contacts", 1, f"location_id = '{location_id}' and id <> '{loser}'"
            )
            self.connection.execute(
                "insert into raw_ghl.contact_tombstones (location_id, contact_id, detected_at,"
                " merged_into, evidence, _loaded_at, _known_at, _backfill, _row_hash)"
                " values (%s, %s, %s, %s, 'email', %s, %s, false, '')"
                " on conflict do nothing",
                (location_id, loser, now, survivor if loser > survivor else None, now, now),
            )

    def restored(self, _now: dt.datetime) -> None:
        self.connection.execute(
            "delete from raw_ghl.contact_tombstones where (location_id, contact_id) in"
            " (select location_id, contact_id from raw_ghl.contact_tombstones"
            " order by md5(contact_id || %s) limit 1)",
            (str(self.number),),
        )

    def settled(self, now: dt.datetime) -> None:
        for location_id, appointment_id in self.pick("appointments", 3):
            self.connection.execute(
                "update raw_ghl.appointments set appointment_status = 'showed', date_updated = %s,"
                " _known_at = %s, _backfill = false where location_id = %s and id = %s",
                (now, now, location_id, appointment_id),
            )

    def readdressed(self, now: dt.datetime) -> None:
        """An email address passes from one contact to another, its provider's touches with it."""
        for location_id, contact_id in self.pick("contacts", 2):
            self.connection.execute(
                "update raw_ghl.contacts set email = 'shared@example.com', date_updated = %s,"
                " _known_at = %s, _backfill = false where location_id = %s and id = %s",
                (now, now, location_id, contact_id),
            )

    def renamed(self, now: dt.datetime) -> None:
        """Contacts come to share numbers, emails and names with others, or no longer do."""
        pools = {
            "email": [None, *(f"{name}@example.com" for name in ("ann", "bob", "home"))],
            "phone": [None, *(f"+1813555010{n}" for n in range(4))],
            "first_name": [None, "Ann", "A.", "Bob"],
            "last_name": [None, "Lee", "Ray"],
        }
        for location_id, contact_id in self.pick("contacts", 14):
            values = [pool[self.rng.integers(len(pool))] for pool in pools.values()]
            self.connection.execute(
                "update raw_ghl.contacts set email = %s, phone = %s, first_name = %s,"
                " last_name = %s, date_updated = %s, _known_at = %s, _backfill = false"
                " where location_id = %s and id = %s",
                (*values, now, now, location_id, contact_id),
            )

    def imported(self, now: dt.datetime) -> None:
        """A file tells of a contact that there is, and of somebody who has a contact's number."""
        for n, (location_id, contact_id) in enumerate(self.pick("contacts", 2)):
            insert(
                self.connection,
                "raw_import.leads",
                [{"import_id": str(uuid.UUID(int=10 * self.number + n)), "row_number": 1,
                  "location_id": location_id, "outcome": bool(n), "outcome_at": now - 30 * DAY,
                  "external_id": contact_id if n else f"file{self.number}",
                  "first_name": "Bob", "last_name": "Lee", "phone": "+18135550101",
                  "created_at": now - 200 * DAY, "attributes": {}}],
                known_at=now,
            )  # fmt: skip

    def provider(self, now: dt.datetime) -> None:
        (location_id, _), *_ = self.pick("contacts", 1)
        insert(
            self.connection,
            "raw_sendgrid.email_activity",
            [{"msg_id": f"load{self.number}.x", "location_id": location_id, "status": "delivered",
              "to_email": "shared@example.com", "opens_count": self.number % 2,
              "last_event_time": now - 90 * DAY}],
            known_at=now,
        )  # fmt: skip

    def lead(self, now: dt.datetime) -> None:
        """A contact that is new, one that is older than was thought, and one that is no more."""
        (location_id, contact_id), (other_location, other), (gone_location, gone) = self.pick(
            "contacts", 3
        )
        insert(
            self.connection,
            "raw_ghl.contacts",
            [{"id": f"new{self.number}", "location_id": location_id, "date_added": now - HOUR,
              "date_updated": now - HOUR, "email": f"new{self.number}@example.com"}],
            known_at=now,
        )  # fmt: skip
        self.connection.execute(
            "update raw_ghl.contacts set date_added = date_added - interval '45 days'"
            " where location_id = %s and id = %s",
            (other_location, other),
        )
        self.connection.execute(
            "delete from raw_ghl.contacts where location_id = %s and id = %s",
            (gone_location, gone),
        )
        assert contact_id


def rows(connection: psycopg.Connection, table: str) -> list[str]:
    """All rows as text, by columns in the order of their names, sorted."""
    names = sorted(
        name
        for (name,) in connection.execute(
            "select column_name from information_schema.columns"
            " where table_schema || '.' || table_name = %s",
            (table,),
        )
    )
    assert names
    query = sql.SQL("select row({})::text from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(*table.split("."))
    )
    return sorted(text for (text,) in connection.execute(query))


def versions(connection: psycopg.Connection, table: str) -> dict[tuple[Any, ...], str]:
    """The transaction that wrote each row, by the table's key."""
    key = sql.SQL(", ").join(map(sql.Identifier, INCREMENTAL[table]))
    query = sql.SQL("select xmin::text, {} from {}").format(key, sql.Identifier(*table.split(".")))
    return {tuple(row[1:]): row[0] for row in connection.execute(query)}


def series(
    database: Database, target: Path, seed: int, start: dt.datetime, loads: int
) -> tuple[dt.datetime, list[float]]:
    """Loads and builds in turn.

    Returns:
        The last moment, and the shares of the rows of the timeline and of the training set that
        were never written again.
    """
    with database.connect() as connection:
        before = versions(connection, "intermediate.int_lead_timeline")
        training = versions(connection, "marts.lead_training_set")
    now = start
    for number in range(loads):
        now += (1 + 6 * number) * DAY
        with database.connect() as connection:
            Loads(connection, seed, number).load(now)
        run = run_dbt(database, target, "run", "--select", *MODELS, as_of=now.isoformat())
        assert run.success, run.messages
    with database.connect() as connection:
        kept = []
        for table, held in (
            ("intermediate.int_lead_timeline", before), ("marts.lead_training_set", training),
        ):  # fmt: skip
            after = versions(connection, table)
            kept.append(sum(after.get(key) == held[key] for key in held) / len(held))
    return now, kept


def compare(database: Database, target: Path, now: dt.datetime, **variables: Any) -> None:
    """Holds every compared table to what a full refresh at the same moment makes of it."""
    with database.connect() as connection:
        found = {table: rows(connection, table) for table in COMPARED}
    run = run_dbt(
        database, target, "run", "--select", *MODELS, "--full-refresh", as_of=now.isoformat(),
        **variables,
    )  # fmt: skip
    assert run.success, run.messages
    with database.connect() as connection:
        for table in COMPARED:
            assert found[table] == rows(connection, table), table


def test_incremental_equals_a_full_refresh(
    warehouse: Database, brokerage_warehouse: Warehouse, dbt_target: Path
) -> None:
    """After late, corrected, deleted, moved and merged rows; what did not change is left alone."""
    now, kept = series(warehouse, dbt_target, 3, brokerage_warehouse.as_of, 2)
    # Of the training set a lead's rows are written together when it gets a further point.
    assert kept[0] > 0.8
    assert kept[1] > 0.3
    compare(warehouse, dbt_target, now)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [5, 8, 13])
def test_incremental_equals_a_full_refresh_after_many_loads(
    warehouse: Database, brokerage_warehouse: Warehouse, dbt_target: Path, seed: int
) -> None:
    now, _ = series(warehouse, dbt_target, seed, brokerage_warehouse.as_of, 5)
    compare(warehouse, dbt_target, now)
    # Other settings: other points and labels for the same leads.
    changed: dict[str, Any] = {"label_days": 30, "spine_step_days": 45}
    run = run_dbt(
        warehouse, dbt_target, "run", "--select", *MODELS, as_of=now.isoformat(), **changed
    )
    assert run.success, run.messages
    compare(warehouse, dbt_target, now, **changed)


def test_other_columns_than_described_are_built_anew(
    warehouse: Database, brokerage_warehouse: Warehouse, dbt_target: Path
) -> None:
    """A table from before a feature was added is not filled up, but made again."""
    with warehouse.connect() as connection:
        connection.execute("alter table marts.lead_training_set drop column beds cascade")
        before = versions(connection, "marts.lead_training_set")
    run = run_dbt(
        warehouse, dbt_target, "run", "--select", "lead_training_set",
        as_of=brokerage_warehouse.as_of.isoformat(),
    )  # fmt: skip
    assert run.success, run.messages
    with warehouse.connect() as connection:
        assert connection.execute("select count(beds) from marts.lead_training_set").fetchone() != (
            0,
        )
        after = versions(connection, "marts.lead_training_set")
        looked_at = connection.execute(
            "select count(*) from pg_stats where schemaname = 'marts'"
            " and tablename = 'lead_training_set'"
        ).fetchone()
    assert after.keys() == before.keys()
    assert not after.items() & before.items()
    assert looked_at != (0,), "made anew, and not analyzed"


def test_whatever_a_model_reads_is_news_to_it(brokerage_warehouse: Warehouse) -> None:
    """Else a change in it would leave rows as they were, where no other test brings one."""
    manifest = json.loads((brokerage_warehouse.target / "manifest.json").read_text("utf-8"))
    checked = 0
    for node in manifest["nodes"].values():
        hooks = " ".join(hook["sql"] for hook in node["config"].get("pre-hook", []))
        if "find_change" not in hooks or node["config"]["meta"].get("computed_whole"):
            continue
        # Of a snapshot dbt keeps what it ran; it reads and writes itself.
        folder = "run" if node["resource_type"] == "snapshot" else "compiled"
        query = brokerage_warehouse.target / folder / "leadengine" / node["original_file_path"]
        read = set(_RELATION.findall(query.read_text("utf-8"))) - {node["name"]}
        named = set(re.findall(r"news_of\w*\(\s*(?:ref|source)\((?:'raw_\w+', )?'(\w+)'\)", hooks))
        for macro, relation in _NEWS_MACROS.items():
            if macro in hooks:
                named |= relation
        missing = {_ROWS_OF.get(name, name) for name in read} - named
        assert missing <= _FOLLOWS.get(node["name"], set()), (node["name"], missing)
        checked += 1
    assert checked >= 25
