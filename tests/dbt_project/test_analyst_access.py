"""What the analyst's role can read, as the server sees it: tried by a real login."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, QueryCanceled, ReadOnlySqlTransaction

from tests.conftest import clone, drop
from tests.dbt_project.analyst import ROLE, log_in
from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

# At the least; whatever else the YAML marks is tried as well.
PERSONAL = {
    (table, column) for table in ("dim_leads", "dim_agents") for column in ("email", "phone")
}


@pytest.fixture
def analyst(brokerage_warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    with log_in(brokerage_warehouse.database) as connection:
        yield connection


@pytest.fixture
def colleague(brokerage_warehouse: Warehouse) -> Iterator[str]:
    """A login of one person's own."""
    with brokerage_warehouse.database.connect() as connection:
        connection.execute("select ops.add_analyst('ana')")
    yield "ana"
    with brokerage_warehouse.database.connect() as connection:
        connection.execute("drop role ana")


def marts(target: Path) -> list[dict[str, Any]]:
    """The models of the schema, as dbt's manifest has them."""
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"].values()
    return [
        node for node in nodes if node["resource_type"] == "model" and node["schema"] == "marts"
    ]


@pytest.fixture
def personal(brokerage_warehouse: Warehouse) -> set[tuple[str, str]]:
    """Table and column of everything that is marked personal."""
    return {
        (node["name"], column["name"])
        for node in marts(brokerage_warehouse.target)
        for column in node["columns"].values()
        if column["meta"].get("personal")
    }


