from collections.abc import Iterator

import pytest

from tests.providers.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A scripted HTTP server of this test's own."""
    with Server().running() as running:
        yield running
