"""The documentation is built from the project and the database, and can be served."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from leadengine.cli.docs import serve_arguments
from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from orchestration.docs import build_docs
from tests.dbt_project.raw_fixture import create_raw_tables
from tests.end_to_end.test_up import free_port
from warehouse.database import Database

pytestmark = pytest.mark.slow


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a state folder and a port of this test's own."""
    yield settings.model_copy(update={"leadengine_home": tmp_path, "docs_port": free_port()})
    shutil.rmtree(tmp_path / "dbt-docs", ignore_errors=True)


def test_docs_are_built_and_served(home: Settings, db: Database) -> None:
    with db.connect() as connection:
        create_raw_tables(connection)
        connection.execute("create table marts.dim_agents (agent_id text, name text)")
    index = build_docs(home, db)
    page = (home.docs / "models.html").read_text(encoding="utf-8")
    # One file: manifest and catalog are in it, with what the database says.
    for name in ("dim_leads", "crm_writeback", "raw_ghl", "primary_key"):
        assert name in page
    catalog = json.loads((home.home / "dbt-docs" / "catalog.json").read_text(encoding="utf-8"))
    assert set(catalog["nodes"]["model.leadengine.dim_agents"]["columns"]) == {"agent_id", "name"}
    server = subprocess.Popen(serve_arguments(home), stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                answer = httpx.get(f"http://127.0.0.1:{home.docs_port}/")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer.text == index.read_text(encoding="utf-8")
        for link in re.findall(r'href="([^"]+)"', answer.text):
            if link.startswith("models"):
                found = httpx.get(f"http://127.0.0.1:{home.docs_port}/{link}")
                assert found.status_code == 200
    finally:
        server.terminate()
        server.wait(10)


def test_a_failure_says_what_dbt_says(home: Settings, db: Database) -> None:
    gone = db.named("there_is_no_such_database")
    with pytest.raises(LeadEngineError, match="there_is_no_such_database"):
        build_docs(home, gone)
