"""Addresses, bad addresses, COPY, and a server that is not the embedded one."""

import asyncio
import os
import pwd
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine, text

from leadengine.errors import DatabaseUnavailableError, SettingsError
from leadengine.settings import load_settings
from warehouse.copy import copy_rows
from warehouse.database import Database, open_database
from warehouse.migrate import head, upgrade


def kill(database: Database, connection: psycopg.Connection) -> None:
    """Ends the server's process behind a connection, as a crash would."""
    with database.connect(autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_every_form_of_the_address_leads_to_the_same_database(
    database: Database, driver: str
) -> None:
    engine = create_engine(database.sqlalchemy_url(driver, schema="mlflow"))
    with engine.connect() as connection:
        row = connection.execute(text("select current_database(), current_schema()")).one()
        assert tuple(row) == (database.dbname, "mlflow")
    engine.dispose()
    with psycopg.connect(database.libpq_url) as plain:
        assert plain.execute("select current_database()").fetchone() == (database.dbname,)


def test_asyncpg_is_given_what_it_knows_of_libpqs_parameters(database: Database) -> None:
    """What it does not know it would send to the server, which refuses it."""
    given = {"keepalives": "1", "sslmode": "disable", "options": "-c work_mem=9MB"}
    parameters = {"host": database.host, "port": database.port, "user": database.user}
    other = Database(**parameters, password="local", dbname=database.dbname, options=given)

    async def asked() -> tuple[str, str]:
        connection = await asyncpg.connect(**other.asyncpg_parameters())
        try:
            return await connection.fetchrow(
                "select current_database()::text, current_setting('work_mem')"
            )
        finally:
            await connection.close()

    assert tuple(asyncio.run(asked())) == (database.dbname, "9MB")


def test_password_is_not_in_what_is_shown(database: Database) -> None:
    assert "local" not in repr(database).replace("localhost", "")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://nobody@127.0.0.1:1/x", r"The database x at 127\.0\.0\.1:1 cannot be used"),
        # pragma: allowlist nextline secret
        ("postgresql+psycopg://u:geheim@127.0.0.1:1/x", r"x at 127\.0\.0\.1:1 cannot be used"),
    ],
)
def test_server_that_is_down_is_named_without_its_password(url: str, expected: str) -> None:
    settings = load_settings(_env_file=None, database_url=url)
    with pytest.raises(DatabaseUnavailableError, match=expected) as caught:
        open_database(settings)
    assert "geheim" not in str(caught.value)
    assert "DATABASE_URL" in caught.value.remedy


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_connection_that_is_lost_is_told_in_one_line(db: Database, autocommit: bool) -> None:
    def read() -> None:
        with db.connect(autocommit=autocommit) as connection:
            kill(db, connection)
            connection.execute("select 1")

    with pytest.raises(DatabaseUnavailableError, match="went away: ") as caught:
        read()
    assert "\n" not in str(caught.value)
    assert "try again" in caught.value.remedy


def test_a_connection_that_is_lost_at_the_commit_is_told_as_well(db: Database) -> None:
    def write() -> None:
        with db.connect() as connection:
            connection.execute("create table public.undone (id int)")
            kill(db, connection)

    with pytest.raises(DatabaseUnavailableError, match="went away"):
        write()
    with db.connect() as connection:
        assert connection.execute("select to_regclass('public.undone')").fetchone() == (None,)


def test_what_the_server_refuses_is_no_loss_of_it(db: Database) -> None:
    def wait() -> None:
        with db.connect(autocommit=True) as connection:
            connection.execute("set statement_timeout = 10")
            connection.execute("select pg_sleep(5)")

    with pytest.raises(psycopg.errors.QueryCanceled):
        wait()


@pytest.mark.parametrize("url", ["postgresql://[::1", "not a url at all="])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is not a PostgreSQL URL"):
        open_database(load_settings(_env_file=None, database_url=url))


def test_copy_keeps_values_as_they_are(db: Database) -> None:
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    nasty = {"quote": "'\"", "tab": "\t", "line": "\n", "null": None, "back": "\\N"}
    row = (moment, "a", "b", "c\t\n\\", "d", None, Jsonb(nasty))
    columns = ["at", "actor", "action", "entity", "entity_id", "location_id", "detail"]
    with db.connect() as connection:
        assert copy_rows(connection, "ops.audit_trail", columns, [row, row]) == 2
    with db.connect() as connection:
        stored = connection.execute(
            "select at, entity, location_id, detail from ops.audit_trail limit 1"
        ).fetchone()
    assert stored == (moment, "c\t\n\\", None, nasty)


def test_failed_copy_leaves_nothing(db: Database) -> None:
    columns = ["at", "actor", "action", "entity", "entity_id", "detail"]
    good = (datetime.now(UTC), "a", "b", "c", "d", Jsonb({}))
    with pytest.raises(psycopg.errors.NotNullViolation), db.connect() as connection:
        copy_rows(connection, "ops.audit_trail", columns, [good, (*good[:5], None)])
    with db.connect() as connection:
        assert connection.execute("select count(*) from ops.audit_trail").fetchone() == (0,)


@pytest.fixture
def debian_server(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL of the system's own, on a socket of its own."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("no PostgreSQL of the system is installed; apt-get install postgresql")
    bin_dir = found[-1].parent
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    identity = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    if user:
        os.chown(data, user.pw_uid, user.pw_gid)
        for folder in data.parents:
            folder.chmod(folder.stat().st_mode | 0o011)

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(bin_dir / program), "-D", str(data), *arguments],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **identity,
        )  # fmt: skip

    call("initdb", "-U", "owner", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    call("pg_ctl", "start", "-w", "-o", f"-k {data} -c listen_addresses='' -p 5499",
         "-l", str(data / "log"))  # fmt: skip
    yield f"postgresql://owner@localhost/postgres?host={data}&port=5499"
    call("pg_ctl", "stop", "-m", "immediate")


def test_a_server_of_somebody_elses_is_migrated_as_well(debian_server: str) -> None:
    database = open_database(load_settings(_env_file=None, database_url=debian_server))
    assert database.check() >= 150_000
    assert upgrade(database) == head()
    with database.engine.connect() as connection:
        tables = connection.execute(
            text("select count(*) from pg_tables where schemaname in ('ops', 'ml')")
        ).scalar()
        assert tables is not None
        assert tables > 12
    database.engine.dispose()
