"""Tables of providers: read where they are, and nothing instead where they are not."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from dbt.adapters.cache import RelationsCache
from dbt.adapters.postgres import PostgresAdapter

from tests.dbt_project.running import run_dbt
from warehouse.database import Database

VIEWS = ("stg_ghl__messages", "stg_ghl__users", "stg_ghl__opportunities", "stg_ghl__pipelines")


def test_a_table_is_found_while_dbt_still_lists_its_schema(
    raw_db: Database, dbt_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt's cache says that it knows a schema as soon as it knows the first table of it.

    A second thread that asked it then built a view of nothing, as if no provider were connected,
    and all that follows from it was deleted.
    """
    add, listing = RelationsCache.add, PostgresAdapter.list_relations
    known, asked = threading.Event(), itertools.count()

    def add_slowly(cache: RelationsCache, relation: Any) -> None:
        add(cache, relation)
        if relation.schema == "raw_ghl" and not known.is_set():
            known.set()
            time.sleep(2)

    def ask_after_the_first(adapter: PostgresAdapter, database: str, schema: str) -> Any:
        if schema == "raw_ghl" and next(asked):
            known.wait(2)
        return listing(adapter, database, schema)

    monkeypatch.setattr(RelationsCache, "add", add_slowly)
    monkeypatch.setattr(PostgresAdapter, "list_relations", ask_after_the_first)
    run = run_dbt(raw_db, dbt_target, "run", "--select", *VIEWS)
    assert run.success, run.messages
    with raw_db.connect() as connection:
        read = connection.execute(
            "select count(*) from pg_views where schemaname = 'staging' and viewname = any(%s)"
            " and definition like '%%FROM raw_ghl.%%'",
            (list(VIEWS),),
        ).fetchone()
    assert read == (len(VIEWS),)


def test_a_provider_that_is_not_connected_has_no_rows(raw_db: Database, dbt_target: Path) -> None:
    with raw_db.connect() as connection:
        connection.execute("drop table raw_ghl.messages")
    run = run_dbt(raw_db, dbt_target, "run", "--select", "stg_ghl__messages")
    assert run.success, run.messages
    with raw_db.connect() as connection:
        assert connection.execute("select count(*) from staging.stg_ghl__messages").fetchone() == (
            0,
        )
