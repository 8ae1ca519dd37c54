"""Real things to test against: a migrated PostgreSQL, and a sandbox with its brokerage."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

# Before anything of ours is imported: tests never read the developer's own .env or state.
os.environ["LEADENGINE_HOME"] = tempfile.mkdtemp(prefix="leadengine-test-")

from leadengine.settings import Settings, load_settings
from warehouse.database import Database, open_database, release_embedded
from warehouse.migrate import upgrade

if TYPE_CHECKING:
    from xdist.remote import Producer

    from providers.sandbox.launcher import SandboxProcess

_PROVIDER_PREFIXES = ("GHL_", "TWILIO_", "SENDGRID_", "APOLLO_", "ANTHROPIC_", "MLFLOW_")
_numbers = itertools.count(1)


class FolderScheduling(LoadScopeScheduling):
    """A file is one worker's; so is a folder whose fixtures are costly."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        return folder if folder in {"dbt_project", "end_to_end"} else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> FolderScheduling:
    """How tests are shared out when pytest runs with ``--numprocesses``."""
    return FolderScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker waits for it at the end."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """No variable of the person who runs the tests reaches them."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith(_PROVIDER_PREFIXES) or name in {"DATABASE_URL", "SANDBOX_URL"}:
            patch.delenv(name)
    yield
    patch.undo()
    release_embedded()
    shutil.rmtree(os.environ["LEADENGINE_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def settings(clean_environment: None) -> Settings:
    """Settings with a state folder of this test run's own and no credentials."""
    return load_settings(_env_file=None)


@pytest.fixture(scope="session")
def database(settings: Settings) -> Database:
    """The embedded server's database, migrated. Shared: leave it as it was found."""
    database = open_database(settings)
    # No test pulls the plug of the machine, and waiting for its disk takes a quarter of the time.
    with _admin(database) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")
    upgrade(database)
    return database


def _admin(database: Database) -> psycopg.Connection:
    return psycopg.connect(database.named("template1").libpq_url, autocommit=True)


@pytest.fixture(scope="session")
def template_database(database: Database) -> Database:
    """A migrated database that nothing connects to, from which others are cloned."""
    with _admin(database) as connection:
        connection.execute("create database leadengine_template template template0")
    template = database.named("leadengine_template")
    upgrade(template)
    template.engine.dispose()
    return template


def clone(template: Database) -> Database:
    """A copy of ``template`` under a name of its own."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with _admin(template) as connection:
        connection.execute(
            # Without waiting for the disk, copying files is the eight times quicker way.
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template.dbname)
            )
        )
    return template.named(name)


def drop(database: Database) -> None:
    """Removes a cloned database, whoever is still connected to it."""
    database.engine.dispose()
    with _admin(database) as connection:
        connection.execute(
            sql.SQL("drop database {} with (force)").format(sql.Identifier(database.dbname))
        )


@pytest.fixture
def db(template_database: Database) -> Iterator[Database]:
    """A fresh, migrated database for one test."""
    cloned = clone(template_database)
    yield cloned
    drop(cloned)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SandboxProcess"]:
    """A running sandbox with a brokerage of 300 simulated contacts."""
    from providers.sandbox.launcher import start_sandbox

    home: Path = tmp_path_factory.mktemp("sandbox-home")
    process = start_sandbox(home, port=None, contacts=300, seed=11)
    yield process
    process.stop()


@pytest.fixture
def sandbox_settings(settings: Settings, sandbox: "SandboxProcess") -> Settings:
    """Settings whose providers are the session's sandbox."""
    return settings.use_sandbox(sandbox.url, sandbox.credentials)
