"""Migrations, models, roles and row-level security."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from leadengine.errors import DatabaseUnavailableError
from tests.conftest import clone
from warehouse.database import Database
from warehouse.migrate import current, head, upgrade
from warehouse.models import Base


def test_models_and_migrations_describe_the_same_tables(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": "ops",
                "compare_type": True,
                "include_name": lambda name, kind, _parents: (
                    kind != "schema" or name in {"ops", "ml"}
                ),
                # Indexes serve queries; the models say what a row is.
                "include_object": lambda _object, _name, kind, _reflected, _to: kind != "index",
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_upgrade_is_idempotent(db: Database) -> None:
    assert upgrade(db) == upgrade(db) == current(db) == head()


def test_processes_that_migrate_at_once_do_it_once(database: Database) -> None:
    with psycopg.connect(database.libpq_url, autocommit=True) as connection:
        connection.execute("drop database if exists migrate_twice")
        connection.execute("create database migrate_twice template template0")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: upgrade(database.named("migrate_twice")), range(4)))
    assert results == [head()] * 4


def test_database_of_a_newer_version_is_refused(db: Database) -> None:
    with db.connect() as connection:
        connection.execute("update ops.alembic_version set version_num = '9999'")
    with pytest.raises(DatabaseUnavailableError, match="revision 9999"):
        upgrade(db)


def _audit(connection: psycopg.Connection, location: str) -> None:
    connection.execute(
        "insert into ops.audit_trail (actor, action, entity, entity_id, location_id, detail)"
        " values ('test', 'look', 'lead', '1', %s, '{}')",
        [location],
    )


def test_a_location_sees_its_own_rows_only(db: Database) -> None:
    with db.connect() as connection:
        _audit(connection, "here")
        _audit(connection, "there")
        connection.execute("set role leadengine_location")
        connection.execute("set leadengine.location_id = 'here'")
        rows = connection.execute("select location_id from ops.audit_trail").fetchall()
        assert rows == [("here",)]
        connection.execute("reset leadengine.location_id")
        assert connection.execute("select count(*) from ops.audit_trail").fetchone() == (0,)


def test_a_new_mart_is_closed_until_it_is_granted(db: Database) -> None:
    """dbt grants; by default a table that appears in the schema is nobody's."""
    with db.connect() as connection:
        connection.execute("create table marts.sample as select 1 as n")
    for forbidden in ("select 1 from marts.sample", "select 1 from ops.sends",
                      "select 1 from ml.lead_scores", "select 1 from raw_import.leads",
                      "select ops.add_analyst('me')"):  # fmt: skip
        with db.connect() as connection:
            connection.execute("set role leadengine_analyst")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden)
            connection.rollback()


def test_clones_of_the_template_do_not_share_rows(
    db: Database, template_database: Database
) -> None:
    with db.connect() as connection:
        _audit(connection, "here")
    other = clone(template_database)
    with other.engine.connect() as connection:
        assert connection.execute(text("select count(*) from ops.audit_trail")).scalar() == 0
    other.engine.dispose()
