"""A big account to measure activation on: an embedded database, its marts, and a sandbox."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from activation.approve import approve_batch
from activation.plan import plan_batch
from activation.types import BatchPlan, PlanRequest
from leadengine.settings import Settings, load_settings
from providers.sandbox.launcher import SandboxProcess, start_sandbox
from warehouse.database import Database
from warehouse.embedded import PORT, SUPERUSER, EmbeddedPostgres
from warehouse.migrate import upgrade

SQL = Path(__file__).parent / "sql"


class ShiftedClock:
    """Runs as clocks do, from an hour at which texts are allowed in every zone of the leads."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        noon = now.replace(hour=18, minute=0, second=0, microsecond=0)
        # Ahead, as the sandbox's clock has to follow and goes no other way.
        self.shift = noon + timedelta(days=noon < now) - now

    def now(self) -> datetime:
        """The moment, UTC."""
        return datetime.now(UTC) + self.shift


@dataclass
class World:
    """What a measurement needs."""

    home: Path
    database: Database
    settings: Settings
    sandbox: SandboxProcess
    clock: ShiftedClock

    def get(self, path: str) -> Any:
        """An address of the sandbox's own."""
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.get(self.sandbox.url + path).raise_for_status().json()

    def fault(self, **order: Any) -> None:
        """Tells the sandbox to misbehave."""
        with httpx.Client(trust_env=False) as client:
            client.post(f"{self.sandbox.url}/_faults", json=order).raise_for_status()

    def advance_sandbox(self, by: timedelta) -> None:
        """Moves the time of the sandbox's providers."""
        order = {"advance_seconds": by.total_seconds()}
        with httpx.Client(trust_env=False, timeout=60) as client:
            client.post(f"{self.sandbox.url}/_clock", json=order).raise_for_status()

    def no_faults(self) -> None:
        """Tells the sandbox to behave."""
        with httpx.Client(trust_env=False) as client:
            client.delete(f"{self.sandbox.url}/_faults").raise_for_status()

    def plan(self, size: int, **changes: Any) -> BatchPlan:
        """A plan for so many of the leads, nobody held out unless asked for."""
        request = {
            "audience": "hottest",
            "sequence": "hot_follow_up",
            "size": size,
            "channels": ["sms", "email"],
            "holdout_share": 0.0,
            "planned_by": "benchmark",
        } | changes
        return plan_batch(self.database, self.settings, PlanRequest(**request), self.clock)

    def approve(self, plan: BatchPlan) -> None:
        """Approves a plan."""
        approve_batch(
            self.database,
            plan.batch_id,
            digest=plan.digest,
            approved_by="Benchmark",
            clock=self.clock,
        )

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.database.connect() as connection:
            return connection.execute(query.encode(), parameters).fetchall()


@contextmanager
def world(
    home: Path, leads: int, *, unlimited: bool = True, latency_ms: float = 2.0
) -> Iterator[World]:
    """Builds a world in an empty folder, and takes it down."""
    settings = load_settings(_env_file=None, leadengine_home=home)
    # Not through open_database: another server of this process stays as it is.
    server = EmbeddedPostgres(home)
    server.start()
    database = Database(
        host=str(server.socket_dir),
        port=PORT,
        user=SUPERUSER,
        password="local",  # noqa: S106 # pragma: allowlist secret - trust on a private socket
        dbname="postgres",
    )
    upgrade(database)
    sandbox = start_sandbox(home, contacts=60, seed=3, unlimited=unlimited, latency_ms=latency_ms)
    try:
        made = World(
            home,
            database,
            # The account's limit is what is measured, not that of a number.
            settings.use_sandbox(sandbox.url, sandbox.credentials).model_copy(
                update={"twilio_10dlc_class": "none"}
            ),
            sandbox,
            ShiftedClock(),
        )
        # Lost answers are looked up by time: providers have to tell the same.
        made.advance_sandbox(made.clock.shift)
        _fill(made, leads)
        yield made
    finally:
        sandbox.stop()
        database.engine.dispose()
        server.release()


def _fill(made: World, leads: int) -> None:
    parameters = {
        "leads": leads,
        "locations": [location.location_id for location in made.settings.locations()],
        "at": made.clock.now() - timedelta(minutes=5),
    }
    people = (SQL / "activation_people.sql").read_text("utf-8")
    with made.database.connect(autocommit=True) as connection:
        connection.execute((SQL / "activation_marts.sql").read_bytes())
        for statement in people.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode(), parameters)
        connection.execute((SQL / "activation_indexes.sql").read_bytes())


@dataclass
class CpuMeter:
    """CPU seconds that each part used since the meter was made."""

    parts: dict[str, list[psutil.Process]]

    def __post_init__(self) -> None:
        self._at = time.monotonic()
        self._used = {name: self._seconds(name) for name in self.parts}

    def _seconds(self, name: str) -> float:
        total = 0.0
        for process in self.parts[name]:
            try:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
                for child in process.children(recursive=True) if name == "database" else []:
                    inner = child.cpu_times()
                    total += inner.user + inner.system
            except psutil.NoSuchProcess:
                continue
        return total

    def read(self) -> dict[str, float]:
        """CPU seconds by part, and ``wall``."""
        used = {name: self._seconds(name) - before for name, before in self._used.items()}
        return used | {"wall": time.monotonic() - self._at}


def meter(made: World) -> CpuMeter:
    """A meter on this process, the sandbox and the database server."""
    pid = int((made.home / "postgres" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    return CpuMeter(
        {
            "worker": [psutil.Process()],
            "sandbox": [psutil.Process(made.sandbox.process.pid)],
            "database": [psutil.Process(pid)],
        }
    )
