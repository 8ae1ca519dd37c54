"""What the assets work with: settings, database and provider clients, opened once per process."""

from functools import cached_property
from pathlib import Path

import dagster as dg

from leadengine.clock import Clock, SystemClock
from leadengine.settings import Settings, get_settings
from providers.connection import resolve_settings
from providers.factory import Clients, build_clients
from warehouse.database import Database, open_database
from warehouse.rate_limits import PostgresRateLimiter

PROJECT_ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"


class _Opened:
    """The process's connections; made when first asked for, so that loading stays cheap."""

    @cached_property
    def settings(self) -> Settings:
        return resolve_settings(get_settings())

    @cached_property
    def database(self) -> Database:
        return open_database(get_settings())

    @cached_property
    def clients(self) -> Clients:
        return build_clients(self.settings, PostgresRateLimiter(self.database))


_opened = _Opened()


def forget_connections() -> None:
    """Opens everything anew at the next use, for settings that have changed since."""
    global _opened
    _opened = _Opened()


class Engine(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings, database, clients and clock of this process."""

    @property
    def settings(self) -> Settings:
        """The settings, with the sandbox in place of missing providers."""
        return _opened.settings

    @property
    def database(self) -> Database:
        """The engine's database."""
        return _opened.database

    @property
    def clients(self) -> Clients:
        """The providers' clients, under the rate limits that all processes share."""
        return _opened.clients

    @property
    def clock(self) -> Clock:
        """The machine's clock."""
        return SystemClock()
