"""The log of changed keys: what triggers note, and that a model misses nothing committed."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import clone, drop
from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.raw_fixture import insert
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

TABLE = """
    create schema raw_it;
    create table raw_it.calls (location_id text, id text, contact_id text);
    create trigger noted_insert after insert on raw_it.calls
    referencing new table as new_rows
    for each statement execute function changes.note('location_id,contact_id', 'id:location_id,id');
    create trigger noted_update after update on raw_it.calls
    referencing old table as old_rows new table as new_rows
    for each statement execute function changes.note('location_id,contact_id', 'id:location_id,id');
    create trigger noted_delete after delete on raw_it.calls
    referencing old table as old_rows
    for each statement execute function changes.note('location_id,contact_id', 'id:location_id,id');
    create trigger noted_truncate after truncate on raw_it.calls
    for each statement execute function changes.note('location_id,contact_id', 'id:location_id,id');
"""


def noted(connection: psycopg.Connection) -> set[tuple[str, str | None]]:
    """What the log holds of the table, which is then forgotten."""
    found = connection.execute(
        "delete from changes.log where relation like 'raw_it.%'"
        " returning relation, array_to_string(key, ':')"
    ).fetchall()
    assert len(found) == len(set(found))
    return {(relation.removeprefix("raw_it.calls"), key) for relation, key in found}


@pytest.fixture
def table(db: Database) -> Iterator[psycopg.Connection]:
    with db.connect() as connection:
        connection.execute(TABLE)
        yield connection


def test_old_and_new_keys_of_a_statement_are_noted_once(table: psycopg.Connection) -> None:
    table.execute("insert into raw_it.calls values ('L', '1', 'a'), ('L', '2', 'a')")
    assert noted(table) == {("", "L:a"), ("/id", "L:1"), ("/id", "L:2")}
    table.execute("update raw_it.calls set contact_id = 'b' where id = '1'")
    assert noted(table) == {("", "L:a"), ("", "L:b"), ("/id", "L:1")}
    table.execute("delete from raw_it.calls where id = '2'")
    assert noted(table) == {("", "L:a"), ("/id", "L:2")}
    table.execute("delete from raw_it.calls where id = 'nobody'")
    assert noted(table) == set()
    table.execute("truncate raw_it.calls")
    assert noted(table) == {("", None), ("/id", None)}


def test_whoever_may_load_need_not_be_allowed_to_write_the_log(table: psycopg.Connection) -> None:
    table.execute("create role a_loader")
    table.execute("grant usage on schema raw_it to a_loader")
    table.execute("grant insert on raw_it.calls to a_loader")
    table.execute("set role a_loader")
    table.execute("insert into raw_it.calls values ('L', '1', 'a')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), table.transaction():
        table.execute("select from changes.log")
    table.execute("reset role")
    assert noted(table) == {("", "L:a"), ("/id", "L:1")}
    table.rollback()


def test_what_is_committed_after_a_run_that_it_began_before_is_not_missed(
    brokerage_warehouse: Warehouse, dbt_target: Path
) -> None:
    """Its row is stamped, and its transaction numbered, before all that the run has seen."""
    database = clone(brokerage_warehouse.database)
    now = brokerage_warehouse.as_of
    try:
        with database.connect() as connection:
            contact = connection.execute(
                "select location_id, id from raw_ghl.contacts order by id limit 1"
            ).fetchone()
            assert contact is not None
        with psycopg.connect(database.libpq_url) as slow:
            insert(slow, "raw_ghl.messages", [_message(*contact, "slow", now)], known_at=now)
            with database.connect() as connection:
                other = _message(*contact, "quick", now)
                insert(connection, "raw_ghl.messages", [other], known_at=now)
            _build(database, dbt_target, now)
            assert _touches(database) == ["quick"]
            slow.commit()
        _build(database, dbt_target, now)
        assert _touches(database) == ["quick", "slow"]
    finally:
        drop(database)


def _message(location_id: str, contact_id: str, name: str, now: dt.datetime) -> dict[str, object]:
    at = now - dt.timedelta(hours=1)
    return {"id": name, "location_id": location_id, "contact_id": contact_id, "date_added": at,
            "date_updated": at, "message_type": "TYPE_SMS", "direction": "inbound",
            "status": "delivered"}  # fmt: skip


def _build(database: Database, target: Path, now: dt.datetime) -> None:
    run = run_dbt(database, target, "run", "--select", "+int_communications", as_of=now.isoformat())
    assert run.success, run.messages


def _touches(database: Database) -> list[str]:
    with database.connect() as connection:
        return [
            name
            for (name,) in connection.execute(
                "select source_row_id from intermediate.int_communications"
                " where source_row_id in ('quick', 'slow') order by 1"
            )
        ]
