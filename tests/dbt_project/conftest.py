"""Warehouses to test the models on: one of a small simulated brokerage, and bare ones."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from providers.sandbox.simulation import Brokerage, generate
from tests.conftest import clone, drop
from tests.dbt_project.raw_fixture import create_raw_tables, load_brokerage
from tests.dbt_project.running import DbtRun, run_dbt
from warehouse.database import Database

NOW = dt.datetime(2025, 9, 1, 12, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Warehouse:
    """A database whose models are built.

    Attributes:
        database: where.
        as_of: the moment of the build, UTC.
        brokerage: what was loaded.
        build: what ``dbt build`` said.
        target: dbt's folder, with the manifest.
    """

    database: Database
    as_of: dt.datetime
    brokerage: Brokerage
    build: DbtRun
    target: Path


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt writes; shared, so that it parses the project once."""
    return tmp_path_factory.mktemp("dbt-target")


@pytest.fixture(scope="session")
def brokerage_warehouse(template_database: Database, dbt_target: Path) -> Iterator[Warehouse]:
    """A simulated brokerage of 150 contacts, loaded and built. Shared: leave it as it was."""
    database = clone(template_database)
    brokerage = generate(11, 150, NOW.date())
    with database.connect() as connection:
        create_raw_tables(connection)
        load_brokerage(connection, brokerage, NOW)
    build = run_dbt(database, dbt_target, "build", as_of=NOW.isoformat())
    yield Warehouse(database, NOW, brokerage, build, dbt_target)
    drop(database)


@pytest.fixture
def raw_db(db: Database) -> Database:
    """A fresh database with raw tables, all empty."""
    with db.connect() as connection:
        create_raw_tables(connection)
    return db
