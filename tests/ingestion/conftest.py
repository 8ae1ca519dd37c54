"""A scripted CRM with two locations, and the loads that run against it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ingestion.load import LoadResult, load_source
from leadengine.clock import FixedClock
from leadengine.settings import LocationConfig, Settings
from providers.factory import Clients, ProviderLimits, build_clients
from providers.limits import LocalRateLimiter, RateLimit
from tests.ingestion.scripted import ScriptedGhl, serving
from warehouse.database import Database

START = datetime(2025, 6, 1, tzinfo=UTC)

UNLIMITED = ProviderLimits(ghl=RateLimit(100_000, 10.0), sendgrid_activity=RateLimit(1000, 1.0))
"""For providers of our own, which need no sparing."""


def stamp(days: float = 0.0) -> str:
    """``START`` and some days, as HighLevel writes times."""
    return (START + timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def contact(name: str, *, added: float = -90, updated: float = -60, **more: Any) -> dict[str, Any]:
    """A contact; times in days from ``START``."""
    return {"id": name, "dateAdded": stamp(added), "dateUpdated": stamp(updated)} | more


def message(
    name: str, person: str = "C1", *, added: float = -30, updated: float | None = None, **more: Any
) -> dict[str, Any]:
    """An SMS; times in days from ``START``."""
    return {
        "id": name,
        "contactId": person,
        "conversationId": f"V-{person}",
        "messageType": "TYPE_SMS",
        "direction": "inbound",
        "dateAdded": stamp(added),
        "dateUpdated": stamp(added if updated is None else updated),
    } | more


@dataclass
class Crm:
    """The scripted CRM and a database that it is loaded into."""

    ghl: ScriptedGhl
    database: Database
    clients: Clients
    settings: Settings
    clock: FixedClock = field(default_factory=lambda: FixedClock(START))

    def load(self, *tables: str, **options: Any) -> dict[tuple[str, str | None], LoadResult]:
        """Loads, and gives the results by table and location."""
        self.ghl.requests.clear()
        results = load_source(
            self.database, self.clients, self.settings, "ghl", tables or None,
            clock=self.clock, **options,
        )  # fmt: skip
        return {(result.table, result.location_id): result for result in results}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.database.connect() as connection:
            return connection.execute(sql).fetchall()

    def column(self, sql: str) -> list[Any]:
        """The first column of a query."""
        return [row[0] for row in self.query(sql)]


def scripted_settings(settings: Settings, url: str, home: Path, **more: Any) -> Settings:
    """Settings of two locations whose CRM is at ``url``."""
    locations = tuple(
        LocationConfig(location_id=name, token=SecretStr(f"token-{name}")) for name in ("L1", "L2")
    )
    return settings.model_copy(
        update={
            "leadengine_home": home,
            "ghl_base_url": url,
            "sandbox_locations": locations,
            **more,
        }
    )


@pytest.fixture
def crm(db: Database, settings: Settings, tmp_path: Path) -> Iterator[Crm]:
    """An empty CRM with the locations L1 and L2, nothing loaded yet."""
    ghl = ScriptedGhl("L1", "L2")
    with serving(ghl) as url:
        scripted = scripted_settings(settings, url, tmp_path)
        with build_clients(scripted, LocalRateLimiter(), limits=UNLIMITED) as clients:
            yield Crm(ghl, db, clients, scripted)
