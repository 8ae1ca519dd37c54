"""The service over a database of its own."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from leadengine.settings import Settings
from service.app import create_app
from warehouse.database import Database


@pytest.fixture
def client(settings: Settings, db: Database) -> Iterator[TestClient]:
    """A client of a running application."""
    with TestClient(create_app(settings, db)) as running:
        yield running
