"""A database with marts, and a sandbox without rate limits, for the tests of activation."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from activation.policy import DispatchPolicy
from leadengine.settings import Settings
from providers.core import RetryPolicy
from providers.factory import Clients, build_clients
from providers.limits import LocalRateLimiter, ProviderLimits, RateLimit
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from tests.activation.marts import NOON_EAST, create_marts
from warehouse.database import Database

_WIDE = RateLimit(10_000, 1.0)
LIMITS = ProviderLimits(
    ghl=_WIDE, twilio=_WIDE, sendgrid_send=_WIDE, sendgrid_read=_WIDE, sendgrid_activity=_WIDE
)
FAST = RetryPolicy(attempts=1, wait_initial=0.01, wait_max=0.02)
IMPATIENT = DispatchPolicy(
    retry_base=timedelta(0),
    twilio_grace=timedelta(0),
    sendgrid_grace=timedelta(0),
    wait=timedelta(seconds=50),
)


class RunningClock:
    """Runs as clocks do, from the moment it was set to, and can be moved on."""

    def __init__(self, at: datetime) -> None:
        self._shift = at - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._shift

    def advance(self, by: timedelta) -> None:
        self._shift += by


@dataclass
class World:
    """Everything a dispatch needs, and a view of what the providers took."""

    database: Database
    settings: Settings
    clients: Clients
    clock: RunningClock
    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False))

    @property
    def locations(self) -> list[str]:
        return [location.location_id for location in self.settings.locations()]

    def get(self, path: str) -> Any:
        return self.http.get(self.url + path).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        return self.http.post(self.url + path, json=body).raise_for_status().json()

    def fault(self, **order: Any) -> None:
        self.post("/_faults", order)

    def no_faults(self) -> None:
        self.http.delete(self.url + "/_faults").raise_for_status()

    def ledger(self) -> list[dict[str, Any]]:
        """The messages that the providers took for sends of this database."""
        with self.database.connect() as connection:
            ours = {str(row[0]) for row in connection.execute("select send_id from ops.sends")}
        return [entry for entry in self.get("/_ledger/messages") if entry["tag"] in ours]


@pytest.fixture(scope="session")
def wide_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox of 60 contacts that limits nothing."""
    home: Path = tmp_path_factory.mktemp("activation-sandbox")
    process = start_sandbox(home, contacts=60, seed=3, unlimited=True)
    yield process
    process.stop()


@pytest.fixture
def mart_db(db: Database) -> Database:
    """A migrated database with empty marts."""
    create_marts(db)
    return db


@pytest.fixture
def world(mart_db: Database, settings: Settings, wide_sandbox: SandboxProcess) -> Iterator[World]:
    """Marts, sandbox, clients and a clock that stands at an hour at which all is allowed."""
    resolved = settings.use_sandbox(wide_sandbox.url, wide_sandbox.credentials)
    with build_clients(resolved, LocalRateLimiter(), limits=LIMITS, policy=FAST) as clients:
        made = World(mart_db, resolved, clients, RunningClock(NOON_EAST), wide_sandbox.url)
        made.no_faults()
        yield made
        made.no_faults()
        made.http.close()
