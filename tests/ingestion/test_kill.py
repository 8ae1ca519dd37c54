"""A load that is killed at any moment: the next one continues, and nothing is lost or doubled."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ingestion.load import load_source
from tests.ingestion.conftest import Crm, contact, message

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = 60
MESSAGES = 200


def seed(crm: Crm) -> None:
    """Enough pages that a load takes a while, with a broken record among them."""
    crm.ghl.page = 20
    for place in ("L1", "L2"):
        people = [contact(f"C{n:03}", updated=-60 + n / 100) for n in range(PEOPLE)]
        crm.ghl.put(place, "contacts", *people, contact("broken", dateAdded="never"))
        crm.ghl.put(
            place,
            "messages",
            *(
                message(f"M{n:03}", f"C{n % PEOPLE:03}", added=-50 + n / 10)
                for n in range(MESSAGES)
            ),
        )
        crm.ghl.put(place, "tasks", *({"id": f"T{n}", "title": "Call"} for n in range(50)))


def start(crm: Crm) -> subprocess.Popen[str]:
    """A load in a child process, past its imports."""
    database = crm.database
    order = {
        "url": crm.settings.ghl_base_url,
        "home": str(crm.settings.home),
        "database": {
            "host": database.host, "port": database.port, "user": database.user,
            "password": "any", "dbname": database.dbname,  # pragma: allowlist secret
        },
    }  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.ingestion.killed_load", json.dumps(order)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def state(crm: Crm) -> dict[str, list[Any]]:
    """What the tables hold, without the times."""
    return {
        table: crm.query(f"select location_id, id, _backfill from raw_ghl.{table} order by 1, 2")
        for table in ("contacts", "messages", "tasks", "locations")
    }


def check_complete(crm: Crm) -> None:
    """Everything is there once, and belongs to the backfill."""
    held = state(crm)
    for place in ("L1", "L2"):
        for table, names in (
            ("contacts", [f"C{n:03}" for n in range(PEOPLE)]),
            ("messages", [f"M{n:03}" for n in range(MESSAGES)]),
            ("tasks", sorted(f"T{n}" for n in range(50))),
        ):
            rows = [row for row in held[table] if row[0] == place]
            assert [row[1] for row in rows] == names, table
            assert all(row[2] for row in rows), table
    assert crm.column("select count(*) from ops.quarantine") == [2]
    assert crm.column("select count(*) from raw_ghl.contact_tombstones") == [0]


# From the first request to the merge; later than that the child may be done, which is fine too.
@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0.1, marks=pytest.mark.slow),
        0.5,
        pytest.param(0.9, marks=pytest.mark.slow),
        pytest.param(1.4, marks=pytest.mark.slow),
    ],
)
def test_a_load_that_was_killed_is_continued(crm: Crm, seconds: float) -> None:
    seed(crm)
    child = start(crm)
    time.sleep(seconds)
    child.kill()
    child.wait()
    crm.load()
    check_complete(crm)
    assert sum(result.rows_loaded for result in crm.load().values()) == 0


@pytest.mark.slow
def test_kills_in_a_row_change_nothing(crm: Crm) -> None:
    seed(crm)
    for seconds in (0.2, 0.8, 1.2, 1.7):
        child = start(crm)
        time.sleep(seconds)
        child.kill()
        child.wait()
    crm.load()
    check_complete(crm)
    assert sum(result.rows_loaded for result in crm.load().values()) == 0


def test_a_kill_in_an_incremental_load_loses_no_change(crm: Crm) -> None:
    seed(crm)
    crm.load()
    for place in ("L1", "L2"):
        changed = [contact(f"C{n:03}", updated=-0.5, city="Springfield") for n in range(30)]
        crm.ghl.put(place, "contacts", *changed)
    crm.ghl.delay_seconds = 0.02
    child = start(crm)
    time.sleep(0.6)
    child.kill()
    child.wait()
    crm.ghl.delay_seconds = 0.0
    crm.load()
    assert crm.column("select count(*) from raw_ghl.contacts where city = 'Springfield'") == [60]
    assert crm.column("select count(*) from raw_ghl.contacts") == [2 * PEOPLE]


def test_two_loads_at_once_wait_for_each_other(crm: Crm) -> None:
    seed(crm)
    failures: list[BaseException] = []

    def load() -> None:
        try:
            load_source(crm.database, crm.clients, crm.settings, "ghl", clock=crm.clock)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check_complete(crm)
    loads = "select rows_loaded from ops.load_runs where entity = 'tasks' order by rows_loaded"
    assert crm.column(loads) == [0, 0, 50, 50]
