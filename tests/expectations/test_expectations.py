"""A good table passes; each kind of bad row fails with a sentence that a person can act on."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from expectations.run import SUITE_TABLES, SUITES, validate_raw
from expectations.suite import load_suites
from ingestion.tables import TABLES
from leadengine.errors import LeadEngineError
from providers.sandbox.simulation import generate
from tests.conftest import clone, drop
from tests.dbt_project.raw_fixture import create_raw_tables, insert, load_brokerage
from warehouse.database import Database

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
L = "loc1"


@pytest.fixture(scope="module")
def good_template(template_database: Database) -> Iterator[Database]:
    """Raw tables of a small simulated brokerage."""
    database = clone(template_database)
    with database.connect() as connection:
        create_raw_tables(connection)
        load_brokerage(connection, generate(5, 30, NOW.date()), NOW)
    database.engine.dispose()
    yield database
    drop(database)


@pytest.fixture
def good(good_template: Database) -> Iterator[Database]:
    database = clone(good_template)
    yield database
    drop(database)


def change(database: Database, sql: str, parameters: dict[str, Any] | None = None) -> None:
    with database.connect() as connection:
        connection.execute(sql, parameters)


def count(database: Database, table: str) -> int:
    with database.connect() as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    return int(row[0])


def one_row(table: str) -> str:
    return f"id = (select min(id) from {table})"


def test_a_good_load_passes_everywhere(good: Database) -> None:
    results = validate_raw(good)
    assert [result.table for result in results] == list(SUITE_TABLES)
    assert {result.table: result.failures for result in results if not result.success} == {}
    assert all(result.evaluated >= 5 for result in results)


def test_every_raw_table_has_a_suite_that_knows_its_columns() -> None:
    assert set(SUITE_TABLES) == {spec.qualified for spec in TABLES} | {"raw_import.leads"}
    types = {spec.qualified: spec.sql_types for spec in TABLES}
    for table, suite in SUITES.items():
        (schema,) = (rule for rule in suite.rules if rule.kind == "schema")
        assert schema.option("columns") == types.get(table, schema.option("columns")), table
        named = {name for rule in suite.rules for name in rule.columns}
        assert named <= set(schema.option("columns")), table


@pytest.mark.parametrize(
    ("table", "damage", "sentence"),
    [
        (
            "raw_ghl.contacts",
            "alter table {table} drop constraint contacts_pkey, alter column id drop not null;"
            " update {table} set id = null where {one}",
            "id: 1 of {rows} rows have no value",
        ),
        (
            "raw_ghl.contacts",
            "alter table {table} drop constraint contacts_pkey;"
            " insert into {table} select * from {table} where {one}",
            "location_id, id: 2 of {one_more} rows share their key with another row",
        ),
        (
            "raw_ghl.contacts",
            "update {table} set location_id = 'elsewhere' where {one}",
            "location_id: 1 row is not in raw_ghl.locations.id",
        ),
        (
            "raw_ghl.contacts",
            "update {table} set date_added = now() + interval '3 days'",
            "date_added: {rows} of {rows} rows lie before the year 2000 or in the future,"
            " expected at most 1%",
        ),
        (
            "raw_ghl.contacts",
            "delete from {table}",
            "the table has 0 rows, expected at least 1",
        ),
        (
            "raw_ghl.contacts",
            "drop table {table}",
            "the table is missing: nothing has been loaded into it",
        ),
        (
            "raw_ghl.contacts",
            "update {table} set _known_at = _loaded_at + interval '1 second' where {one}",
            "_loaded_at: 1 of {rows} rows are before _known_at",
        ),
        (
            "raw_ghl.messages",
            "update {table} set direction = 'sideways' where {one}",
            "direction: 1 of {rows} rows are none of inbound, outbound (found sideways)",
        ),
        (
            "raw_ghl.messages",
            "update {table} set _known_at = null where {one}",
            "_known_at: 1 of {rows} rows have no value",
        ),
        (
            "raw_ghl.opportunities",
            "update {table} set status = 'maybe' where {one}",
            "status: 1 of {rows} rows are none of open, won, lost, abandoned (found maybe)",
        ),
    ],
)
def test_bad_rows_block_with_a_readable_sentence(
    good: Database, table: str, damage: str, sentence: str
) -> None:
    rows = count(good, table)
    change(good, damage.format(table=table, one=one_row(table)))
    (result,) = validate_raw(good, [table])
    assert not result.success
    assert result.failures == [sentence.format(rows=rows, one_more=rows + 1)]


@pytest.mark.parametrize(
    ("table", "damage", "sentence"),
    [
        (
            "raw_ghl.contacts",
            "update {table} set email = 'jane at example'",
            "email: {rows} of {rows} rows do not look like an email address, expected at most 10%",
        ),
        (
            "raw_ghl.contacts",
            "update {table} set phone = 'call Jane'",
            "phone: {rows} of {rows} rows do not look like a phone number, expected at most 10%",
        ),
        (
            "raw_ghl.messages",
            "update {table} set call_duration = -5 where {one}",
            "call_duration: 1 of 1 rows are not between 0 and 86400",
        ),
    ],
)
def test_dirt_only_warns_and_is_not_quoted(
    good: Database, table: str, damage: str, sentence: str
) -> None:
    change(good, "update raw_ghl.messages set call_duration = null")
    change(good, damage.format(table=table, one=one_row(table)))
    (result,) = validate_raw(good, [table])
    assert result.success
    assert result.failures == []
    assert sentence.format(rows=count(good, table)) in result.warnings
    assert "ane" not in " ".join(result.warnings)


def test_a_suppressed_address_must_be_comparable(good: Database) -> None:
    with good.connect() as connection:
        insert(
            connection,
            "raw_sendgrid.suppressions",
            [{"kind": "bounces", "email": "Jane@Example.com", "created_at": NOW - DAY}],
            known_at=NOW - DAY,
        )
    (result,) = validate_raw(good, ["raw_sendgrid.suppressions"])
    assert result.failures == ["email: 1 of 1 rows do not look like an address in lower case"]


def test_a_provider_that_is_not_connected_is_no_fault(good: Database) -> None:
    change(good, "drop table raw_apollo.people")
    results = validate_raw(good, ["raw_apollo.people", "raw_ghl.users"])
    assert [(r.table, r.success, r.evaluated > 0) for r in results] == [
        ("raw_apollo.people", True, False),
        ("raw_ghl.users", True, True),
    ]


def test_a_column_that_is_gone_is_said_so(good: Database) -> None:
    change(good, "alter table raw_ghl.messages drop column direction")
    (result,) = validate_raw(good, ["raw_ghl.messages"])
    assert not result.success
    schema, values = result.failures
    assert schema == "direction is missing"
    assert values.startswith("direction: one_of could not be evaluated (")


def test_a_column_of_another_type_blocks(good: Database) -> None:
    change(good, "alter table raw_ghl.messages alter column call_duration type text")
    (result,) = validate_raw(good, ["raw_ghl.messages"])
    assert result.failures[0] == "call_duration is text and not bigint"


def test_text_of_either_kind_is_text(good: Database) -> None:
    """The loader makes varchar."""
    change(good, "alter table raw_ghl.messages alter column direction type varchar")
    (result,) = validate_raw(good, ["raw_ghl.messages"])
    assert result.failures == []


def test_a_table_without_a_suite_is_refused(good: Database) -> None:
    with pytest.raises(LeadEngineError, match=r"no expectations for raw_ghl\.nothing"):
        validate_raw(good, ["raw_ghl.nothing"])


@pytest.mark.parametrize(
    "rule",
    [
        {"one_of": "status"},
        {"looks_nice": "status"},
        {"not_null": "id", "between": "id"},
        {"not_null": "id", "severity": "fatal"},
        {"not_null": "id", "mostly": 0},
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(tmp_path: Path, rule: dict[str, Any]) -> None:
    suite = {"raw_ghl.things": {"key": ["id"], "columns": {"id": "text"}, "rules": [rule]}}
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    with pytest.raises(LeadEngineError, match=r"bad\.yaml: raw_ghl\.things"):
        load_suites(tmp_path)


def test_nobody_waits_for_great_expectations_who_does_not_use_it() -> None:
    code = "import sys, expectations.run; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_connections_are_given_back(good: Database) -> None:
    validate_raw(good, ["raw_ghl.users"])
    with psycopg.connect(good.libpq_url) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and pid != pg_backend_pid()"
        ).fetchone()
    assert row == (0,)