def readable(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """Relations of which at least one column can be selected, system catalogs aside."""
    rows = connection.execute(
        "select nspname, relname from pg_class inner join pg_namespace"
        " on pg_class.relnamespace = pg_namespace.oid"
        " where relkind in ('r', 'v', 'm', 'p', 'f', 'S')"
        " and nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg_t%'"
        " and has_schema_privilege(pg_namespace.oid, 'usage')"
        " and case when relkind = 'S' then has_sequence_privilege(pg_class.oid, 'usage,select')"
        " else has_any_column_privilege(pg_class.oid, 'select') end"
    ).fetchall()
    return {(str(schema), str(name)) for schema, name in rows}


def test_every_mart_is_readable_and_nothing_else(
    brokerage_warehouse: Warehouse, analyst: psycopg.Connection, personal: set[tuple[str, str]]
) -> None:
    names = {node["name"] for node in marts(brokerage_warehouse.target)}
    closed = {table for table, _ in personal}
    masked = {f"{table}_masked" for table in closed}
    assert names
    assert readable(analyst) == {("marts", name) for name in names | masked}
    for name in names - closed | masked:
        analyst.execute(f"select * from marts.{name} limit 1")


@pytest.mark.parametrize(
    "relation",
    ["raw_ghl.contacts", "raw_import.leads", "staging.stg_ghl__contacts", "intermediate.int_leads",
     "ops.consent_logs", "ml.lead_scores"],
)  # fmt: skip
def test_other_schemas_refuse(analyst: psycopg.Connection, relation: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        analyst.execute(f"select count(*) from {relation}")


def test_personal_columns_refuse_and_are_masked_in_the_view(
    brokerage_warehouse: Warehouse, analyst: psycopg.Connection, personal: set[tuple[str, str]]
) -> None:
    assert personal >= PERSONAL
    for table, column in sorted(personal):
        for statement in (
            f"select {column} from marts.{table}",
            f"select 1 from marts.{table} where {column} = 'x'",
            f"select * from marts.{table}",
            f"select row_to_json(t) from marts.{table} as t",
        ):
            with pytest.raises(InsufficientPrivilege):
                analyst.execute(statement)
        # Statistics hold values too.
        assert analyst.execute(
            "select count(*) from pg_stats where schemaname = 'marts' and tablename = %s"
            " and attname = %s",
            (table, column),
        ).fetchone() == (0,)
        query = f"select {column} from marts.{{}} where {column} is not null"
        with brokerage_warehouse.database.connect() as connection:
            plain = {str(value) for (value,) in connection.execute(query.format(table).encode())}
        shown = {
            str(value) for (value,) in analyst.execute(query.format(f"{table}_masked").encode())
        }
        assert shown
        assert all(re.match(r"^(.?\*{3}@\S+|\*{8}\d\d)$", value) for value in shown)
        assert not shown & plain


def test_the_masked_view_has_every_row_and_column_and_says_what_they_are(
    analyst: psycopg.Connection, personal: set[tuple[str, str]]
) -> None:
    for table in {table for table, _ in personal}:
        columns, described = (
            analyst.execute(
                "select array_agg(attname order by attnum),"
                " count(col_description(attrelid, attnum)) from pg_attribute"
                " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
                (f"marts.{name}",),
            ).fetchone()
            for name in (table, f"{table}_masked")
        )
        assert columns == described
        assert analyst.execute(f"select count(*) from marts.{table}").fetchone() == (
            analyst.execute(f"select count(*) from marts.{table}_masked").fetchone()
        )


def test_columns_that_look_personal_are_marked(
    brokerage_warehouse: Warehouse, personal: set[tuple[str, str]]
) -> None:
    """A new mart with an address or a number in it says so, or this fails."""
    suspicious = {
        (node["name"], column["name"])
        for node in marts(brokerage_warehouse.target)
        for column in node["columns"].values()
        if column["data_type"] == "text"
        and re.search(r"(e_?mail|phone|address|_number)$", column["name"])
    }
    assert PERSONAL <= suspicious <= personal


def test_no_value_of_a_mart_is_an_address_or_a_number(
    brokerage_warehouse: Warehouse, analyst: psycopg.Connection
) -> None:
    """Whatever the columns are called: no lead's email or phone can be read anywhere."""
    with brokerage_warehouse.database.connect() as connection:
        values = [
            value
            for (value,) in connection.execute(
                "select email from marts.dim_leads where email is not null union"
                " select phone from marts.dim_leads where phone is not null"
            )
        ]
    assert len(values) > 100
    columns = analyst.execute(
        "select c.relname, a.attname from pg_attribute as a"
        " inner join pg_class as c on a.attrelid = c.oid"
        " where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'v', 'm')"
        " and a.attnum > 0 and not a.attisdropped"
        " and a.atttypid in ('text'::regtype, 'jsonb'::regtype)"
        " and has_column_privilege(c.oid, a.attnum, 'select')"
    ).fetchall()
    found = []
    for table, column in columns:
        query = sql.SQL("select count(*) from marts.{} where {}::text = any(%s)").format(
            sql.Identifier(table), sql.Identifier(column)
        )
        if analyst.execute(query, (values,)).fetchone() != (0,):
            found.append((table, column))
    assert columns
    assert found == []


def test_nothing_can_be_written(analyst: psycopg.Connection) -> None:
    with pytest.raises((InsufficientPrivilege, ReadOnlySqlTransaction)):
        analyst.execute("delete from marts.kpi_daily")
    analyst.execute("set default_transaction_read_only = off")
    for statement in (
        "delete from marts.kpi_daily", "create table marts.mine (n integer)",
        "create schema mine", "update marts.dim_leads set status = 'won'",
        "grant select on marts.dim_leads to public", "create role friend",
        "copy marts.kpi_daily to program 'cat'",
    ):  # fmt: skip
        with pytest.raises(InsufficientPrivilege):
            analyst.execute(statement)


@pytest.mark.parametrize("user", [ROLE, "ana"])
def test_limits_count_for_a_login(
    brokerage_warehouse: Warehouse, colleague: str, user: str
) -> None:
    """Members do not inherit a role's settings; ops.add_analyst copies them."""
    assert colleague == "ana"
    with log_in(brokerage_warehouse.database, user) as connection:
        for setting, value in (
            ("statement_timeout", "1min"), ("idle_in_transaction_session_timeout", "5min"),
            ("default_transaction_read_only", "on"),
        ):  # fmt: skip
            assert connection.execute(f"show {setting}").fetchone() == (value,), setting
        assert len(readable(connection)) > 10
        with pytest.raises(InsufficientPrivilege):
            connection.execute("select email from marts.dim_leads")
        connection.execute("set statement_timeout = '50ms'")
        with pytest.raises(QueryCanceled):
            connection.execute("select pg_sleep(5)")


def test_a_changed_limit_reaches_a_login_that_exists(
    brokerage_warehouse: Warehouse, colleague: str
) -> None:
    with brokerage_warehouse.database.connect() as connection:
        connection.execute(f"alter role {ROLE} set statement_timeout = '90s'")
        connection.execute("select ops.add_analyst(%s)", (colleague,))
        connection.execute(f"alter role {ROLE} set statement_timeout = '60s'")
    with log_in(brokerage_warehouse.database, colleague) as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("90s",)


def test_an_administrator_is_no_analyst(brokerage_warehouse: Warehouse) -> None:
    with (
        brokerage_warehouse.database.connect() as connection,
        pytest.raises(psycopg.errors.RaiseException, match="is an administrator"),
    ):
        connection.execute("select ops.add_analyst(current_user)")


def test_a_rebuilt_mart_stays_readable_and_masked(
    brokerage_warehouse: Warehouse, dbt_target: Path
) -> None:
    """dbt swaps tables; a view on the old one would go with it, and grants with the table."""
    brokerage_warehouse.database.engine.dispose()
    copy = clone(brokerage_warehouse.database)
    try:
        for _ in range(2):
            run = run_dbt(copy, dbt_target, "run", "--select", "dim_agents")
            assert run.success, run.messages
            _reads_masked_agents(copy)
    finally:
        drop(copy)


def _reads_masked_agents(database: Database) -> None:
    with log_in(database) as connection:
        row = connection.execute("select count(phone) from marts.dim_agents_masked").fetchone()
        assert row is not None
        assert row[0] > 0
        connection.execute("select name, location_name from marts.dim_agents")
        with pytest.raises(InsufficientPrivilege):
            connection.execute("select phone from marts.dim_agents")
