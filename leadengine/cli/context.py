"""What most commands need: settings that are final, an open database, the clients."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadengine.clock import Clock, SystemClock
from leadengine.settings import Settings, get_settings
from warehouse.database import Database, open_database
from warehouse.migrate import upgrade

if TYPE_CHECKING:
    from providers.factory import Clients


@dataclass(frozen=True)
class Context:
    """The engine, opened for one command."""

    settings: Settings
    database: Database
    clients: "Clients"
    clock: Clock


def migrated_database() -> tuple[Settings, Database]:
    """The settings and the database at the newest schema, without any provider."""
    settings = get_settings()
    database = open_database(settings)
    upgrade(database)
    return settings, database


@contextmanager
def provider_settings(settings: Settings) -> Iterator[Settings]:
    """Settings whose providers answer: the live ones, a running sandbox, or one started here.

    A sandbox that is started here stops at the end; its state stays.
    """
    from providers.connection import resolve_settings

    if settings.has_live_credentials or settings.sandbox_url:
        yield resolve_settings(settings)
        return
    from providers.sandbox.launcher import start_sandbox

    process = start_sandbox(
        settings.prepare_home(),
        port=None,
        contacts=settings.sandbox_contacts,
        seed=settings.sandbox_seed,
    )
    # Processes that are started from here on (dbt, Dagster's) find it by its address.
    os.environ["SANDBOX_URL"] = process.url
    get_settings.cache_clear()
    try:
        yield settings.use_sandbox(process.url, process.credentials)
    finally:
        process.stop()
        del os.environ["SANDBOX_URL"]
        get_settings.cache_clear()


@contextmanager
def engine() -> Iterator[Context]:
    """Everything a command needs that talks to providers."""
    settings, database = migrated_database()
    with provider_settings(settings) as resolved:
        from providers.factory import build_clients
        from warehouse.rate_limits import PostgresRateLimiter

        limiter = PostgresRateLimiter(database)
        try:
            yield Context(resolved, database, build_clients(resolved, limiter), SystemClock())
        finally:
            limiter.close()
