"""What most commands need: settings that are final, an open database, the clients."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadengine.clock import Clock, SystemClock
from leadengine.errors import LeadEngineError
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

    # `leadengine up` or another command may have one running on this state folder already.
    address = settings.prepare_home() / "sandbox.url"
    running = _answering(settings, address)
    if running is not None:
        with _announced(str(running.sandbox_url)):
            yield running
        return
    process = start_sandbox(
        settings.home, port=None, contacts=settings.sandbox_contacts, seed=settings.sandbox_seed
    )
    address.write_text(process.url, "utf-8")
    try:
        with _announced(process.url):
            yield settings.use_sandbox(process.url, process.credentials)
    finally:
        process.stop()
        address.unlink(missing_ok=True)


def _answering(settings: Settings, address: Path) -> Settings | None:
    """Settings for the sandbox whose address was left in the file, if it still answers."""
    from providers.sandbox.launcher import connect

    try:
        url = address.read_text("utf-8")
        return settings.use_sandbox(url, connect(url))
    except (FileNotFoundError, LeadEngineError):
        return None


@contextmanager
def _announced(url: str) -> Iterator[None]:
    """Lets processes that are started from here on (dbt, Dagster's) find the sandbox."""
    os.environ["SANDBOX_URL"] = url
    get_settings.cache_clear()
    try:
        yield
    finally:
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
