"""`leadengine run` in a process of its own, on a small simulated brokerage."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from leadengine.settings import load_settings
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from warehouse.database import Database, open_database

ROOT = Path(__file__).resolve().parents[2]
CONTACTS = 400

Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Engine:
    """An engine that has run: its state folder, its sandbox, and what it printed."""

    home: Path
    sandbox: SandboxProcess
    database: Database
    command: Command
    first_output: str

    def ledger(self) -> list[dict[str, object]]:
        """Every message that the sandbox's providers accepted."""
        messages: list[dict[str, object]] = httpx.get(
            f"{self.sandbox.url}/_ledger/messages", timeout=30
        ).json()
        return messages

    def truth(self) -> dict[str, dict[str, object]]:
        """The sandbox's contacts by id."""
        answer = httpx.get(f"{self.sandbox.url}/_truth/contacts", timeout=30).json()
        return {contact["id"]: contact for contact in answer}

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """The rows of a query on the engine's database."""
        with self.database.connect() as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine after its first run."""
    home = tmp_path_factory.mktemp("engine") / "state"
    sandbox = start_sandbox(home, port=None, contacts=CONTACTS, seed=5, unlimited=True)
    environment = {
        key: value
        for key, value in os.environ.items()
        # Nor is coverage measured: it takes the engine and dbt two thirds longer.
        if not re.match(r"GHL_|TWILIO_|SENDGRID_|DATABASE_URL|LEADENGINE_|COVERAGE_", key)
    } | {
        "LEADENGINE_HOME": str(home),
        "SANDBOX_URL": sandbox.url,
        "COLUMNS": "200",
        # Half of a minute would be spent on waiting; the limits have tests of their own.
        "GHL_RATE_LIMIT": "5000/10",
    }

    def command(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "leadengine", *arguments],
            cwd=ROOT,
            env=environment | changes,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )

    first = command("run")
    assert first.returncode == 0, first.stdout + first.stderr
    database = open_database(load_settings(_env_file=None, leadengine_home=home))
    yield Engine(home, sandbox, database, command, first.stdout)
    database.engine.dispose()
    sandbox.stop()
